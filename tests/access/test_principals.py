"""What roles permit, and where."""

from __future__ import annotations

from uuid import uuid4

import pytest

from domain.access.principals import (
    EVERYWHERE,
    LOCAL_PRINCIPAL,
    NOWHERE,
    Grant,
    Principal,
    PrincipalKind,
    scope_of,
)
from domain.access.roles import PERMISSIONS, Permission, Role
from domain.base.actor import Actor

HERE, THERE = uuid4(), uuid4()


def person(*grants: Grant) -> Principal:
    return Principal(PrincipalKind.PERSON, "https://id.example#1", Actor("ann@example.org"), grants)


def test_a_grant_at_one_depot_permits_nothing_at_another_or_for_the_fleet() -> None:
    operator = person(Grant(Role.OPERATOR, HERE))

    assert operator.may(Permission.OPERATE, HERE)
    assert not operator.may(Permission.OPERATE, THERE)
    assert not operator.may(Permission.OPERATE, None)


def test_roles_add_up_each_at_its_depots() -> None:
    both = person(Grant(Role.VIEWER), Grant(Role.CONFIGURATOR, HERE))

    assert both.scope(Permission.VIEW) == EVERYWHERE
    assert both.scope(Permission.CONFIGURE).depot_ids == {HERE}
    assert both.scope(Permission.ADMINISTER) == NOWHERE


def test_whoever_has_no_grant_sees_nothing() -> None:
    assert scope_of((), Permission.VIEW).is_empty


@pytest.mark.parametrize("role", Role)
def test_every_role_permits_something_and_only_gateways_send(role: Role) -> None:
    assert PERMISSIONS[role]
    assert (Permission.SEND in PERMISSIONS[role]) == (role is Role.GATEWAY)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.GATEWAY])
def test_whoever_may_do_something_at_a_depot_may_see_it(role: Role) -> None:
    assert Permission.VIEW in PERMISSIONS[role]


@pytest.mark.parametrize("permission", Permission)
def test_the_local_administrator_may_do_all_of_it_everywhere(permission: Permission) -> None:
    assert LOCAL_PRINCIPAL.may(permission, None)
    assert LOCAL_PRINCIPAL.may(permission, HERE)
