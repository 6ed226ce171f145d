"""Whatever Temporal answers, callers get a problem with a stable code, and in time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runtime.settings import Settings
from tests.helpers.live import http_client, serving
from tests.helpers.support import follows, make_depot, until
from tests.helpers.worker_process import WorkerProcess


def failing(status: RPCStatusCode) -> Any:
    async def fail(*_: object, **__: object) -> NoReturn:
        raise RPCError("as the test wants it", status, b"")

    return fail


@pytest.mark.parametrize("status", [each for each in RPCStatusCode if each is not RPCStatusCode.OK])
async def test_every_status_is_a_problem(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, status: RPCStatusCode
) -> None:
    depot_id = await make_depot(engine, "A")
    monkeypatch.setattr("api.provisioning.microgrids.resync", failing(status))
    monkeypatch.setattr("api.provisioning.backfills.start_backfill", failing(status))
    for path in (f"/api/depots/{depot_id}/microgrid/resync", "/api/backfills"):
        answer = await api.post(path, json={})
        assert (answer.status_code, answer.json()["code"]) == (503, "TEMPORAL_UNAVAILABLE")
        assert answer.headers["Retry-After"]
        assert "as the test wants it" not in answer.text


async def test_a_resync_with_a_worker_that_hangs_is_answered_after_its_time(
    engine: AsyncEngine, client: Client, database_url: str, temporal_address: str, task_queue: str, tmp_path: Path
) -> None:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue, sync_timeout_seconds=2)
    depot_id = await make_depot(engine, "A")
    assert client.namespace == "default"
    worker = WorkerProcess(database_url, temporal_address, task_queue, tmp_path / "worker.log")
    with worker:
        await until(lambda: follows(engine, depot_id))
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            async with serving(settings) as address, http_client(address) as api:
                for _ in range(2):
                    answer = await api.post(f"/api/depots/{depot_id}/microgrid/resync")
                    assert (answer.status_code, answer.json()["code"]) == (504, "SYNC_TIMED_OUT")
        finally:
            os.kill(worker.pid, signal.SIGCONT)


async def test_a_temporal_that_does_not_answer_is_told_from_a_worker_that_does_not(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot_id = await make_depot(engine, "A")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{silent.getsockname()[1]}")
        settings = Settings(database_url=SecretStr(database_url))
        async with serving(settings) as address, http_client(address) as api:
            calls = [
                api.post(f"/api/depots/{depot_id}/microgrid/resync"),
                api.post("/api/backfills", json={}),
            ]
            for answer in await asyncio.gather(*calls):
                assert (answer.status_code, answer.json()["code"]) == (503, "TEMPORAL_UNAVAILABLE")
