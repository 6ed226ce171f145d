"""Marks differ as soon as something that is watched has changed, also where it is as it was again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.simulation.marks import backfill_list_mark, backfill_marks, run_list_mark, run_marks
from tests.helpers.support import make_depot

Marks = Callable[[AsyncConnection, list[UUID]], Awaitable[dict[UUID, str]]]
ListMark = Callable[[AsyncConnection], Awaitable[str]]

_BACKFILL = """
    INSERT INTO backfills (dry_run, page_size, state, requested_by) VALUES (false, 10, 'RUNNING', 'a test') RETURNING id
"""
_RUN = """
    INSERT INTO scenario_runs (scenario, title, document, digest, depot_id, seed, time_scale, bindings, targets,
                               warnings, run_record, state, steps_total, requested_by)
    VALUES ('a', 'A', '', '', :depot, 1, 0, '{}', '{}', '[]', '{}', 'RUNNING', 5, 'a test') RETURNING id
"""


@pytest.mark.parametrize(
    ("table", "made", "marks", "list_mark"),
    [
        ("backfills", _BACKFILL, backfill_marks, backfill_list_mark),
        ("scenario_runs", _RUN, run_marks, run_list_mark),
    ],
)
async def test_a_pause_and_a_resume_between_two_looks_are_seen(
    engine: AsyncEngine, table: str, made: str, marks: Marks, list_mark: ListMark
) -> None:
    depot_id = await make_depot(engine)

    async def run(statement: str, **given: Any) -> Any:
        async with engine.begin() as connection:
            return await connection.execute(text(statement), given)

    async def look() -> tuple[str, str]:
        async with engine.connect() as connection:
            return (await marks(connection, [one]))[one], await list_mark(connection)

    one: UUID = (await run(made, **({"depot": depot_id} if ":depot" in made else {}))).scalar_one()
    before = await look()
    assert await look() == before
    for state in ("PAUSED", "RUNNING"):
        await run(f"UPDATE {table} SET state = '{state}' WHERE id = '{one}'")
    after = await look()
    assert after[0] != before[0]
    assert after[1] != before[1]
