"""The log of requests as it is read back: what was asked for, how often it was sent, and how each try ended.

Each line is a JSON object. ``type`` says what it is: ``intent``, written before a try is sent; ``answer``, written
after its answer; ``note``, what the harness made before the traffic began. An intent without an answer is one whose
outcome is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Outcome(StrEnum):
    """What is known of a request."""

    ACKNOWLEDGED = "ACKNOWLEDGED"
    """It was done, as the product said."""
    REFUSED = "REFUSED"
    """It was not done, as the product said, or it never left."""
    UNKNOWN = "UNKNOWN"
    """Nobody said."""


@dataclass
class Attempt:
    """One try of a request."""

    outcome: Outcome = Outcome.UNKNOWN
    code: str | None = None
    """The problem's code, or the name of the error."""
    answer: dict[str, Any] = field(default_factory=dict[str, Any])
    ended: int = 0
    """The line of its answer, counted from 1; 0: it was never answered."""


@dataclass
class Operation:
    """One request, however often it was sent."""

    operation_id: str
    what: str
    """``ADD_CIRCUIT``, ``RENAME_CIRCUIT``, ``MOVE_CIRCUIT``, ``DELETE_CIRCUIT``, ``PACKET``, ``STATUS``, …"""
    asked: dict[str, Any]
    begun: int
    """The line of its first intent."""
    attempts: dict[int, Attempt] = field(default_factory=dict[int, Attempt])

    @property
    def outcome(self) -> Outcome:
        """What is known of the request: acknowledged by one try is acknowledged."""
        outcomes = {each.outcome for each in self.attempts.values()}
        return next(each for each in (Outcome.ACKNOWLEDGED, Outcome.UNKNOWN, Outcome.REFUSED) if each in outcomes)

    def count(self, outcome: Outcome) -> int:
        """How many tries ended so."""
        return sum(each.outcome is outcome for each in self.attempts.values())

    @property
    def acknowledged_at(self) -> int | None:
        """The line by which it was first acknowledged; None: it never was."""
        ended = (each.ended for each in self.attempts.values() if each.outcome is Outcome.ACKNOWLEDGED)
        return min(ended, default=None)

    def answers(self) -> list[dict[str, Any]]:
        """What the acknowledged tries were answered."""
        return [each.answer for each in self.attempts.values() if each.outcome is Outcome.ACKNOWLEDGED]


@dataclass
class RequestLog:
    """All that was asked for, in the order of the first tries."""

    operations: list[Operation]
    notes: list[dict[str, Any]]

    def of(self, *kinds: str) -> list[Operation]:
        """The operations of these kinds."""
        return [each for each in self.operations if each.what in kinds]

    def noted(self, what: str) -> list[dict[str, Any]]:
        """The notes of one kind."""
        return [each for each in self.notes if each["what"] == what]


def read_log(path: Path) -> RequestLog:
    """Read a log file."""
    with path.open(encoding="utf-8") as lines:
        return parse_log(json.loads(line) for line in lines)


def parse_log(lines: Iterable[dict[str, Any]]) -> RequestLog:
    """Put the lines of a log together."""
    operations: dict[str, Operation] = {}
    notes: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if line["type"] == "note":
            notes.append(line)
            continue
        if line["type"] == "intent":
            made = Operation(line["id"], line["what"], line["asked"], number)
            operations.setdefault(line["id"], made).attempts[line["try"]] = Attempt()
            continue
        attempt = operations[line["id"]].attempts[line["try"]]
        attempt.outcome, attempt.code = Outcome(line["outcome"]), line["code"]
        attempt.answer, attempt.ended = line["answer"], number
    return RequestLog(list(operations.values()), notes)


def summary(log: RequestLog) -> Sequence[tuple[str, dict[str, int]]]:
    """Count the outcomes by kind of request."""
    counts: dict[str, dict[str, int]] = {}
    for each in log.operations:
        found = counts.setdefault(each.what, dict.fromkeys(Outcome, 0))
        found[each.outcome] += 1
    return sorted(counts.items())
