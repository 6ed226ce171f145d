"""`./dev backfill`: gives every depot of the legacy fleet its microgrid."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.client import Api, find_api
from cli.console import make_console
from cli.jobs import watch_job
from domain.base.jobs import JobState
from domain.provisioning.backfill import BackfillOutcome

_MEANINGS = {
    BackfillOutcome.CREATED: ("created", "would be created"),
    BackfillOutcome.ALREADY_PROVISIONED: ("already had a microgrid", "already have a microgrid"),
    BackfillOutcome.NO_TOP_LEVEL_CIRCUITS: ("have no top-level circuit", "have no top-level circuit"),
}


def run_backfill(*, dry_run: bool, page_size: int | None, watch: bool | None) -> int:
    """Start a backfill and watch it; 0 when it completed. ``watch`` None: as it suits the standard output."""
    console = make_console()
    return asyncio.run(_backfill(console, dry_run, page_size, console.is_terminal if watch is None else watch))


async def _backfill(console: Console, dry_run: bool, page_size: int | None, watch: bool) -> int:
    async with find_api() as api:
        started = await start_backfill(api, dry_run=dry_run, page_size=page_size)
        where = f"{api.url}/backfills/{started['backfill_id']}"
        if not watch:
            console.print(f"{'Dry run' if dry_run else 'Backfill'} started. See how far it is: {where}", soft_wrap=True)
            return 0
        try:
            ended = await watch_backfill(api, started, console)
        except asyncio.CancelledError:
            console.print(f"Stopped watching; the backfill continues: {where}", soft_wrap=True)
            raise
    print_backfill(console, ended)
    return 0 if ended["state"] == JobState.COMPLETED else 1


async def start_backfill(api: Api, *, dry_run: bool = False, page_size: int | None = None) -> dict[str, Any]:
    """Start a backfill; answer what the API says of it."""
    body: dict[str, object] = {"dry_run": dry_run}
    if page_size is not None:
        body["page_size"] = page_size
    return await api.create("/api/backfills", body)


async def watch_backfill(api: Api, backfill: dict[str, Any], console: Console) -> dict[str, Any]:
    """Show how far a backfill is until it has ended; answer what the API says of it then.

    Raises:
        CommandFailedError: the API is unavailable for too long. The backfill goes on by itself.

    """
    title = "Dry run" if backfill["dry_run"] else "Backfill"
    return await watch_job(api, f"/api/backfills/{backfill['backfill_id']}", backfill, console, title, _progress)


def print_backfill(console: Console, backfill: dict[str, Any]) -> None:
    """Print what a backfill came to."""
    state = JobState(backfill["state"])
    style = "green" if state is JobState.COMPLETED else "red"
    what = "Dry run" if backfill["dry_run"] else "Backfill"
    rate = backfill["rate_per_second"]
    speed = f", {rate:,.0f} a second" if rate else ""
    failure = f": {escape(backfill['failure'])}" if backfill["failure"] else ""
    console.print(f"[{style}]{what} {state.lower()}[/]{failure}. Depots: {backfill['depots_done']:,}{speed}")
    for outcome, count in backfill["outcomes"].items():
        meaning = _MEANINGS[BackfillOutcome(outcome)][1 if backfill["dry_run"] else 0]
        console.print(f"  {count:>9,}  {outcome:<22} [dim]{meaning}[/]", soft_wrap=True)
    if backfill["workflow_url"]:
        console.print(f"  [dim]{escape(backfill['workflow_url'])}[/]", soft_wrap=True)


def _progress(backfill: dict[str, Any]) -> tuple[int, int | None, str]:
    done, total = backfill["depots_done"], backfill["depots_total"]
    if total is None:
        return done, total, "counting the depots"
    rate = backfill["rate_per_second"]
    speed = f", {rate:,.0f} a second" if rate else ""
    paused = ", paused" if backfill["state"] == JobState.PAUSED else ""
    return done, total, f"{done:,} of {total:,} depots{speed}{paused}"
