"""Depots as rows of the database: with circuits of any depth and number, with equipment of any number, whole fleets."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.database import transaction
from store.site.circuits import list_circuits
from store.site.depots import NewCircuit, create_depot
from store.site.tables import devices, gateways, power_sources
from tests.helpers.support import ACTOR, make_depot


async def make_depot_with(engine: AsyncEngine, *circuits: NewCircuit, name: str = "Arrow Road") -> UUID:
    """Create a depot with these top-level circuits, and with those below them."""
    async with transaction(engine, ACTOR) as connection:
        return await create_depot(connection, ACTOR, {"name": name, "timezone": "America/Toronto"}, circuits)


async def make_large_depot(engine: AsyncEngine) -> UUID:
    """Create a depot of four grid connections with thirty circuits each, devices and power sources."""
    made = {"created_by": ACTOR.name, "updated_by": ACTOR.name}

    def bank(number: str) -> NewCircuit:
        return NewCircuit(
            f"Charger bank {number}", 250e3, tuple(NewCircuit(f"Charger {number}{x}", 75e3) for x in "ABC")
        )

    def feed(number: int) -> NewCircuit:
        boards = tuple(
            NewCircuit(
                f"Distribution board {number}.{board}", 400e3, (bank(f"{number}{board}1"), bank(f"{number}{board}2"))
            )
            for board in (1, 2, 3)
        )
        rest = (NewCircuit("Workshop ventilation and compressed air", 63e3), NewCircuit(f"Battery room {number}"))
        return NewCircuit(f"Grid supply {number}", 1.5e6, (*boards, *rest, NewCircuit(f"Lighting {number}", 20e3)))

    depot_id = await make_depot_with(engine, *(feed(number) for number in (1, 2, 3, 4)), name="Sandalwood")
    async with transaction(engine, ACTOR) as connection:
        circuits = {each.name: each.circuit_id for each in await list_circuits(connection, depot_id)}
        gateway = insert(gateways).values(depot_id=depot_id, name="Gateway east", **made).returning(gateways.c.id)
        gateway_id = (await connection.execute(gateway)).scalar_one()
        sources = (
            ("BATTERY", "BESS container 1", "Battery room 1"),
            ("SOLAR", "Roof south", "Grid supply 1"),
            ("GENERATOR", "Standby diesel", "Grid supply 2"),
        )
        for kind, name, circuit in sources:
            values = {"depot_id": depot_id, "kind": kind, "name": name, "circuit_id": circuits[circuit], **made}
            await connection.execute(insert(power_sources).values(**values))
        for name, sensor, circuit in (("Feed meter", "em-1", "Grid supply 1"), ("Spare meter", "em-9", "")):
            values = {"depot_id": depot_id, "gateway_id": gateway_id, "sensor_id": sensor, "name": name, **made}
            await connection.execute(insert(devices).values(**values, circuit_id=circuits.get(circuit)))
    return depot_id


async def make_fleet(engine: AsyncEngine, depots: int, *, flawed: int = 0) -> None:
    """Create depots that were imported: nothing has provisioned them; ``flawed`` have no circuit."""
    async with transaction(engine, ACTOR) as connection:
        await connection.execute(text("SELECT set_config('manage.importing', 'on', true)"))
        await connection.execute(
            text("""
                INSERT INTO depots (name, timezone, created_by, updated_by)
                SELECT 'Depot ' || lpad(number::text, 5, '0'), 'Europe/Zurich', 'import', 'import'
                FROM generate_series(1, :depots) AS number
            """),
            {"depots": depots},
        )
        await connection.execute(
            text("""
                INSERT INTO circuits (depot_id, name, position, created_by, updated_by)
                SELECT id, 'Main switchboard', 0, 'import', 'import' FROM depots ORDER BY name DESC LIMIT :sound
            """),
            {"sound": depots - flawed},
        )


_FILL = text("""
    INSERT INTO circuits (depot_id, name, position, created_by, updated_by)
    SELECT :depot_id, :name || ' ' || n, n, 'tester', 'tester' FROM generate_series(0, :circuits - 1) AS n
""")


async def depot_with(engine: AsyncEngine, circuits: int, *, name: str = "Feeder") -> UUID:
    """Make a depot with so many top-level circuits, in one statement."""
    depot_id = await make_depot(engine)
    async with engine.begin() as connection:
        await connection.execute(_FILL, {"depot_id": depot_id, "name": name, "circuits": circuits})
    return depot_id


_EQUIP = [
    text("""
        INSERT INTO gateways (depot_id, name, created_by, updated_by)
        SELECT :depot_id, 'Gateway ' || n, 'tester', 'tester' FROM generate_series(1, :gateways) AS n
    """),
    text("""
        INSERT INTO devices (depot_id, gateway_id, sensor_id, name, created_by, updated_by)
        SELECT :depot_id, (SELECT id FROM gateways WHERE depot_id = :depot_id ORDER BY id LIMIT 1),
               'meter-' || n, 'Meter ' || n, 'tester', 'tester'
        FROM generate_series(1, :devices) AS n
    """),
    text("""
        INSERT INTO power_sources (depot_id, kind, name, created_by, updated_by)
        SELECT :depot_id, 'BATTERY', 'Source ' || n, 'tester', 'tester' FROM generate_series(1, :power_sources) AS n
    """),
]
_FIRST_GATEWAY = text("SELECT id FROM gateways WHERE depot_id = :depot_id ORDER BY id LIMIT 1")


async def equipped_depot(
    engine: AsyncEngine, *, gateways: int = 1, devices: int = 0, power_sources: int = 0
) -> tuple[UUID, UUID]:
    """Make a depot with so much equipment; all devices are at its first gateway. Answers the depot and that gateway."""
    depot_id = await make_depot(engine)
    given = {"depot_id": depot_id, "gateways": gateways, "devices": devices, "power_sources": power_sources}
    async with engine.begin() as connection:
        for statement in _EQUIP:
            names = statement.compile().params
            await connection.execute(statement, {name: given[name] for name in names})
        gateway_id = (await connection.execute(_FIRST_GATEWAY, {"depot_id": depot_id})).scalar_one()
    return depot_id, gateway_id
