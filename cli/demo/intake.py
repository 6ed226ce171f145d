"""The demonstration in `./dev up`: a fleet comes in, every depot gets its microgrid, and one is brought to life."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from cli.client import Api
from cli.commands.backfill import print_backfill, start_backfill, watch_backfill
from cli.commands.fleet_import import take_in
from cli.commands.scenario_run import start_scenario, watch_run
from cli.commands.simulation_site import DEPOT, everything, simulation_depot


async def has_depots(api: Api) -> bool:
    """Say whether there is a fleet already."""
    return bool((await api.get("/api/depots", limit=1))["items"])


async def demonstrate(api: Api, fleet: Path, report: Path, console: Console, *, allow_simulation: bool = False) -> None:
    """Import the fleet, run the backfill, and print what they came to.

    An import allows no simulation; of a fleet that is there to be tried out, ``allow_simulation`` lets its depots do.
    """
    console.print()
    await take_in(api, fleet, report, console)
    if allow_simulation:
        for depot in await everything(api, "/api/depots"):
            await api.patch(f"/api/depots/{depot['depot_id']}", {"allows_simulation": True})
    print_backfill(console, await watch_backfill(api, await start_backfill(api), console))


async def run_demo_scenario(api: Api, console: Console) -> None:
    """Run a short scenario on one depot, so that its pages show a controller's packets and what came of them."""
    depot_id = await simulation_depot(api)
    body = {"depot_id": depot_id, "scenario": "quick-look"}
    run = await watch_run(api, await start_scenario(api, body), console)
    console.print(
        f"The scenario quick-look on the {DEPOT}: {str(run['outcome']).lower()}, {run['checks_passed']} expectations "
        "passed. See ./dev scenario list for others.",
        soft_wrap=True,
    )
