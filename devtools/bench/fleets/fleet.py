"""`./dev bench fleet`: what the list of depots costs in a large fleet, beside what it costs in a small one."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import text

from api.main import create_app
from cli.errors import CommandFailedError
from devtools.bench.stage import Databases, databases
from domain.monitoring.depot_orders import DepotOrder
from runtime.settings import Settings
from store.base.database import make_engine
from store.site.fleet.fleet_list import add_counts_up

_ASKED = {
    "overview": "/",
    "page": "/depots",
    "page, searched": "/depots?search=depot",
    "page, one letter": "/depots?search=e",
    "page, nothing found": "/depots?search=zqx",
    "page, stale": "/depots?freshness=STALE",
    "list": "/api/depots",
    "list, failed": "/api/depots?provisioning=FAILED",
    "list, pending": "/api/depots?provisioning=PENDING",
    "list, fresh": "/api/depots?freshness=FRESH",
    "list, stale": "/api/depots?freshness=STALE",
    "list, without status": "/api/depots?freshness=NONE",
    "list, both filters": "/api/depots?provisioning=FAILED&freshness=NONE",
    **{
        f"list by {order.lower().replace('_', '-')}{', turned round' if turned else ''}": (
            f"/api/depots?sort={order}&descending={'true' if turned else 'false'}"
        )
        for order in DepotOrder
        for turned in (False, True)
    },
    "list by status, fresh": "/api/depots?sort=STATUS&freshness=FRESH",
    "search, worst first": "/api/depots?sort=WORST&search=depot%2017",
    "page, worst first": "/depots?sort=WORST",
    "search": "/api/depots?search=depot%2017",
    "search, words turned round": "/api/depots?search=17%20depot",
    "search, an id": "/api/depots?search=018f4e6c-0000-7000-8000-000000000000",
    "search, nothing found": "/api/depots?search=zqx",
    "figures": "/metrics",
}
# One in fifty could not be provisioned, nine in ten report, and of those one in ten was silent for too long.
_STATES = [
    """
    UPDATE depots SET name = 'Depot ' || name,
        provisioning = CASE WHEN n.number % 50 = 0 THEN 'FAILED' WHEN n.number % 3 = 0 THEN 'PENDING'
            ELSE 'PROVISIONED' END,
        provisioning_code = CASE WHEN n.number % 50 = 0 THEN 'NO_TOP_LEVEL_CIRCUITS' END
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM depots) AS n WHERE n.id = depots.id
    """,
    """
    UPDATE depot_list SET freshness = CASE WHEN n.number % 10 = 1 THEN 'STALE' ELSE 'FRESH' END
    FROM (SELECT depot_id, row_number() OVER (ORDER BY depot_id) AS number FROM depot_list) AS n
    WHERE n.depot_id = depot_list.depot_id AND n.number % 10 <> 0
    """,
    """
    INSERT INTO fresh_depots (depot_id, fresh_until)
    SELECT depot_id, now() + interval '1 day' FROM depot_list WHERE freshness = 'FRESH'
    """,
    """
    INSERT INTO depot_alarms (depot_id, priority, since, silent_controllers, fail_safe_circuits, fail_safe_since,
                              open_remediations, stale_since, stale_by_silence)
    SELECT depot_id, CASE WHEN n.number % 100 = 1 THEN 1 ELSE 3 END, n.moment, 0, CAST(n.number % 100 = 1 AS integer),
           CASE WHEN n.number % 100 = 1 THEN n.moment END, 0, n.moment, false
    FROM (
        SELECT depot_id, number, now() - make_interval(secs => number) AS moment
        FROM (SELECT depot_id, row_number() OVER (ORDER BY depot_id) AS number FROM depot_list) AS numbered
    ) AS n
    WHERE n.number % 10 = 1
    ON CONFLICT (depot_id) DO UPDATE SET stale_since = excluded.stale_since
    """,
]


async def run(small: int, large: int, rounds: int) -> int:
    """Measure and print."""
    console = Console()
    async with databases() as made, AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(_fleet(made, size)) for size in (small, large)]
        table = Table(title="The list of depots, milliseconds (median)")
        for column in ("", f"{small:,} depots", f"{large:,} depots", "ratio"):
            table.add_column(column, justify="right" if column else "left")
        for what, path in track(_ASKED.items(), description="asking", console=console, transient=True):
            took: list[list[float]] = [[], []]
            for _ in range(rounds):
                for place, caller in enumerate(callers):
                    took[place].append(await _ask(caller, path))
            one, other = (median(each[1:] or each) * 1000 for each in took)
            table.add_row(what, f"{one:.1f}", f"{other:.1f}", f"{other / one:.2f}")
        console.print(table)
    return 0


@asynccontextmanager
async def _fleet(made: Databases, depots: int) -> AsyncGenerator[httpx.AsyncClient]:
    """The API in this process, on a fleet of so many depots."""
    name = f"fleet_{depots}"
    await made.fill(name, depots)
    engine = make_engine(made.url_of(name), pool_size=1)
    async with engine.begin() as connection:
        for statement in _STATES:
            await connection.execute(text(statement))
        await add_counts_up(connection)
    await engine.dispose()
    await made.execute(name, "VACUUM ANALYZE")
    application = create_app(Settings(database_url=SecretStr(made.url_of(name))))
    transport = httpx.ASGITransport(application)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as caller,
    ):
        yield caller


async def _ask(caller: httpx.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    answer = await caller.get(path)
    took = time.perf_counter() - began
    if not answer.is_success:
        raise CommandFailedError(f"{path} answered {answer.status_code}")
    return took
