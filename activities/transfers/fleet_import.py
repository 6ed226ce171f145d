"""The steps of an import that is a job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.heartbeat import beating
from domain.base.actor import Actor
from domain.base.jobs import JobState
from domain.site.imports.import_jobs import IMPORT, ImportEnd, ImportRequest, ImportStateNote
from reconciliation.imports import close_import
from store.base.database import transaction
from store.base.jobs.rows import set_job_state
from store.site.fleet.fleet_import import FleetImport, fleet_import
from store.site.fleet.import_jobs import begin_import, note_read, read_file, read_import
from store.site.fleet.import_ledger import ImportLedger
from store.site.tables import imports

_AT_ONCE = 2
"""Imports that one worker stores at the same time; each holds a connection for as long."""
_NOTE_EVERY = 1.0
"""Seconds between two notes of how much was read."""


class ImportActivities:
    """Steps of the import's workflow, on one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._places = asyncio.Semaphore(_AT_ONCE)

    def every(self) -> list[Callable[..., Any]]:
        """List the activities, for the worker to register."""
        return [self.begin_import, self.store_import, self.note_import_state, self.end_import]

    @activity.defn
    async def begin_import(self, request: ImportRequest) -> None:
        """Note the start. Run twice, the first start stands."""
        async with beating(), transaction(self._engine, Actor(request.requested_by)) as connection:
            await begin_import(connection, request)

    @activity.defn
    async def store_import(self, request: ImportRequest) -> None:
        """Store the file in batches of whole depots. Run again, it goes on after the last batch that was stored.

        Where it is cancelled, it finishes the batch that is under way.
        """
        async with beating(), self._places:
            storing = asyncio.create_task(self._store(request, stopped := asyncio.Event()))
            try:
                await asyncio.shield(storing)
            except asyncio.CancelledError:
                stopped.set()
                if not await storing:
                    raise

    async def _store(self, request: ImportRequest, stopped: asyncio.Event) -> bool:
        """Store what is left; answer whether that is all."""
        async with self._engine.connect() as connection:
            record = await read_import(connection, request.import_id)
        if record.state.ended:
            raise IMPORT.not_controllable(record.state)
        if record.unchanged is not None:
            return True
        actor, ledger = Actor(request.requested_by), ImportLedger(request.import_id)
        async with fleet_import(self._engine, actor, ledger=ledger) as importing:
            await importing.take(self._content(request, importing, stopped))
            return not stopped.is_set() and await importing.store(stopped.is_set)

    async def _content(
        self, request: ImportRequest, importing: FleetImport, stopped: asyncio.Event
    ) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        read, noted_at = 0, clock()
        async for piece in read_file(self._engine, request.import_id):
            if stopped.is_set():
                return
            read += len(piece)
            yield piece
            # Others of this process have their turn.
            await asyncio.sleep(0)
            if clock() - noted_at >= _NOTE_EVERY:
                await self._note_read(request, read, importing.summary.lines)
                noted_at = clock()
        await self._note_read(request, read, importing.summary.lines)

    async def _note_read(self, request: ImportRequest, read: int, lines: int) -> None:
        async with self._engine.begin() as connection:
            await note_read(connection, request.import_id, bytes_read=read, lines=lines)

    @activity.defn
    async def note_import_state(self, request: ImportStateNote) -> None:
        """Note a pause or its end, for whoever reads the import. Run twice, it says the same."""
        async with transaction(self._engine, Actor(request.request.requested_by)) as connection:
            await set_job_state(connection, imports, request.request.import_id, request.state)

    @activity.defn
    async def end_import(self, request: ImportEnd) -> JobState:
        """Note how the import ended, remove its file, and answer it. Run twice, the first end stands."""
        actor = Actor(request.request.requested_by)
        async with transaction(self._engine, actor) as connection:
            return await close_import(connection, actor, request.request.import_id, request.state, request.failure)
