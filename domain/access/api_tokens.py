"""API tokens: what scripts and CI prove with who made them, and how long."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.access.people import NO_BRACKETS
from domain.access.principals import Grant, Principal, PrincipalKind
from domain.access.roles import PERMISSIONS, Permission, Role
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode

MOST_TOKENS = 50
"""Tokens that one owner has at once."""
MOST_GRANTS = 50
"""Roles that one token is given."""
LONGEST_LIFE = timedelta(days=366)


@dataclass(frozen=True)
class TokenRecord:
    """An API token, as far as it is stored for people to see."""

    token_id: UUID
    name: str
    owner: str
    """The name of the actor who made it."""
    owner_id: UUID | None
    """The person who made it; None: the local administrator."""
    grants: tuple[Grant, ...]
    """What it was given. It may no more than its owner may at the moment of a request."""
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    """When it was last used, to the minute; None: never."""
    is_expired: bool

    @property
    def actor(self) -> Actor:
        """The name that is stored with what is done with it."""
        return token_actor(self.name, self.token_id)


@dataclass(frozen=True)
class Owner:
    """Whose tokens or views they are: a person's who signed in, or the local administrator's. A program has none."""

    person_id: UUID | None = None
    is_local: bool = False


def token_subject(token_id: UUID) -> str:
    """What grants call a token."""
    return f"token#{token_id}"


def token_actor(name: str, token_id: UUID) -> Actor:
    """The name that is stored with what is done with a token. Brackets set apart what nobody can choose."""
    shown = " ".join(name.translate(NO_BRACKETS).split())
    return Actor(f"{shown or 'Unnamed'} <{token_subject(token_id)}>")


def check_life(expires_at: datetime, now: datetime) -> None:
    """Refuse a token that has ended, or lasts longer than any may.

    Raises:
        Problem: ``INVALID_REQUEST``.

    """
    if not now < expires_at <= now + LONGEST_LIFE:
        raise Problem(ProblemCode.INVALID_REQUEST, f"Lies ahead, by {LONGEST_LIFE.days} days at most.", "expires_at")


def may_give(giver: Principal, role: Role) -> bool:
    """Whether somebody may give a token this role at any depot."""
    needed = PERMISSIONS[role]
    return not giver.scope(Permission.ADMINISTER).is_empty or not any(giver.scope(each).is_empty for each in needed)


def check_giver(giver: Principal, wanted: Collection[Grant]) -> None:
    """Refuse to make a token for somebody that may more than they may themselves.

    An administrator may give any role, as they may grant it. A program makes no tokens: it would outlast its own.

    Raises:
        Problem: ``NOT_PERMITTED``.

    """
    if giver.kind not in (PrincipalKind.PERSON, PrincipalKind.LOCAL):
        raise Problem(ProblemCode.NOT_PERMITTED, "People create API tokens, and programs do not.")
    for grant in wanted:
        if giver.may(Permission.ADMINISTER, grant.depot_id):
            continue
        if not all(giver.may(permission, grant.depot_id) for permission in PERMISSIONS[grant.role]):
            where = "all depots" if grant.depot_id is None else f"depot {grant.depot_id}"
            raise Problem(ProblemCode.NOT_PERMITTED, f"You are not {grant.role} of {where}, so your token is not.")
