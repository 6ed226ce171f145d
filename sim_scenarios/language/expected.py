"""The part of the scenario language that says what a step must have brought about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from domain.monitoring.capabilities import Capability, FoldEffect
from domain.site.action_outcomes import ActionOutcome, IgnoredCode
from domain.site.circuit_capacity import FailSafeReason
from domain.site.measurands import MeasurandKey, ReadingCode
from domain.site.remediations import RemediationCode
from domain.site.sensor_actions import STATE_MEASURANDS, SensorActionKind

AS_SENT = "as_sent"
"""The newest value that the scenario has delivered, whatever it is."""
ABSENT = "absent"
"""The newest packet does not have the measurand."""
NONE = "NONE"
"""This run has given the microgrid no status of the capability."""


class Part(BaseModel):
    """What all parts of the language have in common: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class Between:
    """A number from the one to the other, both included."""

    low: float
    high: float


def _between(value: object) -> Between:
    if isinstance(value, dict):
        bounds = cast("dict[str, Any]", value)
        if bounds.keys() == {"from", "to"} and all(_is_number(each) for each in bounds.values()):
            if bounds["from"] <= bounds["to"]:
                return Between(bounds["from"], bounds["to"])
            raise PydanticCustomError("contradiction", "Runs from the smaller number to the greater one.")
    raise PydanticCustomError("wrong_form", "Must be a value, or have the form {from: 10, to: 20}.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _expected_value(value: object) -> float | str | Between | None:
    if value is None or isinstance(value, str) or _is_number(value):
        return cast("float | str | None", value)
    return _between(value)


def _expected_number(value: object) -> float | Between:
    return cast("float", value) if _is_number(value) else _between(value)


_BETWEEN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["from", "to"],
    "properties": {"from": {"type": "number"}, "to": {"type": "number"}},
    "additionalProperties": False,
}
ExpectedNumber = Annotated[
    Any,
    PlainValidator(_expected_number),
    WithJsonSchema({"anyOf": [{"type": "number"}, _BETWEEN_SCHEMA]}),
]
ExpectedValue = Annotated[
    Any,
    PlainValidator(_expected_value),
    WithJsonSchema(
        {
            "anyOf": [{"type": ["number", "string", "null"]}, _BETWEEN_SCHEMA],
            "description": "A value, a range, null, as_sent, or absent.",
        }
    ),
]

_IGNORED_CODES = tuple(str(code) for code in (*IgnoredCode, *ReadingCode, *FoldEffect) if code is not FoldEffect.SHOWN)
ANSWERS = tuple(
    dict.fromkeys(
        (
            str(ActionOutcome.APPLIED),
            str(ActionOutcome.IGNORED),
            *(f"{ActionOutcome.IGNORED} {code}" for code in _IGNORED_CODES),
            str(ActionOutcome.REMEDIATION),
            *(f"{ActionOutcome.REMEDIATION} {code}" for code in RemediationCode),
        )
    )
)
"""What an action may answer, as the language writes it. Without a code, any code will do."""


def _answers(value: object) -> tuple[str, ...]:
    """Read one answer, which holds for every packet of the step, or one for each packet."""
    texts = cast("list[object]", value) if isinstance(value, list) else [value]
    if not texts or any(text not in ANSWERS for text in texts):
        raise PydanticCustomError("unknown_value", "Must be APPLIED, IGNORED or REMEDIATION, with one of its codes.")
    return tuple(str(text) for text in texts)


Answers = Annotated[
    tuple[str, ...],
    PlainValidator(_answers),
    WithJsonSchema(
        {
            "anyOf": [{"enum": list(ANSWERS)}, {"type": "array", "minItems": 1, "items": {"enum": list(ANSWERS)}}],
            "description": "One answer for every packet of the step, or one for each.",
        }
    ),
]

if TYPE_CHECKING:
    PowerSourceKey = MeasurandKey
else:
    PowerSourceKey = Literal[STATE_MEASURANDS]


class ExpectedCircuit(Part):
    """What holds for the circuit that follows the controller."""

    mode: Literal["AWAITING", "CONTROLLER", "FAIL_SAFE"]
    reason: FailSafeReason | None = Field(default=None, description="Why the fail-safe holds.")
    capacity_kw: ExpectedNumber | None = Field(default=None, description="Without it: the one that was sent.")

    @model_validator(mode="after")
    def _reason_of_a_fail_safe(self) -> ExpectedCircuit:
        if (self.reason is not None) is not (self.mode == "FAIL_SAFE"):
            raise PydanticCustomError("contradiction", "A reason belongs to the mode FAIL_SAFE, which needs one.")
        return self


class Expect(Part):
    """What must be true once a step's packets have been taken in."""

    capabilities: dict[Capability, Literal["ON", "OFF", "NONE"]] = Field(default_factory=dict)
    circuit: ExpectedCircuit | None = None
    power_source: dict[PowerSourceKey, ExpectedValue] = Field(default_factory=dict)
    remediations: list[RemediationCode] | None = Field(default=None, description="All that are open; empty for none.")
    answers: dict[SensorActionKind, Answers] = Field(default_factory=dict)
    sent: dict[MeasurandKey, ExpectedValue] = Field(
        default_factory=dict, description="What the newest packet of the step has."
    )
