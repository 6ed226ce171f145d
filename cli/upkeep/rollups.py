"""`./dev rollups`: how far readings are rolled up; holds rollups against their readings, and makes them right."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.markup import escape

from cli.client import find_api
from cli.console import make_console

_LOOK_EVERY = 0.5


def run_rollups(*, check: bool, days: int | None, repair: bool) -> int:
    """Print how far the upkeep of readings is, after a check where one is wanted; 1 where it found differences.

    Raises:
        CommandFailedError: the API is not there, or refused.

    """
    return asyncio.run(_rollups(check, days, repair))


async def _rollups(check: bool, days: int | None, repair: bool) -> int:
    console = make_console()
    async with find_api() as api:
        made = await api.create("/api/rollups/check", {"days": days, "repair": repair}) if check else None
        upkeep = await api.get("/api/rollups")
        while made is not None and not _has_ended(upkeep, made["check_id"]):
            await asyncio.sleep(_LOOK_EVERY)
            upkeep = await api.get("/api/rollups")
    for line in _lines(upkeep):
        console.print(escape(line), soft_wrap=True)
    return 1 if check and upkeep["last_check"]["differences"] else 0


def _has_ended(upkeep: dict[str, Any], check_id: str) -> bool:
    last = upkeep["last_check"]
    # Where somebody asked for another one meanwhile, that one is watched.
    return last is not None and last["finished_at"] is not None and last["check_id"] >= check_id


def _lines(upkeep: dict[str, Any]) -> list[str]:
    fill, last = upkeep["fill"], upkeep["last_check"]
    left = fill["gateways_left"]
    lines = [
        f"Stored packets: {left} gateways to be read, {fill['packets_read']:,} of their packets are"
        if left
        else "Stored packets: all are read into readings"
    ]
    if upkeep["complete_at"] is None:
        lines.append(f"Rollups: being made, {upkeep['stretches_left']:,} stretches left")
    else:
        lines.append(
            f"Rollups: complete until {upkeep['lag_seconds']:.0f} s ago, {upkeep['stretches_left']:,} stretches left"
        )
    if last is None:
        lines.append("Checks: none yet")
    else:
        what = "made right" if last["repair"] else "left as they are"
        found = (
            f"{last['differences']:,} buckets differed and were {what}" if last["differences"] else "no bucket differs"
        )
        state = "finished" if last["finished_at"] else "goes on"
        lines.append(f"Last check ({state}): {last['compared']:,} days of devices and microgrids compared, {found}")
    return lines
