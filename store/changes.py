"""The journal of changes: who did what to which depot, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.actor import Actor
from store.tables import changes


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
        if values[0] != values[1]:
            found[name] = values
    return found


def _plain(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value
