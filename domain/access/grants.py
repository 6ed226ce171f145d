"""What is granted to whom, and what a grant changes for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.access.principals import DepotScope, Grant, scope_of
from domain.access.roles import Permission, Role


class GranteeKind(StrEnum):
    """To whom something is granted."""

    PERSON = "person"
    GROUP = "group"
    """Everybody of whom the provider says that they are in this group."""
    PROGRAM = "program"
    """By its API token, or as the provider calls it."""


@dataclass(frozen=True)
class GrantRecord:
    """A grant as it is stored."""

    grant_id: UUID
    kind: GranteeKind
    subject: str
    """What the kind's issuer calls the grantee: ``{issuer}#{sub}`` of a person, the name of a group, a program's id."""
    name: str
    """For people."""
    role: Role
    depot_id: UUID | None
    """None: all depots."""
    depot_name: str | None
    created_at: datetime
    created_by: str

    @property
    def grant(self) -> Grant:
        """What it grants."""
        return Grant(self.role, self.depot_id)


@dataclass(frozen=True)
class Effect:
    """Where a permission holds by what was granted to one grantee, before and after a change."""

    permission: Permission
    before: DepotScope
    after: DepotScope


def effect_of(before: Iterable[Grant], after: Iterable[Grant]) -> list[Effect]:
    """Say which permissions a change of a grantee's grants gives or takes, and where."""
    old, new = list(before), list(after)
    effects = [Effect(each, scope_of(old, each), scope_of(new, each)) for each in Permission]
    return [each for each in effects if each.before != each.after]


def is_keeping(record: GrantRecord) -> bool:
    """Whether a grant lets people keep granting: one of them must always be there. A program's is none."""
    return record.role is Role.ADMINISTRATOR and record.depot_id is None and record.kind is not GranteeKind.PROGRAM
