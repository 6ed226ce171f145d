"""What the tests of the import share: lines, imports, and everything that is stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any
from uuid import UUID, uuid4, uuid5

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.fleet import FleetCode
from store.site.fleet.fleet_import import ImportSummary, fleet_import
from tests.factories.fleet_model import Fleet, Line
from tests.helpers.support import ACTOR

ROUTE = "/api/depots/import"
IDS = {"id", "depot_id", "parent_id", "gateway_id", "circuit_id"}
TABLES = ("depots", "circuits", "gateways", "devices", "power_sources")


def encode(rows: Iterable[Line | str]) -> bytes:
    """Rows as the body of an import; a text is a line as it is."""
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).encode()


def depot(depot_id: str, **other: Any) -> Line:
    return {"type": "depot", "id": depot_id, "name": "Arrow Road", "timezone": "America/Toronto"} | other


def circuit(depot_id: str, circuit_id: str | None = None, parent: str | None = None, **other: Any) -> Line:
    made = {"type": "circuit", "id": circuit_id or str(uuid4()), "depot_id": depot_id, "parent_id": parent}
    return made | {"name": "Feed", "rated_power_w": 500_000.0} | other


def gateway(depot_id: str, gateway_id: str, **other: Any) -> Line:
    return {"type": "gateway", "id": gateway_id, "depot_id": depot_id, "name": "Site gateway"} | other


def device(gateway_id: str, circuit_id: str | None = None, **other: Any) -> Line:
    made = {"type": "device", "id": str(uuid4()), "gateway_id": gateway_id, "sensor_id": "mgc-1", "name": "Controller"}
    return made | {"circuit_id": circuit_id} | other


def source(depot_id: str, circuit_id: str | None = None, **other: Any) -> Line:
    made = {"type": "power_source", "id": str(uuid4()), "depot_id": depot_id, "kind": "BATTERY", "name": "Source 1"}
    return made | {"circuit_id": circuit_id} | other


async def import_lines(
    engine: AsyncEngine, body: bytes | AsyncIterator[bytes], *, batch_lines: int = 20_000
) -> tuple[ImportSummary, dict[int, FleetCode]]:
    """Import without the route; answer what it came to and the code of each refused line."""

    async def chunks() -> AsyncGenerator[bytes]:
        assert isinstance(body, bytes)
        for at in range(0, len(body), 50_000):
            yield body[at : at + 50_000]

    async with fleet_import(engine, ACTOR, batch_lines=batch_lines) as importing:
        await importing.take(chunks() if isinstance(body, bytes) else body)
        await importing.store()
        refused = {line: refusal.code async for line, refusal in importing.refusals()}
    summary = importing.summary
    assert Counter(refused.values()) == summary.refused
    assert summary.lines == sum(summary.stored.values()) + summary.unchanged + len(refused)
    return summary, refused


async def post(api: httpx.AsyncClient, body: bytes) -> dict[str, Any]:
    answer = await api.post(ROUTE, content=body, headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def codes(report: dict[str, Any]) -> dict[int, str]:
    """The code of each refused line by its number."""
    assert [each["line"] for each in report["refusals"]] == sorted({each["line"] for each in report["refusals"]})
    return {each["line"]: each["code"] for each in report["refusals"]}


async def state(engine: AsyncEngine) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is stored of the site, with the places of the circuits."""
    columns = {
        "depots": "id, name, timezone, provisioning, created_by",
        "circuits": "id, depot_id, parent_id, name, position, rated_power_w, created_by",
        "gateways": "id, depot_id, name, site_model_name, output_translation, created_by",
        "devices": "id, depot_id, gateway_id, sensor_id, name, circuit_id, created_by",
        "power_sources": "id, depot_id, circuit_id, kind, name, created_by",
    }
    async with engine.connect() as connection:
        return {
            table: [tuple(row) for row in await connection.execute(text(f"SELECT {names} FROM {table} ORDER BY id"))]
            for table, names in columns.items()
        }


async def count(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()


async def gaps(engine: AsyncEngine) -> int:
    """Count the groups of siblings that are not numbered from 0 without a gap."""
    async with engine.connect() as connection:
        found = await connection.execute(
            text("""
                SELECT count(*) FROM (
                    SELECT FROM circuits GROUP BY depot_id, parent_id
                    HAVING min(position) <> 0 OR max(position) <> count(*) - 1
                ) AS broken
            """)
        )
        return found.scalar_one()


def flawed(rows: Sequence[Line | None]) -> dict[int, str]:
    """Say from the maker's rows alone which lines are wrong, and how: it knows only these ways."""
    found: dict[int, str] = {}
    depot_of: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        if row is None:
            found[number] = "NOT_JSON"
        elif row["type"] == "circuit":
            if row["name"] == "   ":
                found[number] = "INVALID_NAME"
            elif row["rated_power_w"] == "a lot":
                found[number] = "WRONG_TYPE"
            elif row["parent_id"] == row["id"]:
                found[number] = "CIRCUIT_CYCLE"
            elif row["id"] in depot_of:
                found[number] = "REPEATED_ID"
            elif row["parent_id"] is not None and depot_of[row["parent_id"]] != row["depot_id"]:
                found[number] = "PARENT_IN_OTHER_DEPOT"
            else:
                depot_of[row["id"]] = row["depot_id"]
    return found


def in_a_world(space: UUID, fleets: Sequence[Sequence[Line]]) -> list[list[dict[str, Any]]]:
    """The same lines with ids that no other example has, so that all examples share one database."""
    return [
        [
            {name: str(uuid5(space, value)) if name in IDS and value else value for name, value in line.items()}
            for line in rows
        ]
        for rows in fleets
    ]


async def stored_fleet(engine: AsyncEngine, fleets: Sequence[Sequence[Line]]) -> Fleet:
    """What is stored of the depots that these lines speak of, as the model has it."""
    found = Fleet()
    depots = {str(line.get("depot_id", line["id"])) for rows in fleets for line in rows}
    contents = {
        "depot": "id, name, timezone",
        "circuit": "id, name, depot_id, parent_id, rated_power_w",
        "gateway": "id, name, depot_id, site_model_name, output_translation",
        "device": "id, name, gateway_id, sensor_id, circuit_id",
        "power_source": "id, name, depot_id, circuit_id, kind",
    }
    async with engine.connect() as connection:
        for kind, names in contents.items():
            column = "id" if kind == "depot" else "depot_id"
            query = text(f"SELECT {names} FROM {kind}s WHERE {column} = ANY (CAST(:depots AS uuid[]))")
            for row in (await connection.execute(query, {"depots": list(depots)})).mappings():
                content = {name: str(value) if isinstance(value, UUID) else value for name, value in row.items()}
                found.rows[kind, content["id"]] = {"type": kind} | content
        places = text(
            "SELECT depot_id, parent_id, id FROM circuits WHERE depot_id = ANY (CAST(:depots AS uuid[])) "
            "ORDER BY position"
        )
        for depot_id, parent_id, circuit_id in await connection.execute(places, {"depots": list(depots)}):
            found.children.setdefault((str(depot_id), parent_id and str(parent_id)), []).append(str(circuit_id))
    return found
