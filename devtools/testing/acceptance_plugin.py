"""A pytest plugin that writes down which test carries which acceptance criterion, and how it ended.

`./dev acceptance` loads it (`-p devtools.testing.acceptance_plugin`) and reads the file.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

_OPTION = "--acceptance-report"


class AcceptanceReport:
    """Collects the markers and the outcomes of one session."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: dict[str, dict[str, object]] = {}
        self._outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the tests that carry a criterion."""
        others: list[pytest.Item] = []
        for item in items:
            criteria = [str(name) for mark in item.iter_markers("acceptance") for name in mark.args or ("",)]
            if criteria:
                self._tests[item.nodeid] = {
                    "criteria": criteria,
                    "counts": not any(item.iter_markers("skip")) and not any(item.iter_markers("xfail")),
                }
            else:
                others.append(item)
        items[:] = [item for item in items if item.nodeid in self._tests]
        config.hook.pytest_deselected(items=others)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test ended; a failure in its set-up or its tear-down is a failure of the test."""
        if report.when == "call" or report.outcome != "passed":
            before = self._outcomes.get(report.nodeid)
            self._outcomes[report.nodeid] = "failed" if "failed" in (before, report.outcome) else report.outcome

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        tests = [
            {"nodeid": nodeid, "outcome": self._outcomes.get(nodeid), **facts} for nodeid, facts in self._tests.items()
        ]
        self._path.write_text(json.dumps(tests), encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the path of the report."""
    parser.addoption(_OPTION, type=Path, default=None, help="where to write which test carries which criterion")


def pytest_configure(config: pytest.Config) -> None:
    """Report when a path is given."""
    path = config.getoption(_OPTION)
    if isinstance(path, Path):
        config.pluginmanager.register(AcceptanceReport(path))
