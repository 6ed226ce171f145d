"""How much equipment a depot may have, and that a packet costs what it names, however much there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

import store.site.packet_contexts
from domain.base.bounds import DEVICES, GATEWAYS, POWER_SOURCES, Bound
from store.site.tables import devices, gateways, power_sources
from tests.factories.depots import equipped_depot
from tests.factories.fleet_lines import depot, device, encode, gateway, import_lines, post, source
from tests.factories.fleet_model import Fleet, Line
from tests.factories.packets import send
from tests.factories.sites import MadeDepot, add_action, add_device, controller_site, milliseconds, packet
from tests.helpers.answers import HTMX, error_of, problem
from tests.helpers.counting import statements_of

KINDS = {"gateways": GATEWAYS, "devices": DEVICES, "power_sources": POWER_SOURCES}
TABLES: dict[str, Table] = {"gateways": gateways, "devices": devices, "power_sources": power_sources}
PATHS = {"gateways": "gateways", "devices": "devices", "power_sources": "power-sources"}
bounded = pytest.mark.parametrize("kind", list(KINDS))


def body_of(kind: str, depot_id: UUID, gateway_id: UUID) -> dict[str, Any]:
    """Make the body of a request for one more."""
    return {
        "gateways": {"depot_id": str(depot_id), "name": "One more"},
        "devices": {"gateway_id": str(gateway_id), "sensor_id": str(uuid4()), "name": "One more"},
        "power_sources": {"depot_id": str(depot_id), "kind": "BATTERY", "name": "One more"},
    }[kind]


async def count(engine: AsyncEngine, kind: str, depot_id: UUID) -> int:
    table = TABLES[kind]
    async with engine.connect() as connection:
        query = select(func.count()).select_from(table).where(table.c.depot_id == depot_id)
        return (await connection.execute(query)).scalar_one()


async def id_of(engine: AsyncEngine, kind: str, depot_id: UUID) -> UUID:
    """The last of them."""
    table = TABLES[kind]
    async with engine.connect() as connection:
        query = select(table.c.id).where(table.c.depot_id == depot_id).order_by(table.c.id.desc()).limit(1)
        return (await connection.execute(query)).scalar_one()


# The bound


@bounded
async def test_the_last_that_fits_is_added_once_by_three_at_once(
    engine: AsyncEngine, api: httpx.AsyncClient, kind: str
) -> None:
    bound, path = KINDS[kind], f"/api/{PATHS[kind]}"
    depot_id, gateway_id = await equipped_depot(engine, **{kind: bound.most - 1})
    answers = await asyncio.gather(*(api.post(path, json=body_of(kind, depot_id, gateway_id)) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
    assert {problem(answer)[1] for answer in answers if answer.status_code == 422} == {bound.code}
    assert await count(engine, kind, depot_id) == bound.most
    # What is there can be changed, and where one goes another may come. Another depot has room of its own.
    one = await id_of(engine, kind, depot_id)
    assert (await api.patch(f"{path}/{one}", json={"name": "Renamed"})).status_code == 200
    assert (await api.delete(f"{path}/{one}")).status_code == 204
    assert (await api.post(path, json=body_of(kind, depot_id, gateway_id))).status_code == 201
    assert (await api.post(path, json=body_of(kind, *await equipped_depot(engine)))).status_code == 201


@bounded
async def test_a_depot_that_was_larger_before_the_bound_goes_on(
    engine: AsyncEngine, api: httpx.AsyncClient, kind: str
) -> None:
    bound, path = KINDS[kind], f"/api/{PATHS[kind]}"
    depot_id, gateway_id = await equipped_depot(engine, **{kind: bound.most + 5})
    one = await id_of(engine, kind, depot_id)
    assert (await api.patch(f"{path}/{one}", json={"name": "Renamed"})).status_code == 200
    refused = await api.post(path, json=body_of(kind, depot_id, gateway_id))
    assert problem(refused) == (422, bound.code)
    assert f"at most {bound.most:,}" in refused.json()["detail"]
    assert f"would be {bound.most + 6:,}" in refused.json()["detail"]
    assert (await api.delete(f"{path}/{one}")).status_code == 204
    assert problem(await api.post(path, json=body_of(kind, depot_id, gateway_id))) == (422, bound.code)


@bounded
async def test_the_dialog_says_it_beside_the_name(engine: AsyncEngine, api: httpx.AsyncClient, kind: str) -> None:
    bound = KINDS[kind]
    depot_id, gateway_id = await equipped_depot(engine, **{kind: bound.most})
    filled = {"circuit_id": "", "controller": "", "site_model_name": "", "output_translation": ""}
    filled |= {**body_of(kind, depot_id, gateway_id), "idempotency_key": str(uuid4())}
    answer = await api.post(f"/depots/{depot_id}/{PATHS[kind]}", data=filled, headers=HTMX)
    assert answer.status_code == 422
    prefix = {"gateways": "gateway", "devices": "device", "power_sources": "source"}[kind]
    assert error_of(answer.text, f"{prefix}-name").startswith(f"A depot has at most {bound.most:,} ")


# Imports


def lines_of(kind: str, depot_id: str, gateway_id: str, number: int) -> list[Line]:
    make: dict[str, Callable[[], Line]] = {
        "gateways": lambda: gateway(depot_id, str(uuid4())),
        "devices": lambda: device(gateway_id, sensor_id=str(uuid4())),
        "power_sources": lambda: source(depot_id),
    }
    return [make[kind]() for _ in range(number)]


@bounded
async def test_an_import_refuses_what_is_too_much(engine: AsyncEngine, api: httpx.AsyncClient, kind: str) -> None:
    bound = KINDS[kind]
    here, there, at, elsewhere = (str(uuid4()) for _ in range(4))
    base = [depot(here), depot(there), gateway(there, elsewhere)]
    room = bound.most
    if kind == "devices":
        base.append(gateway(here, at))
    many = lines_of(kind, here, at, room + 1)
    report = await post(api, encode([*base, *lines_of(kind, there, elsewhere, 1), *many]))
    assert report["refused_by_code"] == {bound.code: room + 1}
    assert report["landed"][kind] == 1 + len([line for line in base if line["type"] == "gateway" == kind[:-1]])
    assert report["refusals"][0]["field"] == ("gateway_id" if kind == "devices" else "depot_id")
    assert f"{bound.most:,}" in report["refusals"][0]["reason"]
    assert await count(engine, kind, UUID(here)) == 0
    # As many as fit do, also in two files; and then not one more.
    assert (await import_lines(engine, encode(many[:-2])))[1] == {}
    assert set((await import_lines(engine, encode(many)))[1].values()) == {bound.code}
    assert (await import_lines(engine, encode(many[-1:])))[1] == {}
    assert await count(engine, kind, UUID(here)) == bound.most
    assert (await import_lines(engine, encode(many[-2:-1])))[1] == {1: bound.code}
    assert (await import_lines(engine, encode(many[:-2])))[0].unchanged == room - 1


async def test_the_model_refuses_the_same_lines(engine: AsyncEngine) -> None:
    here, at, broken = str(uuid4()), str(uuid4()), str(uuid4())
    body: list[Line] = [depot(here), gateway(here, at)]
    # Lines that are refused for another reason do not count.
    body += [
        device(at, sensor_id="twice"),
        device(at, sensor_id="twice"),
        source(here, broken),
        gateway(broken, broken),
    ]
    body += lines_of("power_sources", here, at, POWER_SOURCES.most)
    body += lines_of("devices", here, at, DEVICES.most - 1)
    later: list[Line] = [*lines_of("gateways", here, at, GATEWAYS.most), *lines_of("devices", here, at, 1)]
    later += [device(later[0]["id"]), source(here), depot(broken)]
    model = Fleet()
    for file in (body, later):
        _, refused = await import_lines(engine, encode(file))
        assert refused == model.take(file).refused
    assert {*refused.values()} == {
        "TOO_MANY_GATEWAYS", "TOO_MANY_DEVICES", "GATEWAY_REFUSED", "TOO_MANY_POWER_SOURCES",
    }  # fmt: skip


@bounded
async def test_two_imports_and_an_operator_do_not_pass_the_bound_together(
    engine: AsyncEngine, api: httpx.AsyncClient, kind: str
) -> None:
    bound: Bound = KINDS[kind]
    depot_id, gateway_id = await equipped_depot(engine, **{kind: bound.most - 1})
    files = [encode(lines_of(kind, str(depot_id), str(gateway_id), 1)) for _ in range(2)]
    await asyncio.gather(
        *(import_lines(engine, each) for each in files),
        api.post(f"/api/{PATHS[kind]}", json=body_of(kind, depot_id, gateway_id)),
    )
    assert await count(engine, kind, depot_id) == bound.most


# In proportion


async def test_a_packet_reads_the_sensors_that_it_names(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    read_sites = store.site.packet_contexts._read_contexts  # pyright: ignore[reportPrivateUsage]

    async def counted(driver: Any, rows: Any) -> Any:
        read.append(len(rows))
        return await read_sites(driver, rows)

    monkeypatch.setattr(store.site.packet_contexts, "_read_contexts", counted)
    depot_id, gateway_id = await equipped_depot(engine, devices=DEVICES.most)
    site = MadeDepot(depot_id, gateway_id, [], None)
    three: dict[str, Any] = {"device_id": str(gateway_id), "timestamp": milliseconds()}
    three["sensors"] = [{"sensor_id": each, "measurands": []} for each in ("meter-1", "meter-2000", "nobody")]
    (item,) = await send(api, three)
    assert item["unknown_sensors"] == ["nobody"]
    (item,) = await send(api, packet(site, milliseconds(), "meter-1000", TOTAL_POWER_LOAD=1))
    assert item["unknown_sensors"] == []
    (item,) = await send(api, {**three, "sensors": []})
    assert (item["status"], item["unknown_sensors"]) == ("ACCEPTED", [])
    assert read == [3, 1, 1]


async def test_whatever_packets_name_in_turn_each_sensor_does_what_it_is_configured_to(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site = await controller_site(engine)
    await add_device(engine, site, "other")
    sent = iter(range(milliseconds() - 60_000, milliseconds()))
    values = {"LIMIT_PEAK_SHAVING": "true", "LIMIT_DER_EXPORT": "false"}

    async def outcomes(*sensors: str) -> tuple[list[tuple[str, str]], list[str]]:
        whole = packet(site, next(sent), **values)
        (one,) = whole["sensors"]
        (item,) = await send(api, {**whole, "sensors": [{**one, "sensor_id": each} for each in sensors]})
        return [(each["sensor_id"], each["outcome"]) for each in item["actions"]], item["unknown_sensors"]

    assert await outcomes("mgc-1") == ([("mgc-1", "APPLIED")], [])
    assert await outcomes("other") == ([], [])
    assert await outcomes("new", "mgc-1") == ([("mgc-1", "APPLIED")], ["new"])
    assert await outcomes() == ([], [])
    path = f"/api/sensor-actions/{site.actions['mgc-1', 'UPDATE_MICROGRID_STATE']}"
    assert (await api.patch(path, json={"enabled": False})).status_code == 200
    await add_action(engine, site, "UPDATE_MICROGRID_STATE", "LIMIT_PEAK_SHAVING", sensor_id="other")
    await add_device(engine, site, "new")
    assert await outcomes("mgc-1") == ([("mgc-1", "IGNORED")], [])
    assert await outcomes("other") == ([("other", "APPLIED")], [])
    assert await outcomes("new", "mgc-1", "other") == ([("mgc-1", "IGNORED"), ("other", "APPLIED")], [])


async def test_a_group_of_packets_has_the_sensors_of_each(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    one, other = await controller_site(engine), await controller_site(engine)
    await add_device(engine, one, "only here")
    # The same names at both gateways, the other way round: neither has the other's sensors.
    body = [
        packet(one, None, "only here", TOTAL_POWER_LOAD=1), packet(other, None, LIMIT_PEAK_SHAVING="true"),
        packet(other, None, "only here", TOTAL_POWER_LOAD=1), packet(one, None, LIMIT_PEAK_SHAVING="true"),
    ]  # fmt: skip
    items = await send(api, body)
    assert [item["unknown_sensors"] for item in items] == [[], [], ["only here"], []]
    assert [len(item["actions"]) for item in items] == [0, 1, 0, 1]


async def test_pages_and_deletions_ask_as_much_for_many_devices_as_for_few(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    asked: list[list[int]] = []
    for number in (20, DEVICES.most):
        counts: list[int] = []
        depot_id, gateway_id = await equipped_depot(engine, devices=number)
        for method, path in (
            ("GET", f"/depots/{depot_id}/controllers/new"),
            ("GET", f"/depots/{depot_id}/gateways/{gateway_id}/delete"),
            ("DELETE", f"/api/gateways/{gateway_id}?cascade=true"),
        ):
            with statements_of(engine) as seen:
                answer = await api.request(method, path, headers=HTMX if method == "GET" else {})
            assert answer.is_success, answer.text
            assert seen.many == []
            counts.append(seen.count)
        asked.append(counts)
    assert asked[0] == asked[1]
