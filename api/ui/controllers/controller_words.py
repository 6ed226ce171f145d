"""How the controllers page says things: bindings, what they supply, what saving one does, what packets did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.controllers.controller_bindings import ControllerBinding, Effect, SuppliedCapability
from api.ui.base.words import CAPABILITY, ENABLED, Badge
from domain.controllers.controller_bindings import MEASURAND_OF, EffectKind
from domain.controllers.controller_support import ControllerTables, unsupported
from domain.monitoring.capabilities import Capability
from domain.site.action_outcomes import ActionOutcome
from domain.site.measurands import MEASURANDS, MeasurandKey
from domain.site.sensor_actions import SENSOR_ACTIONS, SensorActionKind

NOBODY = Badge("No device", "circle-dashed", "warn")
EFFECT = {
    EffectKind.STARTS: Badge("Starts", "play", "good"),
    EffectKind.STOPS: Badge("Stops", "square", "warn"),
    EffectKind.MOVES: Badge("Moves", "arrow-right", "busy"),
    EffectKind.STAYS: Badge("Stays", "check", "quiet"),
    EffectKind.NONE: Badge("None", "circle-dashed", "quiet"),
}
OUTCOME = {
    ActionOutcome.APPLIED: Badge("Updated", "circle-check", "good"),
    ActionOutcome.IGNORED: Badge("Not updated", "circle-slash", "quiet"),
    ActionOutcome.REMEDIATION: Badge("Stopped", "triangle-alert", "warn"),
}
TRIED = OUTCOME | {
    ActionOutcome.APPLIED: Badge("Would update", "circle-dashed", "busy"),
    ActionOutcome.IGNORED: Badge("Would not update", "circle-slash", "quiet"),
    ActionOutcome.REMEDIATION: Badge("Would be stopped", "triangle-alert", "warn"),
}
FIELD = {"device_id": "Device", "capabilities": "Capabilities", "enabled": "State"}
DONE = {"CREATED": "Bound", "CHANGED": "Changed", "DELETED": "Deleted"}
GONE = "a deleted device"


@dataclass(frozen=True)
class Revision:
    """What is known of the controller that a device is."""

    name: str
    """Of its table; empty: it is not known which controller it is."""
    title: str
    supports: tuple[Capability, ...]
    """What its table has; all, where nothing is known of it."""

    @property
    def is_known(self) -> bool:
        """Whether capabilities are checked against a table."""
        return bool(self.title)


def revision(tables: ControllerTables, controller: str | None) -> Revision:
    """What a device's controller can supply."""
    lacks = unsupported(tables, controller, MEASURAND_OF.values())
    supports = tuple(each for each in Capability if MEASURAND_OF[each] not in lacks)
    table = None if controller is None else tables.get(controller)
    title = "" if table is None else table.title
    return Revision(controller or "", title, supports)


def capabilities(names: Iterable[Any]) -> str:
    """Capabilities in a row."""
    return ", ".join(CAPABILITY[Capability(name)] for name in names) or "none"


def field_value(field: str, value: Any, devices: Mapping[UUID, str]) -> str:
    """A field of a binding as it was or is; None: there was none."""
    if value is None:
        return "\u2013"
    if field == "device_id":
        return devices.get(UUID(str(value)), GONE)
    if field == "capabilities":
        return capabilities(value)
    return ENABLED[bool(value)].word


def effect(of: Effect) -> str:
    """What saving does to who supplies a capability, as a sentence."""
    before, after = of.before_device_name, of.after_device_name
    if of.effect is EffectKind.STARTS:
        return f"{after} begins to update it."
    if of.effect is EffectKind.STOPS:
        return f"No device updates it any more; {before} does until then."
    if of.effect is EffectKind.MOVES:
        return f"{after} updates it instead of {before}."
    return f"{after} goes on updating it." if of.effect is EffectKind.STAYS else "No device updates it, as before."


def last_value(of: SuppliedCapability) -> str:
    """The last value of a capability as a person reads it."""
    if of.last_value is None:
        return ""
    if of.last_value.status is not None:
        return of.last_value.status
    return "no value" if of.last_value.value is None else f"\u201c{of.last_value.value}\u201d"


def measured(value: float | str | None) -> str:
    """A measurand's value as it was sent."""
    if value is None:
        return "null"
    return f"{value:,.12g}".replace(",", "\u202f") if isinstance(value, float) else str(value)


def unit(key: str, given: str | None) -> str:
    """The unit of a measurand: the one that was sent, else the contract's."""
    if given is not None:
        return given
    return (MEASURANDS[MeasurandKey(key)].unit or "") if key in tuple(MeasurandKey) else ""


def action_title(kind: SensorActionKind) -> str:
    """A sensor action by the name that it is configured by."""
    return SENSOR_ACTIONS[kind].title


def owners(bindings: Iterable[ControllerBinding]) -> dict[Capability, ControllerBinding]:
    """Which binding supplies each capability."""
    return {each.capability: binding for binding in bindings for each in binding.capabilities if each.owned}
