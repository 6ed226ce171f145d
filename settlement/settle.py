"""Rows whose workflows have ended without them are ended, too: the same for scenario runs and for backfills."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from temporalio.client import Client

from domain.base.job_endings import Act, RowStatus, WorkflowStatus, act_on
from settlement.look import Look, look_at

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
class Settled(Generic[RowT]):
    """A row that was held against its workflow."""

    record: RowT
    confirmed: bool
    """False: the row is open and may have ended, because Temporal did not answer or work on it is still under way."""
    workflow: WorkflowStatus | None = None
    """None: the row had ended, and nobody asked."""
    ended_here: bool = False
    """Whether this ended it."""


@dataclass(frozen=True)
class Kind(Generic[RowT, ResultT]):
    """What settling needs to know of scenario runs or of backfills."""

    workflow_id: Callable[[RowT], str]
    result_type: type[ResultT]
    end: Callable[[RowT, Act, Look[ResultT]], Awaitable[RowT]]
    """End a row, unless it has ended meanwhile; answer it as it is then."""


async def settle(
    client: Client, rows: Sequence[RowT], kind: Kind[RowT, ResultT], within: timedelta
) -> list[Settled[RowT]]:
    """Hold rows against their workflows and end those that must; answer all of them in the same order."""
    asked = [kind.workflow_id(row) for row in rows if not row.state.ended]
    looks = await look_at(client, asked, kind.result_type, within)
    return [await _settle(row, looks.get(kind.workflow_id(row)), kind) for row in rows]


async def _settle(row: RowT, look: Look[ResultT] | None, kind: Kind[RowT, ResultT]) -> Settled[RowT]:
    if look is None:
        return Settled(row, confirmed=True)
    act = act_on(RowStatus.OPEN, look.standing, row.read_at - row.requested_at)
    if act is Act.LEAVE:
        return Settled(row, look.standing is not WorkflowStatus.UNREPORTED, look.standing)
    after = await kind.end(row, act, look)
    return Settled(after, confirmed=after.state.ended, workflow=look.standing, ended_here=after.state.ended)
