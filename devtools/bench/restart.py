"""`./dev bench restart`: from the kill of a process until its work is done again, beside the mere start of one.

The process is started again at once, as `./dev up` does. What a kill costs beyond the start is how long Temporal waits
for the process that is gone, and what our own code waits for.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.client import Api, UnreachableError
from cli.place import ROOT
from devtools.bench.product import Product, running_product

_LOOK_EVERY = 0.05
_LONGEST = 120.0


async def run(rounds: int, depots: int) -> int:
    """Measure and print."""
    console = Console()
    imports = {name: [_import_of(name) for _ in range(rounds)] for name in ("worker", "api.main")}
    first: list[float] = []
    all_of_them: list[float] = []
    answers: list[float] = []
    async with running_product() as product, Api(product.api.url) as api:
        changing = [await _depot(api, number) for number in range(depots)]
        for number in range(rounds):
            one, last = await _kill_worker(product, api, changing, number)
            first.append(one)
            all_of_them.append(last)
            answers.append(await _kill_api(product))
    load = os.getloadavg()[0]
    table = Table(title=f"Seconds after kill -9, {rounds} rounds, load average {load:.1f}")
    for column in ("what", "median", "worst", "of the start"):
        table.add_column(column, justify="left" if column == "what" else "right")
    worker, server = median(imports["worker"]), median(imports["api.main"])
    rows = {
        "baseline: a process that imports the worker": (imports["worker"], worker),
        "worker: a change made after the kill is in step": (first, worker),
        f"worker: all {depots} changes around the kill are in step": (all_of_them, worker),
        "baseline: a process that imports the API": (imports["api.main"], server),
        "API: it answers /readyz": (answers, server),
    }
    for what, (seconds, baseline) in rows.items():
        table.add_row(what, f"{median(seconds):.2f}", f"{max(seconds):.2f}", f"{median(seconds) / baseline:.2f}")
    console.print(table)
    return 0


def _import_of(module: str) -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=ROOT, check=True)  # noqa: S603
    return time.monotonic() - begun


async def _depot(api: Api, number: int) -> str:
    body = {"name": f"Restart {number}", "timezone": "Etc/UTC", "circuits": [{"name": "Feed"}]}
    made = await api.create("/api/depots", body)
    await _in_step(api, made["depot_id"], "Feed")
    return made["depot_id"]


async def _kill_worker(product: Product, api: Api, depots: Sequence[str], number: int) -> tuple[float, float]:
    """Change every depot while the worker is killed; seconds until a later change and until all are in step."""
    name = f"Round {number}"
    before, after = depots[: len(depots) // 2], depots[len(depots) // 2 :]
    await asyncio.gather(*(_add(api, depot, name) for depot in before))
    killed = time.monotonic()
    product.worker.kill()
    await asyncio.to_thread(product.worker.wait, 10)
    await asyncio.to_thread(product.worker.launch)
    await asyncio.gather(*(_add(api, depot, name) for depot in after))
    first = asyncio.create_task(_in_step(api, after[0], name))
    await asyncio.gather(first, *(_in_step(api, depot, name) for depot in depots))
    return first.result() - killed, time.monotonic() - killed


async def _kill_api(product: Product) -> float:
    killed = time.monotonic()
    product.api.kill()
    await asyncio.to_thread(product.api.wait, 10)
    await asyncio.to_thread(product.api.start)
    return time.monotonic() - killed


async def _add(api: Api, depot_id: str, name: str) -> None:
    await api.create(f"/api/depots/{depot_id}/circuits", {"name": name})


async def _in_step(api: Api, depot_id: str, name: str) -> float:
    """Wait until a grid connection of that name is there; answer when it was."""
    begun = time.monotonic()
    while time.monotonic() - begun < _LONGEST:
        if name in await _connections(api, depot_id):
            return time.monotonic()
        await asyncio.sleep(_LOOK_EVERY)
    raise TimeoutError(f"The depot {depot_id} has no grid connection {name} after {_LONGEST:.0f} s.")


async def _connections(api: Api, depot_id: str) -> list[str]:
    if not (await _read(api, f"/api/depots/{depot_id}")).get("microgrid_id"):
        return []
    microgrid = await _read(api, f"/api/depots/{depot_id}/microgrid")
    return [str(each["name"]) for each in microgrid["grid_connections"]]


async def _read(api: Api, path: str) -> dict[str, Any]:
    try:
        return await api.get(path)
    except UnreachableError:
        return {"grid_connections": []}
