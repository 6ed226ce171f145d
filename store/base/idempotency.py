"""Answers to creating requests, kept under the key that the request came with: asked again, the same is answered.

An answer is stored in the transaction that creates what it describes. So it exists exactly where that was created,
and who lost it after the COMMIT finds it by asking again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

KEPT = timedelta(hours=24)
"""How long an answer is kept at least."""

_SEED = 19
"""Keeps these advisory locks apart from others that are made of a text (``store/base/locks.py``)."""
_NAME = f"hashtextextended(:actor || chr(10) || :key, {_SEED})"
_TRY = text(f"SELECT pg_try_advisory_xact_lock({_NAME})")
_WAIT = text(f"SELECT true FROM pg_advisory_xact_lock({_NAME})")  # noqa: S608 - a constant
_READ = text("SELECT digest, answer FROM idempotency_keys WHERE actor = :actor AND key = :key")
_KEEP = text("INSERT INTO idempotency_keys (actor, key, digest, answer) VALUES (:actor, :key, :digest, :answer)")
_FORGET = text("DELETE FROM idempotency_keys WHERE actor = :actor AND key = :key")
_FORGET_OLD = text("DELETE FROM idempotency_keys WHERE created_at < now() - CAST(:kept AS interval)")


@dataclass(frozen=True)
class KeptAnswer:
    """What was answered."""

    digest: bytes
    """Of the request that it was the answer to."""
    answer: str
    """A JSON document."""


async def lock_key(connection: AsyncConnection, actor: str, key: str, *, waits: bool) -> bool:
    """Keep others from using the key until the transaction ends; False: another transaction uses it.

    Where it ``waits``, until the other one has ended.
    """
    return (await connection.execute(_WAIT if waits else _TRY, {"actor": actor, "key": key})).scalar_one()


async def read_response(connection: AsyncConnection, actor: str, key: str) -> KeptAnswer | None:
    """Read what was answered under a key."""
    row = (await connection.execute(_READ, {"actor": actor, "key": key})).one_or_none()
    return None if row is None else KeptAnswer(bytes(row.digest), row.answer)


async def store_response(connection: AsyncConnection, actor: str, key: str, digest: bytes, answer: str) -> None:
    """Keep an answer, a JSON document, in the transaction that it describes."""
    await connection.execute(_KEEP, {"actor": actor, "key": key, "digest": digest, "answer": answer})


async def forget_response(connection: AsyncConnection, actor: str, key: str) -> None:
    """Forget an answer, in the transaction that undoes what it describes."""
    await connection.execute(_FORGET, {"actor": actor, "key": key})


async def forget_old_answers(connection: AsyncConnection) -> None:
    """Forget what need not be kept any longer; a second time does nothing."""
    await connection.execute(_FORGET_OLD, {"kept": KEPT})
