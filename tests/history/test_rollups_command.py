"""`./dev rollups`: how far readings are, and a check that is watched to its end."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.history.rollups import RollupWidth
from runtime.settings import Settings
from tests.factories.rollups import add_readings, at, roll_up, stored
from tests.factories.sites import add_device, make_site
from tests.factories.stored_packets import ask_for_fill
from tests.helpers.commands import run
from tests.helpers.live import make_worker, serving


async def told(address: str, *args: str) -> tuple[int, list[str]]:
    """The exit code of the command, and the lines that it wrote."""
    answer = await asyncio.to_thread(run, "rollups", *args, "--api", address)
    assert answer.stderr == ""
    return answer.returncode, answer.stdout.splitlines()


async def test_a_check_says_what_differs_and_makes_it_right(
    engine: AsyncEngine, database_url: str, client: Client, task_queue: str
) -> None:
    device_id = uuid4()
    await add_readings(engine, *(at(10 * n, device_id, soc=float(n)) for n in range(4)))
    await roll_up(engine)
    right = await stored(engine)
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with serving(settings) as address, make_worker(client, engine, task_queue):
        code, lines = await told(address)
        assert code == 0
        assert lines[0] == "Stored packets: all are read into readings"
        assert lines[1].startswith("Rollups: complete until ")
        assert lines[1].endswith(" s ago, 0 stretches left")
        assert lines[2:] == ["Checks: none yet"]
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE reading_minutes SET soc_most = 99"))
        wrong = await stored(engine)
        last = "Last check (finished): 1 days of devices and microgrids compared, "
        # It is counted, and left; then made right; then there is none.
        code, lines = await told(address, "--check", "--no-repair")
        assert (code, lines[-1]) == (1, f"{last}1 buckets differed and were left as they are")
        assert await stored(engine) == wrong != right
        code, lines = await told(address, "--check", "--days", "5")
        assert (code, lines[-1]) == (1, f"{last}1 buckets differed and were made right")
        assert await stored(engine) == right
        assert len(right[RollupWidth.MINUTE]) == 1
        assert (await told(address, "--check"))[0] == 0


async def test_what_is_left_is_said(engine: AsyncEngine, database_url: str) -> None:
    site = await make_site(engine, feeds=1)
    await add_device(engine, site, "em-1", None)
    async with engine.begin() as connection:
        await ask_for_fill(connection, site.gateway_id)
    async with serving(Settings(database_url=SecretStr(database_url))) as address:
        code, lines = await told(address)
        assert code == 0
        assert lines == [
            "Stored packets: 1 gateways to be read, 0 of their packets are",
            "Rollups: being made, 0 stretches left",
            "Checks: none yet",
        ]
        refused = await asyncio.to_thread(run, "rollups", "--check", "--days", "0", "--api", address)
        assert refused.returncode != 0
