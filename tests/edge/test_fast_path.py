"""The fast path answers as the routes that it bypasses do, refusals included."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.edge.fast_path import FastPathMiddleware
from api.main import create_app
from runtime.settings import Settings
from tests.factories.sites import controller_site, milliseconds, packet

PACKETS = "/api/telemetry/packets"
_CHANGES = re.compile(r'("(?:packet_id|event_id|request_id)":\s*)"[^"]*"|("age_seconds":\s*)[\d.]+')
"""What two answers to the same request differ in."""


@asynccontextmanager
async def calling(app: FastAPI, place: str = "127.0.0.1") -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(place, 1))
    # What the fast path answers is never compressed.
    plain = {"accept-encoding": "identity"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=plain) as api:
        yield api


@asynccontextmanager
async def both(database_url: str) -> AsyncGenerator[tuple[FastAPI, FastAPI]]:
    """The application as it is, and without its fast path."""
    fast, plain = (create_app(Settings(database_url=SecretStr(database_url))) for _ in range(2))
    kept = [each for each in plain.user_middleware if each.cls is not FastPathMiddleware]
    assert len(kept) == len(plain.user_middleware) - 1
    plain.user_middleware[:] = kept
    async with fast.router.lifespan_context(fast), plain.router.lifespan_context(plain):
        yield fast, plain


def told(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """All that an answer says, but for what is new in every answer."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"content-length", "date", "vary", "x-request-id"}
    }
    return answer.status_code, headers, _CHANGES.sub(r'\1\2"…"', answer.text)


async def test_a_lane_answers_as_its_route(database_url: str, engine: AsyncEngine, client: Client) -> None:
    assert client.namespace == "default"
    site = await controller_site(engine)
    sent = packet(site, milliseconds(), LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT=None)
    microgrid = str(site.microgrid_id)
    latest = f"/api/microgrids/{microgrid}/capability-status"
    foreign = {"origin": "http://elsewhere.example"}
    requests: list[tuple[int, str, str, dict[str, Any]]] = [
        (200, "POST", PACKETS, {"json": sent}),
        (200, "POST", PACKETS, {"json": [sent, 17, sent | {"device_id": str(uuid4())}]}),
        (200, "POST", f"{PACKETS}?more=1", {"json": [sent]}),
        (422, "POST", PACKETS, {"json": []}),
        (422, "POST", PACKETS, {"json": 17}),
        (422, "POST", PACKETS, {"json": sent | {"timestamp": "now"}}),
        (400, "POST", PACKETS, {"content": b"{"}),
        (404, "POST", PACKETS, {"json": sent | {"device_id": str(uuid4())}}),
        (403, "POST", PACKETS, {"json": sent, "headers": foreign}),
        (403, "POST", PACKETS, {"json": sent, "headers": {"host": "elsewhere.example"}}),
        (405, "PUT", PACKETS, {"json": sent}),
        (307, "POST", f"{PACKETS}/", {"json": sent}),
        (200, "GET", latest, {}),
        (200, "GET", latest.replace(microgrid, microgrid.upper()), {}),
        (403, "GET", latest, {"headers": {"host": "elsewhere.example"}}),
        (405, "DELETE", latest, {}),
        (404, "GET", f"/api/microgrids/{uuid4()}/capability-status", {}),
        (422, "GET", "/api/microgrids/none/capability-status", {}),
    ]  # fmt: skip
    async with both(database_url) as (fast, plain):
        # From now on the packet is one that came before, for both.
        async with calling(plain) as api:
            assert (await api.post(PACKETS, json=sent)).status_code == 200
        for status, method, path, more in requests:
            async with calling(fast) as one, calling(plain) as other:
                first, second = [await each.request(method, path, **more) for each in (one, other)]
            assert first.status_code == status, (method, path, first.text)
            assert told(first) == told(second), (method, path)
        for app in (fast, plain):
            async with calling(app, "192.0.2.7") as api:
                assert (await api.get(latest)).status_code == 403
                assert (await api.post(PACKETS, json=sent)).status_code == 403


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_lane_says_that_the_database_is_away(method: str, client: Client) -> None:
    assert client.namespace == "default"
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    site = {"device_id": str(uuid4()), "timestamp": milliseconds(), "sensors": []}
    path = PACKETS if method == "POST" else f"/api/microgrids/{uuid4()}/capability-status"
    async with both(nowhere) as apps:
        answers: list[httpx.Response] = []
        for app in apps:
            async with calling(app) as api:
                answers.append(await api.request(method, path, json=site if method == "POST" else None))
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(503, "DATABASE_UNAVAILABLE")] * 2
    assert told(answers[0]) == told(answers[1])
