"""`./dev token`: creates, lists and revokes API tokens."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.markup import escape
from rich.table import Table

from cli.client import Api, RefusedError, find_api
from cli.commands.resync import find_depot
from cli.console import make_console
from domain.access.roles import Role

_PATH = "/api/tokens"


def run_create(name: str, roles: tuple[Role, ...], depots: tuple[str, ...], days: int) -> int:
    """Create a token with these roles at these depots, or at all, and print it: it is shown this once.

    Raises:
        CommandFailedError: the API refused, or a depot's name means none or several.

    """
    return asyncio.run(_create(name, roles, depots, days))


async def _create(name: str, roles: tuple[Role, ...], depots: tuple[str, ...], days: int) -> int:
    async with find_api() as api:
        places = [await find_depot(api, each) for each in depots] or [None]
        grants = [{"role": role, "depot_id": place} for role in roles for place in places]
        ends = datetime.now(UTC) + timedelta(days=days)
        made = await api.post(_PATH, {"name": name, "grants": grants, "expires_at": ends.isoformat()})
    sys.stderr.write(f"Token {made['token_id']} ends on {ends:%Y-%m-%d}. It is shown this once:\n")
    # Alone on standard output, so that a script can put it where it belongs.
    sys.stdout.write(f"{made['secret']}\n")
    return 0


def run_list() -> int:
    """List the tokens that one may see.

    Raises:
        CommandFailedError: the API refused.

    """
    return asyncio.run(_list())


async def _list() -> int:
    async with find_api() as api:
        found = await _all(api)
        names: dict[str | None, str] = {None: "all depots"}
        for depot_id in {each["depot_id"] for token in found for each in token["grants"]} - {None}:
            names[depot_id] = await _name_of(api, depot_id)
    table = Table("token", "name", "owner", "roles", "ends", "last used", box=None)
    for token in found:
        roles = ", ".join(f"{each['role']} of {names[each['depot_id']]}" for each in token["grants"])
        ends = f"{token['expires_at'][:10]}{' (ended)' if token['is_expired'] else ''}"
        used = "never" if token["used_at"] is None else f"{token['used_at'][:16].replace('T', ' ')} UTC"
        cells = (token["token_id"], token["name"], token["owner"], roles, ends, used)
        table.add_row(*(escape(each) for each in cells))
    console = make_console()
    console.print(table if found else "There are no tokens.")
    return 0


async def _name_of(api: Api, depot_id: str) -> str:
    try:
        return (await api.get(f"/api/depots/{depot_id}"))["name"]
    except RefusedError:
        # It is one that whoever asks may not see any more.
        return depot_id


async def _all(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        page = await api.get(_PATH, **more)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        more = {"cursor": page["next_cursor"]}


def run_revoke(token_id: str) -> int:
    """Revoke a token.

    Raises:
        CommandFailedError: there is none, or the API refused.

    """
    return asyncio.run(_revoke(token_id))


async def _revoke(token_id: str) -> int:
    async with find_api() as api:
        await api.delete(f"{_PATH}/{token_id}")
    make_console().print("Revoked.")
    return 0
