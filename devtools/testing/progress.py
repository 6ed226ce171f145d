"""A pytest plugin that says at once what failed or took long, and in which minute of the run.

`./dev test` loads it (`-p devtools.testing.progress`). pytest itself names failures at the end, which a run that is
broken off never reaches.
"""

from __future__ import annotations

import time

import pytest

_LONG = 60.0
"""Seconds. A test that takes longer is named."""


class _Progress:
    """Writes the lines, in the process that has the terminal."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal
        self._began = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Name a test that failed or took long, with the minute of the run."""
        if report.failed:
            self._write(f"failed in its {report.when}", report)
        elif report.duration > _LONG:
            self._write(f"took {report.duration:.0f} s in its {report.when}", report)

    def _write(self, said: str, report: pytest.TestReport) -> None:
        minute = (time.monotonic() - self._began) / 60
        # Behind dots of several processes, pytest does not know that a line has begun.
        self._terminal.write_line(f"\n[minute {minute:.0f}] {report.nodeid} {said}")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Write where there is a terminal; a process that only runs tests has none."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Progress(terminal))
