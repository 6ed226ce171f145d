"""Who makes a request, with what was granted; whether it may do something, and at which depots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from domain.access.roles import PERMISSIONS, Permission, Role
from domain.base.actor import LOCAL_ADMINISTRATOR, Actor


class PrincipalKind(StrEnum):
    """How somebody proved who they are."""

    LOCAL = "local"
    """By sitting at the machine: the embedded default."""
    PERSON = "person"
    """By signing in at the OpenID provider: on the pages, or with one of its access tokens."""
    PROGRAM = "program"
    """By an API token of the product, or by an access token that the provider gave a program."""
    GATEWAY = "gateway"
    """By a secret or a certificate of a gateway."""


@dataclass(frozen=True)
class Grant:
    """A role at one depot, or at all of them."""

    role: Role
    depot_id: UUID | None = None
    """None: all depots, those that do not exist yet among them."""


@dataclass(frozen=True)
class DepotScope:
    """The depots at which something is permitted; what lists and counts are narrowed to in SQL."""

    everywhere: bool
    depot_ids: frozenset[UUID] = frozenset()
    """Empty where it is everywhere."""

    @staticmethod
    def of(depot_id: UUID) -> DepotScope:
        """One depot alone."""
        return DepotScope(everywhere=False, depot_ids=frozenset({depot_id}))

    def holds(self, depot_id: UUID) -> bool:
        """Whether it is permitted at this depot."""
        return self.everywhere or depot_id in self.depot_ids

    def within(self, bounds: DepotScope) -> DepotScope:
        """Where it is permitted by both."""
        if bounds.everywhere:
            return self
        return bounds if self.everywhere else DepotScope(everywhere=False, depot_ids=self.depot_ids & bounds.depot_ids)

    @property
    def is_empty(self) -> bool:
        """Whether it is permitted nowhere."""
        return not self.everywhere and not self.depot_ids


EVERYWHERE = DepotScope(everywhere=True)
NOWHERE = DepotScope(everywhere=False)


@dataclass(frozen=True)
class Principal:
    """Who makes a request."""

    kind: PrincipalKind
    subject: str
    """What the kind's issuer calls it, and never gives to another: ``{issuer}#{sub}``, a token's id, a gateway's id."""
    actor: Actor
    """The name that is stored with every change."""
    grants: tuple[Grant, ...] = ()
    gateway_id: UUID | None = None
    """A gateway sends packets of itself alone."""
    bounds: tuple[Grant, ...] | None = None
    """What was granted to whoever made an API token: the token may no more, and what an administrator may give. None:
    nobody bounds the grants."""
    _scopes: dict[Permission, DepotScope] = field(
        default_factory=dict[Permission, DepotScope], compare=False, repr=False
    )

    def scope(self, permission: Permission) -> DepotScope:
        """The depots at which this is permitted."""
        found = self._scopes.get(permission)
        if found is None:
            found = scope_of(self.grants, permission)
            if self.bounds is not None:
                found = found.within(scope_of(self.bounds, permission, Permission.ADMINISTER))
            self._scopes[permission] = found
        return found

    def may(self, permission: Permission, depot_id: UUID | None) -> bool:
        """Whether this is permitted at a depot; None: at all of them, as what concerns no single depot needs it."""
        scope = self.scope(permission)
        return scope.everywhere if depot_id is None else scope.holds(depot_id)


def scope_of(grants: Iterable[Grant], *permissions: Permission) -> DepotScope:
    """Where grants permit one of these."""
    permitting = [grant for grant in grants if not PERMISSIONS[grant.role].isdisjoint(permissions)]
    if any(grant.depot_id is None for grant in permitting):
        return EVERYWHERE
    return DepotScope(everywhere=False, depot_ids=frozenset(g.depot_id for g in permitting if g.depot_id is not None))


WORKER_PRINCIPAL = Principal(
    kind=PrincipalKind.PROGRAM,
    subject="worker",
    actor=Actor("worker:scenario-runs"),
    grants=(Grant(Role.VIEWER), Grant(Role.GATEWAY)),
)
"""The product's own worker, which sends the packets of scenario runs and reads what comes of them."""

LOCAL_PRINCIPAL = Principal(
    kind=PrincipalKind.LOCAL,
    subject=LOCAL_ADMINISTRATOR.name,
    actor=LOCAL_ADMINISTRATOR,
    grants=(Grant(Role.ADMINISTRATOR), Grant(Role.GATEWAY)),
)
"""Whoever sits at the machine itself: the embedded default, which needs no provider."""
