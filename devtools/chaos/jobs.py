"""Jobs in the middle of the faults: imports with backfills, and scenario runs one after the other."""

from __future__ import annotations

import asyncio
import json
import random

from devtools.chaos.caller import Answer, Caller, Request
from fleet.make_fleet import lines

PRESETS = ("quick-look", "soc-sweep", "peak-shaving", "der-export-limit")
"""Scenarios that measure no real time."""
_SEED = 7
_DEPOTS = 150
"""Depots of one import."""
_PAGE_SIZE = 5
_PAUSE = 0.5


async def _until_done(caller: Caller, request: Request) -> Answer:
    """Ask again and again until it is done."""
    while True:
        answer = await caller.send(request)
        if answer.acknowledged:
            return answer
        await asyncio.sleep(_PAUSE)


async def import_and_backfill(caller: Caller, seed: int, after: float) -> None:
    """Import a legacy fleet ``after`` so many seconds, and give its depots their microgrids."""
    await asyncio.sleep(after)
    given = list(lines(_DEPOTS, seed, flaws=False))
    rows = [json.loads(line) for line in given]
    depots = [row["id"] for row in rows if row["type"] == "depot"]
    lines_given = "".join(given).encode()
    content = {"Content-Type": "application/x-ndjson"}
    await _until_done(caller, Request("IMPORT", {"depots": depots}, "POST", "/api/depots/import", lines_given, content))
    body = {"page_size": _PAGE_SIZE}
    kept = ("backfill_id",)
    started = await _until_done(
        caller,
        Request("BACKFILL", {"depots": depots}, "POST", "/api/backfills", body, kept=kept, is_repeatable=True),
    )
    await _until_ended(caller, f"/api/backfills/{started.document['backfill_id']}")


async def run_undisturbed(caller: Caller, depot_id: str) -> None:
    """Run each preset once, before anything is disturbed: all later runs are compared with these."""
    for preset in PRESETS:
        await _run(caller, depot_id, preset)


async def keep_running(caller: Caller, depot_id: str, seed: str) -> None:
    """Run scenario after scenario until cancelled."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    while True:
        await _run(caller, depot_id, chance.choice(PRESETS))
        await asyncio.sleep(chance.uniform(0.5, 2))


async def _run(caller: Caller, depot_id: str, preset: str) -> None:
    body = {"depot_id": depot_id, "scenario": preset, "seed": _SEED}
    asked = {"depot_id": depot_id, "preset": preset, "seed": _SEED}
    started = await _until_done(
        caller, Request("RUN", asked, "POST", "/api/scenario-runs", body, kept=("run_id",), is_repeatable=True)
    )
    await _until_ended(caller, f"/api/scenario-runs/{started.document['run_id']}")


async def _until_ended(caller: Caller, path: str) -> None:
    while True:
        answer = await caller.read(path)
        if answer.acknowledged and answer.document["state"] not in ("RUNNING", "PAUSED"):
            return
        await asyncio.sleep(_PAUSE)
