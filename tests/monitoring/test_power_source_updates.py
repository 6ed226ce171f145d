"""Power source updates by sensor action: where they go, where they do not, and what an operator is told."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from store.site.tables import devices, gateways, power_source_readings, power_sources, remediations
from tests.factories.packets import send
from tests.factories.sites import (
    CONTROLLER,
    MadeDepot,
    add_action,
    add_device,
    add_power_source,
    make_site,
    milliseconds,
    packet,
)

STATE = ("UPDATE_POWER_SOURCE_STATE", "SOC", "DEVICE_POWER_STATE", "BESS_OPERATIONAL_MODE")
LOAD = ("UPDATE_POWER_SOURCE_LOAD", "TOTAL_POWER_LOAD", "TOTAL_REACTIVE_POWER")


async def battery_site(engine: AsyncEngine, **options: Any) -> MadeDepot:
    """A site with two feeds whose device, on the first, updates a power source."""
    site = await make_site(engine, feeds=2, **options)
    await add_device(engine, site, circuit_id=site.circuit_ids[0])
    await add_action(engine, site, *STATE)
    await add_action(engine, site, *LOAD)
    return site


async def readings(engine: AsyncEngine) -> dict[UUID, dict[str, float | str]]:
    """What is known of each power source."""
    found: dict[UUID, dict[str, float | str]] = {}
    async with engine.connect() as connection:
        columns = power_source_readings.c
        rows = select(columns.power_source_id, columns.measurand, columns.value_number, columns.value_text)
        for source, measurand, number, text in await connection.execute(rows):
            found.setdefault(source, {})[measurand] = text if number is None else number
    return found


async def open_remediations(engine: AsyncEngine) -> list[tuple[str, str, int]]:
    """The open remediations: action, code, how often."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(remediations.c.action, remediations.c.code, remediations.c.times)
            .where(remediations.c.closed_at.is_(None))
            .order_by(remediations.c.action)
        )
        return [tuple(row) for row in rows]


@pytest.mark.acceptance("COR-9.4")
@pytest.mark.acceptance("COR-9.5")
async def test_updates_reach_the_power_source_without_a_site_model_or_translation(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await battery_site(engine)
    battery = await add_power_source(engine, site, circuit_id=site.circuit_ids[0])
    async with engine.connect() as connection:
        stored = await connection.execute(select(gateways.c.site_model_name, gateways.c.output_translation))
        assert tuple(stored.one()) == (None, None)
    (item,) = await send(
        api, packet(site, SOC=81.5, DEVICE_POWER_STATE="on", BESS_OPERATIONAL_MODE="idle", TOTAL_POWER_LOAD=-2500)
    )
    assert [(each["action"], each["outcome"], each["rule"], each["target_id"]) for each in item["actions"]] == [
        ("UPDATE_POWER_SOURCE_LOAD", "APPLIED", "LINKED_CIRCUIT", str(battery)),
        ("UPDATE_POWER_SOURCE_STATE", "APPLIED", "LINKED_CIRCUIT", str(battery)),
    ]
    assert await readings(engine) == {
        battery: {"SOC": 81.5, "DEVICE_POWER_STATE": "on", "BESS_OPERATIONAL_MODE": "idle", "TOTAL_POWER_LOAD": -2500}
    }


Equip = list[tuple[str, int | None]]
"""Power sources to add: kind, and the place of the feed that it hangs on."""


@pytest.mark.acceptance("COR-9.6")
@pytest.mark.acceptance("COR-9.7")
@pytest.mark.parametrize(
    ("equip", "linked", "translation", "expected"),
    [
        # Row by row as docs/system-design/power-source-routing.md has them: an int is the source that must be written.
        pytest.param([("SOLAR", 0), ("BATTERY", 1)], 0, None, (0, "LINKED_CIRCUIT"), id="row-1"),
        pytest.param([("SOLAR", 0), ("BATTERY", 0)], 0, None, (1, "DEPOT_BATTERY"), id="row-2"),
        pytest.param([("GENERATOR", 1), ("BATTERY", 1)], None, None, (1, "DEPOT_BATTERY"), id="row-3-not-linked"),
        pytest.param([("BATTERY", 1)], 0, None, (0, "DEPOT_BATTERY"), id="row-3-nothing"),
        pytest.param([], 0, None, "NO_POWER_SOURCE", id="row-4"),
        pytest.param([("SOLAR", 0), ("SOLAR", 0)], 0, 1, (1, "OUTPUT_TRANSLATION"), id="row-5"),
        pytest.param([("BATTERY", 1), ("BATTERY", 1)], 0, 1, (1, "OUTPUT_TRANSLATION"), id="row-6"),
        pytest.param([("SOLAR", 0), ("SOLAR", 0)], 0, "x", "OUTPUT_TRANSLATION_MALFORMED", id="row-7"),
        pytest.param([("BATTERY", 1), ("BATTERY", 1)], 0, "x", "OUTPUT_TRANSLATION_MALFORMED", id="row-8"),
        pytest.param([("SOLAR", 0), ("SOLAR", 0)], 0, "other", "OUTPUT_TRANSLATION_NOT_IN_DEPOT", id="row-9"),
        pytest.param([("SOLAR", 1)], 0, "other", "OUTPUT_TRANSLATION_NOT_IN_DEPOT", id="row-10"),
        pytest.param(
            [("SOLAR", 0), ("SOLAR", 0), ("BATTERY", 1)], 0, None, "SEVERAL_POWER_SOURCES_ON_CIRCUIT", id="row-11"
        ),
        pytest.param([("BATTERY", 1), ("BATTERY", None)], 0, None, "SEVERAL_BATTERIES", id="row-12"),
        pytest.param([("SOLAR", 1)], None, None, "NO_CIRCUIT_AND_NO_BATTERY", id="row-13"),
        pytest.param([("SOLAR", 1)], 0, None, "NO_POWER_SOURCE_ON_CIRCUIT_AND_NO_BATTERY", id="row-14"),
    ],
)
async def test_an_update_goes_where_the_rules_say_or_nowhere(
    api: httpx.AsyncClient,
    engine: AsyncEngine,
    equip: Equip,
    linked: int | None,
    translation: int | str | None,
    expected: tuple[int, str] | str,
) -> None:
    # A battery of another depot must never be a candidate.
    elsewhere = await make_site(engine)
    foreign = await add_power_source(engine, elsewhere, circuit_id=elsewhere.circuit_ids[0])
    site = await battery_site(engine)
    sources = [
        await add_power_source(engine, site, kind, None if place is None else site.circuit_ids[place])
        for kind, place in equip
    ]
    named: dict[str, object] = {"x": {"power_source": 1}, "other": {"power_source_id": str(foreign)}}
    stored = {"power_source_id": str(sources[translation])} if isinstance(translation, int) else None
    async with engine.begin() as connection:
        circuit_id = None if linked is None else site.circuit_ids[linked]
        await connection.execute(
            update(devices).where(devices.c.gateway_id == site.gateway_id).values(circuit_id=circuit_id)
        )
        if translation is not None:
            values = stored if isinstance(translation, int) else named[translation]
            await connection.execute(
                update(gateways).where(gateways.c.id == site.gateway_id).values(output_translation=values)
            )
    (item,) = await send(api, packet(site, SOC=50))
    (action,) = [each for each in item["actions"] if each["action"] == STATE[0]]
    if isinstance(expected, str):
        assert (action["outcome"], action["code"], action["target_id"]) == ("REMEDIATION", expected, None)
        assert await readings(engine) == {}
        assert await open_remediations(engine) == [(STATE[0], expected, 1)]
    else:
        source, rule = expected
        assert (action["outcome"], action["rule"]) == ("APPLIED", rule)
        assert await readings(engine) == {sources[source]: {"SOC": 50}}
        assert await open_remediations(engine) == []


@pytest.mark.acceptance("COR-9.7")
async def test_a_remediation_counts_changes_and_closes_by_itself(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await battery_site(engine)
    await send(api, [packet(site, milliseconds() + n, SOC=50) for n in range(3)])
    await send(api, packet(site, milliseconds() + 5, SOC=50))
    assert await open_remediations(engine) == [(STATE[0], "NO_POWER_SOURCE", 4)]
    first = await add_power_source(engine, site)
    second = await add_power_source(engine, site)
    await send(api, packet(site, milliseconds() + 6, SOC=50))
    # Another reason is another remediation; the candidates are named.
    assert await open_remediations(engine) == [(STATE[0], "SEVERAL_BATTERIES", 1)]
    async with engine.begin() as connection:
        candidates = await connection.execute(
            select(remediations.c.candidates).where(remediations.c.closed_at.is_(None))
        )
        assert set(candidates.scalar_one()) == {first, second}
        await connection.execute(
            update(power_sources).where(power_sources.c.id == second).values(circuit_id=site.circuit_ids[0])
        )
    await send(api, packet(site, milliseconds() + 7, SOC=51))
    assert await open_remediations(engine) == []
    assert await readings(engine) == {second: {"SOC": 51}}
    async with engine.connect() as connection:
        closers = await connection.execute(select(remediations.c.code, remediations.c.closed_by))
        assert {tuple(row) for row in closers} == {
            ("NO_POWER_SOURCE", "system:routing"), ("SEVERAL_BATTERIES", "system:routing"),
        }  # fmt: skip


async def test_a_reading_is_replaced_by_a_newer_one_only(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await battery_site(engine)
    battery = await add_power_source(engine, site, circuit_id=site.circuit_ids[0])
    now = milliseconds()
    outcomes: list[tuple[str, str | None]] = []
    for sent in (
        packet(site, now, SOC=60, TOTAL_POWER_LOAD=100),
        packet(site, now, SOC=61),
        packet(site, now - 10, SOC=62),
        packet(site, now + 10, SOC=None),
        packet(site, now + 20, SOC=140),
        packet(site, now + 30, SOC="60"),
        packet(site, now + 40, SOC=63, DEVICE_POWER_STATE="ON"),
    ):
        (item,) = await send(api, sent)
        (action,) = [each for each in item["actions"] if each["action"] == STATE[0]]
        outcomes.append((action["outcome"], action["code"]))
    assert outcomes == [
        ("APPLIED", None), ("IGNORED", "LATE"), ("IGNORED", "LATE"), ("IGNORED", "VALUE_UNAVAILABLE"),
        ("IGNORED", "VALUE_OUT_OF_RANGE"), ("IGNORED", "WRONG_VALUE_KIND"), ("APPLIED", None),
    ]  # fmt: skip
    assert await readings(engine) == {battery: {"SOC": 63, "TOTAL_POWER_LOAD": 100}}


async def test_sensors_of_one_gateway_are_kept_apart(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await battery_site(engine)
    await add_device(engine, site, "mgc-2", circuit_id=site.circuit_ids[1])
    await add_action(engine, site, *STATE, sensor_id="mgc-2")
    first = await add_power_source(engine, site, circuit_id=site.circuit_ids[0])
    second = await add_power_source(engine, site, circuit_id=site.circuit_ids[1])
    both = packet(site, SOC=10)
    both["sensors"] += packet(site, both["timestamp"], "mgc-2", SOC=20)["sensors"]
    (item,) = await send(api, both)
    assert {each["sensor_id"] for each in item["actions"]} == {CONTROLLER, "mgc-2"}
    assert await readings(engine) == {first: {"SOC": 10}, second: {"SOC": 20}}
