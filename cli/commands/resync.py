"""`./dev resync`: makes a depot's microgrid equal to its circuits again."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from rich.markup import escape

from cli.client import Api, find_api
from cli.console import make_console
from cli.errors import CommandFailedError
from domain.base.names import best_matches
from domain.provisioning.outcomes import SyncOutcome, SyncResult

_MOST_CANDIDATES = 10


def run_resync(depot: str) -> int:
    """Resync the depot with this id or name and print what was repaired; 1 where it has no top-level circuit.

    Raises:
        CommandFailedError: no depot, or more than one, may be meant; or the API refused.

    """
    return asyncio.run(_resync(depot))


async def _resync(depot: str) -> int:
    async with find_api() as api:
        depot_id = await find_depot(api, depot)
        answer = await api.post(f"/api/depots/{depot_id}/microgrid/resync")
    result = TypeAdapter(SyncResult).validate_python(answer)
    good = result.outcome in (SyncOutcome.CREATED, SyncOutcome.CHANGED, SyncOutcome.UNCHANGED)
    style = "green" if good else "red"
    make_console().print(f"[{style}]{result.outcome}[/]  {escape(result.in_words())}", soft_wrap=True)
    return 0 if good else 1


async def find_depot(api: Api, depot: str) -> str:
    """Find the depot that an id or a name means.

    Raises:
        CommandFailedError: no depot, or more than one, may be meant.

    """
    try:
        return str(UUID(depot))
    except ValueError:
        pass
    found: list[dict[str, Any]] = (await api.get("/api/depots", search=depot, limit=500))["items"]
    chosen = best_matches(depot, found, lambda each: each["name"])
    if len(chosen) == 1:
        return chosen[0]["depot_id"]
    if not chosen:
        raise CommandFailedError(f"No depot's name contains {depot!r}.")
    more = ["…"] if len(chosen) > _MOST_CANDIDATES else []
    listed = [f"{each['depot_id']}  {each['name']}" for each in chosen[:_MOST_CANDIDATES]]
    raise CommandFailedError("\n".join([f"Several depots match {depot!r}:", *listed, *more]))
