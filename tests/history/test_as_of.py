"""What the product showed at a moment, told later, is what it showed."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.place import ROOT
from domain.monitoring.capabilities import Capability, CapabilityStatus, StatusEvent, fold, since
from domain.site.circuit_capacity import CapacityPolicy
from store.base.database import clock, make_engine, snapshot, transaction
from store.history.statuses_as_of import read_statuses_as_of
from store.monitoring.capability_status import post_status
from store.monitoring.capacity_upkeep import pass_deadlines
from store.monitoring.tables import capability_events
from store.provisioning.microgrids import reconcile_microgrid
from store.site.capacities import follow_capacities
from store.site.tables import capacity_events
from tests.factories.capacities import ACTION, KEYS, capacity_site
from tests.factories.packets import send
from tests.factories.sites import (
    ACTOR,
    MadeDepot,
    add_action,
    add_device,
    controller_site,
    make_site,
    milliseconds,
    packet,
)

POST = st.tuples(
    st.sampled_from(list(Capability)),
    st.integers(-5, 25),
    st.sampled_from([*CapabilityStatus, None]),
    st.integers(0, 6),
)
"""A status: of what, how many steps ago it was seen, what it says, and which of a few references it has."""


def test_the_status_of_any_moment_is_the_fold_of_the_history_up_to_it(database_url: str) -> None:
    with asyncio.Runner() as runner:
        engine = make_engine(database_url, pool_size=2)

        @settings(
            max_examples=40,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            derandomize=True,
        )
        @given(st.lists(POST, min_size=1, max_size=12))
        def check(posts: list[tuple[Capability, int, CapabilityStatus | None, int]]) -> None:
            runner.run(_check_moments(engine, posts))

        try:
            check()
        finally:
            runner.run(engine.dispose())


async def _check_moments(
    engine: AsyncEngine, posts: Iterable[tuple[Capability, int, CapabilityStatus | None, int]]
) -> None:
    site = await controller_site(engine)
    assert site.microgrid_id is not None
    base = datetime.now(UTC)
    for capability, ago, status, ref in posts:
        event = StatusEvent(base - timedelta(milliseconds=ago * 20), f"ref {ref}", status)
        async with transaction(engine, ACTOR) as connection:
            await post_status(connection, ACTOR, site.microgrid_id, capability, event, None)
    history = await _history(engine, site.microgrid_id)
    arrivals = [event.received_at for events in history.values() for event in events if event.received_at is not None]
    seen = [event.effective_at for events in history.values() for event in events]
    just = timedelta(microseconds=1)
    for moment in {at + by for at in (*arrivals, *seen) for by in (-just, timedelta(), just)}:
        if moment < site_began(history, arrivals):
            continue
        async with snapshot(engine) as connection:
            found = await read_statuses_as_of(connection, site.microgrid_id, moment)
        for each in found:
            events = history[each.shown.capability]
            arrived = [event for event in events if event.received_at is not None and event.received_at <= moment]
            expected = fold(arrived)
            assert (each.shown.status, each.shown.provider_event_ref) == (
                (None, None) if expected is None else (expected.status, expected.provider_event_ref)
            )
            assert each.shown.since == since((event, False) for event in arrived)
            # The first with a reference counts, whenever that was.
            counted: dict[str, StatusEvent] = {}
            for event in events:
                counted.setdefault(event.provider_event_ref, event)
            known = fold(event for event in counted.values() if event.effective_at <= moment)
            assert (None if each.known is None else (each.known.status, each.known.observed_at)) == (
                None if known is None else (known.status, known.observed_at)
            )


def site_began(history: dict[Capability, list[StatusEvent]], arrivals: list[datetime]) -> datetime:
    """The first arrival, before which the microgrid may not have been there."""
    assert history
    return min(arrivals)


async def _history(engine: AsyncEngine, microgrid_id: UUID) -> dict[Capability, list[StatusEvent]]:
    columns = capability_events.c
    query = select(
        columns.capability, columns.observed_at, columns.provider_event_ref, columns.status, columns.received_at
    ).where(columns.microgrid_id == microgrid_id)
    found: dict[Capability, list[StatusEvent]] = defaultdict(list)
    async with engine.connect() as connection:
        for name, observed_at, ref, status, received_at in await connection.execute(query.order_by(columns.id)):
            known = None if status is None else CapabilityStatus(status)
            found[Capability(name)].append(StatusEvent(observed_at, ref, known, received_at))
    return found


async def now(engine: AsyncEngine) -> str:
    """The present, by the clock that stamps what is stored."""
    async with engine.connect() as connection:
        return (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one().isoformat()


async def test_freshness_threshold_and_device_are_those_of_the_moment(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    path = f"/api/microgrids/{site.microgrid_id}/capability-status"
    await send(api, packet(site, None, LIMIT_PEAK_SHAVING="true"))
    device = (await api.get("/api/devices", params={"depot_id": str(site.depot_id)})).json()["items"][0]
    moments: list[tuple[str, dict[str, Any]]] = []

    async def look() -> None:
        live = (await api.get(path)).json()["items"][0]
        moments.append((await now(engine), live))

    await look()
    await api.patch(f"/api/devices/{device['device_id']}", json={"name": "Renamed", "version": device["version"]})
    await look()
    thresholds = f"/api/microgrids/{site.microgrid_id}/freshness-thresholds"
    for seconds in (1_000, 2_000, None):
        answer = await api.patch(thresholds, json={"thresholds": {"PEAK_SHAVING": seconds}})
        assert answer.status_code == 200
        await look()
    (action,) = (await api.get(f"/api/devices/{device['device_id']}/sensor-actions")).json()["items"]
    switched = await api.patch(f"/api/sensor-actions/{action['sensor_action_id']}", json={"enabled": False})
    assert switched.status_code == 200, switched.text
    await look()
    await send(api, packet(site, None, LIMIT_PEAK_SHAVING="false"))

    assert [live["freshness"] for _, live in moments] == ["FRESH"] * 5 + ["STALE"]
    assert [live["threshold_seconds"] for _, live in moments] == [300, 300, 1_000, 2_000, 300, 300]
    for moment, live in moments:
        answer = (await api.get(path, params={"as_of": moment})).json()
        told = answer["items"][0]
        assert answer["as_of"] == moment.replace("+00:00", "Z")
        # Its age is that of the moment, a little later than the look.
        assert 0 <= told.pop("age_seconds") - live.pop("age_seconds") < 60
        known = told.pop("known")
        assert (known["event_id"], known["status"]) == (live["event_id"], live["status"])
        assert told == live


async def test_what_came_late_is_known_and_was_not_shown(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    minute = timedelta(minutes=1)
    start = datetime.now(UTC)
    await send(api, packet(site, milliseconds(start - 10 * minute), LIMIT_PEAK_SHAVING="true"))
    moment = await now(engine)
    await send(api, packet(site, milliseconds(start - 5 * minute), LIMIT_PEAK_SHAVING="false"))
    answer = await api.get(f"/api/microgrids/{site.microgrid_id}/capability-status", params={"as_of": moment})
    peak = answer.json()["items"][0]
    assert (peak["status"], peak["known"]["status"]) == ("ON", "OFF")


@pytest.mark.parametrize("seed", [3, 7, 11])
async def test_the_structure_of_any_moment_is_the_one_that_was_shown(
    api: httpx.AsyncClient, engine: AsyncEngine, seed: int
) -> None:
    site = await make_site(engine, feeds=3)
    chance = random.Random(seed)
    shown: list[tuple[str, dict[str, Any]]] = []

    async def look() -> None:
        live = (await api.get(f"/api/microgrids/{site.microgrid_id}/structure")).json()
        shown.append((await now(engine), live))

    async def sync() -> None:
        async with transaction(engine, ACTOR) as connection:
            await reconcile_microgrid(connection, ACTOR, site.depot_id)

    await add_device(engine, site, "em-1", site.circuit_ids[0])
    await look()
    for step in range(25):
        await _change(api, site, chance, step)
        await look()
        if chance.random() < 0.5:
            await sync()
            await look()
    assert len({live["version"] for _, live in shown}) > 3
    assert {live["drifted"] for _, live in shown} == {True, False}

    for moment, live in shown:
        path = f"/api/microgrids/{site.microgrid_id}/structure"
        told = (await api.get(path, params={"as_of": moment})).json()
        del told["as_of"], live["synced_at"]
        assert told == live
        microgrid = (await api.get(f"/api/depots/{site.depot_id}/microgrid", params={"as_of": moment})).json()
        nodes = [{name: node[name] for name in node if name != "circuit"} for node in live["grid_connections"]]
        assert (microgrid["version"], microgrid["grid_connections"]) == (live["version"], nodes)
        assert (await api.get(f"/api/microgrids/{site.microgrid_id}", params={"as_of": moment})).json() == microgrid


async def _change(api: httpx.AsyncClient, site: MadeDepot, chance: random.Random, step: int) -> None:
    """Change something of the site, as an operator may."""
    depot = f"/api/depots/{site.depot_id}"
    circuits = (await api.get(f"{depot}/circuits")).json()["items"]
    one = chance.choice(circuits)
    parents = [None, *(each["circuit_id"] for each in circuits if each["parent_id"] is None)]
    device = (await api.get("/api/devices", params={"depot_id": str(site.depot_id)})).json()["items"][0]
    match chance.randrange(6):
        case 0:
            body = {"name": f"New {step}", "parent_id": chance.choice(parents), "position": 0}
            answer = await api.post(f"{depot}/circuits", json=body)
        case 1:
            answer = await api.patch(f"/api/circuits/{one['circuit_id']}", json={"name": f"Name {step}"})
        case 2:
            answer = await api.patch(f"/api/circuits/{one['circuit_id']}", json={"parent_id": None, "position": 0})
        case 3 if len(circuits) > 2:
            answer = await api.delete(f"/api/circuits/{one['circuit_id']}", params={"cascade": "true"})
        case 4:
            body = {"depot_id": str(site.depot_id), "name": f"Battery {step}", "kind": "BATTERY"}
            answer = await api.post("/api/power-sources", json=body)
        case _:
            link = {"circuit_id": one["circuit_id"], "name": f"Meter {step}"}
            answer = await api.patch(f"/api/devices/{device['device_id']}", json=link)
    assert answer.is_success, answer.text


_DEADLINE_PASSES = text("UPDATE circuit_capacities SET deadline = clock_timestamp() WHERE deadline > clock_timestamp()")
WELL = ("ok", "ok", "ok", "connection_lost", "timeout", None)


@pytest.mark.parametrize("seed", range(3))
async def test_the_capacity_of_any_moment_is_the_one_that_was_shown(
    api: httpx.AsyncClient, engine: AsyncEngine, seed: int
) -> None:
    site = await make_site(engine)
    circuit = site.circuit_ids[0]
    await add_device(engine, site, circuit_id=circuit)
    action = await add_action(engine, site, ACTION, *KEYS, policy=CapacityPolicy(timedelta(hours=1), 40_000))
    async with transaction(engine, ACTOR) as connection:
        await follow_capacities(connection, site.depot_id, await clock(connection))
    chance = random.Random(seed)
    path = f"/api/circuits/{circuit}/capacity"
    told_of = ("mode", "reason", "capacity_w", "basis")
    shown: list[tuple[str, float | None, dict[str, Any] | None]] = []

    async def look() -> None:
        live = (await api.get(path)).json()
        held = None if live["mode"] is None else {name: live[name] for name in told_of}
        shown.append((await now(engine), live["rated_power_w"], held))

    await look()
    for step in range(20):
        match chance.randrange(8):
            case 0:
                async with engine.begin() as connection:
                    await connection.execute(_DEADLINE_PASSES)
            case 1:
                await _notice(engine)
            case 2:
                rated = {"rated_power_w": 70_000 + step}
                assert (await api.patch(f"/api/circuits/{circuit}", json=rated)).is_success
            case 3:
                setting = chance.choice([{"enabled": False}, {"enabled": True}, {"fail_safe_capacity_w": 5_000 + step}])
                assert (await api.patch(f"/api/sensor-actions/{action}", json=setting)).is_success
            case _:
                values = {"AVAILABLE_CHARGING_CAPACITY": 100_000 + step, "HEARTBEAT_STATUS": chance.choice(WELL)}
                if chance.random() < 0.3:
                    values["FAIL_SAFE_CAPACITY"] = 9_000 + step
                # Now and then one that is older than the last.
                stamp = datetime.now(UTC) - timedelta(seconds=chance.choice([0, 0, 0, 60]))
                await send(api, packet(site, milliseconds(stamp), **values))
        await look()
    for enabled in (False, True):
        assert (await api.patch(f"/api/sensor-actions/{action}", json={"enabled": enabled})).is_success
        await look()
    await _notice(engine)
    assert {None if held is None else held["mode"] for *_, held in shown} >= {None, "CONTROLLER", "FAIL_SAFE"}
    for moment, rated, held in shown:
        told = (await api.get(path, params={"as_of": moment})).json()
        assert (None if told["shown"] is None else {name: told["shown"][name] for name in told_of}) == held
        # A packet is heeded from when it comes on, and a deadline counts whoever noticed it when: they do not differ.
        assert told["known"] == told["shown"]
        assert told["rated_power_w"] == rated


async def _notice(engine: AsyncEngine) -> None:
    """Let the deadlines that have passed be noticed."""
    async with engine.begin() as connection:
        await pass_deadlines(connection, 10)


async def _aged(engine: AsyncEngine) -> None:
    """Make the sites a day older: what is changed here is no change of them."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text("UPDATE replaced_rows_kept SET since = now() - interval '1 day'"))
        await connection.execute(text("UPDATE circuits SET created_at = now() - interval '1 day'"))


async def _held(
    engine: AsyncEngine, site: MadeDepot, at: datetime, received_at: datetime, reason: str | None, watts: float
) -> None:
    """Store that something held since ``at``, which came at ``received_at``."""
    async with engine.begin() as connection:
        await connection.execute(
            insert(capacity_events).values(
                circuit_id=site.circuit_ids[0], depot_id=site.depot_id, at=at, received_at=received_at,
                mode="CONTROLLER" if reason is None else "FAIL_SAFE", reason=reason, capacity_w=watts,
                basis="FAIL_SAFE_CONFIGURED",
            )
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_known_of_a_capacity_has_what_came_later_and_held_from_before(
    api: httpx.AsyncClient, engine: AsyncEngine, seed: int
) -> None:
    site = await capacity_site(engine)
    await _aged(engine)
    chance = random.Random(seed)
    came = datetime.now(UTC) - timedelta(hours=12)
    # When it held from, when it came, why, and a capacity by which it is told from the others.
    events: list[tuple[datetime, datetime, str | None, float]] = []
    for n in range(10):
        came += timedelta(minutes=chance.randint(1, 60))
        late = timedelta(minutes=chance.choice([0, 0, 5, 90]))
        events.append((came - late, came, chance.choice([None, "NO_PACKET", "CONNECTION_LOST"]), 1_000.0 + n))
        await _held(engine, site, *events[-1])

    def shown_at(moment: datetime) -> float | None:
        # A deadline counts from its moment on, whoever noticed it when.
        until_then = [watts for at, came, reason, watts in events if (at if reason == "NO_PACKET" else came) <= moment]
        return until_then[-1] if until_then else None

    def known_of(moment: datetime) -> float | None:
        held = [(at, n, watts) for n, (at, _, _, watts) in enumerate(events) if at <= moment]
        return max(held)[2] if held else None

    just = timedelta(microseconds=1)
    edges = {time for at, came, *_ in events for time in (at, came)}
    differing = 0
    for moment in sorted(time + by for time in edges for by in (-just, timedelta())):
        told = (await api.get(f"/api/circuits/{site.circuit_ids[0]}/capacity", params={"as_of": str(moment)})).json()
        found = [None if told[name] is None else told[name]["capacity_w"] for name in ("shown", "known")]
        assert found == [shown_at(moment), known_of(moment)], moment
        differing += found[0] != found[1]
    assert differing > 3


async def test_a_deadline_that_nobody_had_noticed_yet_counts(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await capacity_site(engine)
    circuit = site.circuit_ids[0]
    passed, noticed = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) - timedelta(minutes=1)
    await _aged(engine)
    await _held(engine, site, passed, noticed, "NO_PACKET", 5)
    between = {"as_of": (passed + timedelta(minutes=1)).isoformat()}
    told = (await api.get(f"/api/circuits/{circuit}/capacity", params=between)).json()
    assert (told["shown"]["mode"], told["known"]["mode"]) == ("FAIL_SAFE", "FAIL_SAFE")
    before = {"as_of": (passed - timedelta(minutes=1)).isoformat()}
    told = (await api.get(f"/api/circuits/{circuit}/capacity", params=before)).json()
    assert (told["shown"], told["known"]) == (None, None)


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("2999-01-01T00:00:00Z", (422, "AS_OF_OUT_OF_RANGE")),
        ("1970-01-01T00:00:00Z", (422, "AS_OF_OUT_OF_RANGE")),
        ("2026-01-01T00:00:00", (422, "INVALID_REQUEST")),
        ("yesterday", (422, "INVALID_REQUEST")),
    ],
)
async def test_a_moment_of_which_nothing_is_known_is_refused(
    api: httpx.AsyncClient, engine: AsyncEngine, moment: str, told: tuple[int, str]
) -> None:
    site = await controller_site(engine)
    for path in (
        f"/api/microgrids/{site.microgrid_id}/structure",
        f"/api/microgrids/{site.microgrid_id}",
        f"/api/depots/{site.depot_id}/microgrid",
        f"/api/circuits/{site.circuit_ids[0]}/capacity",
    ):
        answer = await api.get(path, params={"as_of": moment})
        assert (answer.status_code, answer.json()["code"]) == told, path


async def test_what_was_not_there_yet_is_not_found(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE replaced_rows_kept SET since = now() - interval '1 day'"))
    before = await now(engine)
    site = await controller_site(engine)
    for path, code in (
        (f"/api/microgrids/{site.microgrid_id}/structure", "MICROGRID_NOT_FOUND"),
        (f"/api/microgrids/{site.microgrid_id}/capability-status", "MICROGRID_NOT_FOUND"),
        (f"/api/depots/{site.depot_id}/microgrid", "MICROGRID_NOT_FOUND"),
        (f"/api/circuits/{site.circuit_ids[0]}/capacity", "CIRCUIT_NOT_FOUND"),
        (f"/api/circuits/{uuid4()}/capacity", "CIRCUIT_NOT_FOUND"),
    ):
        answer = await api.get(path, params={"as_of": before})
        assert (answer.status_code, answer.json()["code"]) == (404, code), path


async def test_a_sync_that_changes_nothing_keeps_nothing(engine: AsyncEngine) -> None:
    site = await make_site(engine, feeds=2)
    for _ in range(3):
        async with transaction(engine, ACTOR) as connection:
            await reconcile_microgrid(connection, ACTOR, site.depot_id)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM replaced_rows"))).scalar_one() == 0


def test_the_decision_names_the_reads_that_take_it() -> None:
    document = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
    taking = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if any(each["name"] == "as_of" for each in operation.get("parameters", ()))
    }
    decision = (ROOT / "docs/decisions/0038-as-of.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"These are\n(.*?), and no others", decision, re.DOTALL)
    assert set(re.findall("`(.*?)`", named)) == taking
    assert len(taking) == 5
