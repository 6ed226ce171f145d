"""Whose packets somebody may send over HTTP."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.senders import sender_of
from domain.access.principals import LOCAL_PRINCIPAL, Grant, Principal, PrincipalKind
from domain.access.roles import Role
from domain.base.actor import Actor
from store.monitoring.tables import packets
from tests.access.routes import all_routes
from tests.access.sites import WHO, asked_as, missing, person, told
from tests.factories.packets import PATH
from tests.factories.sites import MadeDepot, controller_site, packet
from tests.helpers.counting import statements_of

pytestmark = pytest.mark.usefixtures("client")


def program(*grants: Grant) -> Principal:
    return Principal(PrincipalKind.PROGRAM, "token#1", Actor("feeder"), grants)


def gateway(site: MadeDepot) -> Principal:
    grants = (Grant(Role.GATEWAY, site.depot_id),)
    return Principal(PrincipalKind.GATEWAY, str(site.gateway_id), Actor("gateway"), grants, site.gateway_id)


async def senders(engine: AsyncEngine) -> set[UUID]:
    """The gateways of which packets are stored."""
    async with engine.connect() as connection:
        return set((await connection.execute(select(packets.c.gateway_id))).scalars())


async def test_a_packet_of_a_foreign_gateway_is_refused_by_itself(engine: AsyncEngine, database_url: str) -> None:
    own, foreign = await controller_site(engine), await controller_site(engine)
    # Of another gateway than its own, a gateway sends nothing, whatever else is granted at its depot.
    program_of_own = program(Grant(Role.GATEWAY, own.depot_id))
    principals = {"gateway": gateway(own), "program": program_of_own, "viewer": person(Grant(Role.VIEWER))}
    theirs = packet(foreign, LIMIT_PEAK_SHAVING="true")
    unknown = theirs | {"device_id": str(missing()["gateway_id"])}
    async with asked_as(database_url, principals) as caller:
        for who in ("gateway", "program"):
            headers = {WHO: who}
            alone = await caller.post(PATH, json=theirs, headers=headers)
            assert told(alone) == (403, "FOREIGN_GATEWAY")
            # A gateway that does not exist is not told apart from one that is another's.
            nobody = await caller.post(PATH, json=unknown, headers=headers)
            assert told(nobody) == told(alone)
            assert nobody.json()["detail"] == alone.json()["detail"]
            mine = packet(own, LIMIT_PEAK_SHAVING="true")
            answer = await caller.post(PATH, json=[theirs, mine, unknown], headers=headers)
            items = answer.json()["items"]
            assert [each["problem"] and each["problem"]["code"] for each in items] == [
                "FOREIGN_GATEWAY", None, "FOREIGN_GATEWAY",
            ]  # fmt: skip
            assert (await caller.post(PATH, json=mine, headers=headers)).status_code == 200
        assert await senders(engine) == {own.gateway_id}
        figures = (await caller.get("/metrics", headers={WHO: "viewer"})).text
        assert 'manage_door_refused_packets_total{code="FOREIGN_GATEWAY"} 8.0' in figures


async def test_a_program_sends_of_all_gateways_at_its_depots(engine: AsyncEngine, database_url: str) -> None:
    sites = [await controller_site(engine) for _ in range(3)]
    some = program(*(Grant(Role.GATEWAY, each.depot_id) for each in sites[:2]))
    body = [packet(each, LIMIT_PEAK_SHAVING="true") for each in sites]
    async with asked_as(database_url, {"some": some, "all": program(Grant(Role.GATEWAY))}) as caller:
        for who, taken in (("some", 2), ("all", 3)):
            items = (await caller.post(PATH, json=body, headers={WHO: who})).json()["items"]
            assert [each["status"] for each in items] == ["ACCEPTED"] * taken + ["REFUSED"] * (3 - taken)


async def test_whoever_was_granted_no_sending_sends_nothing(engine: AsyncEngine, database_url: str) -> None:
    site = await controller_site(engine)
    roles = [role for role in Role if role is not Role.GATEWAY]
    principals = {role.value: program(Grant(role, site.depot_id)) for role in roles}
    async with asked_as(database_url, principals) as caller:
        for role in roles:
            answer = await caller.post(PATH, json=packet(site, LIMIT_PEAK_SHAVING="true"), headers={WHO: role})
            assert told(answer) == (403, "NOT_PERMITTED")
    assert await senders(engine) == set()


async def test_the_local_administrator_and_gateways_cost_no_statement(engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    with statements_of(engine) as seen:
        anybody = (await sender_of(engine, LOCAL_PRINCIPAL, None)).may_send
        itself = (await sender_of(engine, gateway(site), None)).may_send
    assert seen.count == 0
    other = missing()["gateway_id"]
    assert [may(each) for may in (anybody, itself) for each in (site.gateway_id, other)] == [True, True, True, False]


async def test_a_gateway_does_nothing_but_send(engine: AsyncEngine, database_url: str) -> None:
    site = await controller_site(engine)
    ids = {**missing(), "depot_id": site.depot_id, "gateway_id": site.gateway_id, "microgrid_id": site.microgrid_id}
    more = {name: missing()["depot_id"] for route in all_routes() for name in route.parameters if name not in ids}
    async with asked_as(database_url, {"gateway": gateway(site)}) as caller:
        for route in all_routes():
            if route.name == "send_packets" or route.access.reach == "public":
                continue
            path = route.path.replace(":uuid", "").replace(":file", "").format_map({**more, **ids})
            headers = {WHO: "gateway", "accept": "application/json"}
            status, code = told(await caller.request(route.method, path, headers=headers))
            assert (status, code) == (403, "NOT_PERMITTED") or (status == 404 and code is not None), route
