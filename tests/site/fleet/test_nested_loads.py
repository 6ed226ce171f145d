"""The load of depots whose meters lie one below another: each watt counts once, and the cost grows with the meters."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.principals import EVERYWHERE, DepotScope
from store.site.fleet.fleet_list import fresh_plans
from store.site.fleet.fleet_load import (
    DEPOT_LOADS,
    FLEET_LOAD,
    RECENT,
    DepotLoad,
    FleetLoad,
    read_depot_loads,
    read_fleet_load,
)
from store.site.fleet.load_settlement import MOVED, settle_loads
from tests.site.fleet.large_fleets import rows_handled

_DEPOTS = text("""
    INSERT INTO depots (id, name, timezone, created_by, updated_by)
    SELECT id, 'Depot ' || n, 'UTC', 'tester', 'tester'
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS x (id, n)
""")
_GATEWAYS = text("""
    INSERT INTO gateways (id, depot_id, name, created_by, updated_by)
    SELECT id, id, 'Gateway', 'tester', 'tester' FROM unnest(CAST(:ids AS uuid[])) AS id
""")
_CIRCUITS = text("""
    INSERT INTO circuits (id, depot_id, parent_id, name, position, rated_power_w, created_by, updated_by)
    SELECT id, depot_id, parent_id, 'Circuit', n, rated_power_w, 'tester', 'tester'
    FROM unnest(CAST(:ids AS uuid[]), CAST(:depot_ids AS uuid[]), CAST(:parent_ids AS uuid[]),
                CAST(:rated AS double precision[]))
         WITH ORDINALITY AS x (id, depot_id, parent_id, rated_power_w, n)
""")
_METERS = text("""
    WITH x AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:depot_ids AS uuid[]), CAST(:circuit_ids AS uuid[]),
                             CAST(:watts AS double precision[]), CAST(:minutes AS integer[]))
                      AS x (id, depot_id, circuit_id, watts, minutes)
    ), d AS (
        INSERT INTO devices (id, depot_id, gateway_id, sensor_id, name, circuit_id, created_by, updated_by)
        SELECT id, depot_id, depot_id, CAST(id AS text), 'Meter', circuit_id, 'tester', 'tester' FROM x
    ), s AS (
        INSERT INTO sensor_sightings (gateway_id, sensor_id, packet_id, observed_at, received_at)
        SELECT depot_id, CAST(id AS text), id, now(), now() FROM x
    )
    INSERT INTO device_readings (device_id, observed_at, received_at, total_power_load)
    SELECT id, now() - make_interval(mins => minutes), now(), watts FROM x
""")


@dataclass
class Circuit:
    """A circuit of a tree, with its meters."""

    circuit_id: UUID
    depot_id: UUID
    parent: Circuit | None
    rated_w: float | None
    meters: list[tuple[UUID, float, int]]
    """Each with its watts, and how many minutes ago it measured them."""

    @property
    def lately(self) -> list[tuple[UUID, float]]:
        """What its meters measured lately."""
        return [(meter_id, watts) for meter_id, watts, minutes in self.meters if minutes < RECENT.seconds // 60]

    @property
    def is_within_measured(self) -> bool:
        """Whether a circuit above it is measured."""
        above = self.parent
        while above is not None and not above.lately:
            above = above.parent
        return above is not None


async def store(engine: AsyncEngine, forest: list[Circuit]) -> None:
    """Store trees with their meters."""
    depot_ids = list(dict.fromkeys(each.depot_id for each in forest))
    meters = [(each, *meter) for each in forest for meter in each.meters]
    async with engine.begin() as connection:
        await connection.execute(_DEPOTS, {"ids": depot_ids})
        await connection.execute(_GATEWAYS, {"ids": depot_ids})
        circuits = {
            "ids": [each.circuit_id for each in forest],
            "depot_ids": [each.depot_id for each in forest],
            "parent_ids": [each.parent and each.parent.circuit_id for each in forest],
            "rated": [each.rated_w for each in forest],
        }
        await connection.execute(_CIRCUITS, circuits)
        measured = {
            "ids": [meter_id for _, meter_id, _, _ in meters],
            "depot_ids": [each.depot_id for each, _, _, _ in meters],
            "circuit_ids": [each.circuit_id for each, _, _, _ in meters],
            "watts": [watts for _, _, watts, _ in meters],
            "minutes": [minutes for _, _, _, minutes in meters],
        }
        await connection.execute(_METERS, measured)


def random_forest(chance: Random, depots: int) -> list[Circuit]:
    """Trees of every form: one chain, all side by side, no meter, several on one circuit, some that fell silent."""
    forest: list[Circuit] = []
    for _ in range(depots):
        depot_id, tree = uuid4(), list[Circuit]()
        tops, often = chance.random(), chance.choice((0.0, 0.2, 0.5, 1.0))
        for _ in range(chance.randint(1, 14)):
            parent = chance.choice(tree[-3:]) if tree and chance.random() > tops else None
            count = chance.choice((1, 1, 2)) if chance.random() < often else 0
            meters = [(uuid4(), float(chance.randint(-9_000, 90_000)), chance.choice((0, 5, 40))) for _ in range(count)]
            rated = chance.choice((None, 10_000.0, 250_000.0))
            tree.append(Circuit(uuid4(), depot_id, parent, rated, meters))
        forest += tree
    return forest


def fold(forest: list[Circuit]) -> dict[UUID, DepotLoad]:
    """The same as the statement says, circuit by circuit."""
    loads: dict[UUID, DepotLoad] = {}
    for depot_id in {each.depot_id for each in forest}:
        tree = [each for each in forest if each.depot_id == depot_id]
        counted = [meter for each in tree if not each.is_within_measured for meter in each.lately]
        rated = [each.rated_w for each in tree if each.parent is None and each.rated_w is not None]
        if counted:
            load_w = sum(watts for _, watts in counted)
            device_ids = tuple(sorted(meter_id for meter_id, _ in counted))
            loads[depot_id] = DepotLoad(load_w, sum(rated) if rated else None, False, device_ids)
    return loads


@pytest.mark.parametrize("seed", range(3))
async def test_loads_are_those_of_a_fold_of_the_trees(engine: AsyncEngine, seed: int) -> None:
    forest = random_forest(Random(seed), 80)
    await store(engine, forest)
    expected = fold(forest)
    assert 20 < len(expected) < 80
    capacities = [each.capacity_w for each in expected.values() if each.capacity_w is not None]
    together = FleetLoad(len(expected), sum(each.load_w for each in expected.values()), sum(capacities), 0)
    some = list(expected)[:7]
    async with engine.connect() as connection:
        found = await read_depot_loads(connection, [each.depot_id for each in forest])
        assert await read_fleet_load(connection, EVERYWHERE) == together
        within = await read_fleet_load(connection, DepotScope(everywhere=False, depot_ids=frozenset(some)))
    assert {
        depot_id: DepotLoad(own.load_w, own.capacity_w, own.is_simulated, tuple(sorted(own.device_ids)))
        for depot_id, own in found.items()
    } == expected
    assert (within.depots, within.load_w) == (7, sum(expected[each].load_w for each in some))
    # The order by load has the same, and of those that measured nothing the place after all others.
    await settle_loads(engine)
    async with engine.connect() as connection:
        ranks = await connection.execute(text("SELECT depot_id, load FROM depot_ranks WHERE load < 4e18"))
        assert {row.depot_id: -row.load for row in ranks} == {each: own.load_w for each, own in expected.items()}


def nested(depots: int) -> list[Circuit]:
    """Depots with a meter at the supply, and one three levels below it."""
    forest: list[Circuit] = []
    for _ in range(depots):
        depot_id, above = uuid4(), None
        for level in range(4):
            meters = [(uuid4(), 1_000.0, 0)] if level in (0, 3) else []
            above = Circuit(uuid4(), depot_id, above, 50_000.0, meters)
            forest.append(above)
    return forest


async def test_what_nested_meters_cost_grows_with_their_number_alone(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        # What PostgreSQL knows of the tables stays that they are empty, as after a fleet has come and begun to measure.
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(
            text("ANALYZE circuits, devices, sensor_sightings, power_source_readings, depot_ranks")
        )
    handled: list[dict[str, int]] = []
    stored: list[Circuit] = []
    for depots in (200, 600):
        forest = nested(depots)
        await store(engine, forest)
        stored += forest
        depot_ids = list({each.depot_id for each in stored})
        async with engine.connect() as connection:
            await fresh_plans(connection)
            all_of_them = text(FLEET_LOAD.format(within="true"))
            these = text(DEPOT_LOADS.format(within="d.depot_id = ANY (CAST(:depot_ids AS uuid[]))"))
            found = {
                "together": await rows_handled(connection, all_of_them, {"recent": RECENT}),
                "each": await rows_handled(connection, these, {"recent": RECENT, "depot_ids": depot_ids}),
                "moved": await rows_handled(connection, MOVED, {"recent": RECENT}),
            }
            assert (await read_fleet_load(connection, EVERYWHERE)).load_w == 1_000 * len(depot_ids)
        handled.append(found)
    small, large = handled
    # Four times the depots; pair by pair, it would be sixteen times.
    assert {what: rows for what, rows in large.items() if rows > 5 * small[what]} == {}
