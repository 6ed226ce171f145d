"""What a list of a site says of gateways and devices, from the packets that came; and who writes to a power source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.sensor_actions import SensorActionKind
from store.monitoring.device_reports import DEPTH
from store.site.resolutions import list_writers
from store.site.site_overview import (
    MOST_UNKNOWN,
    CarriedAction,
    GatewayOverview,
    UnknownSensor,
    forget_unknown_sensors,
    list_carried_actions,
    list_unknown_sensors,
    read_gateway_overview,
    read_last_packets,
)
from tests.factories.sites import MadeDepot, add_action, add_device, add_power_source, make_site

_PACKETS = text("""
    INSERT INTO packets (gateway_id, depot_id, observed_at, received_at, document, answers)
    SELECT CAST(:gateway_id AS uuid), CAST(:depot_id AS uuid), CAST(:until AS timestamptz) - n * interval '1 second',
           now(), jsonb_build_object('sensors', (
               SELECT jsonb_agg(jsonb_build_object('sensor_id', sensor_id, 'measurands', jsonb_build_array()))
               FROM unnest(CAST(:sensors AS text[])) AS sensor_id)), jsonb_build_array()
    FROM generate_series(CAST(:first AS int), CAST(:first AS int) + CAST(:count AS int) - 1) AS n
""")
UNTIL = datetime.now(UTC).replace(microsecond=0)


async def store_packets(engine: AsyncEngine, made: MadeDepot, *sensors: str, first: int, count: int) -> None:
    """Store packets, one a second, the latest ``first`` seconds ago."""
    async with engine.begin() as connection:
        await connection.execute(
            _PACKETS,
            {
                "gateway_id": str(made.gateway_id),
                "depot_id": str(made.depot_id),
                "until": UNTIL,
                "sensors": list(sensors),
                "first": first,
                "count": count,
            },
        )


async def test_the_last_packet_of_a_device_is_found_however_long_ago_it_was(engine: AsyncEngine) -> None:
    made = await make_site(engine)
    for sensor_id in ("often", "seldom", "silent", "never"):
        await add_device(engine, made, sensor_id)
    await store_packets(engine, made, "often", "other", first=0, count=50)
    await store_packets(engine, made, "seldom", first=50, count=DEPTH - 50)
    await store_packets(engine, made, "silent", first=DEPTH, count=3)
    async with engine.connect() as connection:
        found = await read_last_packets(connection, list(made.devices.values()))
        overview = await read_gateway_overview(connection, [made.gateway_id, uuid4()])
        assert await list_unknown_sensors(connection, made.depot_id, 10) == [
            UnknownSensor(made.gateway_id, "Gateway", "other", UNTIL)
        ]
        assert await read_last_packets(connection, []) == {}
    assert found == {
        made.devices["often"]: UNTIL,
        made.devices["seldom"]: UNTIL - timedelta(seconds=50),
        made.devices["silent"]: UNTIL - timedelta(seconds=DEPTH),
    }
    assert overview == {made.gateway_id: GatewayOverview(4, UNTIL)}


async def test_a_gateway_that_sent_nothing_has_no_last_packet(engine: AsyncEngine) -> None:
    made = await make_site(engine)
    async with engine.connect() as connection:
        assert await read_gateway_overview(connection, [made.gateway_id]) == {made.gateway_id: GatewayOverview(0, None)}
        assert await list_unknown_sensors(connection, made.depot_id, 10) == []


async def test_actions_of_devices_and_who_writes_to_a_power_source(engine: AsyncEngine) -> None:
    made = await make_site(engine, feeds=2)
    battery = await add_power_source(engine, made, "BATTERY", made.circuit_ids[0])
    await add_device(engine, made, "linked", made.circuit_ids[0])
    await add_device(engine, made, "loose")
    await add_device(engine, made, "bare")
    state, load = "UPDATE_POWER_SOURCE_STATE", "UPDATE_POWER_SOURCE_LOAD"
    first = await add_action(engine, made, state, "SOC", sensor_id="linked")
    second = await add_action(engine, made, load, "TOTAL_POWER_LOAD", sensor_id="linked", enabled=False)
    third = await add_action(engine, made, state, "SOC", sensor_id="loose")
    await add_action(engine, made, "UPDATE_MICROGRID_STATE", "LIMIT_DER_EXPORT", sensor_id="bare")
    async with engine.connect() as connection:
        carried = await list_carried_actions(connection, [made.devices["linked"], made.devices["loose"]])
        writers = await list_writers(connection, made.depot_id, battery)
    assert carried == {
        made.devices["linked"]: [
            CarriedAction(second, SensorActionKind.UPDATE_POWER_SOURCE_LOAD, enabled=False),
            CarriedAction(first, SensorActionKind.UPDATE_POWER_SOURCE_STATE, enabled=True),
        ],
        made.devices["loose"]: [CarriedAction(third, SensorActionKind.UPDATE_POWER_SOURCE_STATE, enabled=True)],
    }
    assert [(each.device_name, each.title) for each in writers] == [
        ("Device linked", "Update Power Source State"),
        ("Device loose", "Update Power Source State"),
    ]
    # With a second battery nothing tells the loose device's any more.
    await add_power_source(engine, made, "BATTERY", made.circuit_ids[1])
    async with engine.connect() as connection:
        assert [each.sensor_action_id for each in await list_writers(connection, made.depot_id, battery)] == [first]


async def sighted(engine: AsyncEngine, made: MadeDepot) -> set[str]:
    """The sensors of the gateway of which it is known that they were heard."""
    async with engine.connect() as connection:
        query = text("SELECT sensor_id FROM sensor_sightings WHERE gateway_id = :id")
        return set((await connection.execute(query, {"id": made.gateway_id})).scalars())


async def test_unknown_sensors_are_noted_up_to_a_bound_and_devices_always(engine: AsyncEngine) -> None:
    made, other = await make_site(engine), await make_site(engine)
    await add_device(engine, made, "z-device")
    for begin in range(0, MOST_UNKNOWN + 200, 100):
        made_up = [f"made-up-{n:04}" for n in range(begin, begin + 100)]
        await store_packets(engine, made, *made_up, first=begin + 1, count=1)
    found = await sighted(engine, made)
    assert found == {f"made-up-{n:04}" for n in range(MOST_UNKNOWN)}
    # What has a device is noted however many there are, and what is noted is kept up.
    await store_packets(engine, made, "made-up-0000", "made-up-9999", "z-device", first=0, count=1)
    assert await sighted(engine, made) == found | {"z-device"}
    async with engine.connect() as connection:
        (first,) = await list_unknown_sensors(connection, made.depot_id, 1)
        assert (first.sensor_id, first.last_packet_at) == ("made-up-0000", UNTIL)
        assert len(await list_unknown_sensors(connection, made.depot_id, 1000)) == MOST_UNKNOWN
    # One gateway takes nothing from another.
    await store_packets(engine, other, "mine", first=0, count=1)
    assert await sighted(engine, other) == {"mine"}
    # A sensor that gets a device makes room for another.
    await add_device(engine, made, "made-up-0001")
    await store_packets(engine, made, "made-up-9999", first=0, count=1)
    assert "made-up-9999" in await sighted(engine, made)


async def test_one_statement_notes_no_more_than_the_bound(engine: AsyncEngine) -> None:
    made = await make_site(engine)
    many = [f"made-up-{n:05}" for n in range(10_000)]
    await store_packets(engine, made, *many, first=0, count=2)
    assert await sighted(engine, made) == set(many[:MOST_UNKNOWN])


async def test_unknown_sensors_that_are_silent_are_forgotten(engine: AsyncEngine) -> None:
    made = await make_site(engine)
    await add_device(engine, made, "device")
    await store_packets(engine, made, "device", "silent", "heard", first=0, count=1)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE sensor_sightings SET received_at = now() - interval '8 days' WHERE sensor_id <> 'heard'")
        )
        await forget_unknown_sensors(connection)
    assert await sighted(engine, made) == {"device", "heard"}
