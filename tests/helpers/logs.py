"""The log of the process that runs the tests, as a process of the product writes it."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from runtime.logs import LogFormat, configure_logs


@dataclass
class Log:
    """What was written to standard error."""

    stream: io.StringIO

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        """Of a log in JSON."""
        return [json.loads(line) for line in self.lines]

    def only(self, event: str) -> dict[str, Any]:
        found = [each for each in self.records if each["event"] == event]
        assert len(found) == 1, self.records
        return found[0]


def _write_nothing(*_: object) -> None:
    """For a handler of pytest."""


@contextmanager
def logging_as(log_format: LogFormat, monkeypatch: pytest.MonkeyPatch) -> Generator[Log]:
    """The log of this process, set up as a process of the product does."""
    # What is written here is too large for a handler that does not bound it.
    monkeypatch.setattr("_pytest.logging.LogCaptureHandler.emit", _write_nothing)
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, structlog.get_config())
    stream, stderr = io.StringIO(), sys.stderr
    sys.stderr = stream
    try:
        configure_logs(log_format)
        # The loggers of modules are made with the first line that they write, so they are not kept in a test.
        structlog.configure(cache_logger_on_first_use=False)
        yield Log(stream)
    finally:
        sys.stderr = stderr
        root.handlers[:], sys.excepthook = before[0], before[2]
        root.setLevel(before[1])
        structlog.configure(**before[3])
        logging.captureWarnings(capture=False)
