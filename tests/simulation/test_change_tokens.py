"""Change tokens differ as soon as something that is watched has changed, also where it is as it was again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.access.principals import EVERYWHERE, DepotScope
from store.simulation.change_tokens import backfill_list_token, backfill_tokens, run_list_token, run_tokens
from tests.helpers.support import make_depot

Tokens = Callable[[AsyncConnection, list[UUID]], Awaitable[dict[UUID, str]]]
ListToken = Callable[[AsyncConnection, DepotScope], Awaitable[str]]

_BACKFILL = """
    INSERT INTO backfills (dry_run, page_size, state, requested_by) VALUES (false, 10, 'RUNNING', 'a test') RETURNING id
"""
_RUN = """
    INSERT INTO scenario_runs (scenario, title, document, digest, depot_id, seed, time_scale, bindings, targets,
                               warnings, run_record, state, steps_total, requested_by)
    VALUES ('a', 'A', '', '', :depot, 1, 0, '{}', '{}', '[]', '{}', 'RUNNING', 5, 'a test') RETURNING id
"""


@pytest.mark.parametrize(
    ("table", "made", "tokens", "list_token"),
    [
        ("backfills", _BACKFILL, backfill_tokens, backfill_list_token),
        ("scenario_runs", _RUN, run_tokens, run_list_token),
    ],
)
async def test_a_pause_and_a_resume_between_two_looks_are_seen(
    engine: AsyncEngine, table: str, made: str, tokens: Tokens, list_token: ListToken
) -> None:
    depot_id = await make_depot(engine)

    async def run(statement: str, **given: Any) -> Any:
        async with engine.begin() as connection:
            return await connection.execute(text(statement), given)

    async def look() -> tuple[str, str]:
        async with engine.connect() as connection:
            return (await tokens(connection, [one]))[one], await list_token(connection, EVERYWHERE)

    one: UUID = (await run(made, **({"depot": depot_id} if ":depot" in made else {}))).scalar_one()
    before = await look()
    assert await look() == before
    for state in ("PAUSED", "RUNNING"):
        await run(f"UPDATE {table} SET state = '{state}' WHERE id = '{one}'")
    after = await look()
    assert after[0] != before[0]
    assert after[1] != before[1]
