"""What API and worker tell Prometheus: named by one rule, of one size for any fleet, and also while others are away."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

import worker
from activities.microgrid_sync import SyncMetrics
from api.base.metrics import DatabaseFigures
from api.main import SUBJECTS, create_app
from domain.access.routes import OPERATIONS
from runtime.observing.metrics import measuring_lag
from runtime.servers.processes import free_port
from runtime.settings import Settings
from store.figures import FAMILIES
from tests.factories.sites import controller_site, milliseconds, packet
from tests.helpers.live import http_client, serving
from tests.helpers.mosquitto import Mosquitto
from tests.helpers.support import add_circuit, database_away, make_depot, synced, until

UNITS = ("_seconds", "_bytes", "_packets", "_messages", "_rows", "_ratio", "_info")
COUNTED = (
    "_capabilities", "_circuits", "_controllers", "_remediations", "_depots", "_backfills", "_import_jobs",
    "_scenario_runs", "_connections", "_ahead", "_connections_limit", "_left", "_running", "_up", "_connected",
    "_in_hand", "_fds", "_current",
)  # fmt: skip
"""What gauges without a unit count, or say is so."""
LABELS = {
    "capability", "code", "freshness", "le", "method", "outcome", "provisioning", "result", "route", "state", "status",
    "version",
}  # fmt: skip
"""Those of a fixed set of values, whatever the fleet is."""
TOKEN = "tell.the-figures-to-me"


def families(body: str) -> list[Any]:
    return list(text_string_to_metric_families(body))


def samples(body: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in families(body)
        for each in family.samples
    }


def value(body: str, name: str, **labels: str) -> float | None:
    return samples(body).get((name, tuple(sorted(labels.items()))))


def assert_named_well(found: Iterable[Any]) -> None:
    for family in found:
        assert family.documentation.strip(), f"{family.name} has no help"
        if family.name.startswith("temporal_"):
            continue  # Its names are its own.
        assert re.fullmatch(r"manage_[a-z][a-z0-9_]*", family.name), family.name
        assert {label for each in family.samples for label in each.labels} <= LABELS, family.name
        if family.type == "counter":
            assert all(each.name.endswith("_total") for each in family.samples), family.name
        elif family.type == "histogram":
            assert family.name.endswith(UNITS), family.name
        else:
            assert family.name.endswith((*UNITS, *COUNTED)), family.name


@asynccontextmanager
async def the_worker(database_url: str, **settings: Any) -> AsyncGenerator[tuple[str, dict[str, str]]]:
    """The worker as its process runs it: where it serves its metrics, and with which headers."""
    port = free_port()
    given = Settings(database_url=SecretStr(database_url), metrics_port=port, **settings)
    token = given.metrics_token.get_secret_value()
    running = asyncio.create_task(worker.main(given))
    try:
        yield f"http://127.0.0.1:{port}/metrics", {"Authorization": f"Bearer {token}"} if token else {}
    finally:
        signal.raise_signal(signal.SIGTERM)
        await running


async def scraped(address: str, headers: dict[str, str] | None = None) -> str:
    """What a scrape answers, once something does."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as caller:

        async def answer() -> str | None:
            with suppress(httpx.TransportError):
                found = await caller.get(address, headers=headers)
                return found.text if found.status_code == 200 else None
            return None

        return await until(answer)


async def test_every_metric_of_the_api_has_help_and_a_name_by_the_rule(
    engine: AsyncEngine, api: httpx.AsyncClient, client: Client
) -> None:
    await make_depot(engine, "A")
    assert client.namespace
    found = families((await api.get("/metrics")).text)
    assert_named_well(found)
    names = {each.name for each in found}
    assert {f"manage_{family.name}" for family in FAMILIES} <= names
    assert {
        "manage_http_request_duration_seconds", "manage_door_wait_seconds", "manage_door_group_packets",
        "manage_door_commit_seconds", "manage_event_loop_lag_seconds", "manage_database_connections",
        "manage_imports", "manage_build_info", "manage_process_resident_memory_bytes",
    } <= names  # fmt: skip


async def test_a_fleet_of_any_size_has_as_many_series(engine: AsyncEngine, database_url: str) -> None:
    async def series() -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        settings = Settings(database_url=SecretStr(database_url))
        async with serving(settings) as address, http_client(address) as caller:
            for each in (await caller.get("/api/depots", params={"limit": 200})).json()["items"]:
                for path in ("/api/depots/{}", "/api/depots/{}/circuits", "/depots/{}", "/api/depots/{}/nowhere"):
                    await caller.get(path.format(each["depot_id"]))
            # Of itself it tells from the second time on.
            await caller.get("/metrics")
            # What Temporal's SDK measures names the task queue, which has an id in tests.
            found = samples((await caller.get("/metrics")).text)
            return {each for each in found if not each[0].startswith("temporal_")}

    await make_depot(engine, "A")
    small = await series()
    for number in range(49):
        await make_depot(engine, "A", name=f"Depot {number}")
    assert await series() == small
    assert not [each for each in small if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", str(each))]


async def test_requests_are_counted_by_the_template_of_their_route(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine, "A")
    site = await controller_site(engine)
    await api.get(f"/api/depots/{depot_id}")
    await api.get(f"/api/depots/{uuid4()}")
    await api.get("/no/such/place")
    await api.request("BREW", f"/api/depots/{depot_id}")
    sent = packet(site, milliseconds(), LIMIT_PEAK_SHAVING="true")
    assert (await api.post("/api/telemetry/packets", json=sent)).status_code == 200
    await api.get(f"/api/microgrids/{site.microgrid_id}/capability-status")
    body = (await api.get("/metrics")).text
    counted = {
        tuple(labels[name] for name in ("method", "route", "status")): number
        for (name, pairs), number in samples(body).items()
        for labels in (dict(pairs),)
        if name == "manage_http_request_duration_seconds_count"
    }
    assert counted == {
        ("GET", "/api/depots/{depot_id}", "200"): 1,
        ("GET", "/api/depots/{depot_id}", "404"): 1,
        ("GET", "unmatched", "404"): 1,
        ("OTHER", "/api/depots/{depot_id}", "405"): 1,
        ("POST", "/api/telemetry/packets", "200"): 1,
        ("GET", "/api/microgrids/{microgrid_id}/capability-status", "200"): 1,
    }
    assert value(body, "manage_door_group_packets_sum") == value(body, "manage_door_wait_seconds_count") == 1


def test_a_fast_route_is_counted_as_the_route_that_it_bypasses() -> None:
    declared = create_app(Settings()).openapi()["paths"]
    fast = [each for subject in SUBJECTS for each in subject.fast_routes]
    assert fast
    for route in fast:
        assert declared[route.template][route.method.lower()]["operationId"] == route.operation
        assert route.operation in OPERATIONS


async def test_the_worker_says_how_long_changes_took_to_their_sync(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str, tmp_path: Path
) -> None:
    assert client.namespace
    broker = Mosquitto(tmp_path)
    await broker.start()
    try:
        settings = {"task_queue": task_queue, "metrics_token": SecretStr(TOKEN), "mqtt_url": SecretStr(broker.url)}
        async with the_worker(database_url, **settings) as (address, headers):
            depot_id = await make_depot(engine, "A")
            await synced(engine, depot_id)
            await add_circuit(engine, depot_id, "B")
            await synced(engine, depot_id)

            async def counted() -> str | None:
                body = await scraped(address, headers)
                return body if (value(body, "manage_sync_delay_seconds_count") or 0) >= 2 else None

            body = await until(counted)
            async with httpx.AsyncClient(trust_env=False) as caller:
                assert (await caller.get(address)).status_code == 401
    finally:
        broker.stop()
    found = families(body)
    assert_named_well(found)
    assert (value(body, "manage_sync_delay_seconds_sum") or 0) > 0
    assert (value(body, "manage_syncs_total", outcome="CREATED") or 0) >= 1
    names = {each.name for each in found}
    assert {"manage_mqtt_connected", "manage_door_wait_seconds", "manage_event_loop_lag_seconds"} <= names
    # Temporal's own, by way of the same address.
    assert {"temporal_request", "temporal_request_latency_seconds", "temporal_worker_task_slots_available"} <= names
    assert not [each for each in samples(body) if str(depot_id) in str(each)]


async def test_the_figures_of_the_database_are_what_is_stored(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    body = (await api.get("/metrics")).text
    assert value(body, "manage_database_up") == 1
    assert value(body, "manage_outbox_rows") == value(body, "manage_outbox_age_seconds") == 0
    assert value(body, "manage_scenario_runs", state="RUNNING") == value(body, "manage_backfills", state="PAUSED") == 0
    assert value(body, "manage_fail_safe_circuits") == 0
    figures = DatabaseFigures(engine)
    depot_id = await make_depot(engine, "A")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE outbox SET created_at = now() - interval '90 seconds'"))
        await connection.execute(
            text("INSERT INTO backfills (dry_run, page_size, state, requested_by) VALUES (true, 1, 'FAILED', 'ann')")
        )
        await connection.execute(
            text("""
                INSERT INTO remediations (depot_id, gateway_id, device_id, sensor_action_id, action, code, candidates,
                                          opened_at, last_seen_at, times)
                SELECT :depot_id, uuidv7(), uuidv7(), uuidv7(), 'UPDATE_SOC', code, '{}', now(), now(), 1
                FROM unnest(ARRAY['A', 'A', 'B']) AS code
            """),
            {"depot_id": depot_id},
        )
    await figures.read()
    told = {
        (each.name, tuple(each.labels.values())): each.value for family in figures.collect() for each in family.samples
    }
    assert 90 <= told["manage_outbox_age_seconds", ()] < 600
    assert told["manage_backfills", ("FAILED",)] == 1
    assert (told["manage_open_remediations", ("A",)], told["manage_open_remediations", ("B",)]) == (2, 1)
    assert told["manage_depots", ("PENDING", "NONE")] == 1


async def test_capabilities_are_counted_by_how_fresh_they_are(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site, silent = [await controller_site(engine) for _ in range(2)]
    await make_depot(engine, "without a controller")
    none = {("PEAK_SHAVING", "NONE"): 1, ("DER", "NONE"): 2}
    for seen_at, freshness in ((milliseconds() - 600_000, "STALE"), (milliseconds(), "FRESH")):
        sent = packet(site, seen_at, LIMIT_PEAK_SHAVING="true")
        answer = await api.post("/api/telemetry/packets", json=sent)
        assert answer.status_code == 200, answer.text
        assert await _counted(engine) == {("PEAK_SHAVING", freshness): 1, **none}
    # What no device supplies any more is not to be trusted; of what nothing was said, it is not counted.
    await _change(engine, "UPDATE sensor_actions SET enabled = false WHERE depot_id = :id", site.depot_id)
    assert await _counted(engine) == {("PEAK_SHAVING", "STALE"): 1, ("PEAK_SHAVING", "NONE"): 1, ("DER", "NONE"): 1}
    await _change(engine, "UPDATE microgrids SET retired_at = now() WHERE id = :id", silent.microgrid_id)
    assert await _counted(engine) == {("PEAK_SHAVING", "STALE"): 1}


async def test_a_microgrids_own_threshold_counts(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    sent = packet(site, milliseconds() - 600_000, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="true")
    answer = await api.post("/api/telemetry/packets", json=sent)
    assert answer.status_code == 200, answer.text
    answer = await api.patch(
        f"/api/microgrids/{site.microgrid_id}/freshness-thresholds", json={"thresholds": {"DER": 3600}}
    )
    assert answer.status_code == 200, answer.text
    assert await _counted(engine) == {("PEAK_SHAVING", "STALE"): 1, ("DER", "FRESH"): 1}


async def _change(engine: AsyncEngine, statement: str, subject_id: UUID | None) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement), {"id": subject_id})


async def _counted(engine: AsyncEngine) -> dict[tuple[str, str], float]:
    """The capabilities by capability and freshness; every other figure of them is 0."""
    figures = DatabaseFigures(engine)
    await figures.read()
    (told,) = (family for family in figures.collect() if family.name == "manage_capabilities")
    assert len(told.samples) == 6
    return {(each.labels["capability"], each.labels["freshness"]): each.value for each in told.samples if each.value}


async def test_who_scrapes_at_once_asks_the_database_once(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def read(_: AsyncEngine) -> list[Any]:
        nonlocal asked
        asked += 1
        return []

    monkeypatch.setattr("api.base.metrics.read_figures", read)
    figures = DatabaseFigures(engine)
    await asyncio.gather(*(figures.read() for _ in range(20)))
    assert asked == 1


async def test_without_a_database_the_process_tells_its_own(
    api: httpx.AsyncClient, engine: AsyncEngine, postgres_url: str, database_url: str
) -> None:
    await make_depot(engine, "A")
    async with database_away(postgres_url, database_url):
        away = (await api.get("/metrics")).text
        assert value(away, "manage_database_up") == 0
        assert value(away, "manage_outbox_rows") is None
        assert value(away, "manage_event_loop_lag_seconds_count") is not None
    assert value((await api.get("/metrics")).text, "manage_outbox_rows") == 2


async def test_imports_are_counted_by_what_became_of_them(api: httpx.AsyncClient) -> None:
    assert (await api.post("/api/depots/import", content=b"{}\n")).status_code == 200
    body = (await api.get("/metrics")).text
    assert value(body, "manage_imports_total", result="STORED") == 1
    assert value(body, "manage_imports_running") == 0


async def test_a_loop_that_is_held_up_is_seen() -> None:
    registry = CollectorRegistry()
    async with measuring_lag(registry):

        async def looked() -> bool:
            return bool(registry.get_sample_value("manage_event_loop_lag_seconds_count"))

        await until(looked)
    assert registry.get_sample_value("manage_event_loop_lag_seconds_count") is None


def test_a_sync_of_no_known_change_has_no_delay() -> None:
    registry = CollectorRegistry()
    SyncMetrics(registry)
    assert registry.get_sample_value("manage_sync_delay_seconds_count") == 0
