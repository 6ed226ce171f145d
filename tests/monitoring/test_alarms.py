"""The alarms of depots: what is kept says what the rule says, whatever happens, and the worst depots come first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.principals import EVERYWHERE, NOWHERE, DepotScope
from domain.monitoring.alarms import Alarm, AlarmFigures, AlarmKind, rank
from domain.provisioning.outcomes import ProvisioningState
from store.base.database import transaction
from store.monitoring.capacity_upkeep import pass_deadlines
from store.site.fleet.fleet_alarms import AlarmCounts, count_alarms, list_worst, read_alarms
from store.site.fleet.fleet_list import refresh_fleet_freshness
from store.site.tables import circuit_capacities, circuits, depot_alarms, depots, devices
from tests.factories.capacities import POLICY, capacity_site, expire
from tests.factories.packets import send
from tests.factories.sites import MADE, MadeDepot, add_device, controller_site, milliseconds, open_remediation, packet
from tests.helpers.support import ACTOR, make_depot

BOTH = {"LIMIT_PEAK_SHAVING": "true", "LIMIT_DER_EXPORT": "false"}
WELL = {"AVAILABLE_CHARGING_CAPACITY": 80_000, "HEARTBEAT_STATUS": "ok"}
KINDS = [AlarmKind.CONTROLLER_SILENT, AlarmKind.FAIL_SAFE]
NOTHING = AlarmCounts(0, 0, 0, 0, 0, 0, 0, 0)


_AGO = (
    """UPDATE capability_latest SET observed_at = observed_at - make_interval(secs => :s)
       WHERE microgrid_id = :microgrid""",
    "UPDATE fresh_depots SET fresh_until = fresh_until - make_interval(secs => :s) WHERE depot_id = :depot",
    "UPDATE sensor_sightings SET observed_at = observed_at - make_interval(secs => :s) WHERE gateway_id = :gateway",
    """UPDATE circuit_capacities SET deadline = deadline - make_interval(secs => :s),
       observed_at = observed_at - make_interval(secs => :s) WHERE depot_id = :depot""",
)


async def alarms(engine: AsyncEngine, depot_id: UUID) -> list[Alarm]:
    """The alarms of a depot; and what is kept of it says the same."""
    async with engine.connect() as connection:
        found = await read_alarms(connection, depot_id)
        kept = await connection.execute(select(depot_alarms).where(depot_alarms.c.depot_id == depot_id))
        row = kept.mappings().one_or_none()
    told = [] if found is None else list(found.alarms)
    names = AlarmFigures.__dataclass_fields__
    assert told == ([] if row is None else list(AlarmFigures(**{name: row[name] for name in names}).alarms))
    assert rank(told) == (None if row is None else (row["priority"], row["since"]))
    return told


async def kinds(engine: AsyncEngine, site: MadeDepot) -> list[AlarmKind]:
    return [each.kind for each in await alarms(engine, site.depot_id)]


async def settle(engine: AsyncEngine) -> None:
    """Note what has passed, as the capacity watch does."""
    async with engine.begin() as connection:
        await pass_deadlines(connection, 100)
        await refresh_fleet_freshness(connection, 100)


async def pass_time(engine: AsyncEngine, site: MadeDepot, seconds: float) -> None:
    """Let time go by for a site: all that came of it, and until when it is fresh, is so much longer ago."""
    given = {"s": seconds, "depot": site.depot_id, "gateway": site.gateway_id, "microgrid": site.microgrid_id}
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in _AGO:
            await connection.execute(text(statement), given)


async def provisioning(engine: AsyncEngine, depot_id: UUID, state: ProvisioningState) -> None:
    code = "SYNC_FAILED" if state is ProvisioningState.FAILED else None
    async with transaction(engine, ACTOR) as connection:
        values = {"provisioning": state, "provisioning_code": code}
        await connection.execute(update(depots).where(depots.c.id == depot_id).values(**values))


async def test_a_depot_without_trouble_has_no_alarm(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    new = await make_depot(engine)
    site = await controller_site(engine)
    assert await kinds(engine, site) == []
    await send(api, packet(site, **BOTH))
    assert await kinds(engine, site) == []
    assert await alarms(engine, new) == []
    assert await alarms(engine, uuid4()) == []
    async with engine.connect() as connection:
        assert await list_worst(connection, EVERYWHERE, 10) == []
        assert await count_alarms(connection, EVERYWHERE) == NOTHING


async def test_a_silent_controller_until_its_next_packet(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await capacity_site(engine)
    stamp = milliseconds()
    await send(api, packet(site, stamp, **WELL))
    await pass_time(engine, site, 600)
    async with engine.connect() as connection:
        # Nobody has noticed it yet.
        unnoticed = await read_alarms(connection, site.depot_id)
        assert (await count_alarms(connection, EVERYWHERE)).depots == 0
    await settle(engine)
    found = await alarms(engine, site.depot_id)
    assert unnoticed is not None
    assert list(unnoticed.alarms) == found
    assert [each.kind for each in found] == KINDS
    heard = datetime.fromtimestamp(stamp / 1000, UTC) - timedelta(seconds=600)
    assert found[0].since == heard
    assert found[1].since == heard + POLICY.heartbeat_threshold
    await send(api, packet(site, **WELL))
    assert await kinds(engine, site) == []


async def test_a_controller_that_reports_an_error_is_not_silent(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await capacity_site(engine)
    await send(api, packet(site, **WELL | {"HEARTBEAT_STATUS": "error"}))
    assert await kinds(engine, site) == [AlarmKind.FAIL_SAFE]
    await send(api, packet(site, milliseconds() + 1, **WELL))
    assert await kinds(engine, site) == []


async def test_a_controller_that_sends_something_else_is_not_silent(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site = await capacity_site(engine)
    await send(api, packet(site, milliseconds() - 1, **WELL))
    await pass_time(engine, site, 600)
    await send(api, packet(site, TOTAL_POWER_LOAD=5_000))
    await settle(engine)
    assert await kinds(engine, site) == [AlarmKind.FAIL_SAFE]


async def test_a_controller_that_never_sent_is_silent_once_its_time_is_over(engine: AsyncEngine) -> None:
    site = await capacity_site(engine)
    assert await kinds(engine, site) == []
    await expire(engine, *site.circuit_ids)
    await settle(engine)
    assert await kinds(engine, site) == KINDS


async def test_two_circuits_of_one_controller_are_one_silence(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await capacity_site(engine)
    await add_device(engine, site, "second", circuit_id=site.circuit_ids[0])
    async with engine.begin() as connection:
        row = (await connection.execute(select(circuit_capacities))).mappings().one()
        feed = insert(circuits).values(depot_id=site.depot_id, name="Feed 2", position=1, **MADE)
        made = (await connection.execute(feed.returning(circuits.c.id))).scalar_one()
        await connection.execute(insert(circuit_capacities).values({**row, "circuit_id": made}))
    await expire(engine, site.circuit_ids[0], made)
    await settle(engine)
    assert [(each.kind, each.count) for each in await alarms(engine, site.depot_id)] == [
        (AlarmKind.CONTROLLER_SILENT, 1), (AlarmKind.FAIL_SAFE, 2),
    ]  # fmt: skip


async def test_a_stale_status_is_told_by_the_silence_that_explains_it(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site = await controller_site(engine)
    await send(api, packet(site, milliseconds() - 1, **BOTH))
    await pass_time(engine, site, 400)
    await settle(engine)
    assert await kinds(engine, site) == [AlarmKind.CONTROLLER_SILENT]
    await send(api, packet(site, **BOTH))
    assert await kinds(engine, site) == []


async def test_a_status_that_no_device_updates_is_stale(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await controller_site(engine)
    await send(api, packet(site, **BOTH))
    action = f"/api/sensor-actions/{site.actions['mgc-1', 'UPDATE_MICROGRID_STATE']}"
    version = (await api.get(action)).json()["version"]
    off = await api.patch(action, json={"enabled": False, "version": version})
    assert off.status_code == 200
    assert await kinds(engine, site) == [AlarmKind.STATUS_STALE]
    assert (await api.patch(action, json={"enabled": True, "version": off.json()["version"]})).status_code == 200
    assert await kinds(engine, site) == []


async def test_remediations_until_the_last_is_closed(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await controller_site(engine)
    at = datetime.now(UTC) - timedelta(hours=1)
    first, second = (
        await open_remediation(engine, site, at),
        await open_remediation(engine, site, at + timedelta(minutes=1)),
    )
    assert await alarms(engine, site.depot_id) == [Alarm(AlarmKind.REMEDIATION_OPEN, at, 2)]
    assert (await api.post(f"/api/remediations/{first}/resolve")).is_success
    assert await alarms(engine, site.depot_id) == [Alarm(AlarmKind.REMEDIATION_OPEN, at + timedelta(minutes=1), 1)]
    assert (await api.post(f"/api/remediations/{second}/resolve")).is_success
    assert await kinds(engine, site) == []


async def test_provisioning_that_failed_says_since_when(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine)
    await provisioning(engine, depot_id, ProvisioningState.FAILED)
    (found,) = await alarms(engine, depot_id)
    assert found.kind is AlarmKind.PROVISIONING_FAILED
    async with engine.begin() as connection:
        await connection.execute(text("SELECT settle_alarms(ARRAY[CAST(:id AS uuid)])"), {"id": depot_id})
    assert await alarms(engine, depot_id) == [found]
    await provisioning(engine, depot_id, ProvisioningState.PROVISIONED)
    assert await alarms(engine, depot_id) == []


async def test_what_follows_nothing_any_more_is_in_no_fail_safe(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await capacity_site(engine)
    await expire(engine, *site.circuit_ids)
    await settle(engine)
    assert await kinds(engine, site) == KINDS
    async with engine.connect() as connection:
        device_id = (await connection.execute(select(devices.c.id))).scalar_one()
    assert (await api.delete(f"/api/devices/{device_id}")).status_code == 204
    assert await kinds(engine, site) == []


async def test_the_worst_come_first_and_only_those_that_may_be_seen(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    now = datetime.now(UTC)
    stopped, longer = await controller_site(engine), await controller_site(engine)
    await open_remediation(engine, stopped, now - timedelta(minutes=10))
    await open_remediation(engine, longer, now - timedelta(days=9))
    failing = await capacity_site(engine)
    await expire(engine, *failing.circuit_ids)
    await settle(engine)
    order = [failing.depot_id, longer.depot_id, stopped.depot_id]
    async with engine.connect() as connection:
        assert [each.depot_id for each in await list_worst(connection, EVERYWHERE, 10)] == order
        assert [each.depot_id for each in await list_worst(connection, EVERYWHERE, 2)] == order[:2]
        mine = DepotScope.of(stopped.depot_id)
        assert [each.depot_id for each in await list_worst(connection, mine, 10)] == [stopped.depot_id]
        assert await list_worst(connection, NOWHERE, 10) == []
        assert await count_alarms(connection, EVERYWHERE) == AlarmCounts(3, 1, 1, 1, 1, 1, 2, 2)
        assert await count_alarms(connection, mine) == AlarmCounts(1, 0, 0, 0, 0, 0, 1, 1)
        assert await count_alarms(connection, NOWHERE) == NOTHING


async def test_what_a_run_brought_about_says_so(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await controller_site(engine)
    run_id = uuid4()
    await open_remediation(engine, site, datetime.now(UTC), run_id)
    async with engine.connect() as connection:
        found = await read_alarms(connection, site.depot_id)
    assert found is not None
    mark = found.simulated_by(found.alarms[0])
    assert mark is not None
    assert mark.run_id == run_id


@pytest.mark.parametrize(
    ("kind", "chosen"), [(AlarmKind.CONTROLLER_SILENT, 0), (AlarmKind.FAIL_SAFE, 0), (AlarmKind.REMEDIATION_OPEN, 1),
                         (AlarmKind.PROVISIONING_FAILED, 2), (AlarmKind.STATUS_STALE, 3)],
)  # fmt: skip
async def test_depots_are_listed_by_their_alarms(
    engine: AsyncEngine, api: httpx.AsyncClient, kind: AlarmKind, chosen: int
) -> None:
    silent, stopped, stale = await capacity_site(engine), await controller_site(engine), await controller_site(engine)
    failed = await make_depot(engine)
    await make_depot(engine)
    await expire(engine, *silent.circuit_ids)
    await settle(engine)
    await open_remediation(engine, stopped, datetime.now(UTC))
    await provisioning(engine, failed, ProvisioningState.FAILED)
    await send(api, packet(stale, **BOTH))
    action = f"/api/sensor-actions/{stale.actions['mgc-1', 'UPDATE_MICROGRID_STATE']}"
    version = (await api.get(action)).json()["version"]
    assert (await api.patch(action, json={"enabled": False, "version": version})).status_code == 200
    wanted = [silent.depot_id, stopped.depot_id, failed, stale.depot_id][chosen]
    found = (await api.get("/api/depots", params={"alarm": kind})).json()["items"]
    assert [each["depot_id"] for each in found] == [str(wanted)]
