"""The answer to packets as a document, the same over HTTP and MQTT."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from domain.base.problems import ProblemCode, problem_title, problem_type
from domain.base.violations import Violation, field_path
from store.monitoring.telemetry import TakenPacket
from telemetry.intake import IngestResult, RefusedPacket


class PacketStatus(StrEnum):
    """Whether a packet was taken."""

    ACCEPTED = "ACCEPTED"
    """It is stored, whatever its sensor actions answered."""
    REFUSED = "REFUSED"
    """Nothing of it is stored."""


def sole_refusal(intake: IngestResult) -> RefusedPacket | None:
    """The refusal of a packet that came alone: the answer is then a problem, as it is where nothing can be read."""
    result = intake.results[0]
    return result if not intake.is_array and isinstance(result, RefusedPacket) else None


def items_text(intake: IngestResult) -> str:
    """Say what became of each packet, in its order, as JSON text."""
    items = ", ".join(_item(index, result) for index, result in enumerate(intake.results))
    return f'{{"items": [{items}]}}'


def problem_document(code: ProblemCode, detail: str, violations: Sequence[Violation] = ()) -> dict[str, Any]:
    """Say why nothing was taken, as an RFC 9457 problem without ``status``, which is HTTP's."""
    return {
        "type": problem_type(code),
        "title": problem_title(code),
        "detail": detail,
        "code": code.value,
        "errors": field_errors(violations),
    }


def field_errors(violations: Sequence[Violation]) -> list[dict[str, str]]:
    """Say where a packet breaks the contract."""
    return [
        {"field": field_path(violation.pointer), "code": violation.code.value, "detail": violation.reason}
        for violation in violations
    ]


def _item(index: int, result: TakenPacket | RefusedPacket) -> str:
    if isinstance(result, TakenPacket):
        # Written by hand because a second has thousands; the answers are the text that is stored.
        unknown = json.dumps(result.unknown_sensors) if result.unknown_sensors else "[]"
        return (
            f'{{"index": {index}, "status": "{PacketStatus.ACCEPTED}", "packet_id": "{result.packet_id}", '
            f'"actions": {result.answers_text}, "unknown_sensors": {unknown}, "problem": null}}'
        )
    refused: dict[str, Any] = {
        "index": index,
        "status": PacketStatus.REFUSED,
        "packet_id": None,
        "actions": [],
        "unknown_sensors": [],
        "problem": {"code": result.code, "detail": result.detail, "errors": field_errors(result.violations)},
    }
    return json.dumps(refused)
