"""The demo fleet at work: depots with a week behind them play a day in real time, one of them with incidents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cli.client import Api
from cli.commands.scenario_run import start_scenario
from cli.commands.simulation_site import everything, provision
from cli.demo.past import PastRun, write_past
from cli.demo.scenario import demo_scenario
from domain.base.actor import Actor
from domain.monitoring.capabilities import Capability
from domain.site.sensor_actions import SensorActionKind
from store.base.database import make_engine

_HEARTBEAT_SECONDS = 60
"""Three packets of a demo depot: its circuit is in fail-safe soon after its controller has fallen silent."""
_DAYS = 7
_PAST_EVERY = 600
"""Seconds between two packets of the past. A chart holds a value for 15 minutes."""
_PAST_HEARTBEAT_SECONDS = 900
_STATUS_SECONDS = 900
"""How old a status may be where the controller is never silent. It holds for the past too: with less, none was known
between two packets."""
_PHASE_SECONDS = 4
"""Between the first packets of two demo depots, so that something moves every four seconds."""
_LOOKS = 150
"""Looks, five a second, whether a run has sent its first packet."""
_LOOK_EVERY = 60.0
"""Seconds between two looks whether each still plays."""


@dataclass(frozen=True)
class DemoDepot:
    """One that plays."""

    name: str
    """As the demo fleet has it."""
    scale_percent: int
    silent_each_hour: bool = False
    second_battery: bool = False
    """No circuit tells its two batteries apart: a remediation is open all day."""

    @property
    def scenario(self) -> str:
        """The name of its scenario."""
        return f"demo-{self.name.lower().replace(' ', '-')}"


# The Simulation depot is left to whoever runs scenarios.
DEMO_DEPOTS = (
    DemoDepot("Malvern 1", 100),
    DemoDepot("Birchmount 1", 90),
    DemoDepot("Waterloo 1", 70),
    DemoDepot("Jamaica 1", 110, silent_each_hour=True),
    DemoDepot("Canberra Woden 1", 50, second_battery=True),
)


async def keep_playing(api: Api, database_url: str, actor: Actor, warn: Callable[[str], None]) -> None:
    """Give the demo depots that never played their week, then have each play, day after day, until cancelled.

    A run that an earlier one left behind goes on by itself. What fails is tried again at the next look: the product may
    be restarting, or somebody changes the depot. ``warn`` is given why, once for each reason in a row.
    """
    last = ""
    while True:
        try:
            await play(api, database_url, actor)
            last = ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the product goes on without its demo
            if str(error) != last:
                last = str(error)
                warn(
                    f"The demo depots do not all play, which is tried again each minute. {type(error).__name__}: {last}"
                )
        await asyncio.sleep(_LOOK_EVERY)


@dataclass(frozen=True)
class _Stage:
    demo: DemoDepot
    depot_id: str
    timezone: str
    has_week: bool

    def seconds_of_day(self) -> int:
        """How far the depot's own day is."""
        now = datetime.now(ZoneInfo(self.timezone))
        return now.hour * 3600 + now.minute * 60 + now.second


async def play(
    api: Api,
    database_url: str,
    actor: Actor,
    depots: Sequence[DemoDepot] = DEMO_DEPOTS,
    *,
    phase_seconds: float = _PHASE_SECONDS,
) -> None:
    """Give those of the depots that never played their week, and start the day of those that do not play.

    What does not allow simulation is left alone: such a depot is none of the demo's, whatever its name.

    Raises:
        CommandFailedError, Problem: something stands in the way.

    """
    stages = [stage for each in depots if (stage := await _idle(api, each)) is not None]
    new = [each for each in stages if not each.has_week]
    if new:
        await _write_week(api, database_url, actor, new)
    for stage in stages:
        text = demo_scenario(
            stage.demo.scenario,
            stage.seconds_of_day(),
            scale_percent=stage.demo.scale_percent,
            silent_each_hour=stage.demo.silent_each_hour,
        )
        body = {"depot_id": stage.depot_id, "text": text, "time_scale": 1, "force": True}
        run = await start_scenario(api, body)
        if not stage.has_week:
            # Only when it is heard again: the last packet of the past came longer ago than a playing one's limit.
            await _wait_until_heard(api, run["run_id"])
            await _set_heartbeat(api, stage.depot_id, _HEARTBEAT_SECONDS)
        await asyncio.sleep(phase_seconds)


async def _idle(api: Api, demo: DemoDepot) -> _Stage | None:
    """Find a demo depot that is to play; None: it plays, is not there, or allows no simulation."""
    found = [each for each in await everything(api, "/api/depots", search=demo.name) if each["name"] == demo.name]
    if not found or not found[0]["allows_simulation"]:
        return None
    depot_id = str(found[0]["depot_id"])
    runs: list[dict[str, Any]] = (await api.get("/api/scenario-runs", depot_id=depot_id, limit=20))["items"]
    if any(each["finished_at"] is None for each in runs):
        return None
    has_week = any(each["scenario"] == demo.scenario for each in runs)
    return _Stage(demo, depot_id, found[0]["timezone"], has_week)


async def _write_week(api: Api, database_url: str, actor: Actor, stages: Sequence[_Stage]) -> None:
    for stage in stages:
        await make_ready(api, stage.depot_id, grows_stale=stage.demo.silent_each_hour)
        if stage.demo.second_battery:
            await _second_battery(api, stage.depot_id)
    runs = [
        PastRun(
            UUID(stage.depot_id),
            demo_scenario(
                stage.demo.scenario,
                stage.seconds_of_day(),
                days=_DAYS,
                every=_PAST_EVERY,
                scale_percent=stage.demo.scale_percent,
            ),
        )
        for stage in stages
    ]
    engine = make_engine(database_url, pool_size=1)
    try:
        await write_past(engine, actor, runs)
    finally:
        await engine.dispose()


async def make_ready(api: Api, depot_id: str, *, grows_stale: bool = False) -> None:
    """Set up a depot for a week whose packets are ten minutes apart.

    ``grows_stale``: its statuses keep their usual limits, so that they grow stale while its controller is silent. Of
    its week's bands, only what follows each packet is known then.
    """
    await provision(api, depot_id, heartbeat_seconds=_PAST_HEARTBEAT_SECONDS)
    await _set_heartbeat(api, depot_id, _PAST_HEARTBEAT_SECONDS)
    if grows_stale:
        return
    microgrid_id = (await api.get(f"/api/depots/{depot_id}"))["microgrid_id"]
    thresholds = dict.fromkeys(Capability, _STATUS_SECONDS)
    await api.patch(f"/api/microgrids/{microgrid_id}/freshness-thresholds", {"thresholds": thresholds})


async def _wait_until_heard(api: Api, run_id: str) -> None:
    for _ in range(_LOOKS):
        if (await api.get(f"/api/scenario-runs/{run_id}"))["packets_sent"]:
            return
        await asyncio.sleep(0.2)


async def _set_heartbeat(api: Api, depot_id: str, seconds: int) -> None:
    for device in await everything(api, "/api/devices", depot_id=depot_id):
        for action in (await api.get(f"/api/devices/{device['device_id']}/sensor-actions"))["items"]:
            if action["action"] == SensorActionKind.UPDATE_CIRCUIT_CAPACITY:
                await api.patch(
                    f"/api/sensor-actions/{action['sensor_action_id']}", {"heartbeat_threshold_seconds": seconds}
                )


async def _second_battery(api: Api, depot_id: str) -> None:
    sources = await everything(api, "/api/power-sources", depot_id=depot_id)
    if sum(each["kind"] == "BATTERY" for each in sources) == 1:
        await api.create("/api/power-sources", {"depot_id": depot_id, "kind": "BATTERY", "name": "Battery 2"})
