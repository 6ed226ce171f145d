"""The retirement of depots: a depot is taken out of service with its microgrid, and brought back with it.

A retired depot has no active microgrid, no circuit that follows a controller, and no open remediation. That is what
keeps it out of the list, the counts, the alarms and the watch of deadlines; none of them asks whether it is retired.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from domain.base.versions import Versions
from store.base.versions import check_version
from store.site.depots import DepotRecord, read_depot, refuse_during_run
from store.site.site_changes import configuration_change
from store.site.tables import depots

_RETIRE_MICROGRID = text("""
    UPDATE microgrids SET retired_at = now(), updated_at = now(), updated_by = :actor
    WHERE depot_id = :depot_id AND retired_at IS NULL
    RETURNING id
""")
# The one that the depot had last: whoever knows its id goes on with it, and its history is one.
_RESTORE_MICROGRID = text("""
    UPDATE microgrids SET retired_at = NULL, updated_at = now(), updated_by = :actor
    WHERE id = (SELECT id FROM microgrids WHERE depot_id = :depot_id ORDER BY retired_at DESC, id DESC LIMIT 1)
    RETURNING id
""")
_ASK_FOR_SYNC = text("SELECT request_sync(ARRAY[CAST(:depot_id AS uuid)], 'DEPOT_RESTORED')")


async def retire_depot(
    connection: AsyncConnection, actor: Actor, depot_id: UUID, expected: Versions = None
) -> DepotRecord:
    """Take a depot out of service, with its microgrid. One that is retired stays as it is.

    What is there stays, with its history. Its circuits follow no controller any more, and its open remediations are
    closed.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``, ``VERSION_CONFLICT``, or ``RUN_IN_PROGRESS``.

    """
    async with configuration_change(connection, actor, depot_id, even_retired=True) as change:
        before = await read_depot(connection, depot_id)
        await check_version(connection, before, "depot", depot_id, expected)
        if before.retired_at is None:
            await refuse_during_run(connection, depot_id)
            given = {"depot_id": depot_id, "actor": actor.name}
            microgrid_id = (await connection.execute(_RETIRE_MICROGRID, given)).scalar_one_or_none()
            await _set(connection, actor, depot_id, retired_at=func.now())
            await change.close_remediations(every=True)
            await change.record("DEPOT_RETIRED", depot_id, _of(microgrid_id))
    return await read_depot(connection, depot_id)


async def restore_depot(
    connection: AsyncConnection, actor: Actor, depot_id: UUID, expected: Versions = None
) -> DepotRecord:
    """Bring a retired depot back, with the microgrid that it had, and ask for a sync of it.

    Without one, the sync makes it as for any depot. A depot that is not retired stays as it is.

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``VERSION_CONFLICT``.

    """
    async with configuration_change(connection, actor, depot_id, even_retired=True) as change:
        before = await read_depot(connection, depot_id)
        await check_version(connection, before, "depot", depot_id, expected)
        if before.retired_at is not None:
            await _set(connection, actor, depot_id, retired_at=None)
            given = {"depot_id": depot_id, "actor": actor.name}
            microgrid_id = (await connection.execute(_RESTORE_MICROGRID, given)).scalar_one_or_none()
            await connection.execute(_ASK_FOR_SYNC, {"depot_id": depot_id})
            await change.record("DEPOT_RESTORED", depot_id, _of(microgrid_id))
    return await read_depot(connection, depot_id)


async def _set(connection: AsyncConnection, actor: Actor, depot_id: UUID, **values: Any) -> None:
    row = update(depots).where(depots.c.id == depot_id)
    await connection.execute(row.values(**values, updated_at=func.now(), updated_by=actor.name))


def _of(microgrid_id: UUID | None) -> dict[str, str] | None:
    return None if microgrid_id is None else {"microgrid_id": str(microgrid_id)}
