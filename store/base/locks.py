"""The lock of a depot: whoever changes its site, and whoever writes by its configuration, takes it first."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_SEED = 17
"""Keeps these advisory locks apart from others that are made of a text. It never changes: processes of two
releases, side by side, must mean the same lock."""

SITE_KEY = f"hashtextextended(depot_id::text, {_SEED})"
"""The key of a depot's lock, of a column ``depot_id``."""

# By their keys and in a subquery: everybody waits in the same order, also where two depots share a key.
_LOCK = text(f"""
    SELECT pg_advisory_xact_lock(keys.key)
    FROM (
        SELECT DISTINCT {SITE_KEY} AS key
        FROM unnest(CAST(:depot_ids AS uuid[])) AS depots (depot_id)
        ORDER BY key
    ) AS keys
""")  # noqa: S608 - a constant

# For packets, which name gateways: to find the depots and to lock them is one round trip.
_LOCK_OF_GATEWAYS = f"""
    SELECT count(pg_advisory_xact_lock(keys.key))
    FROM (
        SELECT DISTINCT {SITE_KEY} AS key
        FROM gateways WHERE id = ANY ($1::uuid[])
        ORDER BY key
    ) AS keys
"""  # noqa: S608 - a constant


async def lock_sites_of_gateways(driver: asyncpg.Connection, gateway_ids: Iterable[UUID]) -> int:
    """Lock as ``lock_sites`` does, the depots of these gateways; answer how many locks that took."""
    (found,) = await driver.fetch(_LOCK_OF_GATEWAYS, list(gateway_ids))
    return found[0]


async def lock_sites(connection: AsyncConnection, depot_ids: Iterable[UUID]) -> None:
    """Wait until no one else changes the sites of these depots, and keep others out until the transaction ends.

    Held by everything that writes by a site's configuration, so that nothing is written by one that was replaced
    meanwhile: what is read after this call stays as it is until the commit. Ids that no depot has do no harm.
    """
    await connection.execute(_LOCK, {"depot_ids": list(depot_ids)})
