"""Depots for scenario runs, made through the API, and runs on them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.client import Api
from cli.commands.simulation_site import simulation_depot
from domain.base.jobs import JobState
from store.base.database import transaction
from store.site.depots import update_depot
from tests.helpers.support import ACTOR, until

HEARTBEAT_SECONDS = 15
"""The heartbeat threshold of these depots. Here product, worker and runs share one process and few processors: a packet
may wait longer for its turn than the shortest threshold there is, and would be stale."""


async def make_depots(url: str, count: int) -> list[str]:
    """Make depots that are configured for every preset, each as the first one."""
    async with Api(url) as api:
        return [
            await simulation_depot(api, f"Simulation depot {number}", heartbeat_seconds=HEARTBEAT_SECONDS)
            for number in range(count)
        ]


async def allow_simulation(engine: AsyncEngine, depot_id: UUID) -> None:
    """Let scenarios run on a depot."""
    async with transaction(engine, ACTOR) as connection:
        await update_depot(connection, ACTOR, depot_id, {"allows_simulation": True})


async def run_into_remediation(api: httpx.AsyncClient, depot_id: str) -> dict[str, Any]:
    """Run a scenario whose controller is linked to no circuit, so that a remediation opens; answer the run."""
    devices = (await api.get("/api/devices", params={"depot_id": depot_id})).raise_for_status().json()["items"]
    (controller,) = [each for each in devices if each["sensor_id"] == "mgc-1"]
    (await api.patch(f"/api/devices/{controller['device_id']}", json={"circuit_id": None})).raise_for_status()
    run, _ = await run_scenario(api, depot_id, "quick-look", force=True)
    return run


async def begin(api: httpx.AsyncClient, depot_id: str, scenario: str, **more: Any) -> str:
    """Start a run; answer its id."""
    what = {"text": scenario} if "\n" in scenario else {"scenario": scenario}
    answer = await api.post("/api/scenario-runs", json={"depot_id": depot_id, **what, **more})
    assert answer.status_code == 202, answer.text
    return answer.json()["run_id"]


async def read(api: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    """Read a run."""
    return (await api.get(f"/api/scenario-runs/{run_id}")).raise_for_status().json()


async def ended(api: httpx.AsyncClient, run_id: str, seconds: float = 300) -> dict[str, Any]:
    """Wait for the end of a run, whatever goes away in the meantime."""

    async def check() -> dict[str, Any] | None:
        try:
            run = await read(api, run_id)
        except httpx.HTTPError:
            return None
        return run if JobState(run["state"]).ended else None

    return await until(check, seconds=seconds)


async def evidence_of(api: httpx.AsyncClient, run_id: str) -> bytes:
    """Download the evidence of a run."""
    return (await api.get(f"/api/scenario-runs/{run_id}/evidence")).raise_for_status().content


async def run_scenario(
    api: httpx.AsyncClient, depot_id: str, scenario: str, **more: Any
) -> tuple[dict[str, Any], bytes]:
    """Run a scenario to its end; answer the run and its evidence."""
    run_id = await begin(api, depot_id, scenario, **more)
    run = await ended(api, run_id)
    return run, await evidence_of(api, run_id)
