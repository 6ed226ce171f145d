"""Exports hold a piece of the file in memory, however large the file is."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities.transfers.export import ExportActivities
from domain.access.principals import EVERYWHERE, LOCAL_PRINCIPAL
from domain.base.jobs import JobState
from domain.history.export_jobs import ExportEnd, ExportRequest
from domain.history.exports import ExportFormat, ExportKind, ExportSelection
from domain.site.measurands import MeasurandKey
from runtime.settings import Settings
from store.base.database import transaction
from store.history.jobs.export_jobs import insert_export
from tests.factories.history.readings import fill_readings
from tests.factories.sites import add_device, make_site
from tests.helpers.live import http_client, serving

NOW = datetime.now(UTC).replace(microsecond=0)
ROWS = 40_000
SINCE = NOW - timedelta(seconds=ROWS)
LARGE = 8_000_000
"""Bytes of the rows as CSV, at least."""
FEW = LARGE // 2
"""Bytes that may be held: some pieces, on their way from the database to the file and from there to whoever reads."""
FORMATS = [each.value for each in ExportFormat]


@contextmanager
def traced() -> Generator[Callable[[], int]]:
    """Trace what Python holds in the block, whose answer is asked for the most that was held at once, in bytes."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest_asyncio.fixture
async def caller(engine: AsyncEngine, database_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody who asks over a connection, where so many rows were measured."""
    site = await make_site(engine)
    meter = await add_device(engine, site, "em-1", site.circuit_ids[0])
    await fill_readings(
        engine, meter, MeasurandKey.TOTAL_POWER_LOAD, since=SINCE, until=NOW, step=timedelta(seconds=1),
        middle=1e5, swing=5e4,
    )  # fmt: skip
    async with serving(Settings(database_url=SecretStr(database_url))) as url, http_client(url) as asked:
        asked.headers["Accept-Encoding"] = "identity"
        yield asked


async def received(caller: httpx.AsyncClient, path: str, **query: str) -> int:
    """Read an answer and keep nothing of it; how many bytes it had."""
    size = 0
    async with caller.stream("GET", path, params=query) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for piece in answer.aiter_raw():
            size += len(piece)
    return size


async def assert_few_are_held(export: Callable[[datetime], Awaitable[int]], answer: str) -> None:
    """Whatever exports from a moment on, and says how many bytes that were, holds few of them at once."""
    # What is loaded once, is.
    await export(NOW - timedelta(seconds=2))
    with traced() as most:
        size = await export(SINCE)
        held = most()
    if answer == ExportFormat.CSV:
        assert size > LARGE
    assert held < FEW


@pytest.mark.parametrize("answer", FORMATS)
async def test_an_answer_is_read_and_sent_in_pieces(caller: httpx.AsyncClient, answer: str) -> None:
    async def export(since: datetime) -> int:
        query = {"since": since.isoformat(), "until": NOW.isoformat(), "format": answer}
        return await received(caller, "/api/exports/readings", **query)

    await assert_few_are_held(export, answer)


@pytest.mark.parametrize("answer", FORMATS)
async def test_a_job_stores_its_file_and_answers_with_it_in_parts(
    caller: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("store.history.jobs.export_jobs.PART_BYTES", 65_536)
    steps, environment = ExportActivities(engine), ActivityEnvironment()

    async def export(since: datetime) -> int:
        request = ExportRequest(uuid4(), ExportKind.READINGS, ExportFormat(answer), LOCAL_PRINCIPAL.actor.name)
        async with transaction(engine, LOCAL_PRINCIPAL.actor) as connection:
            await insert_export(connection, request, ExportSelection(since, NOW), EVERYWHERE)
        while not await environment.run(steps.export_slice, request):
            pass
        await environment.run(steps.finish_file, request)
        await environment.run(steps.end_export, ExportEnd(request, JobState.COMPLETED))
        return await received(caller, f"/api/exports/{request.export_id}/file")

    await assert_few_are_held(export, answer)
