"""Controller bindings: which device supplies which capabilities of a microgrid (COR-39).

A binding is the device's sensor action ``Update Microgrid State``, seen from the microgrid: it has the same id, and
each of its capabilities is one of the action's measurands. The values entered for a binding are parsed here and
validated against the site: all errors at once, each with its field, warnings, and what saving would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from domain.base.violations import Violation, below
from domain.controllers.controller_support import ControllerTables, SupportCode, unsupported
from domain.monitoring.capabilities import Capability
from domain.site.measurands import MeasurandKey
from domain.site.sensor_action_forms import given_version

MEASURAND_OF: Mapping[Capability, MeasurandKey] = {each: each.measurand for each in Capability}
"""Which measurand reports a capability."""


class BindingCode(StrEnum):
    """What is wrong with a binding. ``SupportCode`` has one more."""

    WRONG_TYPE = "WRONG_TYPE"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    SITE_MISSING = "SITE_MISSING"
    """Neither a microgrid nor a depot is named."""
    SITE_FIXED = "SITE_FIXED"
    """A binding never moves to another site; another one is made there."""
    DEPOT_NOT_FOUND = "DEPOT_NOT_FOUND"
    MICROGRID_NOT_FOUND = "MICROGRID_NOT_FOUND"
    MICROGRID_NOT_IN_DEPOT = "MICROGRID_NOT_IN_DEPOT"
    """A microgrid and a depot are named that are not of one site."""
    MICROGRID_NOT_PROVISIONED = "MICROGRID_NOT_PROVISIONED"
    """The depot has no microgrid yet whose capabilities could be supplied."""
    DEVICE_MISSING = "DEVICE_MISSING"
    DEVICE_NOT_FOUND = "DEVICE_NOT_FOUND"
    DEVICE_NOT_IN_DEPOT = "DEVICE_NOT_IN_DEPOT"
    """The device is another depot's."""
    DEVICE_WITHOUT_SENSOR = "DEVICE_WITHOUT_SENSOR"
    """A gateway is named. It has no sensor of its own; a device of it has."""
    ALREADY_BOUND = "ALREADY_BOUND"
    """The device has a binding, which may be changed instead."""
    CAPABILITIES_MISSING = "CAPABILITIES_MISSING"
    UNKNOWN_CAPABILITY = "UNKNOWN_CAPABILITY"
    CAPABILITY_REPEATED = "CAPABILITY_REPEATED"
    CAPABILITY_WITHOUT_MEASURAND = "CAPABILITY_WITHOUT_MEASURAND"
    """No measurand of the packet contract reports the capability, so no device can supply it."""
    CAPABILITY_OWNED = "CAPABILITY_OWNED"
    """Another device supplies the capability."""
    VERSION_CONFLICT = "VERSION_CONFLICT"
    """The binding has changed since it was read; said by a dry run alone, a change is refused as a whole."""


class BindingWarning(StrEnum):
    """What does not stop a binding, and is worth a look before it is saved."""

    DEVICE_NEVER_SENT = "DEVICE_NEVER_SENT"
    """No packet of the device is known."""
    MEASURAND_NEVER_SENT = "MEASURAND_NEVER_SENT"
    """The device sends packets, and the measurand of the capability was in none of those that were looked at."""


@dataclass(frozen=True)
class BindingForm:
    """What a valid binding is."""

    device_id: UUID
    capabilities: tuple[Capability, ...]
    enabled: bool

    @property
    def measurands(self) -> tuple[MeasurandKey, ...]:
        """The measurands of the sensor action that the binding is."""
        return tuple(MEASURAND_OF[capability] for capability in self.capabilities)


@dataclass(frozen=True)
class BindingBefore:
    """The binding that is to be changed."""

    binding_id: UUID
    depot_id: UUID
    microgrid_id: UUID | None
    version: int
    form: BindingForm


@dataclass
class BindingDraft:
    """A binding as it was filled in: what could be read, and what is wrong with the rest."""

    before: BindingBefore | None
    depot_id: UUID | None = None
    microgrid_id: UUID | None = None
    device_id: UUID | None = None
    capabilities: tuple[tuple[str, Capability], ...] = ()
    """Each with the pointer to where it was given."""
    enabled: bool = True
    violations: list[Violation] = field(default_factory=list[Violation])


@dataclass(frozen=True)
class KnownDevice:
    """A device that a binding names."""

    device_id: UUID
    depot_id: UUID
    name: str
    controller: str | None
    bound_by: UUID | None
    """The binding that it has."""
    sends: frozenset[str] | None
    """The keys in the packets that were looked at; None: it was in no packet ever."""


@dataclass(frozen=True)
class CapabilityOwner:
    """Who supplies a capability."""

    binding_id: UUID
    device_id: UUID
    device_name: str


@dataclass(frozen=True)
class BindingContext:
    """What is known of the site that a draft is about."""

    depot_id: UUID | None
    """The depot of the draft's ``microgrid_id`` or ``depot_id``; None: there is none."""
    microgrid_id: UUID | None
    """That depot's active microgrid."""
    device: KnownDevice | None
    """The draft's device, wherever it is."""
    is_gateway: bool
    """Whether the draft's device is a gateway instead."""
    owners: Mapping[Capability, CapabilityOwner]
    """Who supplies the depot's capabilities now."""


class EffectKind(StrEnum):
    """What saving a binding does to who supplies a capability."""

    STARTS = "STARTS"
    """A device begins to supply it; none did before."""
    STOPS = "STOPS"
    """No device supplies it any more."""
    MOVES = "MOVES"
    """Another device supplies it from now on."""
    STAYS = "STAYS"
    """The same device supplies it as before."""
    NONE = "NONE"
    """No device supplies it, before and after."""


@dataclass(frozen=True)
class BindingEffect:
    """What saving a binding does to one capability."""

    capability: Capability
    effect: EffectKind
    before_device_id: UUID | None
    before_device_name: str | None
    after_device_id: UUID | None
    after_device_name: str | None


@dataclass(frozen=True)
class DraftValidation:
    """What there is to say of a draft."""

    form: BindingForm | None
    """None: something is wrong."""
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]
    effects: tuple[BindingEffect, ...]
    """Of each capability. What is refused has no effect."""


_FIELDS = ("depot_id", "microgrid_id", "device_id", "capabilities", "enabled")


def read_draft(document: Mapping[str, Any], before: BindingBefore | None = None) -> BindingDraft:
    """Read what was filled in; in a change, what is left out stays."""
    draft = BindingDraft(before)
    allowed = _FIELDS if before is None else (*_FIELDS, "version")
    draft.depot_id = _read_id(draft, document, "depot_id")
    draft.microgrid_id = _read_id(draft, document, "microgrid_id")
    if before is None:
        if document.get("depot_id") is None and document.get("microgrid_id") is None:
            draft.violations.append(
                Violation("/microgrid_id", BindingCode.SITE_MISSING, "Name the microgrid, or its depot.")
            )
    else:
        _keep_site(draft, before)
    if before is not None and "device_id" not in document:
        draft.device_id = before.form.device_id
    elif document.get("device_id") is None:
        draft.violations.append(Violation("/device_id", BindingCode.DEVICE_MISSING, "Choose the controller's device."))
    else:
        draft.device_id = _read_id(draft, document, "device_id")
    if before is not None and "capabilities" not in document:
        draft.capabilities = tuple(("/capabilities", each) for each in before.form.capabilities)
    else:
        _read_capabilities(draft, document.get("capabilities"))
    enabled = document.get("enabled", True if before is None else before.form.enabled)
    if isinstance(enabled, bool):
        draft.enabled = enabled
    else:
        draft.violations.append(Violation("/enabled", BindingCode.WRONG_TYPE, "Must be true or false."))
    if before is not None and document.get("version") is not None and given_version(document) is None:
        draft.violations.append(Violation("/version", BindingCode.WRONG_TYPE, "Must be a whole number."))
    draft.violations += [
        Violation(below("", key), BindingCode.UNKNOWN_FIELD, "A binding has no such field.")
        for key in document
        if key not in allowed
    ]
    return draft


def _read_id(draft: BindingDraft, document: Mapping[str, Any], name: str) -> UUID | None:
    given = document.get(name)
    if given is None:
        return None
    try:
        if isinstance(given, str):
            return UUID(given)
    except ValueError:
        pass
    draft.violations.append(Violation(f"/{name}", BindingCode.WRONG_TYPE, "Must be an id."))
    return None


def _keep_site(draft: BindingDraft, before: BindingBefore) -> None:
    for name, given, kept in (
        ("depot_id", draft.depot_id, before.depot_id),
        ("microgrid_id", draft.microgrid_id, before.microgrid_id),
    ):
        if given is not None and given != kept:
            reason = "A binding stays with its microgrid; make another one there."
            draft.violations.append(Violation(f"/{name}", BindingCode.SITE_FIXED, reason))
    draft.depot_id, draft.microgrid_id = before.depot_id, None


def _read_capabilities(draft: BindingDraft, given: object) -> None:
    where = "/capabilities"
    if given is None or given == []:
        reason = "Choose at least one capability."
        draft.violations.append(Violation(where, BindingCode.CAPABILITIES_MISSING, reason))
        return
    if not isinstance(given, list):
        draft.violations.append(Violation(where, BindingCode.WRONG_TYPE, "Must be an array of capabilities."))
        return
    names = cast("list[object]", given)
    found: list[tuple[str, Capability]] = []
    for index, name in enumerate(names):
        here = f"{where}/{index}"
        if not isinstance(name, str) or name not in tuple(Capability):
            reason = f"Must be one of: {', '.join(Capability)}."
            draft.violations.append(Violation(here, BindingCode.UNKNOWN_CAPABILITY, reason))
        elif name in names[:index]:
            draft.violations.append(Violation(here, BindingCode.CAPABILITY_REPEATED, "Choose a capability once."))
        else:
            found.append((here, Capability(name)))
    draft.capabilities = tuple(found)


def validate_draft(
    draft: BindingDraft,
    context: BindingContext,
    tables: ControllerTables,
    measurand_of: Mapping[Capability, MeasurandKey] = MEASURAND_OF,
) -> DraftValidation:
    """Say everything that is wrong with a draft, what is worth a look, and what saving it does."""
    violations = [*draft.violations, *_validate_context(draft, context), *_validate_device(draft, context)]
    device = context.device if context.device is not None and context.device.depot_id == context.depot_id else None
    refused = _refused_capabilities(draft, context, device, tables, measurand_of)
    violations += refused.values()
    warnings = [] if device is None else _warnings(draft, device, measurand_of)
    wanted = [capability for _, capability in draft.capabilities if capability not in refused]
    form = None
    if not violations and draft.device_id is not None:
        # In the order of the capabilities, whatever the order they were given in.
        form = BindingForm(draft.device_id, tuple(each for each in Capability if each in wanted), draft.enabled)
    return DraftValidation(
        form,
        tuple(violations),
        tuple(warnings),
        tuple(_effects(draft, context, device, wanted if draft.enabled else ())),
    )


def _validate_context(draft: BindingDraft, context: BindingContext) -> Iterable[Violation]:
    if draft.depot_id is None and draft.microgrid_id is None:
        return
    name = "depot_id" if draft.microgrid_id is None else "microgrid_id"
    if context.depot_id is None:
        code = BindingCode.DEPOT_NOT_FOUND if name == "depot_id" else BindingCode.MICROGRID_NOT_FOUND
        what = "depot" if name == "depot_id" else "active microgrid"
        yield Violation(f"/{name}", code, f"There is no such {what}.")
        return
    if draft.depot_id is not None and draft.depot_id != context.depot_id:
        yield Violation("/depot_id", BindingCode.MICROGRID_NOT_IN_DEPOT, "The microgrid is another depot's.")
    # To switch a binding off is never refused.
    if context.microgrid_id is None and (draft.enabled or draft.before is None):
        reason = "The depot has no microgrid yet. Add a top-level circuit, or run the backfill: it follows."
        yield Violation(f"/{name}", BindingCode.MICROGRID_NOT_PROVISIONED, reason)


def _validate_device(draft: BindingDraft, context: BindingContext) -> Iterable[Violation]:
    where, device = "/device_id", context.device
    if draft.device_id is None:
        return
    if context.is_gateway:
        reason = "This is a gateway, which has no sensor of its own. Choose the controller's device at that gateway."
        yield Violation(where, BindingCode.DEVICE_WITHOUT_SENSOR, reason)
    elif device is None:
        yield Violation(where, BindingCode.DEVICE_NOT_FOUND, "There is no such device.")
    elif context.depot_id is not None and device.depot_id != context.depot_id:
        yield Violation(where, BindingCode.DEVICE_NOT_IN_DEPOT, f'The device "{device.name}" is in another depot.')
    elif device.bound_by is not None and (draft.before is None or device.bound_by != draft.before.binding_id):
        reason = f'The device "{device.name}" is bound already. Change that binding instead.'
        yield Violation(where, BindingCode.ALREADY_BOUND, reason)


def _refused_capabilities(
    draft: BindingDraft,
    context: BindingContext,
    device: KnownDevice | None,
    tables: ControllerTables,
    measurand_of: Mapping[Capability, MeasurandKey],
) -> dict[Capability, Violation]:
    refused: dict[Capability, Violation] = {}
    mine = None if draft.before is None else draft.before.binding_id
    standing = () if draft.before is None or draft.enabled else draft.before.form.capabilities
    for where, capability in draft.capabilities:
        if capability in standing:
            continue
        measurand, owner = measurand_of.get(capability), context.owners.get(capability)
        if measurand is None:
            reason = f"No measurand of the packet contract reports {capability}."
            refused[capability] = Violation(where, BindingCode.CAPABILITY_WITHOUT_MEASURAND, reason)
        elif device is not None and unsupported(tables, device.controller, (measurand,)):
            reason = f'{capability} needs {measurand}, which the controller "{device.controller}" does not send.'
            refused[capability] = Violation(where, SupportCode.UNSUPPORTED_BY_REVISION, reason)
        elif draft.enabled and owner is not None and owner.binding_id != mine:
            reason = f'{capability} is supplied by the device "{owner.device_name}". Disable it there first.'
            refused[capability] = Violation(where, BindingCode.CAPABILITY_OWNED, reason)
    return refused


def _warnings(
    draft: BindingDraft, device: KnownDevice, measurand_of: Mapping[Capability, MeasurandKey]
) -> list[Violation]:
    if device.sends is None:
        reason = f'No packet of the device "{device.name}" is known. Nothing is updated until one comes.'
        return [Violation("/device_id", BindingWarning.DEVICE_NEVER_SENT, reason)]
    return [
        Violation(
            where,
            BindingWarning.MEASURAND_NEVER_SENT,
            f"The device's last packets had no {measurand_of[capability]}, which reports {capability}.",
        )
        for where, capability in draft.capabilities
        if capability in measurand_of and measurand_of[capability] not in device.sends
    ]


def _effects(
    draft: BindingDraft, context: BindingContext, device: KnownDevice | None, wanted: Iterable[Capability]
) -> Iterable[BindingEffect]:
    wanted = set(wanted)
    mine = None if draft.before is None else draft.before.binding_id
    for capability in Capability:
        owner = context.owners.get(capability)
        before = None if owner is None else (owner.device_id, owner.device_name)
        after = before if owner is None or owner.binding_id != mine else None
        if capability in wanted and device is not None:
            after = (device.device_id, device.name)
        yield BindingEffect(capability, _kind(before, after), *(before or (None, None)), *(after or (None, None)))


def _kind(before: tuple[UUID, str] | None, after: tuple[UUID, str] | None) -> EffectKind:
    if before is None:
        return EffectKind.NONE if after is None else EffectKind.STARTS
    if after is None:
        return EffectKind.STOPS
    return EffectKind.STAYS if before[0] == after[0] else EffectKind.MOVES
