"""How much equipment a depot may have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.bounds import DEVICES, GATEWAYS, POWER_SOURCES, Bound
from store.site.tables import devices, gateways, power_sources
from tests.homes.fleet_lines import bring_in, depot, device, encode, gateway, post, source
from tests.homes.fleet_model import Fleet, Line
from tests.homes.site import problem
from tests.homes.sizes import equipped_depot
from tests.site.test_page_forms import HTMX, error_of

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
    assert (await bring_in(engine, encode(many[:-2])))[1] == {}
    assert set((await bring_in(engine, encode(many)))[1].values()) == {bound.code}
    assert (await bring_in(engine, encode(many[-1:])))[1] == {}
    assert await count(engine, kind, UUID(here)) == bound.most
    assert (await bring_in(engine, encode(many[-2:-1])))[1] == {1: bound.code}
    assert (await bring_in(engine, encode(many[:-2])))[0].unchanged == room - 1


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
        _, refused = await bring_in(engine, encode(file))
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
        *(bring_in(engine, each) for each in files),
        api.post(f"/api/{PATHS[kind]}", json=body_of(kind, depot_id, gateway_id)),
    )
    assert await count(engine, kind, depot_id) == bound.most
