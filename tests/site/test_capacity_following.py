"""Circuits follow what the configuration says: held to a plain model, and seen through the API."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from uuid_utils.compat import uuid7

from domain.site.circuit_capacity import CapacityReading, CapacityState, apply_reading, on_deadline, step_at
from domain.site.measurands import HeartbeatStatus
from store.base.database import make_engine, transaction
from store.site.capacities import (
    capacity_history,
    capacity_policy,
    capacity_state,
    capacity_values,
    follow_capacities,
    list_capacities,
)
from store.site.tables import capacity_events, circuit_capacities, devices, gateways, sensor_actions
from tests.factories.equipped_depots import CAPACITY, EquippedDepot, add_action, make_equipped_depot, problem
from tests.helpers.support import ACTOR, circuits_of, make_depot

START = datetime.now(UTC).replace(day=1, hour=12, minute=0, second=0, microsecond=0)
"""In the present month, because the history has partitions around the present."""
MADE = {"created_by": "t", "updated_by": "t"}


# A plain model: what each circuit shows, written down by hand, circuit by circuit and second by second.


@dataclass
class Shown:
    owner: int
    threshold: int
    fail_safe: int | None
    mode: str
    since: int
    deadline: int | None
    capacity: float | None = None


@dataclass
class Model:
    now: int = 0
    linked: dict[int, int | None] = field(default_factory=dict)
    """Device to circuit; a device is here while it exists."""
    actions: dict[int, tuple[bool, int, int | None]] = field(default_factory=dict)
    """By device: switched on, threshold, fail-safe."""
    made: dict[int, int] = field(default_factory=dict)
    """By device, when its action was made, as a running number: the first made is followed."""
    shown: dict[int, Shown] = field(default_factory=dict)
    history: dict[int, list[tuple[int, str, float | None]]] = field(default_factory=dict)

    def expire(self, circuit: int, shown: Shown) -> Shown:
        if shown.deadline is None or self.now < shown.deadline:
            return shown
        safe = float(shown.fail_safe or 0)
        return replace(shown, mode="FAIL_SAFE", since=shown.deadline, deadline=None, capacity=safe)

    def note(self, circuit: int, at: int, mode: str, capacity: float | None) -> None:
        self.history.setdefault(circuit, []).append((at, mode, capacity))

    def settle(self, circuit: int) -> None:
        """Write down a deadline that has passed."""
        before = self.shown[circuit]
        after = self.expire(circuit, before)
        if after != before:
            self.note(circuit, after.since, after.mode, after.capacity)
        self.shown[circuit] = after

    def follow(self, circuits: int) -> None:
        for circuit in range(circuits):
            able = [d for d, c in self.linked.items() if c == circuit and self.actions.get(d, (False,))[0]]
            owner = min(able, key=lambda device: self.made[device], default=None)
            shown = self.shown.get(circuit)
            if owner is None:
                if shown is not None:
                    self.settle(circuit)
                    del self.shown[circuit]
                    self.note(circuit, self.now, "RELEASED", None)
                continue
            _, threshold, fail_safe = self.actions[owner]
            wanted = (self.made[owner], threshold, fail_safe)
            if shown is None or (shown.owner, shown.threshold, shown.fail_safe) != wanted:
                self.take(circuit, *wanted)

    def take(self, circuit: int, owner: int, threshold: int, fail_safe: int | None) -> None:
        """Let a circuit follow another action, or the same by other settings."""
        if circuit in self.shown:
            self.settle(circuit)
        shown = self.shown.get(circuit)
        if shown is None or shown.owner != owner:
            self.shown[circuit] = Shown(owner, threshold, fail_safe, "AWAITING", self.now, self.now + threshold)
            self.note(circuit, self.now, "AWAITING", None)
            return
        after = replace(shown, threshold=threshold, fail_safe=fail_safe)
        if shown.deadline is not None:
            after.deadline = shown.deadline - shown.threshold + threshold
            if after.deadline <= self.now:
                after = replace(after, mode="FAIL_SAFE", since=self.now, deadline=None)
        if after.mode == "FAIL_SAFE":
            after.capacity = float(fail_safe or 0)
        # The same number of watts for another reason is told, too.
        another_basis = after.mode == "FAIL_SAFE" and (fail_safe is None) != (shown.fail_safe is None)
        if another_basis or (after.mode, after.capacity) != (shown.mode, shown.capacity):
            self.note(circuit, self.now, after.mode, after.capacity)
        self.shown[circuit] = after

    def packet(self, circuit: int, capacity: float) -> None:
        if circuit not in self.shown:
            return
        self.settle(circuit)
        shown = self.shown[circuit]
        since = shown.since if shown.mode == "CONTROLLER" else self.now
        after = replace(shown, mode="CONTROLLER", since=since, deadline=self.now + shown.threshold, capacity=capacity)
        if (after.mode, after.capacity) != (shown.mode, shown.capacity):
            self.note(circuit, self.now, "CONTROLLER", capacity)
        self.shown[circuit] = after


CIRCUITS, DEVICES = 2, 3
_device = st.integers(0, DEVICES - 1)
_circuit = st.none() | st.integers(0, CIRCUITS - 1)
_configured = st.tuples(st.booleans(), st.sampled_from([10, 60]), st.sampled_from([None, 0, 500]))
_steps = st.lists(
    st.tuples(
        st.sampled_from([1, 9, 30, 100]),
        st.one_of(
            st.tuples(st.just("device"), _device, _circuit),
            st.tuples(st.just("action"), _device, _configured),
            st.tuples(st.just("drop action"), _device, st.none()),
            st.tuples(st.just("drop device"), _device, st.none()),
            st.tuples(st.just("packet"), st.integers(0, CIRCUITS - 1), st.sampled_from([500.0, 9_000.0])),
        ),
    ),
    min_size=3,
    max_size=14,
)

# Two devices on the first circuit and one on the second: nearly every step then has something to act upon.
BEGINNING: list[tuple[int, tuple[str, int, Any]]] = [
    (1, ("device", 0, 0)),
    (1, ("device", 1, 0)),
    (1, ("device", 2, 1)),
    (1, ("action", 1, (True, 60, None))),
    (1, ("action", 0, (True, 60, 500))),
]


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class World:
    """The same in the database."""

    depot_id: UUID
    gateway_id: UUID
    circuits: list[UUID]
    device_ids: dict[int, UUID] = field(default_factory=dict)
    action_ids: dict[int, UUID] = field(default_factory=dict)


async def do(connection: AsyncConnection, world: World, model: Model, step: tuple[str, int, Any]) -> None:
    """Take one step in both."""
    kind, which, value = step
    now = at(model.now)
    if kind == "device":
        circuit_id = None if value is None else world.circuits[value]
        if which in model.linked:
            query = update(devices).where(devices.c.id == world.device_ids[which]).values(circuit_id=circuit_id)
            await connection.execute(query)
        else:
            world.device_ids[which] = uuid7()
            place = {"depot_id": world.depot_id, "gateway_id": world.gateway_id, "circuit_id": circuit_id}
            names = {"id": world.device_ids[which], "sensor_id": str(which), "name": str(which)}
            await connection.execute(insert(devices).values(**names, **place, **MADE))
        model.linked[which] = value
    elif kind == "action" and which in model.linked:
        enabled, threshold, fail_safe = value
        values = {"enabled": enabled, "heartbeat_threshold_seconds": threshold, "fail_safe_capacity_w": fail_safe}
        if which in model.actions:
            mine = sensor_actions.c.id == world.action_ids[which]
            await connection.execute(update(sensor_actions).where(mine).values(**values))
        else:
            world.action_ids[which] = uuid7()
            model.made[which] = max(model.made.values(), default=0) + 1
            await connection.execute(
                insert(sensor_actions).values(
                    id=world.action_ids[which],
                    depot_id=world.depot_id,
                    device_id=world.device_ids[which],
                    action=CAPACITY["action"],
                    measurands=CAPACITY["measurands"],
                    **values,
                    **MADE,
                )
            )
        model.actions[which] = value
    elif kind == "drop action" and which in model.actions:
        mine = sensor_actions.c.id == world.action_ids[which]
        await connection.execute(update(sensor_actions).where(mine).values(enabled=False))
        del model.actions[which]
        await follow_capacities(connection, world.depot_id, now)
        await connection.execute(delete(sensor_actions).where(mine))
    elif kind == "drop device" and which in model.linked:
        mine = devices.c.id == world.device_ids[which]
        await connection.execute(update(devices).where(mine).values(circuit_id=None))
        model.actions.pop(which, None)
        del model.linked[which]
        await follow_capacities(connection, world.depot_id, now)
        await connection.execute(delete(devices).where(mine))
    elif kind == "packet":
        await packet(connection, world.depot_id, world.circuits[which], value, now)
        model.packet(which, value)
        return
    model.follow(CIRCUITS)
    await follow_capacities(connection, world.depot_id, now)


async def packet(
    connection: AsyncConnection, depot_id: UUID, circuit_id: UUID, watts: float, now: datetime
) -> CapacityState | None:
    """Take a packet of a controller that is well, as packet ingest does."""
    mine = circuit_capacities.c.circuit_id == circuit_id
    row = (await connection.execute(select(circuit_capacities).where(mine))).mappings().one_or_none()
    if row is None:
        return None
    policy, first = capacity_policy(row), capacity_state(row)
    before = on_deadline(first, policy, now)
    after = apply_reading(before, CapacityReading(now, HeartbeatStatus.OK, watts), policy, now)
    await connection.execute(update(circuit_capacities).where(mine).values(**capacity_values(after)))
    for old, new in ((first, before), (before, after)):
        since = step_at(old, new, now)
        if since is not None:
            shown = {name: capacity_values(new)[name] for name in ("mode", "reason", "capacity_w", "basis")}
            await connection.execute(
                insert(capacity_events).values(
                    circuit_id=circuit_id, depot_id=depot_id, at=since, received_at=now, **shown
                )
            )
    return after


async def check(connection: AsyncConnection, world: World, model: Model) -> None:
    """Hold the database to the model."""
    found = await list_capacities(connection, world.depot_id, at(model.now))
    for number, circuit_id in enumerate(world.circuits):
        expected = model.shown.get(number)
        if expected is None:
            assert circuit_id not in found
        else:
            expected = model.expire(number, expected)
            capacity = found[circuit_id]
            state = capacity.state
            assert state is not None
            owner = next(d for d, n in model.made.items() if n == expected.owner and d in model.actions)
            assert (capacity.sensor_action_id, capacity.device_id) == (
                world.action_ids[owner],
                world.device_ids[owner],
            )
            assert (state.mode, state.since, state.deadline, state.capacity_w) == (
                expected.mode,
                at(expected.since),
                None if expected.deadline is None else at(expected.deadline),
                expected.capacity,
            )
        events = await capacity_history(connection, circuit_id, None, None)
        told = [(event.at, event.mode, event.capacity_w) for event in events]
        assert told == [(at(when), mode, watts) for when, mode, watts in model.history.get(number, [])]
    assert await follow_capacities(connection, world.depot_id, at(model.now)) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps)
def test_the_circuits_follow_like_the_plain_model(
    database_url: str, steps: list[tuple[int, tuple[str, int, Any]]]
) -> None:
    async def run() -> None:
        engine = make_engine(database_url)
        try:
            depot_id = await make_depot(engine, *(f"Feed {n}" for n in range(CIRCUITS)))
            circuits = [circuit.circuit_id for circuit in await circuits_of(engine, depot_id)]
            async with transaction(engine, ACTOR) as connection:
                made = insert(gateways).values(depot_id=depot_id, name="Gateway", **MADE).returning(gateways.c.id)
                world = World(depot_id, (await connection.execute(made)).scalar_one(), circuits)
                model = Model()
                for seconds, step in (*BEGINNING, *steps):
                    model.now += seconds
                    await do(connection, world, model, step)
                    await check(connection, world, model)
        finally:
            await engine.dispose()

    asyncio.run(run())


# Through the API.


async def capacity_of(api: httpx.AsyncClient, circuit_id: str) -> dict[str, Any]:
    return (await api.get(f"/api/circuits/{circuit_id}/capacity")).json()


async def modes(api: httpx.AsyncClient, circuit_id: str) -> list[str]:
    history = (await api.get(f"/api/circuits/{circuit_id}/capacity/history")).json()
    assert history["next_cursor"] is None
    return [each["mode"] for each in history["items"]]


async def shift(engine: AsyncEngine, circuit_id: str, seconds: float) -> None:
    """Let a circuit's deadline lie so many seconds further back."""
    mine = circuit_capacities.c.circuit_id == UUID(circuit_id)
    moved = circuit_capacities.c.deadline - timedelta(seconds=seconds)
    async with engine.begin() as connection:
        await connection.execute(update(circuit_capacities).where(mine).values(deadline=moved))


async def test_a_circuit_without_a_controller_has_its_rating(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    first = equipped.circuits[0]
    await api.patch(f"/api/circuits/{first}", json={"rated_power_w": 250_000})
    found = await capacity_of(api, first)
    assert (found["mode"], found["capacity_w"], found["rated_power_w"]) == (None, None, 250_000)
    assert found["message"] == "The circuit follows no controller. Its own rating applies."
    assert await modes(api, first) == []
    listed = (await api.get(f"/api/depots/{equipped.depot_id}/circuits")).json()["items"]
    assert [circuit["capacity"] for circuit in listed] == [None, None]


async def test_a_circuit_follows_its_action_from_the_first_to_the_last_change(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    equipped = await make_equipped_depot(engine, api)
    first, second = equipped.circuits
    action = await add_action(api, equipped.devices[0], CAPACITY, fail_safe_capacity_w=4_000)
    found = await capacity_of(api, first)
    assert (found["mode"], found["sensor_action_id"]) == ("AWAITING", action["sensor_action_id"])
    since, deadline = (datetime.fromisoformat(found[name]) for name in ("since", "deadline"))
    assert deadline - since == timedelta(seconds=120)
    listed = (await api.get(f"/api/depots/{equipped.depot_id}/circuits")).json()["items"]
    own = set(found) - {"circuit_id", "depot_id", "rated_power_w", "sensor_action_id"}
    assert [circuit["capacity"] for circuit in listed] == [{name: found[name] for name in own}, None]
    renamed = (await api.patch(f"/api/circuits/{first}", json={"name": "Feed A"})).json()
    assert renamed["capacity"] == listed[0]["capacity"]
    # Nobody has looked at the deadline, and still nobody is told that the rating holds.
    await shift(engine, first, 300)
    found = await capacity_of(api, first)
    assert (found["mode"], found["reason"], found["capacity_w"]) == ("FAIL_SAFE", "NO_PACKET", 4_000)
    assert (found["basis"], found["deadline"]) == ("FAIL_SAFE_CONFIGURED", None)
    assert datetime.fromisoformat(found["since"]) == deadline - timedelta(seconds=300)
    path = f"/api/sensor-actions/{action['sensor_action_id']}"
    await api.patch(path, json={"fail_safe_capacity_w": None})
    found = await capacity_of(api, first)
    assert (found["capacity_w"], found["basis"]) == (0, "FAIL_SAFE_UNKNOWN")
    # The link moves: one circuit is released, the other begins.
    await api.patch(f"/api/devices/{equipped.devices[0]}", json={"circuit_id": second})
    assert ((await capacity_of(api, first))["mode"], (await capacity_of(api, second))["mode"]) == (None, "AWAITING")
    assert await modes(api, first) == ["FAIL_SAFE", "AWAITING", "FAIL_SAFE", "RELEASED"]
    await api.patch(path, json={"enabled": False})
    await api.patch(path, json={"enabled": True})
    assert (await api.delete(path)).status_code == 204
    assert await modes(api, second) == ["AWAITING", "RELEASED", "AWAITING", "RELEASED"]


async def test_the_first_made_action_is_followed_and_the_next_takes_over(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    equipped = await make_equipped_depot(engine, api)
    (first, _), (one, two) = equipped.circuits, equipped.devices
    await api.patch(f"/api/devices/{two}", json={"circuit_id": first})
    await add_action(api, one, CAPACITY)
    await add_action(api, two, CAPACITY)
    assert (await capacity_of(api, first))["device_id"] == one
    assert await modes(api, first) == ["AWAITING"]
    assert (await api.delete(f"/api/devices/{one}")).status_code == 204
    assert (await capacity_of(api, first))["device_id"] == two
    assert await modes(api, first) == ["AWAITING", "AWAITING"]
    assert (await api.delete(f"/api/gateways/{equipped.gateway_id}?cascade=true")).status_code == 204
    assert await modes(api, first) == ["AWAITING", "AWAITING", "RELEASED"]


async def test_a_deleted_circuit_is_released_before_it_goes(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    await add_action(api, equipped.devices[0], CAPACITY)
    assert (await api.delete(f"/api/circuits/{equipped.circuits[0]}")).status_code == 204
    async with engine.connect() as connection:
        told = await capacity_history(connection, UUID(equipped.circuits[0]), None, None)
        left = (await connection.execute(select(circuit_capacities))).all()
    assert [event.mode for event in told] == ["AWAITING", "RELEASED"]
    assert left == []


async def led(engine: AsyncEngine, equipped: EquippedDepot, watts: list[float]) -> list[datetime]:
    """Let a controller speak to the first circuit, second by second from the beginning of its following."""
    times: list[datetime] = []
    async with engine.begin() as connection:
        first = (await connection.execute(select(circuit_capacities.c.since))).scalar_one()
        for number, each in enumerate(watts, 1):
            times.append(first + timedelta(seconds=number))
            await packet(connection, UUID(equipped.depot_id), UUID(equipped.circuits[0]), each, times[-1])
    return times


async def test_the_history_is_paged_and_begins_with_what_held(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    await add_action(api, equipped.devices[0], CAPACITY)
    times = await led(engine, equipped, [10_000, 20_000, 20_000, 30_000, 40_000])
    path = f"/api/circuits/{equipped.circuits[0]}/capacity/history"
    parameters: dict[str, Any] = {"since": times[1].isoformat(), "until": times[4].isoformat(), "limit": 1}
    pages: list[dict[str, Any]] = []
    while True:
        pages.append((await api.get(path, params=parameters)).json())
        if pages[-1]["next_cursor"] is None:
            break
        parameters["cursor"] = pages[-1]["next_cursor"]
    # From the second packet on and before the fifth; the third said nothing new.
    assert [[item["capacity_w"] for item in page["items"]] for page in pages] == [[20_000], [30_000]]
    assert [page["held_before"] and page["held_before"]["capacity_w"] for page in pages] == [10_000, None]
    everything = (await api.get(path)).json()
    assert [item["capacity_w"] for item in everything["items"]] == [None, 10_000, 20_000, 30_000, 40_000]
    assert everything["held_before"] is None
    for wrong in ({"since": "yesterday"}, {"until": "2025-03-01T12:00:00"}):
        assert problem(await api.get(path, params=wrong)) == (422, "INVALID_REQUEST")
    assert problem(await api.get(path, params={"cursor": "W10"})) == (422, "INVALID_CURSOR")


async def test_a_refused_change_leaves_the_capacity_alone(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[0], CAPACITY)
    before = await capacity_of(api, equipped.circuits[0])
    answer = await api.patch(f"/api/sensor-actions/{action['sensor_action_id']}", json={"enabled": "no"})
    assert problem(answer) == (422, "INVALID_SENSOR_ACTION")
    assert await capacity_of(api, equipped.circuits[0]) == before
