"""Reading the journal of all depots: filtered, the last entry first, and only within the depots of whoever reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, column, insert, select, table, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.access.principals import DepotScope
from domain.base.actor import Actor
from store.access.narrowing import within
from store.base.tables import changes

_DEPOTS = table("depots", column("id"), column("name"))
_PART = 500
"""Entries that an export reads at a time."""


@dataclass(frozen=True)
class JournalFilter:
    """Which entries are asked for; None asks for nothing in particular."""

    depot_id: UUID | None = None
    actor: str | None = None
    """Exactly as it is recorded."""
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Entries from then on are left out."""

    def as_detail(self) -> dict[str, str]:
        """What is asked for, as the journal tells it of an export."""
        return {name: str(value) for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class CountedAct:
    """An act that changes nothing, and how often it was done."""

    actor: Actor
    kind: str
    place: str
    """Method and path of the route that was asked for, without values; empty: of none."""
    times: int
    first_at: datetime
    last_at: datetime
    depot_id: UUID | None
    """None: at no single depot."""
    subject_id: UUID | None
    request_id: str
    """Of the last one."""
    client: str
    """The network address of the last one."""

    def and_then(self, later: CountedAct) -> CountedAct:
        """The same act, done this often and later as often again."""
        depot_id = self.depot_id if self.depot_id == later.depot_id else None
        return replace(later, times=self.times + later.times, first_at=self.first_at, depot_id=depot_id)

    def as_detail(self) -> dict[str, Any]:
        """What the journal tells of it."""
        times = {"times": self.times, "first": self.first_at.isoformat(), "last": self.last_at.isoformat()}
        return ({"route": self.place} if self.place else {}) | times


@dataclass(frozen=True)
class JournalEntry:
    """One entry of the journal."""

    entry_id: int
    at: datetime
    actor: str
    kind: str
    depot_id: UUID | None
    depot_name: str | None
    """As it is called now; None: it is gone, or the entry concerns no single depot."""
    subject_id: UUID | None
    detail: dict[str, Any]
    request_id: str | None
    client: str | None


class SubjectTable(StrEnum):
    """Where a thing that the journal names is stored."""

    CIRCUITS = "circuits"
    GATEWAYS = "gateways"
    DEVICES = "devices"
    POWER_SOURCES = "power_sources"
    SCENARIO_RUNS = "scenario_runs"


_SUBJECTS = text("""
    SELECT 'circuits', id FROM circuits WHERE id = ANY (:ids)
    UNION ALL SELECT 'gateways', id FROM gateways WHERE id = ANY (:ids)
    UNION ALL SELECT 'devices', id FROM devices WHERE id = ANY (:ids)
    UNION ALL SELECT 'power_sources', id FROM power_sources WHERE id = ANY (:ids)
    UNION ALL SELECT 'scenario_runs', id FROM scenario_runs WHERE id = ANY (:ids)
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))


async def find_subjects(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, SubjectTable]:
    """Say which of these things there still are."""
    if not ids:
        return {}
    return {id_: SubjectTable(name) for name, id_ in await connection.execute(_SUBJECTS, {"ids": list(ids)})}


async def record_acts(connection: AsyncConnection, acts: Sequence[CountedAct]) -> None:
    """Append acts that change nothing to the journal, one entry each."""
    rows = [
        {
            "actor": each.actor.name,
            "action": each.kind,
            "depot_id": each.depot_id,
            "subject_id": each.subject_id,
            "detail": each.as_detail(),
            "request_id": each.request_id or None,
            "client": each.client or None,
        }
        for each in acts
    ]
    await connection.execute(insert(changes), rows)


async def read_journal(
    connection: AsyncConnection, scope: DepotScope, wanted: JournalFilter, *, before: int | None = None, limit: int
) -> list[JournalEntry]:
    """List entries within ``scope``, the last first, beginning before the entry ``before``.

    Entries that concern no single depot are only there for whoever reads the journal of all of them.
    """
    c = changes.c
    query = (
        select(
            c.id, c.at, c.actor, c.action, c.depot_id, _DEPOTS.c.name, c.subject_id, c.detail, c.request_id, c.client,
        )
        .select_from(changes.outerjoin(_DEPOTS, _DEPOTS.c.id == c.depot_id))
        .where(within(c.depot_id, scope))
        .order_by(c.id.desc())
        .limit(limit)
    )  # fmt: skip
    conditions = (
        (c.depot_id.__eq__, wanted.depot_id),
        (c.actor.__eq__, wanted.actor),
        (c.action.__eq__, wanted.kind),
        (c.at.__ge__, wanted.since),
        (c.at.__lt__, wanted.until),
        (c.id.__lt__, before),
    )
    for compare, value in conditions:
        if value is not None:
            query = query.where(compare(value))
    return [JournalEntry(*row) for row in await connection.execute(query)]


async def journal_parts(
    engine: AsyncEngine, scope: DepotScope, wanted: JournalFilter
) -> AsyncGenerator[list[JournalEntry]]:
    """Read all entries, some hundred at a time: no connection is held while the caller sends them on."""
    before: int | None = None
    while True:
        async with engine.connect() as connection:
            part = await read_journal(connection, scope, wanted, before=before, limit=_PART)
        if part:
            yield part
        if len(part) < _PART:
            return
        before = part[-1].entry_id
