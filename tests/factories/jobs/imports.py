"""Imports as jobs, begun through the API and waited for."""

from __future__ import annotations

from typing import Any

import httpx
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client

from tests.helpers.support import until

ROUTE = "/api/imports"


async def begin(api: httpx.AsyncClient, body: bytes, name: str = "fleet.ndjson", **headers: str) -> dict[str, Any]:
    answer = await api.post(ROUTE, content=body, params={"file_name": name}, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{ROUTE}/{answer.json()['import_id']}"
    return answer.json()


async def read(api: httpx.AsyncClient, import_id: str) -> dict[str, Any]:
    return (await api.get(f"{ROUTE}/{import_id}")).json()


async def reached(api: httpx.AsyncClient, import_id: str, *states: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found = await read(api, import_id)
        return found if found["state"] in states else None

    return await until(check)


async def told_to_stop(client: Client, workflow_id: str) -> None:
    """Wait until the worker has heard that the activity of an import is to stop."""
    handle = client.get_workflow_handle(workflow_id)
    beats: list[int] = []

    async def told() -> bool:
        beats.extend(
            pending.last_heartbeat_time.ToNanoseconds()
            for pending in (await handle.describe()).raw_description.pending_activities
            if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
        )
        # The answer to the first heartbeat after it was asked for says so.
        return len(set(beats)) > 1

    await until(told)
