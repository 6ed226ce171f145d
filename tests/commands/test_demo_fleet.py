"""The demo fleet: a week that lies behind it, a day in real time before it, and all of it marked as simulated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from cli.client import Api
from cli.commands.simulation_site import everything
from cli.demo.fleet import DemoDepot, play
from cli.demo.scenario import DAY, demo_scenario
from domain.monitoring.capabilities import Capability
from runtime.settings import Settings
from sim_scenarios.runs.library import controller_tables
from sim_scenarios.runs.scenario import Scenario, parse_scenario
from tests.helpers.live import serving, working
from tests.helpers.support import ACTOR, until

_DEPOTS = (DemoDepot("Busy", 100, silent_each_hour=True), DemoDepot("Unsure", 50, second_battery=True))


@pytest.mark.parametrize("days", [1, 7])
@given(seconds=st.integers(0, DAY - 1), scale=st.integers(10, 200), silent=st.booleans())
def test_a_demo_depots_scenario_keeps_the_language_at_every_second_of_the_day(
    days: int, seconds: int, scale: int, silent: bool
) -> None:
    every = 600 if days > 1 else 20
    written = demo_scenario(
        "demo", seconds, days=days, every=every, scale_percent=scale, silent_each_hour=silent and days == 1
    )
    parsed = parse_scenario(written, controller_tables())
    assert isinstance(parsed, Scenario), parsed.violations
    assert parsed.steps == days * DAY // every + 1


async def test_a_demo_depot_has_a_week_behind_it_and_plays_on(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str
) -> None:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with (
        serving(settings) as address,
        working(client, engine, task_queue, api_url=address),
        Api(address) as api,
    ):
        made = [await _depot(api, each.name, allows_simulation=True) for each in _DEPOTS]
        other = await _depot(api, "Real", allows_simulation=False)
        named = (*_DEPOTS, DemoDepot("Real", 100), DemoDepot("Not there", 100))
        begun = datetime.now(UTC)
        await play(api, database_url, ACTOR, named, phase_seconds=0)
        runs = [await everything(api, "/api/scenario-runs", depot_id=depot_id) for depot_id in made]
        for found in runs:
            day, week = found
            assert (week["state"], week["outcome"], week["steps_done"]) == ("COMPLETED", "PASSED", 7 * 144 + 1)
            assert (day["state"], day["time_scale"], day["steps_total"]) == ("RUNNING", 1, DAY // 20 + 1)
        assert await everything(api, "/api/scenario-runs", depot_id=other) == []

        async def all_play() -> bool:
            return all([(await api.get(f"/api/scenario-runs/{day['run_id']}"))["packets_sent"] for day, _ in runs])

        await until(all_play)
        await _check_the_week(api, engine, made, begun)
        # Who plays goes on, and has its week.
        await play(api, database_url, ACTOR, named, phase_seconds=0)
        for depot_id, before in zip(made, runs, strict=True):
            after = await everything(api, "/api/scenario-runs", depot_id=depot_id)
            assert [each["run_id"] for each in after] == [each["run_id"] for each in before]
            await api.post(f"/api/scenario-runs/{after[0]['run_id']}/cancel")


async def _depot(api: Api, name: str, *, allows_simulation: bool) -> str:
    circuits = [{"name": "Feed"}]
    body = {"name": name, "timezone": "Europe/London", "allows_simulation": allows_simulation, "circuits": circuits}
    return (await api.create("/api/depots", body))["depot_id"]


async def _check_the_week(api: Api, engine: AsyncEngine, depots: list[str], begun: datetime) -> None:
    async with engine.connect() as connection:
        query = """
            SELECT count(*) FILTER (WHERE scenario_run_id IS NULL), min(observed_at), count(*) FROM {}
        """
        for table in ("packets", "device_readings"):
            real, first, count = (await connection.execute(text(query.format(table)))).one()
            assert real == 0
            assert timedelta(days=6, hours=23) < begun - first < timedelta(days=7, hours=1)
            assert count >= len(depots) * 7 * 144
        # The week had no incident, and whoever watches deadlines saw none.
        lost = await connection.execute(text("SELECT count(*) FROM capacity_events WHERE mode = 'FAIL_SAFE'"))
        assert lost.scalar_one() == 0
    for depot_id, demo in zip(depots, _DEPOTS, strict=True):
        microgrid_id = (await api.get(f"/api/depots/{depot_id}"))["microgrid_id"]
        status: dict[str, Any] = await api.get(f"/api/microgrids/{microgrid_id}/capability-status")
        (shaving,) = [each for each in status["items"] if each["capability"] == "PEAK_SHAVING"]
        assert shaving["status"] == "ON"
        assert datetime.fromisoformat(shaving["since"]) < begun - timedelta(days=6, hours=23)
        # One that falls silent keeps the usual limits; of the others it was known all the time, on charts, too.
        usual = Capability.PEAK_SHAVING.threshold.total_seconds()
        assert (shaving["threshold_seconds"] > usual) is not demo.silent_each_hour
        if demo.silent_each_hour:
            continue
        meter = (await everything(api, "/api/devices", depot_id=depot_id))[0]["device_id"]
        window = {"since": (begun - timedelta(days=6)).isoformat(), "until": begun.isoformat()}
        shown = await api.get("/api/series", series=f"device:{meter}:SOC", **window)
        (band,) = [each for each in shown["capabilities"] if each["capability"] == "PEAK_SHAVING"]
        assert band["statuses"] == ["ON"]
    remediations = await everything(api, "/api/remediations", state="OPEN")
    assert {each["code"] for each in remediations} == {"SEVERAL_BATTERIES"}
    assert {each["depot_id"] for each in remediations} == {depots[1]}
