"""Circuits: each acknowledged change once, each unknown one at most once, each refused one not at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import asyncpg

from devtools.chaos.checker.request_log import Operation, Outcome, RequestLog

CHANGES = ("ADD_CIRCUIT", "RENAME_CIRCUIT", "MOVE_CIRCUIT", "DELETE_CIRCUIT")


class CircuitState(NamedTuple):
    """What a circuit may be."""

    name: str
    parent_id: str | None


GONE = CircuitState("", None)
"""A circuit that was deleted."""
_MOST_STATES = 4096
TIMES = {Outcome.ACKNOWLEDGED: (1, 1), Outcome.UNKNOWN: (0, 1), Outcome.REFUSED: (0, 0)}
"""How often a request was done, at least and at most, by what its sender knows."""


async def check_circuits(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare the circuits with all that was asked for."""
    depots = {note["depot_id"]: set(note["circuits"]) for note in log.noted("DEPOT")}
    rows = await connection.fetch(
        "SELECT id::text, depot_id::text, name, parent_id::text FROM circuits WHERE depot_id = ANY ($1::uuid[])",
        list(depots.keys() | {each.asked["depot_id"] for each in log.of("ADD_CIRCUIT")}),
    )
    stored = {row["id"]: CircuitState(row["name"], row["parent_id"]) for row in rows}
    by_circuit: dict[str, list[Operation]] = defaultdict(list)
    for each in log.of(*CHANGES[1:]):
        by_circuit[each.asked["circuit_id"]].append(each)
    findings: list[str] = []
    explained = {circuit for given in depots.values() for circuit in given}
    # What a circuit is called when it is new; a rename takes the name away, so the id is what counts afterwards.
    names = Counter((row["depot_id"], row["name"]) for row in rows)
    for added in log.of("ADD_CIRCUIT"):
        ids = {answer["circuit_id"] for answer in added.answers()}
        place = (added.asked["depot_id"], added.asked["name"])
        if added.outcome is Outcome.ACKNOWLEDGED:
            if len(ids) > 1:
                findings.append(f"{_said(added)} was answered with {len(ids)} circuits")
            circuit_id = min(ids)
            explained.add(circuit_id)
            begin = CircuitState(added.asked["name"], added.asked["parent_id"])
            findings += _judge(added, begin, by_circuit[circuit_id], stored.get(circuit_id, GONE))
        found = names[place]
        if found > 1:
            findings.append(f"{_said(added)} is there {found} times")
        if found and added.outcome is Outcome.REFUSED:
            findings.append(f"{_said(added)} was refused and is there")
        if found and added.outcome is Outcome.UNKNOWN:
            explained |= {row["id"] for row in rows if (row["depot_id"], row["name"]) == place}
    strange = [row for row in rows if row["id"] not in explained and row["depot_id"] in depots]
    return findings + [f"circuit {row['id']} ({row['name']}) was asked for by nobody" for row in strange]


def _judge(added: Operation, begin: CircuitState, changes: Iterable[Operation], stored: CircuitState) -> list[str]:
    """Say whether a circuit is what its acknowledged changes make of it, with or without those that are unknown."""
    possible = {begin}
    for change in changes:
        if change.outcome is Outcome.REFUSED:
            continue
        changed = {_apply(change, state) for state in possible if state != GONE}
        possible = changed if change.outcome is Outcome.ACKNOWLEDGED else possible | changed
        if not possible:
            return [f"{_said(change)} was acknowledged after the circuit was deleted"]
        assert len(possible) <= _MOST_STATES
    if stored in possible:
        return []
    expected = " or ".join(sorted("deleted" if each == GONE else str(tuple(each)) for each in possible))
    found = "not there" if stored == GONE else str(tuple(stored))
    return [f"{_said(added)} is {found}, and should be {expected}"]


def _apply(change: Operation, state: CircuitState) -> CircuitState:
    if change.what == "RENAME_CIRCUIT":
        return state._replace(name=change.asked["name"])
    if change.what == "MOVE_CIRCUIT":
        return state._replace(parent_id=change.asked["parent_id"])
    return GONE


def _said(operation: Operation) -> str:
    about = operation.asked.get("name", operation.asked.get("circuit_id"))
    return f"{operation.what} {operation.operation_id} ({about})"


async def check_depots(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare the depots with those that were asked for, by their names."""
    names = [each.asked["name"] for each in log.of("ADD_DEPOT")]
    rows = await connection.fetch("SELECT id::text, name FROM depots WHERE name = ANY ($1::text[])", names)
    stored: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        stored[row["name"]].add(row["id"])
    findings: list[str] = []
    for each in log.of("ADD_DEPOT"):
        found, answered = stored[each.asked["name"]], {answer["depot_id"] for answer in each.answers()}
        least, most = TIMES[each.outcome]
        if not least <= len(found) <= most or not answered <= found:
            findings.append(
                f"{_said(each)} is {each.outcome}, answered with {len(answered)}, and there {len(found)} times"
            )
    return findings


async def check_journal(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare what the journal has of each change, by the id of its request, with what its sender was told."""
    rows = await connection.fetch(
        "SELECT request_id, count(*) AS times FROM changes WHERE action LIKE 'CIRCUIT%' AND request_id IS NOT NULL"
        " GROUP BY request_id"
    )
    times = {row["request_id"]: row["times"] for row in rows}
    findings: list[str] = []
    for each in log.of(*CHANGES):
        found = times.get(each.operation_id, 0)
        least, most = TIMES[each.outcome]
        if not least <= found <= most:
            findings.append(f"{_said(each)} is {each.outcome} and was done {found} times, as the journal has it")
    return findings


_DRIFTED = """
    WITH wanted AS (
        SELECT c.depot_id, array_agg(c.id || ' ' || c.name ORDER BY c.position) AS nodes
        FROM circuits AS c WHERE c.parent_id IS NULL GROUP BY c.depot_id
    ), found AS (
        SELECT m.depot_id, coalesce(array_agg(n.circuit_id || ' ' || n.name ORDER BY n.position)
                                    FILTER (WHERE n.id IS NOT NULL), '{}') AS nodes
        FROM microgrids AS m LEFT JOIN microgrid_nodes AS n ON n.microgrid_id = m.id
        WHERE m.retired_at IS NULL GROUP BY m.depot_id
    ), several AS (
        SELECT depot_id FROM microgrids WHERE retired_at IS NULL GROUP BY depot_id HAVING count(*) > 1
    )
    SELECT d.id::text AS depot_id, d.name, w.nodes AS wanted, f.nodes AS found, s.depot_id IS NOT NULL AS several
    FROM depots AS d LEFT JOIN wanted AS w ON w.depot_id = d.id LEFT JOIN found AS f ON f.depot_id = d.id
    LEFT JOIN several AS s ON s.depot_id = d.id
    WHERE s.depot_id IS NOT NULL OR (f.nodes IS NULL AND w.nodes IS NOT NULL AND d.retired_at IS NULL)
       OR (f.nodes IS NOT NULL AND f.nodes IS DISTINCT FROM coalesce(w.nodes, '{}'))
    ORDER BY d.name
"""


async def check_nodes(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare each microgrid's grid connections with the top-level circuits: which, their names, their order."""
    del log
    findings: list[str] = []
    for row in await connection.fetch(_DRIFTED):
        if row["several"]:
            findings.append(f"depot {row['name']} has several active microgrids")
        elif row["found"] is None:
            findings.append(f"depot {row['name']} has top-level circuits and no microgrid")
        else:
            findings.append(f"depot {row['name']} shows {row['found']}, and has {row['wanted']}")
    return findings


async def check_outbox(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Find what Temporal was not asked for."""
    del log
    waiting = await connection.fetchval("SELECT count(*) FROM outbox")
    return [f"{waiting} rows are left in the outbox"] if waiting else []
