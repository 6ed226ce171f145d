"""What the sensor actions of a device answer for one packet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.action_outcomes import ActionOutcome, IgnoredCode
from domain.measurands import MeasurandKey
from domain.routing import RoutingRule
from domain.sensor_actions import SensorActionKind


@dataclass(frozen=True)
class MeasurandAnswer:
    """What an action did with one of its measurands that the packet has."""

    measurand: MeasurandKey
    outcome: ActionOutcome
    code: StrEnum | None = None
    """Why it was ignored; None where it was applied."""


@dataclass(frozen=True)
class ActionAnswer:
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
        """Return the answer as it is stored and told."""
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


def overall(measurands: tuple[MeasurandAnswer, ...]) -> tuple[ActionOutcome, StrEnum | None]:
    """Return an action's outcome: applied if any of its measurands was, else what the first one says."""
    if any(each.outcome is ActionOutcome.APPLIED for each in measurands):
        return ActionOutcome.APPLIED, None
    if not measurands:
        return ActionOutcome.IGNORED, IgnoredCode.NO_MEASURAND
    return measurands[0].outcome, measurands[0].code
