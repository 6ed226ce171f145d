"""Writes the log of requests: what is about to be sent, and what was answered."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devtools.chaos.checker.request_log import Outcome


class RequestWriter:
    """An append-only file, a JSON object a line. Each line is written before anything else is done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.codes: Counter[tuple[str, str]] = Counter()
        """How many tries were not acknowledged, by kind of request and code."""
        self._file = path.open("a", encoding="utf-8")
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def note(self, what: str, **more: Any) -> None:
        """Note something that was made before the traffic began."""
        self._write({"type": "note", "what": what, **more})

    def intent(self, operation_id: str, number: int, what: str, asked: dict[str, Any]) -> None:
        """Note what is about to be sent."""
        self._write({"type": "intent", "id": operation_id, "try": number, "what": what, "asked": asked})

    def answer(
        self,
        operation_id: str,
        number: int,
        what: str,
        outcome: Outcome,
        code: str | None = None,
        answer: dict[str, Any] | None = None,
    ) -> None:
        """Note how a try ended."""
        if outcome is not Outcome.ACKNOWLEDGED:
            self.codes[what, str(code)] += 1
        line = {"type": "answer", "id": operation_id, "try": number, "outcome": outcome, "code": code}
        self._write({**line, "answer": answer or {}})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps({"at": round(time.monotonic() - self._begun, 3), **line}) + "\n")
        self._file.flush()
