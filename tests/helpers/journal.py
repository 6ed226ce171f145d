"""What the journal says of a subject."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.tables import changes


async def journal(engine: AsyncEngine, subject_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    query = (
        select(changes.c.action, changes.c.actor, changes.c.detail)
        .where(changes.c.subject_id == UUID(subject_id))
        .order_by(changes.c.id)
    )
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(query)]
