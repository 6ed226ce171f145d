"""The journal of changes: who did what to which depot, and when."""

from __future__ import annotations

from collections.abc import Mapping
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
