"""What the sensor actions of a device answer for one packet."""

from __future__ import annotations

from enum import StrEnum
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple
from uuid import UUID

from domain.site.action_outcomes import ActionOutcome, IgnoredCode
from domain.site.measurands import MeasurandKey
from domain.site.routing import RoutingRule
from domain.site.sensor_actions import SensorActionKind


class MeasurandAnswer(NamedTuple):
    """What an action did with one of its measurands that the packet has.

    A named tuple, as ``ActionAnswer`` is: each packet has several, and they are made in half the time.
    """

    measurand: MeasurandKey
    outcome: ActionOutcome
    code: StrEnum | None = None
    """Why it was ignored; None where it was applied."""


class ActionAnswer(NamedTuple):
    """What one sensor action did with one packet."""

    sensor_id: str
    device_id: UUID
    sensor_action_id: UUID
    action: SensorActionKind
    outcome: ActionOutcome
    code: StrEnum | None = None
    """Why it was not applied; None where it was."""
    measurands: tuple[MeasurandAnswer, ...] = ()
    """Each measurand by itself, where they can fare differently."""
    rule: RoutingRule | None = None
    """How the power source was found, for an action that writes to one."""
    target_id: UUID | None = None
    """The microgrid, power source or circuit that the action is for, where that is certain."""

    def document(self) -> dict[str, Any]:
        """Return the answer as it is stored and sent."""
        return {
            "sensor_id": self.sensor_id,
            "device_id": str(self.device_id),
            "sensor_action_id": str(self.sensor_action_id),
            "action": self.action,
            "outcome": self.outcome,
            "code": self.code,
            "measurands": [
                {"measurand": each.measurand, "outcome": each.outcome, "code": each.code} for each in self.measurands
            ],
            "rule": self.rule,
            "target_id": None if self.target_id is None else str(self.target_id),
        }

    def text(self) -> str:
        """Return the answer as JSON: the same as ``document``, in a third of the time."""
        measurands = ", ".join(
            f'{{"measurand": "{each.measurand}", "outcome": "{each.outcome}", "code": {_quoted(each.code)}}}'
            for each in self.measurands
        )
        return (
            f'{{"sensor_id": {encode_basestring_ascii(self.sensor_id)}, "device_id": "{self.device_id}", '
            f'"sensor_action_id": "{self.sensor_action_id}", "action": "{self.action}", "outcome": "{self.outcome}", '
            f'"code": {_quoted(self.code)}, "measurands": [{measurands}], "rule": {_quoted(self.rule)}, '
            f'"target_id": {_quoted(self.target_id)}}}'
        )


def _quoted(value: StrEnum | UUID | None) -> str:
    """A code or an id, which have nothing to escape, as JSON."""
    return "null" if value is None else f'"{value}"'


def overall(measurands: tuple[MeasurandAnswer, ...]) -> tuple[ActionOutcome, StrEnum | None]:
    """Return an action's outcome: applied if any of its measurands was, else what the first one says."""
    for each in measurands:
        if each.outcome is ActionOutcome.APPLIED:
            return ActionOutcome.APPLIED, None
    if not measurands:
        return ActionOutcome.IGNORED, IgnoredCode.NO_MEASURAND
    return measurands[0].outcome, measurands[0].code
