"""The import of the legacy fleet: staged line by line, then stored depot by depot (decisions 0006 and 0009)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.base.actor import Actor
from domain.base.ndjson import LineSplitter
from domain.site.fleet import MAX_LINE_BYTES, TOO_LONG, FleetCode, LineKind, Refusal, parse_line, refusal_of
from store.base.database import act_as
from store.base.driver import driver_errors
from store.site.fleet import fleet_statements as sql

BATCH_LINES = 20_000
"""Lines in one transaction, as far as depots are whole."""
_STAGING_LINES = 4_000
_STAGING_BYTES = 1_048_576
_TRIES = 5
# Unique violation, foreign key violation, deadlock: someone brought, or took, the same thing under another depot at
# this very moment. That is committed by now, or gone, so the batch is processed again.
_RACES = frozenset({"23505", "23503", "40P01"})


@dataclass
class ImportSummary:
    """What an import came to. Every line that was read is counted once."""

    lines: int = 0
    stored: dict[LineKind, int] = field(default_factory=lambda: dict.fromkeys(LineKind, 0))
    unchanged: int = 0
    """Lines that say what was stored already."""
    refused: dict[FleetCode, int] = field(default_factory=dict[FleetCode, int])


class Ledger(Protocol):
    """Notes what an import came to in the transactions that store it, so that it can go on after it was interrupted."""

    async def sorted(self, connection: AsyncConnection, lines: int) -> UUID | None:
        """Note what was read, so many lines; answer the last depot that was stored, where an earlier try stored any."""
        ...

    async def begin_batch(self, connection: AsyncConnection, after: UUID | None) -> None:
        """Make sure that nobody else stores what comes after this depot."""
        ...

    async def end_batch(
        self, connection: AsyncConnection, upto: UUID, counts: Mapping[LineKind, tuple[int, int]]
    ) -> None:
        """Note a batch: its last depot, and of each kind how many lines were stored and how many unchanged."""
        ...

    async def end(self, connection: AsyncConnection) -> None:
        """Note that everything is stored."""
        ...


class FleetImport:
    """One import: ``take`` the whole stream, then ``store`` it, then read the ``refusals``.

    Until ``store`` nothing is written that anyone else sees. It works in batches of whole depots, one transaction each:
    an interrupted import leaves each depot stored completely or not at all, and importing the same file again stores
    the rest. With a ledger, ``store`` begins where it was interrupted.
    """

    def __init__(
        self, connection: AsyncConnection, actor: Actor, batch_lines: int, ledger: Ledger | None = None
    ) -> None:
        self._connection = connection
        self._actor = actor
        self._batch_lines = batch_lines
        self._ledger = ledger
        self.summary = ImportSummary()
        self.is_storing = False
        """Whether something of the import may be stored by now."""

    async def take(self, chunks: AsyncIterable[bytes]) -> None:
        """Read the stream into temporary tables; at no time more of it is held than a small part."""
        async with self._connection.begin():
            for statement in sql.PREPARE:
                await self._connection.execute(text(statement))
        staging = _Staging(await _driver(self._connection))
        splitter = LineSplitter(MAX_LINE_BYTES)
        async for chunk in chunks:
            for number, line in splitter.feed(chunk):
                await staging.add(number, line)
            self.summary.lines = staging.lines
        for number, line in splitter.end():
            await staging.add(number, line)
        await staging.flush()
        self.summary.lines = staging.lines

    async def store(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Check the lines against one another and against what is stored, and store the valid ones.

        Answers whether it came to the end: ``stopped`` is asked before each batch whether that is not wanted any more.
        """
        async with self._connection.begin():
            for statement in sql.SORT:
                await self._connection.execute(text(statement))
            self.summary.unchanged += (await self._connection.execute(sql.COUNT_UNCHANGED)).scalar_one()
            await self._connection.execute(sql.DROP_STAGED)
            await self._connection.execute(sql.REFUSE_DEVICES_OF_NOWHERE)
            bounds = (await self._connection.execute(sql.BOUNDS, {"size": self._batch_lines})).scalars().all()
            after = None if self._ledger is None else await self._ledger.sorted(self._connection, self.summary.lines)
        self.is_storing = True
        for upto in bounds:
            if after is not None and upto <= after:
                continue
            if stopped():
                return False
            for kind, (stored, unchanged) in (await self._store(after, upto)).items():
                self.summary.stored[kind] += stored
                self.summary.unchanged += unchanged
            after = upto
        async with self._connection.begin():
            self.summary.unchanged += (await self._connection.execute(sql.REFUSE_REPEATS)).scalar_one()
            counted = await self._connection.execute(sql.COUNT_REFUSED)
            if self._ledger is not None:
                await self._ledger.end(self._connection)
        self.summary.refused = {FleetCode(code): count for code, count in counted}
        return True

    async def refusals(self) -> AsyncIterator[tuple[int, Refusal]]:
        """Every refused line by its number, and why."""
        async with self._connection.begin():
            async for row in await self._connection.stream(sql.LIST_REFUSED):
                yield row[0], refusal_in(row)

    async def _store(self, after: UUID | None, upto: UUID) -> dict[LineKind, tuple[int, int]]:
        """Store one batch in a transaction; return how many lines of each kind were stored, and how many unchanged."""
        tries = 0
        while True:
            try:
                async with self._connection.begin():
                    return await self._store_batch(after, upto)
            except DBAPIError as error:
                tries += 1
                if tries == _TRIES or getattr(error.orig, "sqlstate", None) not in _RACES:
                    raise

    async def _store_batch(self, after: UUID | None, upto: UUID) -> dict[LineKind, tuple[int, int]]:
        connection, actor = self._connection, {"actor": self._actor.name}
        await act_as(connection, self._actor)
        if self._ledger is not None:
            await self._ledger.begin_batch(connection, after)
        await connection.execute(text("SELECT set_config('manage.importing', 'on', true)"))
        await connection.execute(sql.FILL, {"after": after, "upto": upto})
        await connection.execute(sql.ANALYZE_BATCH)
        await self._store_rows(sql.STORE_DEPOTS)
        await connection.execute(sql.LOCK_DEPOTS)
        for statement in (
            *sql.COMPARE, sql.REFUSE_OF_RETIRED, sql.REFUSE_DELETED, sql.REFUSE_WITHOUT_DEPOT,
            sql.REFUSE_WITHOUT_PARENT,
        ):  # fmt: skip
            await connection.execute(statement)
        await connection.execute(sql.REACH_CIRCUITS)
        await self._refuse_unreached()
        await connection.execute(sql.REFUSE_TOO_MANY_CIRCUITS)
        await connection.execute(sql.REFUSE_TOO_MANY_GATEWAYS)
        await connection.execute(sql.ANALYZE_STATES)
        await self._store_rows(sql.STORE_CIRCUITS, sql.STORE_GATEWAYS)
        for statement in (
            sql.REFUSE_WITHOUT_GATEWAY, sql.REFUSE_WITHOUT_CIRCUIT, sql.REFUSE_REPEATED_SENSORS,
            sql.REFUSE_TOO_MANY_DEVICES, sql.REFUSE_TOO_MANY_POWER_SOURCES,
        ):  # fmt: skip
            await connection.execute(statement)
        await self._store_rows(sql.STORE_DEVICES, sql.STORE_POWER_SOURCES)
        await connection.execute(sql.RECORD_REFUSED)
        await connection.execute(sql.WRITE_JOURNAL, actor)
        counted = await connection.execute(sql.COUNT_BATCH)
        counts = {LineKind(kind): (stored, unchanged) for kind, stored, unchanged in counted}
        if self._ledger is not None:
            await self._ledger.end_batch(connection, upto, counts)
        return counts

    async def _store_rows(self, *statements: TextClause) -> None:
        await self._connection.execute(sql.KEEP_PLANS)
        for statement in statements:
            await self._connection.execute(statement, {"actor": self._actor.name})
        await self._connection.execute(sql.PLAN_ANEW)

    async def _refuse_unreached(self) -> None:
        """Tell circuits in a cycle from those that hang under something refused."""
        unreached = (await self._connection.execute(sql.JUMPS)).rowcount
        if unreached:
            # After n rounds a jump goes 2 ** n circuits up.
            for _ in range(unreached.bit_length()):
                await self._connection.execute(sql.JUMP_TWICE_AS_FAR)
            await self._connection.execute(sql.REFUSE_CYCLES)
            await self._connection.execute(sql.REFUSE_BELOW_REFUSED)


def refusal_in(row: Sequence[Any]) -> Refusal:
    """Read a refusal from a row of ``LIST_REFUSED``."""
    _, code, reason, name, kind, id_, other_line, other_id = row
    if reason is None:
        return refusal_of(FleetCode(code), LineKind(kind), str(id_), other_line=other_line, other_id=other_id)
    return Refusal(FleetCode(code), reason, name, kind and LineKind(kind), id_ and str(id_))


@asynccontextmanager
async def fleet_import(
    engine: AsyncEngine, actor: Actor, *, batch_lines: int = BATCH_LINES, ledger: Ledger | None = None
) -> AsyncGenerator[FleetImport]:
    """One import on a connection of its own, which is closed at the end whatever happens: staging ends with it."""
    async with engine.connect() as connection:
        try:
            yield FleetImport(connection, actor, batch_lines, ledger)
        finally:
            await connection.invalidate()


class _Staging:
    """Lines on their way into the temporary tables, some thousand at a time."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._good: list[tuple[object, ...]] = []
        self._refused: list[tuple[object, ...]] = []
        self._bytes = 0
        self.lines = 0

    async def add(self, number: int, line: bytes | None) -> None:
        """Judge a line by itself and keep it."""
        parsed = TOO_LONG if line is None else parse_line(line)
        if isinstance(parsed, Refusal):
            self._refused.append((number, *parsed))
        else:
            self._good.append((number, *parsed))
        self.lines += 1
        self._bytes += len(line or b"")
        if len(self._good) + len(self._refused) >= _STAGING_LINES or self._bytes >= _STAGING_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write what was kept."""
        for table, columns, records in (("staged", sql.STAGED, self._good), ("refused", sql.REFUSED, self._refused)):
            if records:
                await self._copy(table, columns, records)
                records.clear()
        self._bytes = 0

    async def _copy(self, table: str, columns: Sequence[str], records: Sequence[tuple[object, ...]]) -> None:
        with driver_errors():
            await self._connection.copy_records_to_table(table, columns=columns, records=records)


async def _driver(connection: AsyncConnection) -> asyncpg.Connection:
    """PostgreSQL's driver under a connection, for COPY."""
    found = (await connection.get_raw_connection()).driver_connection
    assert isinstance(found, asyncpg.Connection)
    return found
