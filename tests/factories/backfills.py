"""Backfills, begun through the API and waited for."""

from __future__ import annotations

from typing import Any

import httpx

from tests.helpers.support import until


async def begin(api: httpx.AsyncClient, **body: Any) -> str:
    answer = await api.post("/api/backfills", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["backfill_id"]


async def read(api: httpx.AsyncClient, backfill_id: str) -> dict[str, Any]:
    return (await api.get(f"/api/backfills/{backfill_id}")).json()


async def reached(api: httpx.AsyncClient, backfill_id: str, *states: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found = await read(api, backfill_id)
        return found if found["state"] in states else None

    return await until(check)
