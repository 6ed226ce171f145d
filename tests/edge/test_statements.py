"""No list and no page asks the database more often where there is more to show: a statement a row would be N+1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import SecretStr
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.base.dependencies import resources_of
from api.main import create_app
from runtime.settings import Settings
from tests.factories.equipped_depots import CAPACITY, LOAD_ACTION, add_action, add_device, add_gateway, made
from tests.factories.scenario_sites import make_depots, run_scenario
from tests.helpers.live import serving, working
from tests.helpers.support import make_depot

FEW, MANY = 2, 20
NO_LISTS = {
    "/live": "a stream, which never ends",
    "/api/microgrids/{microgrid_id}/events": "a stream, which never ends",
    "/api/depots/import": "GET is refused there",
    "/static/{digest}/{name:file}": "a file",
    "/.well-known/oauth-protected-resource/api": "not without a provider",
    "/sign-in": "not without a provider",
    "/sign-in/callback": "not without a provider",
    "/signed-in": "not without a provider",
    "/sign-out/done": "not without a provider",
    "/sessions": "not without a provider",
    "/sessions/rows": "not without a provider",
    "/docs": "a file",
    "/docs/oauth2-redirect": "a file",
    "/openapi.json": "a file",
}
QUERIES = {
    "/depots/{depot_id}/transitions": {"capability": "DER"},
    "/api/microgrids/{microgrid_id}/capability-status/transitions": {"capability": "DER"},
    "/api/series": {"series": "device:{device_id}:SOC"},
    "/api/telemetry/packets": {"gateway_id": "{gateway_id}"},
    "/devices/{device_id}/sensor-actions/new": {"action": "UPDATE_POWER_SOURCE_STATE"},
}
# Rows that take a worker and time to come by: more of those that the runs of the simulation left.
MORE = """
    INSERT INTO packets (gateway_id, depot_id, observed_at, received_at, document, answers)
    SELECT gateway_id, depot_id, observed_at - n * interval '1 millisecond', received_at, document, answers
    FROM (SELECT * FROM packets LIMIT 1), generate_series(1, :more) AS n;
    INSERT INTO capability_events (microgrid_id, capability, status, observed_at, received_at, provider_event_ref,
                                   source_device_id, effect, recorded_by)
    SELECT microgrid_id, capability, status, observed_at - n * interval '1 millisecond', received_at, n::text,
           source_device_id, 'LATE', recorded_by
    FROM (SELECT * FROM capability_events LIMIT 1), generate_series(1, :more) AS n;
    INSERT INTO capacity_events (circuit_id, depot_id, mode, reason, capacity_w, basis, at, received_at)
    SELECT circuit_id, depot_id, mode, reason, capacity_w, basis, at - n * interval '1 millisecond', received_at
    FROM (SELECT * FROM capacity_events LIMIT 1), generate_series(1, :more) AS n;
    INSERT INTO changes (at, actor, action, depot_id, subject_id, detail)
    SELECT c.at, c.actor, c.action, c.depot_id, c.subject_id, c.detail
    FROM changes AS c, generate_series(1, :more)
    WHERE c.id IN (SELECT max(id) FROM changes GROUP BY action, subject_id);
    INSERT INTO backfills (dry_run, page_size, state, depots_total, requested_by, finished_at)
    SELECT true, 10, 'COMPLETED', 1, 'test', now() FROM generate_series(1, :more);
    INSERT INTO backfill_outcomes (backfill_id, depot_id, outcome, microgrid_id)
    SELECT b.id, d.id, 'ALREADY_PROVISIONED', m.id
    FROM (SELECT id FROM backfills ORDER BY id LIMIT 1) AS b, depots AS d LEFT JOIN microgrids AS m ON m.depot_id = d.id
    ON CONFLICT DO NOTHING;
    INSERT INTO remediations (depot_id, gateway_id, device_id, sensor_action_id, action, code, candidates, opened_at,
                              last_seen_at, times)
    SELECT a.depot_id, d.gateway_id, d.id, a.id, a.action, 'SEVERAL_BATTERIES',
           (SELECT array_agg(p.id) FROM power_sources AS p WHERE p.depot_id = a.depot_id), now(), now(), 1
    FROM sensor_actions AS a JOIN devices AS d ON d.id = a.device_id
    WHERE NOT EXISTS (SELECT FROM remediations AS r WHERE r.sensor_action_id = a.id);
    INSERT INTO imports (file_name, size_bytes, sha256, state, requested_by, finished_at, unchanged)
    SELECT 'fleet.ndjson', 1, '', 'COMPLETED', 'test', now(), 0 FROM generate_series(1, :more);
    INSERT INTO import_refusals (import_id, line, code, reason)
    SELECT i.id, n, 'NOT_JSON', 'No JSON.'
    FROM (SELECT id FROM imports ORDER BY id LIMIT 1) AS i, generate_series(1, (SELECT count(*) FROM imports)) AS n
    ON CONFLICT DO NOTHING;
    INSERT INTO exports (kind, file_format, since, until, device_ids, measurands, state, requested_by, finished_at,
                         size_bytes, expires_at)
    SELECT 'readings', 'csv', now() - interval '1 day', now(), '{}', '{}', 'COMPLETED', 'local-administrator', now(),
           1, now() + interval '1 day' FROM generate_series(1, :more);
    INSERT INTO export_parts (export_id, starts_at, content)
    SELECT id, 0, 'x' FROM exports ON CONFLICT DO NOTHING
"""
MORE_RUNS = """
    WITH run AS (
        INSERT INTO scenario_runs ({columns}) SELECT {columns} FROM scenario_runs ORDER BY id LIMIT 1 RETURNING id
    )
    INSERT INTO scenario_run_steps (run_id, step, stamp_ms, record, sent_at)
    SELECT run.id, step, stamp_ms, record, sent_at FROM run, scenario_run_steps
    WHERE run_id = (SELECT id FROM scenario_runs ORDER BY id LIMIT 1)
"""

_counted: ContextVar[list[str] | None] = ContextVar("_counted", default=None)


async def grow(engine: AsyncEngine, api: httpx.AsyncClient, depot_id: str, more: int) -> None:
    """Add so many of everything to the site, and so many depots."""
    (top, *_) = (await api.get(f"/api/depots/{depot_id}/circuits")).json()["items"]
    for _ in range(more):
        name = str(len((await api.get(f"/api/depots/{depot_id}/circuits")).json()["items"]))
        await make_depot(engine, "Feed", name=f"Depot {name}")
        feed = await made(await api.post(f"/api/depots/{depot_id}/circuits", json={"name": name}))
        below = {"name": f"{name} a", "parent_id": top["circuit_id"]}
        await made(await api.post(f"/api/depots/{depot_id}/circuits", json=below))
        gateway = await add_gateway(api, depot_id)
        await made(await api.post(f"/api/gateways/{gateway['gateway_id']}/secrets"))
        device = await add_device(api, gateway["gateway_id"], name, feed["circuit_id"])
        for action in (CAPACITY, LOAD_ACTION):
            await add_action(api, device["device_id"], action)
        source = {"depot_id": depot_id, "kind": "BATTERY", "name": name, "circuit_id": feed["circuit_id"]}
        await made(await api.post("/api/power-sources", json=source))
        grantee = {"kind": "group", "subject": name, "name": name, "role": "viewer", "depot_id": depot_id}
        await made(await api.post("/api/grants", json=grantee))
        given = [{"role": "viewer", "depot_id": depot_id}, {"role": "auditor"}]
        ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        await made(await api.post("/api/tokens", json={"name": name, "grants": given, "expires_at": ends}))
        await made(await api.post("/api/views", json={"name": name, "filters": {"search": name}}))
    async with engine.begin() as connection:
        for statement in MORE.split(";\n"):
            await connection.execute(text(statement), {"more": more} if ":more" in statement else {})
        columns = ", ".join(
            await connection.scalars(
                text(
                    "SELECT attname FROM pg_attribute WHERE attrelid = 'scenario_runs'::regclass AND attnum > 0 "
                    "AND NOT attisdropped AND attname <> 'id'"
                )
            )
        )
        for _ in range(more):
            await connection.execute(text(MORE_RUNS.format(columns=columns)))


async def names_in_addresses(api: httpx.AsyncClient, depot_id: str) -> dict[str, str]:
    """One of everything that an address can name."""

    async def first(path: str, key: str, place: int = 0, **query: str) -> str:
        items = (await api.get(path, params=query)).raise_for_status().json()["items"]
        return items[place][key]

    (binding, *_) = (await api.get("/api/controller-bindings", params={"depot_id": depot_id})).json()["items"]
    device_id = binding["device"]["device_id"]
    actions = (await api.get(f"/api/devices/{device_id}/sensor-actions")).json()["items"]
    capacity = next(each for each in actions if each["action"] == "UPDATE_CIRCUIT_CAPACITY")
    gateway_id = binding["device"]["gateway_id"]
    secret = await made(await api.post(f"/api/gateways/{gateway_id}/secrets"))
    return {
        "depot_id": depot_id,
        "capability": "DER",
        "microgrid_id": binding["microgrid_id"],
        "circuit_id": (await api.get(f"/api/depots/{depot_id}/circuits")).json()["items"][0]["circuit_id"],
        "gateway_id": gateway_id,
        "secret_id": secret["secret_id"],
        "device_id": device_id,
        "power_source_id": await first("/api/power-sources", "power_source_id", depot_id=depot_id),
        "sensor_action_id": capacity["sensor_action_id"],
        "binding_id": binding["binding_id"],
        "question": "disable",
        "backfill_id": await first("/api/backfills", "backfill_id", -1),
        "run_id": await first("/api/scenario-runs", "run_id", -1),
        "other_id": await first("/api/scenario-runs", "run_id", -2),
        "grant_id": await first("/api/grants", "grant_id"),
        "token_id": await first("/api/tokens", "token_id"),
        "view_id": await first("/api/views", "view_id"),
        "name": "quick-look",
        "import_id": await first("/api/imports", "import_id", -1),
        "export_id": await first("/api/exports", "export_id", -1),
        "kind": "readings",
    }


def get_routes(application: Any) -> Iterator[str]:
    """The path of every route that answers GET."""
    routes = [route for route in application.routes if isinstance(route, APIRoute)]
    return (route.path for route in routes if "GET" in (route.methods or ()))


async def count(api: httpx.AsyncClient, paths: list[str], names: dict[str, str]) -> dict[str, list[str]]:
    """The statements by which each path is answered."""
    found: dict[str, list[str]] = {}
    for path in paths:
        address = re.sub(r":\w+}", "}", path).format_map(names)
        query = {key: value.format_map(names) for key, value in QUERIES.get(path, {}).items()}
        # As a browser that was nowhere else before. The first answer fills what is kept.
        api.cookies.clear()
        await api.get(address, params=query)
        statements: list[str] = []
        token = _counted.set(statements)
        answer = await api.get(address, params=query)
        _counted.reset(token)
        assert answer.status_code in (200, 303, 307, 308), f"{address}: {answer.text[:500]}"
        found[path] = statements
    return found


def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    """Keep a statement that the request of this context makes."""
    statements = _counted.get()
    if statements is not None:
        statements.append(statement)


async def test_no_list_and_no_page_makes_a_statement_a_row(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str, api: httpx.AsyncClient
) -> None:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with serving(settings) as address, working(client, engine, task_queue, api_url=address):
        (depot_id,) = await make_depots(address, 1)
        async with httpx.AsyncClient(base_url=address, timeout=30) as caller:
            for seed in (1, 2):
                await run_scenario(caller, depot_id, "quick-look", seed=seed)
    paths = [path for path in dict.fromkeys(get_routes(create_app(settings))) if path not in NO_LISTS]
    assert len(paths) > 80
    counted = application_engine(api)
    event.listen(counted.sync_engine, "before_cursor_execute", note)
    try:
        await grow(engine, api, depot_id, FEW)
        names = await names_in_addresses(api, depot_id)
        few = await count(api, paths, names)
        await grow(engine, api, depot_id, MANY - FEW)
        many = await count(api, paths, names)
    finally:
        event.remove(counted.sync_engine, "before_cursor_execute", note)
    assert sum(bool(statements) for statements in few.values()) > 60
    grown = {path: many[path] for path in paths if len(many[path]) > len(few[path])}
    assert grown == {}, "these ask the database once for each row: ask once for all"


def application_engine(api: httpx.AsyncClient) -> AsyncEngine:
    """The engine of the application that ``api`` calls."""
    transport = api._transport  # pyright: ignore[reportPrivateUsage] (httpx does not tell)
    assert isinstance(transport, httpx.ASGITransport)
    return resources_of(cast("FastAPI", transport.app)).engine
