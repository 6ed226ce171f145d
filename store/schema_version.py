"""Which migrations this version of the product needs, and whether the database has them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

NEEDED = max(path.name[:4] for path in (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*.py"))
"""The newest of them, as its file is named: without Alembic, which takes long to import."""


async def is_migrated(connection: AsyncConnection) -> bool:
    """Whether the database has every migration that this version needs. Those of a later version do not count."""
    if (await connection.execute(text("SELECT to_regclass('alembic_version')"))).scalar_one() is None:
        return False
    found = (await connection.execute(text("SELECT max(version_num) FROM alembic_version"))).scalar_one()
    return found is not None and found >= NEEDED
