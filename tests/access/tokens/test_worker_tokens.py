"""The worker proves to the API that it is the product's own, where people sign in, so scenarios run there too."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.manage_api import ManageApi, RefusedError
from domain.access.secrets import SecretKind, digest_of, make_secret
from runtime.settings import Settings
from store.access.tables import worker_tokens
from store.access.worker_tokens import create_worker_token
from tests.access.sites import told
from tests.access.tokens.made import wanted
from tests.factories.scenario_sites import make_depots, run_scenario
from tests.helpers.live import serving, working
from tests.helpers.openid import Surfer, signing_in


async def test_scenarios_run_where_people_sign_in(
    engine: AsyncEngine, database_url: str, client: Client, task_queue: str, tmp_path: Path
) -> None:
    async with (
        serving(Settings(database_url=SecretStr(database_url), task_queue=task_queue)) as local,
        working(client, engine, task_queue, api_url=local),
    ):
        (depot_id,) = await make_depots(local, 1)
    async with (
        signing_in(database_url, tmp_path, task_queue=task_queue) as (url, _),
        working(client, engine, task_queue, api_url=url),
        Surfer() as ada,
        httpx.AsyncClient(base_url=url, timeout=60) as api,
    ):
        await ada.sign_in(f"{url}/", "administrator")
        made = await ada.change("POST", f"{url}/api/tokens", json=wanted(("administrator", None)))
        api.headers["authorization"] = f"Bearer {made.json()['secret']}"
        first, _ = await run_scenario(api, depot_id, "quick-look")
        assert first["outcome"] == "PASSED"
        async with engine.begin() as connection:
            actors = await connection.execute(text("SELECT DISTINCT recorded_by FROM capability_events"))
            assert actors.scalars().all() == ["worker:scenario-runs"]
            # What it holds ends; it makes another one.
            await connection.execute(update(worker_tokens).values(expires_at=func.now()))
        again, _ = await run_scenario(api, depot_id, "quick-look")
        assert again["outcome"] == "PASSED"


async def test_a_workers_token_reads_and_sends_and_does_nothing_else(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    token = make_secret(SecretKind.WORKER, bytes(32))
    async with engine.begin() as connection:
        await create_worker_token(connection, digest_of(token))
    async with (
        signing_in(database_url, tmp_path) as (url, _),
        httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {token}"}) as api,
    ):
        assert (await api.get("/api/depots")).status_code == 200
        for path, body in (("/api/depots", {"name": "A", "timezone": "UTC"}), ("/api/backfills", {"dry_run": True})):
            assert told(await api.post(path, json=body)) == (403, "NOT_PERMITTED")
        async with engine.begin() as connection:
            await connection.execute(update(worker_tokens).values(expires_at=func.now()))
        assert told(await api.get("/api/depots")) == (401, "TOKEN_REFUSED")
    async with engine.begin() as connection:
        await create_worker_token(connection, bytes(32))
        assert (await connection.execute(select(worker_tokens.c.digest))).scalars().all() == [bytes(32)]


async def test_without_a_token_to_make_the_api_is_asked_once(database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, _):
        api = ManageApi(url)
        with pytest.raises(RefusedError, match="SIGN_IN_REQUIRED"):
            await api.open_remediations(UUID(int=1))
        await api.close()
