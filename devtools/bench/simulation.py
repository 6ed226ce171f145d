"""`./dev bench simulation`: steps a second beside the same packets posted in a loop, and equal hashes of equal runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from statistics import median
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from cli.client import Api, UnreachableError
from cli.commands.scenario_run import start_scenario
from cli.commands.simulation_site import simulation_depot
from devtools.bench.product import running_product
from domain.base.jobs import JobState
from domain.simulation.scenario_runs import RunOutcome
from sim_scenarios.evidence.evidence import read_evidence
from sim_scenarios.runs.library import preset, preset_names

_TIMED = "morning-pull-out"
"""Long enough to time, short enough for many at once."""
_BATCH = 60
_LOOK_EVERY = 0.05


async def run(rounds: int, at_once: int, runs: int) -> int:
    """Measure and print; 1 where equal runs gave unequal evidence, or one did not pass."""
    console = Console()
    async with running_product() as product, Api(product.api.url) as api:
        names = [f"Bench depot {number}" for number in range(max(at_once, runs))]
        depots = [await simulation_depot(api, name) for name in names]
        await _speed(console, api, depots, rounds, at_once)
        return await _hashes(console, api, depots[:runs])


async def _speed(console: Console, api: Api, depots: Sequence[str], rounds: int, at_once: int) -> None:
    steps = preset(_TIMED).steps
    alone: list[float] = []
    evidence = b""
    for _ in range(rounds):
        begun = time.monotonic()
        evidence = await _evidence(api, await _play(api, depots[0], _TIMED))
        alone.append(steps / (time.monotonic() - begun))
    begun = time.monotonic()
    await asyncio.gather(*(_play(api, depot, _TIMED) for depot in depots[:at_once]))
    together = steps * at_once / (time.monotonic() - begun)
    packets = await _packets(api, depots[0], evidence)
    table = Table(title=f"{_TIMED}, {steps} steps, time scale 0 (median of {rounds})")
    for column in ("what", "steps a second"):
        table.add_column(column, justify="right" if column == "steps a second" else "left")
    rows = {
        "one run": median(alone),
        f"{at_once} runs at once": together,
        "baseline: the same packets posted in a loop, one a request": await _baseline(api.url, packets, 1, rounds),
        f"baseline: the same packets posted in a loop, {_BATCH} a request": await _baseline(
            api.url, packets, _BATCH, rounds
        ),
    }
    for what, rate in rows.items():
        table.add_row(what, f"{rate:,.0f}")
    console.print(table)


async def _packets(api: Api, depot_id: str, evidence: bytes) -> list[dict[str, Any]]:
    gateway = (await api.get("/api/gateways", depot_id=depot_id))["items"][0]
    sent = [each["packet"] for step in read_evidence(evidence).steps for each in step["packets"]]
    return [{**packet, "device_id": gateway["gateway_id"]} for packet in sent]


async def _baseline(url: str, packets: Sequence[dict[str, Any]], size: int, rounds: int) -> float:
    rates: list[float] = []
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        for _ in range(rounds):
            begun = time.monotonic()
            for start in range(0, len(packets), size):
                now = time.time_ns() // 1_000_000
                body = [
                    {**packet, "timestamp": now + place} for place, packet in enumerate(packets[start : start + size])
                ]
                (await http.post("/api/telemetry/packets", json=body)).raise_for_status()
            rates.append(len(packets) / (time.monotonic() - begun))
    return median(rates)


async def _hashes(console: Console, api: Api, depots: Sequence[str]) -> int:
    good = True
    table = Table(title=f"Evidence of each preset over {len(depots)} runs")
    for column in ("preset", "passed", "different hashes", "SHA-256"):
        table.add_column(column, justify="right" if column in ("passed", "different hashes") else "left")
    for name in preset_names():
        # Each on a depot of its own; the depots' histories differ.
        runs = await asyncio.gather(*(_play(api, depot, name) for depot in depots))
        passed = sum(run["outcome"] == RunOutcome.PASSED for run in runs)
        hashes = {run["evidence_sha256"] for run in runs}
        good = good and passed == len(runs) and len(hashes) == 1
        table.add_row(name, f"{passed} of {len(runs)}", str(len(hashes)), ", ".join(sorted(hashes))[:64])
    console.print(table)
    return 0 if good else 1


async def _play(api: Api, depot_id: str, scenario: str) -> dict[str, Any]:
    # The baseline's packets were no simulated ones, so a run repeats the depot's name before it overwrites them.
    name = (await api.get(f"/api/depots/{depot_id}"))["name"]
    run = await start_scenario(api, {"depot_id": depot_id, "scenario": scenario, "confirm_depot_name": name})
    while not JobState(run["state"]).ended:
        await asyncio.sleep(_LOOK_EVERY)
        with suppress(UnreachableError):
            run = await api.get(f"/api/scenario-runs/{run['run_id']}")
    return run


async def _evidence(api: Api, run: dict[str, Any]) -> bytes:
    return await api.download(f"/api/scenario-runs/{run['run_id']}/evidence")
