"""Capability status: the one way in for every update (COR-9.8), the latest status, the history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from domain.base.clocks import ahead, effective_at
from domain.base.problems import Problem, ProblemCode
from domain.monitoring.batch_state import NewStatus, PacketBatchState
from domain.monitoring.capabilities import (
    CAPABILITIES,
    CAPABILITY_STATUSES,
    Capability,
    CapabilityStatus,
    FoldEffect,
    Held,
    StatusEvent,
)
from domain.monitoring.freshness import Timeliness, threshold_for, timeliness_of
from store.base.arrays import columns, nullable
from store.base.changes import record_change
from store.base.database import clock
from store.base.driver import KeptConnection, driver_errors, driver_in
from store.base.notifications.notify import ChangeKind, notify
from store.base.simulated import SCENARIO_OF, SimulatedBy, scenario_of
from store.monitoring.freshness import EFFECTIVE_AT, IS_FRESH, STALE_AT, STATUS_JOINS, capabilities_and_thresholds
from store.monitoring.statuses.transitions import settle_since
from store.monitoring.tables import capability_events, freshness_thresholds
from store.provisioning.microgrids import read_microgrid
from store.site.depots import lock_depot
from store.site.tables import devices, microgrids


@dataclass(frozen=True)
class LatestRecord:
    """One capability of a microgrid as an operator sees it."""

    capability: Capability
    event_id: UUID | None
    """None, like all that comes from the event, before the first status."""
    status: CapabilityStatus | None
    observed_at: datetime | None
    received_at: datetime | None
    effective_at: datetime | None
    """When it counts as seen: ``observed_at``, or ``received_at`` where that is earlier."""
    provider_event_ref: str | None
    source_device_id: UUID | None
    source_device_name: str | None
    threshold: timedelta
    """How old the status may be and still count as fresh."""
    timeliness: Timeliness | None
    owner_device_id: UUID | None
    """The device whose sensor action updates the capability now; None: no device does."""
    owner_device_name: str | None
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent the status."""
    since: datetime | None = None
    """When the first of the updates that say the same, without another one between them, counts as seen."""

    @property
    def clock_ahead(self) -> timedelta | None:
        """How far the clock of whoever saw it runs ahead, at least."""
        if self.observed_at is None or self.received_at is None:
            return None
        return ahead(self.observed_at, self.received_at)


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
    simulated_by: SimulatedBy | None = None
    """The scenario run that sent it."""

    @property
    def effective_at(self) -> datetime:
        """When it counts as seen."""
        return effective_at(self.observed_at, self.received_at)


# What is shown of these microgrids, which of their capabilities were handed over how often, and the first accepted
# event of each microgrid, capability and reference. Without an end its months to come would be looked through as well.
_STATUSES = """
    SELECT 'LATEST' AS what, microgrid_id, capability, provider_event_ref, observed_at, status, received_at, tenure,
           since, scenario_run_id IS NOT NULL AS is_simulated
    FROM capability_latest WHERE microgrid_id = ANY ($1::uuid[])
    UNION ALL
    SELECT 'EPOCH', m.id, t.capability, NULL, NULL, NULL, NULL, t.tenure, NULL, NULL
    FROM microgrids AS m JOIN capability_tenures AS t ON t.depot_id = m.depot_id
    WHERE m.id = ANY ($1::uuid[]) AND t.tenure > 0
    UNION ALL (
        SELECT DISTINCT ON (e.microgrid_id, e.capability, e.provider_event_ref)
               'FIRST', e.microgrid_id, e.capability, e.provider_event_ref, e.observed_at, e.status, e.received_at,
               e.tenure, NULL::timestamptz, NULL::boolean
        FROM unnest($2::uuid[], $3::text[], $4::text[]) AS k (microgrid_id, capability, ref)
        CROSS JOIN LATERAL (
            SELECT * FROM capability_events
            WHERE microgrid_id = k.microgrid_id AND capability = k.capability AND provider_event_ref = k.ref
                  AND received_at >= coalesce($5::timestamptz, '-infinity')
                  AND received_at < statement_timestamp() + interval '1 day'
            OFFSET 0
        ) AS e
        ORDER BY e.microgrid_id, e.capability, e.provider_event_ref, e.id
    )
"""


_STATUS_NAMES: dict[str | None, CapabilityStatus | None] = {None: None, **CAPABILITY_STATUSES}


async def load_statuses(
    driver: asyncpg.Connection,
    state: PacketBatchState,
    keys: Sequence[tuple[UUID, Capability, str]],
    since: datetime | None = None,
) -> None:
    """Put into ``state`` what it must know of these microgrids, capabilities and references.

    That is the latest statuses and the tenures of the microgrids, and the first accepted event with each reference.
    ``since`` says when the first can have come at the earliest, so that only those months are looked through.
    """
    if not keys:
        return
    microgrid_ids, capabilities, refs = zip(*keys, strict=True)
    rows = await driver.fetch(_STATUSES, list(set(microgrid_ids)), microgrid_ids, capabilities, refs, since)
    for what, microgrid_id, name, ref, observed_at, status, received_at, epoch, since_when, is_simulated in rows:
        capability = CAPABILITIES[name]
        if what == "EPOCH":
            state.epochs[microgrid_id, capability] = epoch
            continue
        event = StatusEvent(observed_at, ref, _STATUS_NAMES[status], received_at, epoch)
        if what == "FIRST":
            state.earlier[microgrid_id, capability, ref] = event
        else:
            state.latest[microgrid_id, capability] = event
            state.held[microgrid_id, capability] = Held(since_when, is_simulated)


# The ids are made in the order of acceptance, under the depot's lock, by one clock: the history's order is theirs.
WRITE_STATUSES = """
    given AS MATERIALIZED (
        SELECT uuidv7() AS id, g.* FROM unnest(
            $1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::uuid[], $7::text[], $8::text[],
            $9::boolean[], $11::integer[], $12::uuid[], $13::timestamptz[]
        ) WITH ORDINALITY AS g (microgrid_id, capability, status, observed_at, ref, device_id, effect, actor, shown,
                                tenure, run_id, since, n)
    ), recorded AS (
        INSERT INTO capability_events (id, microgrid_id, capability, status, observed_at, received_at,
                                       provider_event_ref, source_device_id, effect, recorded_by, tenure,
                                       scenario_run_id)
        SELECT id, microgrid_id, capability, status, observed_at, $10, ref, device_id, effect, actor, tenure, run_id
        FROM given
    ), latest AS (
        INSERT INTO capability_latest AS l (microgrid_id, capability, event_id, status, observed_at, received_at,
                                            provider_event_ref, source_device_id, tenure, scenario_run_id, since)
        SELECT microgrid_id, capability, id, status, observed_at, $10, ref, device_id, tenure, run_id, since
        FROM given WHERE shown
        ON CONFLICT (microgrid_id, capability) DO UPDATE
        SET event_id = excluded.event_id, status = excluded.status, observed_at = excluded.observed_at,
            received_at = excluded.received_at, provider_event_ref = excluded.provider_event_ref,
            source_device_id = excluded.source_device_id, tenure = excluded.tenure,
            scenario_run_id = excluded.scenario_run_id, since = excluded.since
        -- What the domain decided under the lock; the database holds it for whoever came without.
        WHERE (excluded.tenure, least(excluded.observed_at, excluded.received_at), excluded.observed_at,
               excluded.provider_event_ref)
            > (l.tenure, least(l.observed_at, l.received_at), l.observed_at, l.provider_event_ref)
    )
"""
"""The parts of a statement that store the accepted updates of a ``PacketBatchState`` and the latest statuses that came
of them; ``given`` has the events with their ids. The first thirteen parameters are those of ``status_parameters``."""

_WRITE = f"WITH {WRITE_STATUSES} SELECT id FROM given ORDER BY n"  # noqa: S608 - a constant


def status_parameters(state: PacketBatchState) -> list[Any]:
    """Make the parameters of ``WRITE_STATUSES``."""
    shown = {place: state.held[key].since for key, place in state.shown.items()}
    given, effects = columns(state.events, 2)
    microgrid_ids, capabilities, events, device_ids, actors, run_ids = columns(given, 6)
    observed, refs, statuses, _, epochs = columns(events, 5)
    places = range(len(events))
    return [
        microgrid_ids,
        capabilities,
        statuses,
        observed,
        refs,
        device_ids,
        effects,
        actors,
        [place in shown for place in places],
        state.now,
        epochs,
        nullable(run_ids),
        [shown.get(place) for place in places],
    ]


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
        Problem: ``MICROGRID_NOT_FOUND`` or ``DEPOT_RETIRED``; ``DEVICE_NOT_IN_DEPOT`` for a source that is no device
            of the depot.

    """
    depot_id = await _lock_depot_of(connection, microgrid_id)
    if source_device_id is not None:
        query = select(devices.c.id).where(devices.c.id == source_device_id, devices.c.depot_id == depot_id)
        if (await connection.execute(query)).one_or_none() is None:
            raise Problem(ProblemCode.DEVICE_NOT_IN_DEPOT, "The source is no device of this depot.", "source_device_id")
    state = PacketBatchState(await clock(connection))
    driver = await driver_in(connection)
    with driver_errors():
        await load_statuses(driver, state, [(microgrid_id, capability, event.provider_event_ref)])
        folded = state.take_status(NewStatus(microgrid_id, capability, event, source_device_id, actor.name))
        (written,) = await driver.fetch(_WRITE, *status_parameters(state))
        await settle_since(driver, state.unsettled)
    await notify(connection, {depot_id: [ChangeKind.STATUS]})
    return EventRecord(
        written["id"],
        capability,
        event.status,
        folded.effect,
        event.observed_at,
        state.now,
        event.provider_event_ref,
        source_device_id,
        actor.name,
    )


async def _lock_depot_of(connection: AsyncConnection, microgrid_id: UUID) -> UUID:
    """Lock the depot of a microgrid, as of which the microgrid is active until the transaction ends; answer its id."""
    query = select(microgrids.c.depot_id).where(microgrids.c.id == microgrid_id)
    depot_id = (await connection.execute(query)).scalar_one_or_none()
    if depot_id is not None:
        await lock_depot(connection, depot_id)
    return (await read_microgrid(connection, microgrid_id=microgrid_id)).depot_id


async def set_thresholds(
    connection: AsyncConnection, actor: Actor, microgrid_id: UUID, given: Mapping[Capability, timedelta | None]
) -> None:
    """Set how old a status may be, by capability; None goes back to the default.

    Raises:
        Problem: ``MICROGRID_NOT_FOUND`` or ``DEPOT_RETIRED``.

    """
    depot_id = await _lock_depot_of(connection, microgrid_id)
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
        depot_id=depot_id,
        subject_id=microgrid_id,
        detail=detail,
    )
    await notify(connection, {depot_id: [ChangeKind.STATUS]})


_LATEST = f"""
    SELECT m.id, k.capability, l.event_id, l.status, l.observed_at, l.received_at, {EFFECTIVE_AT} AS effective_at,
           l.provider_event_ref, l.source_device_id, s.name AS source_device_name, t.seconds,
           d.id AS owner_device_id, d.name AS owner_device_name, clock_timestamp() AS now,
           {STALE_AT} AS stale_at, {IS_FRESH} AS is_fresh, l.scenario_run_id,
           {SCENARIO_OF.format("l.scenario_run_id")}, l.since
    FROM microgrids AS m
    CROSS JOIN unnest($2::text[], $3::interval[]) WITH ORDINALITY AS k (capability, threshold, n)
    {STATUS_JOINS}
    LEFT JOIN devices AS s ON s.id = l.source_device_id
    LEFT JOIN sensor_actions AS a ON a.id = o.sensor_action_id
    LEFT JOIN devices AS d ON d.id = a.device_id
    WHERE m.id = ANY ($1::uuid[]) AND m.retired_at IS NULL
    ORDER BY k.n
"""  # noqa: S608 - constants


async def read_latest(connection: AsyncConnection, microgrid_id: UUID) -> list[LatestRecord]:
    """Read the latest status of every capability, with its age by the database's clock, in one query.

    Raises:
        Problem: ``MICROGRID_NOT_FOUND``.

    """
    driver = await driver_in(connection)
    with driver_errors():
        rows = await driver.fetch(_LATEST, [microgrid_id], *capabilities_and_thresholds())
    found = _latest_records(rows).get(microgrid_id)
    if found is None:
        raise Problem(ProblemCode.MICROGRID_NOT_FOUND, f"There is no microgrid {microgrid_id}.")
    return found


async def read_many_latest(
    connection: KeptConnection, microgrid_ids: Collection[UUID]
) -> dict[UUID, list[LatestRecord]]:
    """Read as ``read_latest`` does, for many microgrids; one that does not exist is not among them."""
    return _latest_records(await connection.fetch(_LATEST, list(microgrid_ids), *capabilities_and_thresholds()))


def _latest_records(rows: Iterable[Any]) -> dict[UUID, list[LatestRecord]]:
    found: dict[UUID, list[LatestRecord]] = {}
    for row in rows:
        (
            microgrid_id, name, event_id, status, observed_at, received_at, effective_at, ref, source_id, source_name,
            seconds, owner_id, owner_name, now, stale_at, is_fresh, run_id, scenario, since,
        ) = row  # fmt: skip
        capability = Capability(name)
        own = {} if seconds is None else {capability: timedelta(seconds=seconds)}
        threshold = threshold_for(capability, own)
        found.setdefault(microgrid_id, []).append(
            LatestRecord(
                capability,
                event_id,
                None if status is None else CapabilityStatus(status),
                observed_at,
                received_at,
                effective_at,
                ref,
                source_id,
                source_name,
                threshold,
                None if effective_at is None else timeliness_of(effective_at, now, stale_at, is_fresh=is_fresh),
                owner_id,
                owner_name,
                SimulatedBy.of(run_id, scenario),
                since,
            )
        )
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
            capability_events.c.scenario_run_id,
            scenario_of(capability_events.c.scenario_run_id),
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
            simulated_by=SimulatedBy.of(run_id, scenario),
        )
        for event_id, found, status, effect, *rest, run_id, scenario in await connection.execute(query)
    ]
