"""The journal of changes: who did what to which depot, and when."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from store.base.arrays import is_one_of, is_one_of_texts
from store.base.tables import changes


@dataclass(frozen=True)
class ChangeRecord:
    """One change of the journal."""

    change_id: int
    """Greater for what was recorded later in one depot."""
    at: datetime
    actor: str
    action: str
    subject_id: UUID | None
    detail: dict[str, Any]


async def list_changes(
    connection: AsyncConnection,
    depot_id: UUID,
    *,
    subject_ids: Collection[UUID],
    actions: Collection[str] = (),
    before: int | None = None,
    limit: int,
) -> list[ChangeRecord]:
    """List what was done to these subjects of a depot, the last first, beginning before the change ``before``.

    ``actions`` names what alone is wanted; empty: everything.
    """
    query = (
        select(changes.c.id, changes.c.at, changes.c.actor, changes.c.action, changes.c.subject_id, changes.c.detail)
        .where(changes.c.depot_id == depot_id, is_one_of(changes.c.subject_id, subject_ids))
        .order_by(changes.c.id.desc())
        .limit(limit)
    )
    if actions:
        query = query.where(is_one_of_texts(changes.c.action, actions))
    if before is not None:
        query = query.where(changes.c.id < before)
    return [ChangeRecord(*row) for row in await connection.execute(query)]


async def record_change(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    *,
    depot_id: UUID | None = None,
    subject_id: UUID | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append one change to the journal, in the transaction that makes it."""
    await connection.execute(
        insert(changes).values(
            actor=actor.name, action=action, depot_id=depot_id, subject_id=subject_id, detail=dict(detail or {})
        )
    )


def differences(before: object, after: object, names: Iterable[str]) -> dict[str, list[Any]]:
    """Write what differs between two records as a journal's detail: ``[before, after]`` by name.

    ``before`` None: the subject was made; ``after`` None: it was deleted.
    """
    found: dict[str, list[Any]] = {}
    for name in names:
        values = [None if record is None else _plain(getattr(record, name)) for record in (before, after)]
        if differs(*values):
            found[name] = values
    return found


def differs(one: object, other: object) -> bool:
    """Whether two values of a field are not the same; JSON is compared as JSON, where 1 and true are two values."""
    if isinstance(one, dict | list) and isinstance(other, dict | list):
        return json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)
    return one != other


def _plain(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value
