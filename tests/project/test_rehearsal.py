"""The deployment rehearsed: its roles, its namespace and its processes, started as Compose starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from temporalio.client import Client

from fleet.make_fleet import lines
from runtime.servers.processes import free_port
from store.base.database import make_engine
from tests.conftest import executable
from tests.factories.scenario_sites import make_depots, run_scenario
from tests.helpers.deployed import ROOT, environment_of, interpolate, lay_out_image, load_compose, roles_and_databases
from tests.helpers.live import http_client
from tests.helpers.support import until


@pytest.fixture
def databases(postgres_url: str) -> Iterator[None]:
    """The deployment's databases and roles on the test server."""
    with roles_and_databases(postgres_url):
        yield


def here(given: Mapping[str, str], postgres_url: str, **replaced: str) -> dict[str, str]:
    """Turn a container's environment into one that leads to the servers of this test."""
    found = os.environ | given | replaced
    for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL"):
        if name in given:
            url = make_url(given[name])
            assert (url.host, url.port) == ("postgres", 5432)
            local = make_url(postgres_url).set(username=url.username, password=url.password, database=url.database)
            found[name] = local.render_as_string(hide_password=False)
    return found


@asynccontextmanager
async def running(
    command: list[str], cwd: Path, environment: dict[str, str], ends_with: int
) -> AsyncGenerator[subprocess.Popen[bytes]]:
    """A process while the block runs; SIGTERM must end it within the time that Compose gives it."""
    process = subprocess.Popen(command, cwd=cwd, env=environment)  # noqa: ASYNC220
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == ends_with
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The files of the image."""
    return lay_out_image(tmp_path)


@pytest.fixture
def prepared(databases: None, postgres_url: str, temporal_address: str, image: Path) -> None:
    """The two one-shot services have run, twice, as they do when the deployment is started again."""
    services = load_compose()["services"]
    namespace = environment_of("temporal-namespace") | {"TEMPORAL_ADDRESS": temporal_address}
    namespace["PATH"] = os.pathsep.join([str(Path(executable("temporal")).parent), os.environ["PATH"]])
    script = [services["temporal-namespace"]["entrypoint"][0], ROOT / "deploy/temporal/namespace.sh"]
    migrate = [sys.executable, *services["migrate"]["command"][1:]]
    for _ in ("first", "again"):
        subprocess.run(script, check=True, env=os.environ | namespace, timeout=60)
        environment = here(environment_of("migrate"), postgres_url)
        subprocess.run(migrate, check=True, cwd=image, env=environment, timeout=60)


async def test_the_deployment_provisions_with_the_roles_it_has(
    prepared: None, postgres_url: str, temporal_address: str, image: Path
) -> None:
    services = load_compose()["services"]
    port = free_port()

    # Every address of this machine stands for the gateway, from which both callers and proxies come.
    front = {"MANAGE_FRONT_SUBNET": "127.0.0.0/8"}
    worker = [sys.executable, *services["worker"]["command"][1:]]
    api = [executable("uvicorn"), *(interpolate(each, **front) for each in services["api"]["command"][1:])]
    api = [each.replace("0.0.0.0", "127.0.0.1").replace("8000", str(port)) for each in api]
    address = f"http://127.0.0.1:{port}"
    worker_environment = here(
        environment_of("worker"), postgres_url, TEMPORAL_ADDRESS=temporal_address, MANAGE_API_URL=address
    )
    api_environment = here(environment_of("api", **front), postgres_url, TEMPORAL_ADDRESS=temporal_address)
    async with (
        running(worker, image, worker_environment, ends_with=0),
        running(api, image, api_environment, ends_with=-signal.SIGTERM) as process,
        http_client(address) as caller,
    ):
        await until(lambda: is_ready(caller, process))
        depot = {"name": "Arrow Road", "timezone": "America/Toronto", "circuits": [{"name": "Feed"}]}
        created = await caller.post("/api/depots", json=depot)
        assert created.status_code == 201, created.text
        depot_id = created.json()["depot_id"]
        await until(lambda: is_provisioned(caller, depot_id))
        microgrid = (await caller.get(f"/api/depots/{depot_id}/microgrid")).json()
        assert [node["name"] for node in microgrid["grid_connections"]] == ["Feed"]

        legacy = (await caller.post("/api/depots/import", content="".join(lines(5, seed=1, flaws=False)))).json()
        assert (legacy["landed"]["depots"], legacy["refused"]) == (5, 0)

        backfill_id = (await caller.post("/api/backfills", json={})).json()["backfill_id"]
        await until(lambda: is_completed(caller, backfill_id))

        await until(lambda: is_kept_up(temporal_address))
        (simulated,) = await make_depots(address, 1)
        assert (await run_scenario(caller, simulated, "quick-look"))[0]["outcome"] == "PASSED"
        proxied = await caller.get("/api/depots", headers={"X-Forwarded-For": "203.0.113.9"})
        assert proxied.json()["code"] == "ACCESS_REFUSED"

    await assert_only_rows(api_environment["DATABASE_URL"])


async def is_ready(caller: httpx.AsyncClient, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    try:
        return (await caller.get("/readyz")).json()["status"] == "READY"
    except httpx.TransportError:
        return False


async def is_provisioned(caller: httpx.AsyncClient, depot_id: str) -> bool:
    return (await caller.get(f"/api/depots/{depot_id}")).json()["provisioning"]["state"] == "PROVISIONED"


async def is_completed(caller: httpx.AsyncClient, backfill_id: str) -> bool:
    state = (await caller.get(f"/api/backfills/{backfill_id}")).json()["state"]
    assert state in ("RUNNING", "COMPLETED")
    return state == "COMPLETED"


async def is_kept_up(temporal_address: str) -> bool:
    """Whether the worker made its schedules and the application's role may do what they do."""
    namespace = environment_of("worker")["TEMPORAL_NAMESPACE"]
    client = await Client.connect(temporal_address, namespace=namespace)
    done = [run.workflow_type async for run in client.list_workflows("ExecutionStatus = 'Completed'")]
    watching = [run.id async for run in client.list_workflows("JobKind = 'CAPACITY_WATCH' AND Outcome = 'QUIET'")]
    return {"HistoryUpkeep", "DriftAudit"} <= set(done) and len(watching) == 1


async def assert_only_rows(database_url: str) -> None:
    """The role of API and worker cannot change the schema."""
    connection = await asyncpg.connect(database_url)
    try:
        for statement in (
            "CREATE TABLE mine ()",
            "ALTER TABLE depots ADD mine text",
            "DROP TABLE depots",
            "TRUNCATE outbox",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_an_address_may_say_what_postgresql_lets_it_say(database_url: str) -> None:
    url = make_url(database_url).update_query_dict({"sslmode": "disable", "application_name": "elsewhere"})
    engine = make_engine(url.render_as_string(hide_password=False))
    try:
        async with engine.connect() as connection:
            assert (await connection.execute(text("SHOW application_name"))).scalar_one() == "elsewhere"
    finally:
        await engine.dispose()
