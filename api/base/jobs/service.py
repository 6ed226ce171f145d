"""Reading, listing and controlling jobs: each row is held against its workflow before it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.base.dependencies import ClientDep, EngineDep, SettingsDep
from api.base.problems import problem_responses
from api.base.temporal import send_signal, workflow_url
from api.base.types import cut_page, decode_id
from domain.base.actor import Actor
from domain.base.jobs import JobControl, JobKind
from domain.base.problems import ProblemCode
from reconciliation.reconcile import Jobs, List, ReconciledRow, RecordT, read_reconciled, reconcile
from runtime.settings import Settings
from store.base.changes import record_change
from store.base.database import transaction


@dataclass(frozen=True)
class JobService:
    """Jobs of every kind, on one database and one Temporal."""

    engine: AsyncEngine
    client: Client
    settings: Settings

    async def read(self, jobs: Jobs[RecordT, Any], job_id: UUID) -> ReconciledRow[RecordT]:
        """Read a job; one whose workflow is gone without having said so is ended.

        Raises:
            Problem: the kind's ``not_found``.

        """
        return await read_reconciled(self.engine, self.client, jobs, job_id)

    async def list(
        self, jobs: Jobs[RecordT, Any], cursor: str | None, limit: int, list_rows: List[RecordT] | None = None
    ) -> tuple[list[ReconciledRow[RecordT]], str | None]:
        """List jobs, the newest first, with the cursor of the next page; by ``list_rows`` where that filters them.

        Raises:
            Problem: ``INVALID_CURSOR``.

        """
        before = decode_id(cursor)
        async with self.engine.connect() as connection:
            found = await (list_rows or jobs.list)(connection, before=before, limit=limit + 1)
        items, more = cut_page(found, limit, lambda record: record.job_id)
        return await reconcile(self.engine, self.client, jobs, items), more

    async def control(
        self, jobs: Jobs[RecordT, Any], job_id: UUID, control: JobControl, actor: Actor
    ) -> ReconciledRow[RecordT]:
        """Ask a job to pause, resume or cancel; answer what is stored of it.

        Raises:
            Problem: the kind's ``not_found`` or ``not_running``, or ``TEMPORAL_UNAVAILABLE``.

        """
        kind = jobs.kind
        record = (await self.read(jobs, job_id)).record
        if record.state.ended:
            raise kind.not_controllable(record.state)
        if not await send_signal(self.client.get_workflow_handle(kind.workflow_id(job_id)), control.value):
            raise kind.not_controllable((await self.read(jobs, job_id)).record.state)
        async with transaction(self.engine, actor) as connection:
            stored = await jobs.read(connection, job_id)
            if control.came_too_late(stored.state):
                raise kind.not_controllable(stored.state)
            event = kind.event(f"{control}_requested")
            await record_change(connection, actor, event, depot_id=record.depot_id, subject_id=job_id)
            return ReconciledRow(stored, confirmed=True)

    def workflow_url(self, kind: JobKind, job_id: UUID) -> str | None:
        """Link to a job's workflow in Temporal's UI, where the settings say where that is."""
        return workflow_url(self.settings, self.client, kind.workflow_id(job_id))


def _jobs(engine: EngineDep, client: ClientDep, settings: SettingsDep) -> JobService:
    return JobService(engine, client, settings)


JobsDep = Annotated[JobService, Depends(_jobs)]


def control_responses(kind: JobKind) -> dict[int | str, dict[str, Any]]:
    """Document what a route that controls a job may refuse."""
    return problem_responses(kind.not_found, kind.not_running, ProblemCode.TEMPORAL_UNAVAILABLE)
