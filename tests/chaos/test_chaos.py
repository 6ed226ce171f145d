"""`./dev chaos`: nothing is lost, doubled or stuck, whatever is killed, paused and restarted under traffic."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from cli.commands.up import ONE_OF_EACH, Processes
from devtools.chaos.faults import Fault, FaultKind, plan
from devtools.chaos.run import run_chaos

MINUTES = 3
"""Of faults; with its beginning and its end it takes about four."""
TWO_OF_EACH = Processes(2, 2)
"""Faults are done to one of them and to both, which is all that is done to a single process and more."""


@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    folder = tmp_path / "chaos"
    holds = run_chaos(MINUTES, 1, TWO_OF_EACH, folder) == 0
    report = json.loads((folder / "report.json").read_text())
    assert {rule: found for rule, found in report["findings"].items() if found} == {}
    assert holds, (folder / "report.md").read_text()
    # It was a disturbed run, and a busy one.
    assert len(report["recoveries"]) > 1
    for what in ("ADD_CIRCUIT", "RENAME_CIRCUIT", "MOVE_CIRCUIT", "DELETE_CIRCUIT", "PACKET", "STATUS", "RUN"):
        assert report["requests"][what]["ACKNOWLEDGED"] > 0, what


def faults(seed: int, processes: Processes, times: int) -> list[Fault]:
    return list(islice(plan(seed, processes), times))


@pytest.mark.parametrize(("processes", "kinds"), [(ONE_OF_EACH, 17), (Processes(2, 1), 19), (TWO_OF_EACH, 21)])
def test_a_seed_says_what_is_done(processes: Processes, kinds: int) -> None:
    first = faults(1, processes, 2 * kinds)
    assert first == faults(1, processes, 2 * kinds)
    assert first != faults(2, processes, 2 * kinds)
    # Each kind comes before any comes again.
    assert len({each.name for each in first[:kinds]}) == kinds
    assert {each.kind for each in first} == set(FaultKind)


def test_of_several_processes_one_is_taken_or_all_are() -> None:
    made = faults(1, TWO_OF_EACH, 21 * 8)
    taken = {each.name: {other.parts for other in made if other.name == each.name} for each in made}
    assert taken["kill one worker"] == {("worker 1",), ("worker 2",)}
    assert taken["kill all workers"] == {("worker 1", "worker 2")}
    assert taken["pause all APIs"] == {("API 1", "API 2")}
    assert taken["kill PostgreSQL"] == {("PostgreSQL",)}
    assert len(taken["kill one worker and one API"]) == 4
    assert {each.name for each in made if each.leaves_others} == {name for name in taken if "one" in name} - {
        "kill one worker and Temporal"
    }
    # Without others of its kind, nothing goes on.
    alone = faults(1, Processes(2, 1), 19)
    assert not next(each for each in alone if each.name == "kill worker and one API").leaves_others
    assert not any(each.leaves_others for each in faults(1, ONE_OF_EACH, 17))
