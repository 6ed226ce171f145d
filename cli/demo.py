"""The demonstration in `./dev up`: a fleet comes in and every depot gets its microgrid."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from cli.backfill import print_backfill, start_backfill, watch_backfill
from cli.client import Api
from cli.fleet_import import take_in


async def has_depots(api: Api) -> bool:
    """Say whether there is a fleet already."""
    return bool((await api.get("/api/depots", limit=1))["items"])


async def demonstrate(api: Api, fleet: Path, report: Path, console: Console) -> None:
    """Import the fleet, run the backfill, and print what they came to."""
    console.print()
    await take_in(api, fleet, report, console)
    print_backfill(console, await watch_backfill(api, await start_backfill(api), console))
