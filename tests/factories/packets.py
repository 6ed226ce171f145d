"""Packets by HTTP, and what holds after them."""

from __future__ import annotations

from typing import Any

import httpx

from tests.factories.sites import MadeDepot

PATH = "/api/telemetry/packets"


async def latest(api: httpx.AsyncClient, site: MadeDepot) -> dict[str, dict[str, Any]]:
    """The latest status by capability."""
    answer = await api.get(f"/api/microgrids/{site.microgrid_id}/capability-status")
    assert answer.status_code == 200
    return {item["capability"]: item for item in answer.json()["items"]}


async def send(api: httpx.AsyncClient, body: Any) -> list[dict[str, Any]]:
    """Send packets that are taken as a whole; answers the items."""
    answer = await api.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]
