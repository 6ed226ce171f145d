"""Tokens by which the worker, which shares the database with the API, proves to it who it is."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.access.tables import worker_tokens

LIFE = timedelta(hours=1)
"""So long a token lasts; the worker makes another one then."""


async def create_worker_token(connection: AsyncConnection, digest: bytes) -> None:
    """Store a new token, and forget those that have ended."""
    await connection.execute(delete(worker_tokens).where(worker_tokens.c.expires_at <= func.now()))
    await connection.execute(insert(worker_tokens).values(digest=digest, expires_at=func.now() + LIFE))


async def is_worker_token(connection: AsyncConnection, digest: bytes) -> bool:
    """Whether a worker made the token that has this digest, and it has not ended."""
    query = select(worker_tokens.c.digest).where(
        worker_tokens.c.digest == digest, worker_tokens.c.expires_at > func.now()
    )
    return (await connection.execute(query)).one_or_none() is not None
