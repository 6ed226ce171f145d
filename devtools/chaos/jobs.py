"""Jobs in the middle of the faults: imports with backfills, exports, and scenario runs one after the other."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta

from devtools.chaos.caller import Answer, Caller, Request
from fleet.make_fleet import lines

PRESETS = ("quick-look", "soc-sweep", "peak-shaving", "der-export-limit")
"""Scenarios that measure no real time."""
_SEED = 7
_DEPOTS = 150
"""Depots of one import."""
_PAGE_SIZE = 5
_PAUSE = 0.5
_WINDOW = timedelta(days=3650)
"""So far an export reads back, and a day ahead: a dozen slices, each a step of its own, and all that was ever sent."""
_PAUSED_AFTER = 0.2
"""Seconds after its start that a job is paused."""


async def _until_done(caller: Caller, request: Request) -> Answer:
    """Ask again and again until it is done."""
    while True:
        answer = await caller.send(request)
        if answer.acknowledged:
            return answer
        await asyncio.sleep(_PAUSE)


async def _pause(caller: Caller, path: str) -> None:
    """Ask once for a job to pause, whatever comes of it. Whoever waits for its end lets it go on."""
    await asyncio.sleep(_PAUSED_AFTER)
    await caller.send(Request("PAUSE", {"job": path}, "POST", f"{path}/pause"))


async def import_and_backfill(caller: Caller, seed: int, after: float, *, is_job: bool) -> None:
    """Import a legacy fleet ``after`` so many seconds, and give its depots their microgrids.

    ``is_job``: the import is a job, which is paused, and not one request.
    """
    await asyncio.sleep(after)
    given = list(lines(_DEPOTS, seed, flaws=False))
    rows = [json.loads(line) for line in given]
    depots = [row["id"] for row in rows if row["type"] == "depot"]
    lines_given = "".join(given).encode()
    content = {"Content-Type": "application/x-ndjson"}
    asked = {"depots": depots}
    if is_job:
        asking = Request(
            "IMPORT", asked, "POST", "/api/imports", lines_given, content, ("import_id",), is_repeatable=True
        )
        path = f"/api/imports/{(await _until_done(caller, asking)).document['import_id']}"
        await _pause(caller, path)
        await _until_ended(caller, path)
    else:
        await _until_done(caller, Request("IMPORT", asked, "POST", "/api/depots/import", lines_given, content))
    body = {"page_size": _PAGE_SIZE}
    kept = ("backfill_id",)
    started = await _until_done(
        caller,
        Request("BACKFILL", asked, "POST", "/api/backfills", body, kept=kept, is_repeatable=True),
    )
    path = f"/api/backfills/{started.document['backfill_id']}"
    await _pause(caller, path)
    await _until_ended(caller, path)


async def export_readings(caller: Caller, after: float) -> None:
    """Have a file made of all readings ``after`` so many seconds."""
    await asyncio.sleep(after)
    now = datetime.now(UTC)
    body = {
        "kind": "readings",
        "since": (now - _WINDOW).isoformat(),
        "until": (now + timedelta(days=1)).isoformat(),
    }
    asking = Request("EXPORT", {}, "POST", "/api/exports", body, kept=("export_id",), is_repeatable=True)
    path = f"/api/exports/{(await _until_done(caller, asking)).document['export_id']}"
    await _pause(caller, path)
    await _until_ended(caller, path)


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
        state = answer.document.get("state")
        if answer.acknowledged and state not in ("RUNNING", "PAUSED"):
            return
        if state == "PAUSED":
            await caller.send(Request("RESUME", {"job": path}, "POST", f"{path}/resume"))
        await asyncio.sleep(_PAUSE)
