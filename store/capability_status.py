"""Capability status: the one way in for every update (COR-9.8), the latest status, the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.actor import Actor
from domain.capabilities import Capability, CapabilityStatus, FoldEffect, StatusEvent
from domain.freshness import Timeliness, threshold_for, timeliness
from domain.problems import Problem, ProblemCode
from domain.standing import NewStatus, Standing
from store.changes import record_change
from store.database import clock
from store.depots import lock_depot
from store.microgrids import read_microgrid
from store.notify import ChangeKind, notify
from store.tables import capability_events, capability_latest, devices, freshness_thresholds


@dataclass(frozen=True)
class LatestRecord:
    """One capability of a microgrid as an operator sees it."""

    capability: Capability
    event_id: UUID | None
    """None, like all that comes from the event, before the first status."""
    status: CapabilityStatus | None
    observed_at: datetime | None
    received_at: datetime | None
    provider_event_ref: str | None
    source_device_id: UUID | None
    source_device_name: str | None
    threshold: timedelta
    """How old the status may be and still count as fresh."""
    timeliness: Timeliness | None
    owner_device_id: UUID | None
    """The device whose sensor action updates the capability now; None: no device does."""
    owner_device_name: str | None


@dataclass(frozen=True)
class EventRecord:
    """One accepted update in the history."""

    event_id: UUID
    capability: Capability
    status: CapabilityStatus | None
    effect: FoldEffect
    observed_at: datetime
    received_at: datetime
    provider_event_ref: str
    source_device_id: UUID | None
    recorded_by: str


async def load_latest(connection: AsyncConnection, standing: Standing, microgrid_ids: Iterable[UUID]) -> None:
    """Put the latest statuses of these microgrids into ``standing``."""
    wanted = list(microgrid_ids)
    if not wanted:
        return
    query = select(
        capability_latest.c.microgrid_id,
        capability_latest.c.capability,
        capability_latest.c.observed_at,
        capability_latest.c.provider_event_ref,
        capability_latest.c.status,
    ).where(capability_latest.c.microgrid_id.in_(wanted))
    for microgrid_id, capability, observed_at, ref, status in await connection.execute(query):
        standing.latest[microgrid_id, Capability(capability)] = StatusEvent(observed_at, ref, CapabilityStatus(status))


_EARLIER = text("""
    SELECT DISTINCT ON (e.microgrid_id, e.capability, e.provider_event_ref)
           e.microgrid_id, e.capability, e.provider_event_ref, e.observed_at, e.status
    FROM unnest(CAST(:microgrids AS uuid[]), CAST(:capabilities AS text[]), CAST(:refs AS text[]))
        AS k (microgrid_id, capability, ref)
    JOIN capability_events AS e
        ON e.microgrid_id = k.microgrid_id AND e.capability = k.capability AND e.provider_event_ref = k.ref
    WHERE e.received_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
    ORDER BY e.microgrid_id, e.capability, e.provider_event_ref, e.id
""")


async def load_earlier(
    connection: AsyncConnection,
    standing: Standing,
    keys: Sequence[tuple[UUID, Capability, str]],
    since: datetime | None = None,
) -> None:
    """Put the first accepted event of each microgrid, capability and reference into ``standing``.

    ``since`` says when the first can have come at the earliest, so that only those months are looked through.
    """
    if not keys:
        return
    given = {
        "microgrids": [key[0] for key in keys],
        "capabilities": [key[1] for key in keys],
        "refs": [key[2] for key in keys],
        "since": since,
    }
    for microgrid_id, capability, ref, observed_at, status in await connection.execute(_EARLIER, given):
        known = None if status is None else CapabilityStatus(status)
        standing.earlier[microgrid_id, Capability(capability), ref] = StatusEvent(observed_at, ref, known)


# The ids are made in the order of acceptance, under the depot's lock, by one clock: the history's order is theirs.
_WRITE = text("""
    WITH given AS MATERIALIZED (
        SELECT uuidv7() AS id, g.* FROM unnest(
            CAST(:microgrids AS uuid[]), CAST(:capabilities AS text[]), CAST(:statuses AS text[]),
            CAST(:observed AS timestamptz[]), CAST(:refs AS text[]), CAST(:devices AS uuid[]),
            CAST(:effects AS text[]), CAST(:actors AS text[]), CAST(:shown AS boolean[])
        ) WITH ORDINALITY AS g (microgrid_id, capability, status, observed_at, ref, device_id, effect, actor, shown, n)
    ), told AS (
        INSERT INTO capability_events (id, microgrid_id, capability, status, observed_at, received_at,
                                       provider_event_ref, source_device_id, effect, recorded_by)
        SELECT id, microgrid_id, capability, status, observed_at, :received_at, ref, device_id, effect, actor
        FROM given
    ), latest AS (
        INSERT INTO capability_latest AS l (microgrid_id, capability, event_id, status, observed_at, received_at,
                                            provider_event_ref, source_device_id)
        SELECT microgrid_id, capability, id, status, observed_at, :received_at, ref, device_id FROM given WHERE shown
        ON CONFLICT (microgrid_id, capability) DO UPDATE
        SET event_id = excluded.event_id, status = excluded.status, observed_at = excluded.observed_at,
            received_at = excluded.received_at, provider_event_ref = excluded.provider_event_ref,
            source_device_id = excluded.source_device_id
        -- What the domain decided under the lock; the database holds it for whoever came without.
        WHERE (excluded.observed_at, excluded.provider_event_ref) > (l.observed_at, l.provider_event_ref)
    )
    SELECT id FROM given ORDER BY n
""")


async def write_statuses(connection: AsyncConnection, standing: Standing) -> list[UUID]:
    """Store the accepted updates of ``standing`` and the latest statuses that came of them; answer the event ids."""
    if not standing.events:
        return []
    shown = set(standing.shown.values())
    given = [each.given for each in standing.events]
    rows = await connection.execute(
        _WRITE,
        {
            "microgrids": [each.microgrid_id for each in given],
            "capabilities": [each.capability for each in given],
            "statuses": [each.event.status for each in given],
            "observed": [each.event.observed_at for each in given],
            "refs": [each.event.provider_event_ref for each in given],
            "devices": [each.source_device_id for each in given],
            "effects": [each.effect for each in standing.events],
            "actors": [each.recorded_by for each in given],
            "shown": [place in shown for place in range(len(given))],
            "received_at": standing.now,
        },
    )
    return list(rows.scalars())


async def post_status(
    connection: AsyncConnection,
    actor: Actor,
    microgrid_id: UUID,
    capability: Capability,
    event: StatusEvent,
    source_device_id: UUID | None,
) -> EventRecord:
    """Accept one update by the canonical path.

    Raises:
        Problem: ``MICROGRID_NOT_FOUND``; ``DEVICE_NOT_IN_DEPOT`` for a source that is no device of the depot.

    """
    depot_id = (await read_microgrid(connection, microgrid_id=microgrid_id)).depot_id
    await lock_depot(connection, depot_id)
    if source_device_id is not None:
        query = select(devices.c.id).where(devices.c.id == source_device_id, devices.c.depot_id == depot_id)
        if (await connection.execute(query)).one_or_none() is None:
            raise Problem(ProblemCode.DEVICE_NOT_IN_DEPOT, "The source is no device of this depot.", "source_device_id")
    standing = Standing(await clock(connection))
    await load_latest(connection, standing, [microgrid_id])
    await load_earlier(connection, standing, [(microgrid_id, capability, event.provider_event_ref)])
    folded = standing.take_status(NewStatus(microgrid_id, capability, event, source_device_id, actor.name))
    (event_id,) = await write_statuses(connection, standing)
    await notify(connection, {depot_id: [ChangeKind.STATUS]})
    return EventRecord(
        event_id,
        capability,
        event.status,
        folded.effect,
        event.observed_at,
        standing.now,
        event.provider_event_ref,
        source_device_id,
        actor.name,
    )


async def read_thresholds(connection: AsyncConnection, microgrid_id: UUID) -> dict[Capability, timedelta]:
    """Read what a microgrid sets for itself of how old a status may be."""
    query = select(freshness_thresholds.c.capability, freshness_thresholds.c.seconds).where(
        freshness_thresholds.c.microgrid_id == microgrid_id
    )
    return {
        Capability(capability): timedelta(seconds=seconds) for capability, seconds in await connection.execute(query)
    }


async def set_thresholds(
    connection: AsyncConnection, actor: Actor, microgrid_id: UUID, given: Mapping[Capability, timedelta | None]
) -> None:
    """Set how old a status may be, by capability; None goes back to the default.

    Raises:
        Problem: ``MICROGRID_NOT_FOUND``.

    """
    microgrid = await read_microgrid(connection, microgrid_id=microgrid_id)
    await lock_depot(connection, microgrid.depot_id)
    for capability, threshold in given.items():
        if threshold is None:
            await connection.execute(
                delete(freshness_thresholds).where(
                    freshness_thresholds.c.microgrid_id == microgrid_id,
                    freshness_thresholds.c.capability == capability,
                )
            )
            continue
        row = upsert(freshness_thresholds).values(
            microgrid_id=microgrid_id,
            capability=capability,
            seconds=threshold.total_seconds(),
            updated_by=actor.name,
        )
        await connection.execute(
            row.on_conflict_do_update(
                index_elements=["microgrid_id", "capability"],
                set_={"seconds": row.excluded.seconds, "updated_at": text("now()"), "updated_by": actor.name},
            )
        )
    detail = {each.value: None if span is None else span.total_seconds() for each, span in given.items()}
    await record_change(
        connection,
        actor,
        "FRESHNESS_THRESHOLDS_SET",
        depot_id=microgrid.depot_id,
        subject_id=microgrid_id,
        detail=detail,
    )
    await notify(connection, {microgrid.depot_id: [ChangeKind.STATUS]})


_LATEST = text("""
    SELECT k.capability, l.event_id, l.status, l.observed_at, l.received_at, l.provider_event_ref,
           l.source_device_id, s.name AS source_device_name, t.seconds,
           d.id AS owner_device_id, d.name AS owner_device_name, clock_timestamp() AS now
    FROM microgrids AS m
    CROSS JOIN unnest(CAST(:capabilities AS text[])) WITH ORDINALITY AS k (capability, n)
    LEFT JOIN capability_latest AS l ON l.microgrid_id = m.id AND l.capability = k.capability
    LEFT JOIN devices AS s ON s.id = l.source_device_id
    LEFT JOIN freshness_thresholds AS t ON t.microgrid_id = m.id AND t.capability = k.capability
    LEFT JOIN capability_owners AS o ON o.depot_id = m.depot_id AND o.capability = k.capability
    LEFT JOIN sensor_actions AS a ON a.id = o.sensor_action_id
    LEFT JOIN devices AS d ON d.id = a.device_id
    WHERE m.id = :microgrid_id AND m.retired_at IS NULL
    ORDER BY k.n
""")


async def read_latest(connection: AsyncConnection, microgrid_id: UUID) -> list[LatestRecord]:
    """Read the latest status of every capability, with its age by the database's clock, in one query.

    Raises:
        Problem: ``MICROGRID_NOT_FOUND``.

    """
    rows = await connection.execute(_LATEST, {"microgrid_id": microgrid_id, "capabilities": list(Capability)})
    found: list[LatestRecord] = []
    for row in rows:
        capability = Capability(row.capability)
        own = {} if row.seconds is None else {capability: timedelta(seconds=row.seconds)}
        threshold = threshold_for(capability, own)
        found.append(
            LatestRecord(
                capability,
                row.event_id,
                None if row.status is None else CapabilityStatus(row.status),
                row.observed_at,
                row.received_at,
                row.provider_event_ref,
                row.source_device_id,
                row.source_device_name,
                threshold,
                None if row.observed_at is None else timeliness(row.observed_at, row.now, threshold),
                row.owner_device_id,
                row.owner_device_name,
            )
        )
    if not found:
        raise Problem(ProblemCode.MICROGRID_NOT_FOUND, f"There is no microgrid {microgrid_id}.")
    return found


async def list_events(
    connection: AsyncConnection,
    microgrid_id: UUID,
    *,
    capability: Capability | None,
    before: UUID | None,
    limit: int,
) -> list[EventRecord]:
    """List accepted updates, the last accepted first, beginning before the event ``before``."""
    query = (
        select(
            capability_events.c.id,
            capability_events.c.capability,
            capability_events.c.status,
            capability_events.c.effect,
            capability_events.c.observed_at,
            capability_events.c.received_at,
            capability_events.c.provider_event_ref,
            capability_events.c.source_device_id,
            capability_events.c.recorded_by,
        )
        .where(capability_events.c.microgrid_id == microgrid_id)
        .order_by(capability_events.c.id.desc())
        .limit(limit)
    )
    if capability is not None:
        query = query.where(capability_events.c.capability == capability)
    if before is not None:
        query = query.where(capability_events.c.id < before)
    return [
        EventRecord(
            event_id,
            Capability(found),
            None if status is None else CapabilityStatus(status),
            FoldEffect(effect),
            *rest,
        )
        for event_id, found, status, effect, *rest in await connection.execute(query)
    ]
