"""`./dev chaos`: nothing is lost, doubled or stuck, whatever is killed, paused and restarted under traffic."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from devtools.chaos.faults import FaultKind, plan
from devtools.chaos.run import run_chaos

MINUTES = 2
"""Of faults; with its beginning and its end it takes about three."""


@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    folder = tmp_path / "chaos"
    holds = run_chaos(MINUTES, 1, folder) == 0
    report = json.loads((folder / "report.json").read_text())
    assert {rule: found for rule, found in report["findings"].items() if found} == {}
    assert holds, (folder / "report.md").read_text()
    # It was a disturbed run, and a busy one.
    assert len(report["recoveries"]) > 1
    for what in ("ADD_CIRCUIT", "RENAME_CIRCUIT", "MOVE_CIRCUIT", "DELETE_CIRCUIT", "PACKET", "STATUS", "RUN"):
        assert report["requests"][what]["ACKNOWLEDGED"] > 0, what


def test_a_seed_says_what_is_done() -> None:
    first = list(islice(plan(1), 34))
    assert first == list(islice(plan(1), 34))
    assert first != list(islice(plan(2), 34))
    # Each kind comes before any comes again.
    assert len({each.name for each in first[:17]}) == 17
    assert {each.kind for each in first} == set(FaultKind)
