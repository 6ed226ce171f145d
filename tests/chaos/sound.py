"""A small database in which everything holds, and the log of the requests that led there; defects are planted in it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from devtools.chaos.checker.jobs import WorkflowSeen
from devtools.chaos.checker.request_log import RequestLog, parse_log


def uid(number: int) -> str:
    """An id that is easy to tell from others."""
    return f"00000000-0000-7000-8000-{number:012}"


DEPOT, MICROGRID, GATEWAY, DEVICE, ACTION = uid(1), uid(2), uid(3), uid(4), uid(5)
FEED, TOP, BELOW, DELETED, FOUND = uid(10), uid(11), uid(12), uid(13), uid(14)
RETIRED, EXPORT = uid(40), uid(41)
LEGACY, LEGACY_CIRCUIT, LEGACY_MICROGRID, BACKFILL = uid(20), uid(21), uid(22), uid(23)
CALM_RUN, DISTURBED_RUN = uid(30), uid(31)
NOW = datetime.now(UTC).replace(microsecond=0)
THRESHOLD = 1e6
"""Seconds that a controller may be silent for; longer than tests take."""
FIRST_MS, SECOND_MS, LOST_MS = (int((NOW + timedelta(seconds=ahead)).timestamp() * 1000) for ahead in (1, 10, 15))
LINES = ("head", "step", "result")
DIGEST = hashlib.sha256("".join(f"{line}\n" for line in LINES).encode()).hexdigest()

SITE = f"""
    INSERT INTO depots (id, name, timezone, created_by, updated_by)
    VALUES ('{DEPOT}', 'Edited', 'Etc/UTC', 'x', 'x'), ('{LEGACY}', 'Legacy', 'Etc/UTC', 'x', 'x'),
           ('{RETIRED}', 'Retired', 'Etc/UTC', 'x', 'x');
    UPDATE depots SET retired_at = now() WHERE id = '{RETIRED}';
    INSERT INTO changes (actor, action, depot_id) VALUES ('x', 'DEPOT_RETIRED', '{RETIRED}');
    INSERT INTO microgrids (depot_id, created_by, updated_by, retired_at) VALUES ('{RETIRED}', 'x', 'x', now());
    INSERT INTO circuits (id, depot_id, parent_id, name, position, created_by, updated_by)
    VALUES ('{FEED}', '{DEPOT}', NULL, 'Feed', 0, 'x', 'x'), ('{TOP}', '{DEPOT}', NULL, 'Circuit 1', 1, 'x', 'x'),
           ('{BELOW}', '{DEPOT}', '{TOP}', 'Circuit 3', 0, 'x', 'x'),
           ('{FOUND}', '{DEPOT}', '{TOP}', 'Circuit 9', 1, 'x', 'x'),
           ('{LEGACY_CIRCUIT}', '{LEGACY}', NULL, 'Feed', 0, 'x', 'x'),
           ('{uid(42)}', '{RETIRED}', NULL, 'Feed', 0, 'x', 'x');
    INSERT INTO microgrids (id, depot_id, created_by, updated_by)
    VALUES ('{MICROGRID}', '{DEPOT}', 'x', 'x'), ('{LEGACY_MICROGRID}', '{LEGACY}', 'x', 'x');
    INSERT INTO microgrid_nodes (microgrid_id, circuit_id, name, position)
    VALUES ('{MICROGRID}', '{FEED}', 'Feed', 0), ('{MICROGRID}', '{TOP}', 'Circuit 1', 1),
           ('{LEGACY_MICROGRID}', '{LEGACY_CIRCUIT}', 'Feed', 0);
    INSERT INTO changes (actor, action, request_id)
    VALUES ('x', 'CIRCUIT_CREATED', 'add top'), ('x', 'CIRCUIT_CREATED', 'add below'),
           ('x', 'CIRCUIT_CHANGED', 'rename below'), ('x', 'CIRCUIT_CREATED', 'add deleted'),
           ('x', 'CIRCUIT_DELETED', 'delete'), ('x', 'CIRCUIT_CREATED', 'add found');
    INSERT INTO sensor_actions (id, depot_id, device_id, action, measurands, heartbeat_threshold_seconds, created_by,
                                updated_by)
    VALUES ('{ACTION}', '{DEPOT}', '{DEVICE}', 'UPDATE_CIRCUIT_CAPACITY', '{{HEARTBEAT_STATUS}}', {THRESHOLD},
            'x', 'x');
    INSERT INTO circuit_capacities (circuit_id, depot_id, sensor_action_id, mode, since, deadline, capacity_w, basis,
                                    heartbeat_threshold_seconds)
    VALUES ('{TOP}', '{DEPOT}', '{ACTION}', 'CONTROLLER', now(), now() + interval '1 day', 2000,
            'AVAILABLE_CHARGING_CAPACITY', {THRESHOLD});
    INSERT INTO capacity_events (circuit_id, depot_id, mode, capacity_w, basis, at, received_at)
    VALUES ('{TOP}', '{DEPOT}', 'AWAITING', NULL, NULL, now(), now());
    INSERT INTO capacity_events (circuit_id, depot_id, mode, capacity_w, basis, at, received_at)
    VALUES ('{TOP}', '{DEPOT}', 'CONTROLLER', 2000, 'AVAILABLE_CHARGING_CAPACITY', now(), now());
    INSERT INTO backfills (id, dry_run, page_size, state, requested_by)
    VALUES ('{BACKFILL}', false, 5, 'COMPLETED', 'x');
    INSERT INTO backfill_outcomes (backfill_id, depot_id, outcome) VALUES ('{BACKFILL}', '{LEGACY}', 'CREATED');
"""


def event(reference: str, status: str, effect: str, stamp_ms: int) -> str:
    """Write down an event of a capability."""
    at = f"to_timestamp({stamp_ms} / 1000.0)"
    return f"""
        INSERT INTO capability_events (microgrid_id, capability, status, observed_at, received_at, provider_event_ref,
                                       effect, recorded_by)
        VALUES ('{MICROGRID}', 'DER', '{status}', {at}, {at} + interval '1 second', '{reference}', '{effect}', 'x');
    """


def packet(stamp_ms: int, capacity_w: int) -> str:
    """Write down a packet."""
    values = {"HEARTBEAT_STATUS": "ok", "AVAILABLE_CHARGING_CAPACITY": capacity_w, "FAIL_SAFE_CAPACITY": 1}
    measurands = [{"key": key, "value": value, "unit": None} for key, value in values.items()]
    document = json.dumps({"sensors": [{"sensor_id": "mgc-1", "measurands": measurands}]})
    at = f"to_timestamp({stamp_ms} / 1000.0)"
    return f"""
        INSERT INTO packets (gateway_id, depot_id, observed_at, received_at, document, answers)
        VALUES ('{GATEWAY}', '{DEPOT}', {at}, {at} + interval '1 second', '{document}', '[]');
    """


def reading(stamp_ms: int) -> str:
    """Write down what a packet measured."""
    at = f"to_timestamp({stamp_ms} / 1000.0)"
    return f"INSERT INTO device_readings (device_id, observed_at, received_at) VALUES ('{DEVICE}', {at}, {at});"


def export(*stamps_ms: int, rows: int | None = None) -> str:
    """Write down an export of readings and its file, in two parts. ``rows``: how many it says there are."""
    times = [(datetime.fromtimestamp(each / 1000, UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for each in stamps_ms]
    lines = ["observed_at,device_id", *(f"{time},{DEVICE}" for time in times)]
    content = "".join(f"{line}\n" for line in lines)
    size, half = len(content), len(content) // 2
    return f"""
        INSERT INTO exports (id, kind, file_format, since, until, device_ids, measurands, state, requested_by,
                             rows_done, size_bytes)
        VALUES ('{EXPORT}', 'readings', 'csv', now(), now(), '{{}}', '{{}}', 'COMPLETED', 'x',
                {len(times) if rows is None else rows}, {size});
        INSERT INTO export_parts (export_id, starts_at, content)
        VALUES ('{EXPORT}', {half}, '{content[half:]}'), ('{EXPORT}', 0, '{content[:half]}');
    """


def run(run_id: str, outcome: str = "PASSED", lines: tuple[str, str, str] = LINES, digest: str = DIGEST) -> str:
    """Write down a scenario run and its evidence."""
    head, step, result = lines
    return f"""
        INSERT INTO scenario_runs (id, scenario, title, document, digest, depot_id, seed, time_scale, bindings, targets,
                                   warnings, run_record, state, outcome, steps_total, result_record, evidence_sha256,
                                   requested_by, finished_at)
        VALUES ('{run_id}', 'quick-look', 'x', 'x', 'x', '{DEPOT}', 7, 0, '[]', '{{}}', '[]', '{head}', 'COMPLETED',
                '{outcome}', 1, '{result}', '{digest}', 'x', now());
        INSERT INTO scenario_run_steps (run_id, step, stamp_ms, record, sent_at)
        VALUES ('{run_id}', 0, 0, '{step}', now());
    """


TELEMETRY = (
    # What the broker delivered twice is there twice, and counts once.
    packet(FIRST_MS, 1000)
    + packet(SECOND_MS, 2000)
    + packet(SECOND_MS, 2000)
    + reading(FIRST_MS)
    + reading(SECOND_MS)
    + event("first", "ON", "SHOWN", FIRST_MS)
    + event("second", "OFF", "SHOWN", SECOND_MS)
    + event("second", "OFF", "REPEATED", SECOND_MS)
    + event("posted", "ON", "LATE", FIRST_MS - 1)
    + """
        INSERT INTO capability_latest (microgrid_id, capability, event_id, status, observed_at, received_at,
                                       provider_event_ref)
        SELECT microgrid_id, capability, id, status, observed_at, received_at, provider_event_ref
        FROM capability_events WHERE provider_event_ref = 'second' AND effect = 'SHOWN';
    """
)
WORKFLOWS = [WorkflowSeen("capacity-watch-1", "CapacityWatch", "RUNNING")]


def entries(operation_id: str, what: str, outcome: str | None, asked: dict[str, Any], **answer: Any) -> list[Any]:
    """The lines of one request, sent once; ``outcome`` None: it was never answered."""
    lines: list[Any] = [{"type": "intent", "id": operation_id, "try": 1, "what": what, "asked": asked}]
    if outcome is not None:
        told = {"type": "answer", "id": operation_id, "try": 1, "outcome": outcome, "code": None, "answer": answer}
        lines.append(told)
    return lines


def _add(
    operation_id: str, name: str, outcome: str | None, circuit_id: str = "", parent: str | None = None
) -> list[Any]:
    asked = {"depot_id": DEPOT, "name": name, "parent_id": parent}
    return entries(operation_id, "ADD_CIRCUIT", outcome, asked, circuit_id=circuit_id)


def sent(operation_id: str, stamp_ms: int, transport: str, outcome: str | None) -> list[Any]:
    """The lines of a packet."""
    asked = {"gateway_id": GATEWAY, "device_id": DEVICE, "sensor_id": "mgc-1", "timestamp_ms": stamp_ms}
    return entries(operation_id, "PACKET", outcome, {**asked, "transport": transport})


def log_lines() -> list[Any]:
    """The log that goes with the database."""
    of_run = {"depot_id": DEPOT, "preset": "quick-look", "seed": 7}
    return [
        {"type": "note", "what": "DEPOT", "depot_id": DEPOT, "circuits": [FEED]},
        *entries("add depot", "ADD_DEPOT", "ACKNOWLEDGED", {"name": "Legacy"}, depot_id=LEGACY),
        *entries("lost depot", "ADD_DEPOT", None, {"name": "Lost"}),
        *entries("refused depot", "ADD_DEPOT", "REFUSED", {"name": "Refused"}),
        *_add("add top", "Circuit 1", "ACKNOWLEDGED", TOP),
        *_add("add below", "Circuit 2", "ACKNOWLEDGED", BELOW, TOP),
        *entries("rename below", "RENAME_CIRCUIT", "ACKNOWLEDGED", {"circuit_id": BELOW, "name": "Circuit 3"}),
        *entries("rename lost", "RENAME_CIRCUIT", None, {"circuit_id": BELOW, "name": "Circuit 4"}),
        *entries("move refused", "MOVE_CIRCUIT", "REFUSED", {"circuit_id": BELOW, "parent_id": FEED}),
        *_add("add deleted", "Circuit 5", "ACKNOWLEDGED", DELETED),
        *entries("delete", "DELETE_CIRCUIT", "ACKNOWLEDGED", {"circuit_id": DELETED}),
        *_add("add found", "Circuit 9", "UNKNOWN", parent=TOP),
        *_add("add lost", "Circuit 10", None),
        *_add("add refused", "Circuit 11", "REFUSED"),
        *sent("first", FIRST_MS, "HTTP", "ACKNOWLEDGED"),
        *sent("second", SECOND_MS, "MQTT", "ACKNOWLEDGED"),
        *sent("lost", LOST_MS, "HTTP", "REFUSED"),
        *entries("status", "STATUS", "ACKNOWLEDGED", {"microgrid_id": MICROGRID, "ref": "posted"}),
        *entries("lost status", "STATUS", "UNKNOWN", {"microgrid_id": MICROGRID, "ref": "lost"}),
        *entries("refused status", "STATUS", "REFUSED", {"microgrid_id": MICROGRID, "ref": "refused"}),
        *entries("export", "EXPORT", "ACKNOWLEDGED", {}, export_id=EXPORT),
        *entries("lost export", "EXPORT", None, {}),
        *entries("retire", "RETIRE_DEPOT", "ACKNOWLEDGED", {"depot_id": RETIRED}),
        *entries("retire refused", "RETIRE_DEPOT", "REFUSED", {"depot_id": LEGACY}),
        *entries("too late", "ADD_CIRCUIT", "REFUSED", {"depot_id": RETIRED, "name": "Too late", "parent_id": None}),
        *entries("import", "IMPORT", "ACKNOWLEDGED", {"depots": [LEGACY]}),
        *entries("backfill", "BACKFILL", "ACKNOWLEDGED", {"depots": [LEGACY]}, backfill_id=BACKFILL),
        *entries("calm", "RUN", "ACKNOWLEDGED", of_run, run_id=CALM_RUN),
        *entries("disturbed", "RUN", "ACKNOWLEDGED", of_run, run_id=DISTURBED_RUN),
    ]


def sound_log(*more: Any) -> RequestLog:
    """The log as it is read, with further lines."""
    return parse_log([*log_lines(), *more])


async def plant(url: str, *statements: str) -> None:
    """Write into the database past all that keeps it in order."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        for each in statements:
            await connection.execute(each)
    finally:
        await connection.close()


async def make_sound(url: str) -> None:
    """Fill an empty database."""
    await plant(url, SITE, TELEMETRY, run(CALM_RUN), run(DISTURBED_RUN), export(FIRST_MS, SECOND_MS))
