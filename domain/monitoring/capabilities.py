"""Capability status of a microgrid: what a value means, and which of many events is the latest (COR-9.9 to COR-9.12).

An event that is accepted is recorded, always. Three rules decide whether it is shown:

1. *A provider event reference counts once.* The first accepted event of a microgrid and capability with a reference
   keeps it. Another with the same reference is recorded as ``REPEATED`` (it says the same) or ``CONFLICTING`` (it
   does not) and never changes the latest status (COR-9.12).
2. *``null`` is no status.* It is recorded as ``UNAVAILABLE``, and the latest status stays as it was.
3. *The greatest key is the latest*, the key being (``epoch``, effective time, ``observed_at``,
   ``provider_event_ref``). A capability's *epoch* counts how often it was handed over to another device: what came
   under the one who supplies it now counts before all that came earlier. The effective time is the time of
   measurement, or the time of arrival where that is earlier, so that a clock that runs ahead does not rule
   (``domain.base.clocks``). The stamp orders what came at once; the reference breaks the tie because it comes with the
   event: whichever of two events is taken first, the same one is shown. References compare by code point, as Python
   compares strings and PostgreSQL compares text with ``COLLATE "C"``.

All of the key is recorded with the event. So the latest status follows from the recorded events, in whatever order
they are taken, as long as no provider uses one reference for two different events; and if one does, what was shown
does not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from domain.base.clocks import effective_at
from domain.base.problems import Problem, ProblemCode
from domain.base.texts import fault_of, is_blank, normal
from domain.site.measurands import MeasurandKey

MAX_EVENT_REF_LENGTH = 300
"""Characters of a provider event reference; one that is made from a packet has up to 270."""


class Capability(StrEnum):
    """What an external controller reports for the whole microgrid (COR-9.10)."""

    _value_: str
    measurand: MeasurandKey
    """Which measurand reports it."""
    label: str
    """Its name on pages."""
    short_label: str
    """Its name where there is little room."""
    threshold: timedelta
    """How old its status may usually be; a microgrid may have its own threshold."""
    is_expected: bool
    """Whether a depot is one without a status as long as it has none of this. One that is not expected counts only
    where a device supplies it or a status is known."""

    def __new__(
        cls,
        value: str,
        measurand: MeasurandKey,
        label: str,
        short_label: str,
        threshold: timedelta,
        is_expected: bool = False,
    ) -> Capability:
        """Make the text that names it, with all that differs between two capabilities.

        The database has the same list (``known_capabilities()``): a migration adds a new one to it.
        """
        made = str.__new__(cls, value)
        made._value_ = value
        made.measurand, made.label, made.short_label = measurand, label, short_label
        made.threshold, made.is_expected = threshold, is_expected
        return made

    PEAK_SHAVING = (
        "PEAK_SHAVING",
        MeasurandKey.LIMIT_PEAK_SHAVING,
        "Peak shaving",
        "Peak",
        timedelta(minutes=5),
        True,
    )
    DER = (
        "DER",
        MeasurandKey.LIMIT_DER_EXPORT,
        "DER export limit",
        "DER",
        timedelta(minutes=5),
        True,
    )


class CapabilityStatus(StrEnum):
    """What an operator sees of a capability."""

    ON = "ON"
    OFF = "OFF"


CAPABILITY_MEASURANDS: Mapping[MeasurandKey, Capability] = {each.measurand: each for each in Capability}
"""Which measurand reports which capability."""

# An enumeration takes ten times as long to find a member by its value, and a packet has a dozen of them.
CAPABILITIES: Mapping[str, Capability] = {each.value: each for each in Capability}
"""Capabilities by their names."""
CAPABILITY_STATUSES: Mapping[str, CapabilityStatus] = {each.value: each for each in CapabilityStatus}
"""Statuses by their names."""

_STATUS: dict[object, CapabilityStatus] = {"true": CapabilityStatus.ON, "false": CapabilityStatus.OFF}


def capability_status(value: object) -> CapabilityStatus | None:
    """Translate what a controller says (COR-9.11); None for null: no status is known.

    A packet has the strings ``"true"`` and ``"false"``, the canonical path also JSON's booleans. Nothing else is
    guessed at: no other casing, no 1 or 0.

    Raises:
        Problem: ``INVALID_CAPABILITY_VALUE``.

    """
    if value is None:
        return None
    if isinstance(value, bool):
        return CapabilityStatus.ON if value else CapabilityStatus.OFF
    if isinstance(value, str) and value in _STATUS:
        return _STATUS[value]
    raise Problem(
        ProblemCode.INVALID_CAPABILITY_VALUE, 'A capability\'s value is true, false, "true", "false" or null.', "value"
    )


def check_event_ref(given: str) -> str:
    """Return the one form of ``given`` (see ``domain.base.texts``) if it can serve as a provider event reference.

    Raises:
        Problem: ``INVALID_EVENT_REF``.

    """
    ref = normal(given)
    if len(ref) <= MAX_EVENT_REF_LENGTH and not is_blank(ref) and fault_of(ref) is None:
        return ref
    raise Problem(
        ProblemCode.INVALID_EVENT_REF,
        f"A provider event reference has 1 to {MAX_EVENT_REF_LENGTH} characters, shows something, and holds no control "
        "characters nor others that cannot be shown.",
        "provider_event_ref",
    )


def packet_event_ref(device_id: UUID, sensor_id: str, timestamp_ms: int) -> str:
    """Make the provider event reference of what a packet says: the same packet sent again has the same one."""
    return f"packet:{device_id}:{timestamp_ms}:{sensor_id}"


class StatusEvent(NamedTuple):
    """One accepted update of one capability of one microgrid.

    A named tuple, like what is made beside it for each packet: a second has thousands, made in half the time.
    """

    observed_at: datetime
    """When the provider saw it."""
    provider_event_ref: str
    """The provider's own reference; counts once a microgrid and capability."""
    status: CapabilityStatus | None
    """None: the provider had no value."""
    received_at: datetime | None = None
    """When it was accepted; None: not yet, and ``observed_at`` is taken as it is."""
    epoch: int = 0
    """How often the capability had been handed over to another device when it was accepted."""

    @property
    def effective_at(self) -> datetime:
        """When it counts as seen: a stamp counts at most as its arrival."""
        return effective_at(self.observed_at, self.received_at)

    @property
    def key(self) -> tuple[int, datetime, datetime, str]:
        """What decides which of two events is the later one."""
        return self.epoch, self.effective_at, self.observed_at, self.provider_event_ref

    def says_the_same(self, other: StatusEvent) -> bool:
        """Say whether the provider said the same, whenever it came."""
        return (self.observed_at, self.status) == (other.observed_at, other.status)


class Held(NamedTuple):
    """Since when the latest status holds."""

    since: datetime | None
    """When the first of the events that say the same, without another one between them, counts as seen. None: it must
    be looked up in the history."""
    is_simulated: bool
    """Whether scenario runs sent those events; such a status and a real one are not the same."""


class FoldEffect(StrEnum):
    """What an accepted event did to the latest status. It is recorded in every case."""

    SHOWN = "SHOWN"
    """It became the latest status."""
    LATE = "LATE"
    """A later one is already shown."""
    UNAVAILABLE = "UNAVAILABLE"
    """It has no value."""
    REPEATED = "REPEATED"
    """Its reference came before, with the same content."""
    CONFLICTING = "CONFLICTING"
    """Its reference came before, with another content; the first one counts."""


class Folded(NamedTuple):
    """The latest event after another one, and what that one did."""

    latest: StatusEvent | None
    effect: FoldEffect


def fold_one(latest: StatusEvent | None, event: StatusEvent, earlier: StatusEvent | None = None) -> Folded:
    """Take one more event of a microgrid's capability into its latest status.

    Args:
        latest: The event that is shown; None before the first.
        event: The one that was just accepted.
        earlier: The first accepted event with the same reference, if there was one. Where it is not looked up, an
            event that was sent twice as it is still changes nothing while it is the one that is shown.

    """
    if earlier is not None:
        return Folded(latest, FoldEffect.REPEATED if event.says_the_same(earlier) else FoldEffect.CONFLICTING)
    if latest is not None and event.provider_event_ref == latest.provider_event_ref:
        return Folded(latest, FoldEffect.REPEATED if event.says_the_same(latest) else FoldEffect.CONFLICTING)
    if event.status is None:
        return Folded(latest, FoldEffect.UNAVAILABLE)
    if latest is not None and event.key < latest.key:
        return Folded(latest, FoldEffect.LATE)
    return Folded(event, FoldEffect.SHOWN)


def hold(before: StatusEvent | None, held: Held | None, event: StatusEvent, *, is_simulated: bool) -> Held:
    """Say since when an event holds that becomes the latest after ``before``: what it repeats goes on."""
    repeats = (
        before is not None and held is not None and (before.status, held.is_simulated) == (event.status, is_simulated)
    )
    return held if held is not None and repeats else Held(event.effective_at, is_simulated)


def may_change_since(latest: StatusEvent, held: Held, event: StatusEvent, *, is_simulated: bool) -> bool:
    """Say whether an event that comes late may change since when the latest status holds.

    One that says something else may lie between those that say the same; one that says the same may lie before the
    first of them.
    """
    if (latest.status, held.is_simulated) != (event.status, is_simulated) or held.since is None:
        return True
    return event.effective_at <= held.since


def since(events: Iterable[tuple[StatusEvent, bool]]) -> datetime | None:
    """Return since when the latest status holds, from a whole history in the order of acceptance.

    Args:
        events: Each with whether a scenario run sent it.

    """
    counted: dict[str, tuple[StatusEvent, bool]] = {}
    for event, is_simulated in events:
        counted.setdefault(event.provider_event_ref, (event, is_simulated))
    known = sorted((each for each in counted.values() if each[0].status is not None), key=lambda each: each[0].key)
    began: datetime | None = None
    for n, (event, is_simulated) in enumerate(known):
        if n == 0 or (known[n - 1][0].status, known[n - 1][1]) != (event.status, is_simulated):
            began = event.effective_at
    return began


def fold(events: Iterable[StatusEvent]) -> StatusEvent | None:
    """Return the latest of a microgrid's capability from its whole history, in the order of acceptance.

    The order matters only for references that were used for different events: the first one counts.
    """
    counted: dict[str, StatusEvent] = {}
    for event in events:
        counted.setdefault(event.provider_event_ref, event)
    known = [event for event in counted.values() if event.status is not None]
    return max(known, key=lambda event: event.key, default=None)
