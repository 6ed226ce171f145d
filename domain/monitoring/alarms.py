"""Alarms of a depot: what of it needs attention, the worst first.

An alarm is something that is not as it should be now and that somebody can do something about. It is worked out from
what is stored and ends by itself when it is mended: nobody acknowledges it. In the sense of ISA-18.2 each kind has a
priority, by what follows if nobody does anything.

A status that is stale only because its controller is silent is no alarm of its own: the silence says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Literal
from uuid import UUID


class AlarmPriority(IntEnum):
    """How soon somebody should do something; the lowest number first."""

    HIGH = 1
    """What vehicles may charge is limited, or nobody knows any more what the site does."""
    MEDIUM = 2
    """Part of what the depot should do does not work."""
    LOW = 3
    """What is shown may not hold."""


class AlarmKind(StrEnum):
    """What is wrong, in the order in which it is told."""

    _value_: str
    priority: AlarmPriority

    def __new__(cls, value: str, priority: AlarmPriority) -> AlarmKind:
        """Make the text that names it, with its priority."""
        made = str.__new__(cls, value)
        made._value_, made.priority = value, priority
        return made

    CONTROLLER_SILENT = "CONTROLLER_SILENT", AlarmPriority.HIGH
    """Nothing came from a controller for longer than its limit: its heartbeat threshold, or how old a status may be."""
    FAIL_SAFE = "FAIL_SAFE", AlarmPriority.HIGH
    """The fail-safe capacity holds at a circuit."""
    PROVISIONING_FAILED = "PROVISIONING_FAILED", AlarmPriority.MEDIUM
    """The depot has no microgrid, or its microgrid does not follow its circuits any more."""
    REMEDIATION_OPEN = "REMEDIATION_OPEN", AlarmPriority.MEDIUM
    """The configuration stops updates."""
    STATUS_STALE = "STATUS_STALE", AlarmPriority.LOW
    """The status of a capability is too old, although its controller is not silent, or no device updates it."""


AlarmChoice = AlarmKind | Literal["ANY"]
"""Which alarms a filter asks for: those of one kind, or any."""


class MendedAt(StrEnum):
    """Where a person mends it."""

    CONTROLLERS = "CONTROLLERS"
    """At the depot's controllers: their limits, when they were heard, the live test."""
    CAPACITY = "CAPACITY"
    """Where the capacity of each circuit stands, with what ends the fail-safe."""
    CIRCUITS = "CIRCUITS"
    """At the depot's circuits, with why it has no microgrid."""
    REMEDIATIONS = "REMEDIATIONS"
    """At the depot's open remediations, each with what is to be done."""


MENDED_AT: dict[AlarmKind, MendedAt] = {
    AlarmKind.CONTROLLER_SILENT: MendedAt.CONTROLLERS,
    AlarmKind.FAIL_SAFE: MendedAt.CAPACITY,
    AlarmKind.PROVISIONING_FAILED: MendedAt.CIRCUITS,
    AlarmKind.REMEDIATION_OPEN: MendedAt.REMEDIATIONS,
    AlarmKind.STATUS_STALE: MendedAt.CONTROLLERS,
}
"""The place that mends each kind."""


@dataclass(frozen=True)
class Alarm:
    """Something that needs attention."""

    kind: AlarmKind
    since: datetime
    """Of several things, when the first of them began. Of a silence, when the last packet counts as seen."""
    count: int = 1
    """How many: controllers, circuits, remediations. 1 of what a depot has once."""
    scenario_run_id: UUID | None = None
    """A scenario run that brought it about, or part of it; None: nothing simulated is in it."""


@dataclass(frozen=True)
class AlarmFigures:
    """What is known of a depot that alarms follow from. A moment is None where there is nothing of the kind."""

    silent_controllers: int = 0
    silent_since: datetime | None = None
    silent_run_id: UUID | None = None
    fail_safe_circuits: int = 0
    fail_safe_since: datetime | None = None
    fail_safe_run_id: UUID | None = None
    open_remediations: int = 0
    remediations_since: datetime | None = None
    remediations_run_id: UUID | None = None
    failed_since: datetime | None = None
    stale_since: datetime | None = None
    """Since when the depot is ``DepotFreshness.STALE``."""
    stale_by_silence: bool = False
    """Whether silent controllers explain each status that is stale."""
    stale_run_id: UUID | None = None

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """All alarms, in the order in which they are told: by priority, then by kind."""
        found = (
            _alarm(AlarmKind.CONTROLLER_SILENT, self.silent_since, self.silent_controllers, self.silent_run_id),
            _alarm(AlarmKind.FAIL_SAFE, self.fail_safe_since, self.fail_safe_circuits, self.fail_safe_run_id),
            _alarm(AlarmKind.PROVISIONING_FAILED, self.failed_since),
            _alarm(AlarmKind.REMEDIATION_OPEN, self.remediations_since, self.open_remediations,
                   self.remediations_run_id),
            None if self.stale_by_silence else _alarm(AlarmKind.STATUS_STALE, self.stale_since, 1, self.stale_run_id),
        )  # fmt: skip
        return tuple(each for each in found if each is not None)


def _alarm(kind: AlarmKind, since: datetime | None, count: int = 1, run_id: UUID | None = None) -> Alarm | None:
    return None if since is None or count == 0 else Alarm(kind, since, count, run_id)


def rank(alarms: Sequence[Alarm]) -> tuple[AlarmPriority, datetime] | None:
    """Return what depots are ordered by, the worst first: their highest priority, and since when they have it.

    None: the depot needs no attention.
    """
    if not alarms:
        return None
    worst = min(each.kind.priority for each in alarms)
    return worst, min(each.since for each in alarms if each.kind.priority is worst)
