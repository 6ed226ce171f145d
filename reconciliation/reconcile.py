"""Reconciles rows with their workflows, the same for scenario runs and for backfills."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from temporalio.client import Client

from domain.base.job_endings import Act, RowStatus, WorkflowStatus, act_on
from reconciliation.workflow_descriptions import WorkflowDescription, describe_workflows

READ_WITHIN = timedelta(seconds=2)
"""So long somebody who reads waits for Temporal, for one row or for a list of them."""


class _State(Protocol):
    @property
    def ended(self) -> bool: ...

    @property
    def paused(self) -> bool: ...


class Row(Protocol):
    """A run or a backfill as it was read."""

    @property
    def state(self) -> _State:
        """Where it stands."""
        ...

    @property
    def requested_at(self) -> datetime:
        """When it was made."""
        ...

    @property
    def read_at(self) -> datetime:
        """When it was read, by the same clock."""
        ...


RowT = TypeVar("RowT", bound=Row)
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class ReconciledRow(Generic[RowT]):
    """A row that was compared with its workflow."""

    record: RowT
    confirmed: bool
    """False: the row is open and may have ended, because Temporal did not answer or work on it is still under way."""
    workflow: WorkflowStatus | None = None
    """None: the row had ended, and nobody asked."""
    ended_here: bool = False
    """Whether this ended it."""


@dataclass(frozen=True)
class Kind(Generic[RowT, ResultT]):
    """What reconciliation needs to know of scenario runs or of backfills."""

    workflow_id: Callable[[RowT], str]
    result_type: type[ResultT]
    end: Callable[[RowT, Act, WorkflowDescription[ResultT]], Awaitable[RowT]]
    """End a row, unless it has ended meanwhile; answer it as it is then."""


async def reconcile(
    client: Client, rows: Sequence[RowT], kind: Kind[RowT, ResultT], within: timedelta
) -> list[ReconciledRow[RowT]]:
    """Compare rows with their workflows and end those that must end; return all of them in the same order."""
    asked = [kind.workflow_id(row) for row in rows if not row.state.ended]
    descriptions = await describe_workflows(client, asked, kind.result_type, within)
    return [await _reconcile_row(row, descriptions.get(kind.workflow_id(row)), kind) for row in rows]


async def _reconcile_row(
    row: RowT, description: WorkflowDescription[ResultT] | None, kind: Kind[RowT, ResultT]
) -> ReconciledRow[RowT]:
    if description is None:
        return ReconciledRow(row, confirmed=True)
    act = act_on(RowStatus.OPEN, description.status, row.read_at - row.requested_at)
    if act is Act.LEAVE:
        return ReconciledRow(row, description.status is not WorkflowStatus.UNREPORTED, description.status)
    after = await kind.end(row, act, description)
    return ReconciledRow(after, confirmed=after.state.ended, workflow=description.status, ended_here=after.state.ended)
