"""The checker of `./dev chaos` says of each defect that it is there, and nothing where none is."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import devtools.chaos.checker
from devtools.chaos.checker.check import RULES, WORKFLOW_RULE, check
from devtools.chaos.checker.jobs import WorkflowSeen, check_workflows
from devtools.chaos.checker.request_log import Outcome, parse_log, read_log
from tests.chaos.sound import (
    BACKFILL,
    BELOW,
    CALM_RUN,
    DELETED,
    DEPOT,
    DISTURBED_RUN,
    EXPORT,
    FEED,
    FIRST_MS,
    FOUND,
    LEGACY,
    LEGACY_MICROGRID,
    LOST_MS,
    MICROGRID,
    RETIRED,
    SECOND_MS,
    THRESHOLD,
    TOP,
    WORKFLOWS,
    entries,
    event,
    export,
    log_lines,
    make_sound,
    packet,
    plant,
    run,
    sound_log,
    uid,
)

(
    DEPOTS, CIRCUITS, JOURNAL, NODES, RETIREMENT, OUTBOX, PACKETS, REFERENCES, LATEST, LAST_EVENT, CAPACITIES, JOBS,
    BACKFILLS, EXPORTS, RUNS,
) = RULES  # fmt: skip


def circuit(circuit_id: str, name: str, parent: str = TOP) -> str:
    """Write down a circuit that is none of the top level."""
    return f"""
        INSERT INTO circuits (id, depot_id, parent_id, name, position, created_by, updated_by)
        VALUES ('{circuit_id}', '{DEPOT}', '{parent}', '{name}', 7, 'x', 'x')
    """


def depot(name: str) -> str:
    """Write down a depot without circuits."""
    return f"INSERT INTO depots (name, timezone, created_by, updated_by) VALUES ('{name}', 'Etc/UTC', 'x', 'x')"


def entry(request_id: str) -> str:
    """Write an entry of the journal."""
    return f"INSERT INTO changes (actor, action, request_id) VALUES ('x', 'CIRCUIT_CREATED', '{request_id}')"


def second_microgrid(depot_id: str) -> tuple[str, str]:
    """Make another microgrid of a depot."""
    made = f"INSERT INTO microgrids (depot_id, created_by, updated_by) VALUES ('{depot_id}', 'x', 'x')"
    return "DROP INDEX microgrids_one_active", made


REMOVE_EXPORT = f"DELETE FROM exports WHERE id = '{EXPORT}'; DELETE FROM export_parts WHERE export_id = '{EXPORT}'"
OTHER_LINES = ("head", "another step", "result")
PLANTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "a depot was created twice": (DEPOTS, (depot("Legacy"),)),
    "an acknowledged depot has another name": (DEPOTS, (f"UPDATE depots SET name = 'Other' WHERE id = '{LEGACY}'",)),
    "an acknowledged depot has another id": (DEPOTS, (f"UPDATE depots SET id = '{uid(90)}' WHERE id = '{LEGACY}'",)),
    "an unknown depot was created twice": (DEPOTS, (depot("Lost"), depot("Lost"))),
    "a refused depot is there": (DEPOTS, (depot("Refused"),)),
    "an acknowledged circuit is not there": (CIRCUITS, (f"DELETE FROM circuits WHERE id = '{BELOW}'",)),
    "a circuit was added twice": (CIRCUITS, (circuit(uid(90), "Circuit 1"),)),
    "a rename is lost": (CIRCUITS, (f"UPDATE circuits SET name = 'Circuit 2' WHERE id = '{BELOW}'",)),
    "a circuit was moved by nobody": (CIRCUITS, (f"UPDATE circuits SET parent_id = '{FOUND}' WHERE id = '{BELOW}'",)),
    "a refused move was done": (CIRCUITS, (f"UPDATE circuits SET parent_id = '{FEED}' WHERE id = '{BELOW}'",)),
    "a deleted circuit is there": (CIRCUITS, (circuit(DELETED, "Circuit 5"),)),
    "a refused circuit is there": (CIRCUITS, (circuit(uid(90), "Circuit 11"),)),
    "an unknown circuit is there twice": (CIRCUITS, (circuit(uid(90), "Circuit 9"),)),
    "a circuit that nobody asked for": (CIRCUITS, (circuit(uid(90), "Stranger"),)),
    "the journal lacks a change": (JOURNAL, ("DELETE FROM changes WHERE request_id = 'rename below'",)),
    "a change was done twice": (JOURNAL, (entry("add top"),)),
    "an unknown change was done twice": (JOURNAL, (entry("add found"),)),
    "a refused change was done": (JOURNAL, (entry("add refused"),)),
    "a grid connection is missing": (NODES, (f"DELETE FROM microgrid_nodes WHERE circuit_id = '{TOP}'",)),
    "a grid connection has an old name": (NODES, ("UPDATE microgrid_nodes SET name = 'Old' WHERE position = 1",)),
    "grid connections have another order": (
        NODES,
        (f"UPDATE microgrid_nodes SET position = 1 - position WHERE microgrid_id = '{MICROGRID}'",),
    ),
    "a depot has two microgrids": (NODES, second_microgrid(DEPOT)),
    "a depot has no microgrid": (NODES, (f"DELETE FROM microgrids WHERE id = '{LEGACY_MICROGRID}'",)),
    "a grid connection of a circuit that is gone": (
        NODES,
        (f"DELETE FROM circuits WHERE depot_id = '{LEGACY}'",),
    ),
    "a retired depot is back": (RETIREMENT, (f"UPDATE depots SET retired_at = NULL WHERE id = '{RETIRED}'",)),
    "a retired depot is shown": (
        RETIREMENT,
        (f"INSERT INTO microgrids (depot_id, created_by, updated_by) VALUES ('{RETIRED}', 'x', 'x')",),
    ),
    "a depot was retired twice": (
        RETIREMENT,
        (f"INSERT INTO changes (actor, action, depot_id) VALUES ('x', 'DEPOT_RETIRED', '{RETIRED}')",),
    ),
    "a refused retirement was done": (
        RETIREMENT,
        (f"INSERT INTO changes (actor, action, depot_id) VALUES ('x', 'DEPOT_RETIRED', '{LEGACY}')",),
    ),
    "a retired depot is not there": (RETIREMENT, (f"DELETE FROM depots WHERE id = '{RETIRED}'",)),
    "a row is left in the outbox": (
        OUTBOX,
        (f"INSERT INTO outbox (depot_id, reason, requested_by) VALUES ('{DEPOT}', 'CIRCUITS_CHANGED', 'x')",),
    ),
    "an acknowledged packet is not there": (
        PACKETS,
        (f"DELETE FROM packets WHERE observed_at = to_timestamp({FIRST_MS} / 1000.0)",),
    ),
    "a packet over MQTT is not there": (
        PACKETS,
        (f"DELETE FROM packets WHERE observed_at = to_timestamp({SECOND_MS} / 1000.0)",),
    ),
    "a packet over HTTP is there twice": (PACKETS, (packet(FIRST_MS, 1000),)),
    "a refused packet is there": (PACKETS, (packet(LOST_MS, 2000),)),
    "a packet that nobody sent": (PACKETS, (packet(FIRST_MS + 1, 1000),)),
    "a packet gave no reading": (
        PACKETS,
        (f"DELETE FROM device_readings WHERE observed_at = to_timestamp({FIRST_MS} / 1000.0)",),
    ),
    "an event counted twice": (REFERENCES, (event("first", "ON", "LATE", FIRST_MS),)),
    "an event never counted": (REFERENCES, (event("other", "ON", "REPEATED", FIRST_MS),)),
    "two events under one reference": (REFERENCES, (event("first", "OFF", "CONFLICTING", FIRST_MS),)),
    "a posted status is not there": (
        REFERENCES,
        ("DELETE FROM capability_events WHERE provider_event_ref = 'posted'",),
    ),
    "a posted status is there twice": (REFERENCES, (event("posted", "ON", "REPEATED", FIRST_MS - 1),)),
    "a refused status is there": (REFERENCES, (event("refused", "ON", "LATE", FIRST_MS - 2),)),
    "another status is shown": (LATEST, ("UPDATE capability_latest SET status = 'ON'",)),
    "an earlier event is shown": (LATEST, ("UPDATE capability_latest SET provider_event_ref = 'first'",)),
    "no status is shown": (LATEST, ("DELETE FROM capability_latest",)),
    "a status of no event is shown": (
        LATEST,
        (
            f"""INSERT INTO capability_latest (microgrid_id, capability, event_id, status, observed_at, received_at,
                                               provider_event_ref)
                VALUES ('{MICROGRID}', 'PEAK_SHAVING', '{uid(90)}', 'ON', now(), now(), 'none')""",
        ),
    ),
    "a capacity without an event": (LAST_EVENT, ("UPDATE circuit_capacities SET capacity_w = 1999",)),
    "a capacity that is released": (
        LAST_EVENT,
        (
            f"""INSERT INTO capacity_events (circuit_id, depot_id, mode, at, received_at)
                VALUES ('{TOP}', '{DEPOT}', 'RELEASED', now(), now())""",
        ),
    ),
    "a capacity that is not there": (LAST_EVENT, ("DELETE FROM circuit_capacities",)),
    "a deadline that nobody heeded": (LAST_EVENT, ("UPDATE circuit_capacities SET deadline = now()",)),
    "a capacity of another packet": (
        CAPACITIES,
        (
            "UPDATE circuit_capacities SET capacity_w = 1000",
            "UPDATE capacity_events SET capacity_w = 1000 WHERE mode = 'CONTROLLER'",
        ),
    ),
    "a controller that has been silent for too long": (
        CAPACITIES,
        (f"UPDATE circuit_capacities SET heartbeat_threshold_seconds = -{THRESHOLD}",),
    ),
    "a backfill that never ends": (JOBS, ("UPDATE backfills SET state = 'RUNNING'",)),
    "a backfill that failed": (JOBS, ("UPDATE backfills SET state = 'FAILED', failure = 'x'",)),
    "an imported depot is not there": (BACKFILLS, (f"DELETE FROM depots WHERE id = '{LEGACY}'",)),
    "an imported depot is in no backfill": (BACKFILLS, ("DELETE FROM backfill_outcomes",)),
    "a backfill is not there": (BACKFILLS, (f"DELETE FROM backfills WHERE id = '{BACKFILL}'",)),
    "a backfill made two microgrids": (BACKFILLS, second_microgrid(LEGACY)),
    "a backfill made none": (BACKFILLS, (f"DELETE FROM microgrids WHERE id = '{LEGACY_MICROGRID}'",)),
    "an export is not there": (EXPORTS, (REMOVE_EXPORT,)),
    "an export has a reading twice": (EXPORTS, (REMOVE_EXPORT, export(FIRST_MS, SECOND_MS, SECOND_MS))),
    "an export lacks a reading": (EXPORTS, (REMOVE_EXPORT, export(SECOND_MS))),
    "an export has a reading of nobody": (EXPORTS, (REMOVE_EXPORT, export(FIRST_MS, SECOND_MS, LOST_MS))),
    "an export has other rows than it says": (EXPORTS, (REMOVE_EXPORT, export(FIRST_MS, SECOND_MS, rows=3))),
    "an export lacks a part": (EXPORTS, (f"DELETE FROM export_parts WHERE export_id = '{EXPORT}' AND starts_at > 0",)),
    "a run is not there": (RUNS, (f"DELETE FROM scenario_runs WHERE id = '{DISTURBED_RUN}'",)),
    "a run that nobody asked for": (RUNS, (run(uid(90)),)),
    "a run failed": (RUNS, (f"UPDATE scenario_runs SET outcome = 'FAILED' WHERE id = '{DISTURBED_RUN}'",)),
    "a step is missing": (RUNS, (f"DELETE FROM scenario_run_steps WHERE run_id = '{DISTURBED_RUN}'",)),
    "evidence was changed": (
        RUNS,
        (f"UPDATE scenario_run_steps SET record = 'another step' WHERE run_id = '{CALM_RUN}'",),
    ),
    "evidence differs from the undisturbed one": (
        RUNS,
        (
            f"DELETE FROM scenario_runs WHERE id = '{DISTURBED_RUN}'",
            f"DELETE FROM scenario_run_steps WHERE run_id = '{DISTURBED_RUN}'",
            run(DISTURBED_RUN, lines=OTHER_LINES, digest="3c5ca7a5"),
        ),
    ),
}


async def found_in(url: str, *more: Any) -> set[str]:
    """The rules that do not hold."""
    return {rule for rule, found in (await check(url, sound_log(*more), WORKFLOWS)).items() if found}


async def test_where_everything_holds_the_checker_finds_nothing(database_url: str) -> None:
    await make_sound(database_url)
    found = await check(database_url, sound_log(), WORKFLOWS)
    assert {rule: told for rule, told in found.items() if told} == {}
    assert set(found) == {*RULES, WORKFLOW_RULE}


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_planted_defect_is_found(database_url: str, planted: str) -> None:
    rule, statements = PLANTED[planted]
    await make_sound(database_url)
    await plant(database_url, *statements)
    assert rule in await found_in(database_url)


def test_every_rule_has_a_planted_defect() -> None:
    assert {rule for rule, _ in PLANTED.values()} == set(RULES)


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        (
            RETIREMENT,
            entries(
                "add late",
                "ADD_CIRCUIT",
                "ACKNOWLEDGED",
                {"depot_id": RETIRED, "name": "Late", "parent_id": None},
                circuit_id=uid(91),
            ),
        ),
        (
            CIRCUITS,
            entries("delete feed", "DELETE_CIRCUIT", "ACKNOWLEDGED", {"circuit_id": BELOW})
            + entries("rename late", "RENAME_CIRCUIT", "ACKNOWLEDGED", {"circuit_id": BELOW, "name": "Late"}),
        ),
        (
            CIRCUITS,
            [
                {"type": "intent", "id": "add top", "try": 2, "what": "ADD_CIRCUIT", "asked": {}},
                {
                    "type": "answer",
                    "id": "add top",
                    "try": 2,
                    "outcome": "ACKNOWLEDGED",
                    "code": None,
                    "answer": {"circuit_id": FOUND},
                },
            ],
        ),
    ],
    ids=["changed after its depot was retired", "changed after its deletion", "one request, two circuits"],
)
async def test_answers_that_contradict_one_another_are_found(database_url: str, rule: str, lines: list[Any]) -> None:
    await make_sound(database_url)
    assert rule in await found_in(database_url, *lines)


async def test_a_retried_packet_may_be_there_twice(database_url: str) -> None:
    await make_sound(database_url)
    await plant(database_url, packet(FIRST_MS, 1000))
    assert PACKETS in await found_in(database_url)
    again = {"type": "intent", "id": "first", "try": 2, "what": "PACKET", "asked": {}}
    assert await found_in(database_url, again) == set()


def test_workflows_that_run_on_or_failed_are_found() -> None:
    assert check_workflows(WORKFLOWS, ()) == []
    stuck = [
        WorkflowSeen("microgrid-sync/1", "MicrogridSync", "RUNNING"),
        *(WorkflowSeen("x", "CapacityWatch", status) for status in ("FAILED", "TERMINATED", "TIMED_OUT")),
    ]
    assert len(check_workflows(stuck, ())) == len(stuck)


def test_only_a_job_of_which_nothing_is_stored_may_fail() -> None:
    stored, unstored = "scenario-run/1", "export/2"
    for status in ("FAILED", "TERMINATED", "RUNNING"):
        seen = [WorkflowSeen(each, "Job", status) for each in (stored, unstored)]
        found = check_workflows(seen, {stored})
        assert (any(stored in each for each in found), any(unstored in each for each in found)) == (
            True,
            status != "FAILED",
        )


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "requests.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in log_lines()))
    log = read_log(path)
    assert log == sound_log()
    outcomes = {each.operation_id: each.outcome for each in log.operations}
    assert outcomes["add top"] is Outcome.ACKNOWLEDGED
    assert outcomes["add found"] is outcomes["add lost"] is Outcome.UNKNOWN
    assert outcomes["add refused"] is Outcome.REFUSED


def test_what_one_try_acknowledged_is_acknowledged_and_what_one_left_open_is_open() -> None:
    lines = entries("a", "PACKET", "REFUSED", {})
    second = {"type": "intent", "id": "a", "try": 2, "what": "PACKET", "asked": {}}
    third = [{**each, "try": 3} for each in entries("a", "PACKET", "ACKNOWLEDGED", {})]
    assert parse_log(lines).operations[0].outcome is Outcome.REFUSED
    assert parse_log([*lines, second]).operations[0].outcome is Outcome.UNKNOWN
    assert parse_log([*lines, second, *third]).operations[0].outcome is Outcome.ACKNOWLEDGED


def test_the_checker_shares_no_code_with_the_product() -> None:
    allowed = {*sys.stdlib_module_names, "asyncpg", "temporalio"}
    ours = devtools.chaos.checker.__name__
    imported: set[str] = set()
    for path in Path(devtools.chaos.checker.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add(node.module or "")
    assert {name for name in imported if name.startswith(f"{ours}.")}
    assert {name for name in imported if name.split(".")[0] not in allowed and not name.startswith(f"{ours}.")} == set()
    # What is imported with it says what is in the packages, and nothing else.
    for package in ("devtools", "devtools.chaos", ours):
        path = Path(sys.modules[package].__file__ or "")
        statements = ast.parse(path.read_text()).body
        assert len(statements) == 1
        assert isinstance(statements[0], ast.Expr)
