"""The table of who may do what has an entry for every route, and no other."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from domain.access.principals import Grant, Principal, PrincipalKind
from domain.access.roles import Role
from domain.access.routes import (
    CONFIGURE,
    CONFIGURE_FLEET,
    CONFIGURE_NAMED,
    OPERATIONS,
    PAGES,
    PARAMETERS,
    SEND,
    SEND_PACKETS,
    VIEW,
    VIEW_NARROWED,
    Access,
    Decision,
    Reach,
    decide,
)
from domain.base.actor import Actor
from tests.access.routes import all_routes

HERE, THERE = uuid4(), uuid4()


def test_every_route_has_an_entry_and_every_entry_a_route() -> None:
    # A route without an entry is refused by `access_of`, which makes this list.
    routes = all_routes()

    assert {each.name for each in routes if each.is_api} == set(OPERATIONS)
    assert {each.name for each in routes if not each.is_api} == set(PAGES)


def test_no_two_routes_share_a_name() -> None:
    names = [(each.is_api, each.method, each.name) for each in all_routes()]

    assert len(names) == len(set(names))


def test_what_names_something_of_a_depot_is_checked_there() -> None:
    for route in all_routes():
        if route.access.reach is Reach.DEPOT:
            assert route.parameters & PARAMETERS.keys(), route
        else:
            assert not route.parameters & PARAMETERS.keys(), route


def test_every_id_in_a_path_is_known_or_concerns_the_fleet() -> None:
    ids = {name for route in all_routes() for name in route.parameters if name.endswith("_id")}

    # A secret is one of the gateway that its path names as well; exports, tokens and sessions are somebody's.
    assert ids == PARAMETERS.keys() | {
        "backfill_id", "export_id", "grant_id", "import_id", "person_id", "secret_id", "session_id", "token_id",
        "view_id",
    }  # fmt: skip
    fleet = {"backfill_id", "grant_id", "import_id", "person_id"}
    assert {route.access.reach for route in all_routes() if route.parameters & fleet} == {Reach.FLEET}


def test_a_permission_is_asked_for_exactly_where_there_is_something_to_permit() -> None:
    for access in {*OPERATIONS.values(), *PAGES.values()}:
        assert (access.permission is None) is (access.reach in (Reach.PUBLIC, Reach.SIGNED_IN))


def person(*grants: Grant) -> Principal:
    return Principal(PrincipalKind.PERSON, "https://id.example#1", Actor("ann@example.org"), grants)


VIEWER, CONFIGURATOR = Grant(Role.VIEWER, HERE), Grant(Role.CONFIGURATOR, HERE)


@pytest.mark.parametrize(
    ("access", "grants", "depots", "expected"),
    [
        (CONFIGURE, [CONFIGURATOR], [HERE], Decision.PERMITTED),
        (CONFIGURE, [VIEWER], [HERE], Decision.REFUSED),
        (CONFIGURE, [CONFIGURATOR], [THERE], Decision.HIDDEN),
        (CONFIGURE, [CONFIGURATOR], [None], Decision.HIDDEN),
        (CONFIGURE, [VIEWER], [None], Decision.HIDDEN),
        (CONFIGURE, [CONFIGURATOR], [HERE, THERE], Decision.HIDDEN),
        (CONFIGURE, [CONFIGURATOR, Grant(Role.VIEWER, THERE)], [HERE, THERE], Decision.REFUSED),
        (VIEW, [CONFIGURATOR], [HERE, HERE], Decision.PERMITTED),
        (CONFIGURE_FLEET, [CONFIGURATOR], [], Decision.REFUSED),
        (CONFIGURE_FLEET, [Grant(Role.CONFIGURATOR)], [], Decision.PERMITTED),
        (CONFIGURE_NAMED, [VIEWER], [], Decision.REFUSED),
        (CONFIGURE_NAMED, [CONFIGURATOR], [], Decision.PERMITTED),
        (VIEW, [], [HERE], Decision.HIDDEN),
    ],
)
def test_a_route_is_permitted_refused_or_hidden(
    access: Access, grants: list[Grant], depots: list[UUID | None], expected: Decision
) -> None:
    assert decide(access, person(*grants), depots) is expected


def test_a_gateway_sends_packets_and_does_nothing_else() -> None:
    gateway = Principal(
        PrincipalKind.GATEWAY, "gateway", Actor("gateway"), (Grant(Role.GATEWAY, HERE), Grant(Role.VIEWER)), uuid4()
    )

    assert decide(SEND_PACKETS, gateway) is Decision.PERMITTED
    assert decide(SEND, gateway, [HERE]) is Decision.HIDDEN
    assert decide(VIEW, gateway, [HERE]) is Decision.HIDDEN
    assert decide(VIEW_NARROWED, gateway) is Decision.HIDDEN
