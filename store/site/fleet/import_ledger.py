"""What an import that is a job came to, noted in the transactions that store it."""

# ruff: noqa: S608 (what is put into the statements are constants of this module)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.jobs import JobState
from domain.site.fleet import FleetCode, LineKind
from domain.site.imports.import_jobs import IMPORT, MAX_REPORTED
from store.base.jobs.rows import ContinuedElsewhereError
from store.site.tables import imports

# The columns of the temporary table ``refused`` (``fleet_statements``).
_REFUSED = "line, code, reason, field, kind, id, other_line, other_id"
_OF_READING = f"SELECT {_REFUSED} FROM refused ORDER BY line"
_OF_BATCH = """
    SELECT line, state AS code, NULL::text AS reason, NULL::text AS field, kind, id, other_line, other_id
    FROM batch WHERE state NOT IN ('STORED', 'UNCHANGED') ORDER BY line
"""
_OF_REPEATS = f"SELECT {_REFUSED} FROM refused WHERE code = '{FleetCode.REPEATED_ID}' ORDER BY line"
_COUNT_READ = text("SELECT count(*) FROM todo WHERE depot_id IS NOT NULL")
_COUNT_BATCH = text("SELECT count(*) FROM batch")
# Lines of an earlier try, which later ones may hang on.
_TAKE_BACK = text(f"""
    INSERT INTO refused ({_REFUSED})
    SELECT {_REFUSED} FROM import_refusals AS r
    WHERE r.import_id = :import_id AND NOT EXISTS (SELECT FROM refused AS q WHERE q.line = r.line)
""")


class ImportLedger:
    """The row of an import, as the transactions that store the import write it.

    Each batch moves ``stored_upto`` from its first depot to its last, and only from where the batch before left it: of
    two tries at once, of which one is believed dead, the second to come to a batch stores nothing.
    """

    def __init__(self, import_id: UUID) -> None:
        self._import_id = import_id

    async def sorted(self, connection: AsyncConnection, lines: int) -> UUID | None:
        """Note what was read, unless an earlier try has; answer where that one ended.

        Raises:
            Problem: ``IMPORT_NOT_FOUND`` or ``IMPORT_NOT_RUNNING``.

        """
        row = await self._locked(connection)
        if row.lines_to_store is not None:
            await connection.execute(_TAKE_BACK, {"import_id": self._import_id})
            return row.stored_upto
        to_store = (await connection.execute(_COUNT_READ)).scalar_one()
        refused = await self._report(connection, row, _OF_READING)
        await self._write(connection, **refused, lines=lines, lines_to_store=to_store)
        return None

    async def begin_batch(self, connection: AsyncConnection, after: UUID | None) -> None:
        """Lock the import's row, and make sure that the batch before ended where this one begins.

        Raises:
            Problem: ``IMPORT_NOT_FOUND`` or ``IMPORT_NOT_RUNNING``: nothing is stored for an import that has ended.
            ContinuedElsewhereError: another try has gone on.

        """
        if (await self._locked(connection)).stored_upto != after:
            raise ContinuedElsewhereError("another try of this import goes on")

    async def end_batch(
        self, connection: AsyncConnection, upto: UUID, counts: Mapping[LineKind, tuple[int, int]]
    ) -> None:
        """Note a batch in its transaction."""
        row = await self._locked(connection)
        stored = {kind: row.stored.get(kind, 0) + counts.get(kind, (0, 0))[0] for kind in LineKind}
        refused = await self._report(connection, row, _OF_BATCH)
        lines = (await connection.execute(_COUNT_BATCH)).scalar_one()
        await self._write(connection, **refused, stored=stored, stored_upto=upto, lines_done=row.lines_done + lines)

    async def end(self, connection: AsyncConnection) -> None:
        """Note that the last depot is stored: whatever line was neither stored nor refused was stored before."""
        row = await self._locked(connection)
        if row.unchanged is None:
            changed = await self._report(connection, row, _OF_REPEATS)
            refused = sum(changed["refused"].values())
            await self._write(connection, **changed, unchanged=row.lines - refused - sum(row.stored.values()))

    async def _locked(self, connection: AsyncConnection) -> Any:
        query = select(imports).where(imports.c.id == self._import_id).with_for_update(key_share=True)
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise IMPORT.missing(self._import_id)
        if JobState(row.state).ended:
            raise IMPORT.not_controllable(JobState(row.state))
        return row

    async def _report(self, connection: AsyncConnection, row: Any, refused: str) -> dict[str, Any]:
        """Add refused lines to the report, as far as it has room; answer what all of them add up to."""
        room = {"import_id": self._import_id, "room": max(0, MAX_REPORTED - row.reported)}
        written = await connection.execute(
            text(f"""
                INSERT INTO import_refusals (import_id, {_REFUSED})
                SELECT :import_id, found.* FROM ({refused}) AS found LIMIT :room ON CONFLICT DO NOTHING
            """),
            room,
        )
        counted = await connection.execute(text(f"SELECT code, count(*) FROM ({refused}) AS found GROUP BY code"))
        counts: dict[str, int] = dict(row.refused)
        for code, count in counted:
            counts[code] = counts.get(code, 0) + count
        return {"refused": counts, "reported": row.reported + written.rowcount}

    async def _write(self, connection: AsyncConnection, **values: object) -> None:
        await connection.execute(update(imports).where(imports.c.id == self._import_id).values(**values))
