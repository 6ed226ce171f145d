"""Capability events that are in the database as they are, and the bands that the rule makes of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.monitoring.tables import capability_events, freshness_thresholds


@dataclass(frozen=True)
class Event:
    """One event as it is stored."""

    observed_at: datetime
    received_at: datetime
    status: str | None = "ON"
    ref: str = ""
    tenure: int = 0
    run_id: UUID | None = None
    effect: str = "SHOWN"

    @property
    def at(self) -> datetime:
        return min(self.observed_at, self.received_at)


Band = tuple[str, datetime, datetime, UUID | None]


async def add_events(engine: AsyncEngine, microgrid_id: UUID, capability: str, events: Sequence[Event]) -> None:
    rows = [
        {
            "microgrid_id": microgrid_id, "capability": capability, "status": each.status,
            "observed_at": each.observed_at, "received_at": each.received_at, "effect": each.effect,
            "provider_event_ref": each.ref or str(uuid4()), "recorded_by": "tester", "tenure": each.tenure,
            "scenario_run_id": each.run_id,
        }
        for each in events
    ]  # fmt: skip
    async with engine.begin() as connection:
        if rows:
            await connection.execute(capability_events.insert(), rows)


async def set_threshold(engine: AsyncEngine, microgrid_id: UUID, capability: str, seconds: float) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM freshness_thresholds WHERE capability = :c"), {"c": capability})
        await connection.execute(
            freshness_thresholds.insert().values(
                microgrid_id=microgrid_id, capability=capability, seconds=seconds, updated_by="tester"
            )
        )


def random_events(
    chance: random.Random, since: datetime, until: datetime, step: float, runs: Sequence[UUID]
) -> list[Event]:
    """What a controller sends each ``step`` seconds or so: with outages, late, again, handed over, of scenario runs.

    A capability is handed over now and then, and what comes after that counts under the later tenure, whenever it was
    seen.
    """
    sent: list[Event] = []
    at, status, run_id = since, "ON", None
    while at < until:
        if chance.random() < 0.05:
            status = chance.choice(["ON", "OFF"])
        if chance.random() < 0.02:
            run_id = chance.choice([None, None, *runs])
        late = chance.choice([0.2, 0.2, 0.2, 0.2, -30, 1200, 30_000 if chance.random() < 0.2 else 3])
        received = min(at + timedelta(seconds=late), until)
        effect = chance.choices(["SHOWN", "LATE", "UNAVAILABLE", "REPEATED", "CONFLICTING"], [12, 6, 1, 1, 1])[0]
        known = None if effect == "UNAVAILABLE" else status
        sent.append(Event(at, received, known, f"{chance.random():.12f}", 0, run_id, effect))
        if chance.random() < 0.1:
            # At the same time, with another stamp or another status.
            twin = at + timedelta(seconds=chance.choice([0, 60]))
            sent.append(Event(twin, received, chance.choice(["ON", "OFF"]), f"{chance.random():.12f}", 0, run_id))
        at += timedelta(seconds=step * chance.choice([0, 0.5, 1, 1, 1, 1, 1.5]))
        if chance.random() < 0.02:
            at += timedelta(seconds=chance.choice([70, 299, 300, 301, 5000]))
    handed_over = sorted(since + (until - since) * chance.random() for _ in range(chance.choice([0, 1, 3])))
    return [
        Event(each.observed_at, each.received_at, each.status, each.ref,
              sum(moment <= each.received_at for moment in handed_over), each.run_id, each.effect)
        for each in sent
    ]  # fmt: skip


def bands_of(events: Sequence[Event], since: datetime, until: datetime, threshold: timedelta) -> list[Band]:
    """What the rule says of events, one after the other."""
    counted = [each for each in events if each.effect in ("SHOWN", "LATE") and each.at < until]
    kept: list[Event] = []
    newest = 0
    for each in sorted(counted, key=lambda each: (each.at, each.observed_at, each.ref)):
        newest = max(newest, each.tenure)
        if each.tenure == newest:
            kept.append(each)
    bands: list[Band] = []
    before = since
    for n, each in enumerate(kept):
        ends = each.at + threshold
        if n + 1 < len(kept):
            ends = min(ends, kept[n + 1].at)
        assert each.status is not None
        if bands and bands[-1][0] == each.status and bands[-1][3] == each.run_id and each.at <= before + threshold:
            bands[-1] = (each.status, bands[-1][1], max(bands[-1][2], ends), each.run_id)
        else:
            bands.append((each.status, each.at, ends, each.run_id))
        before = each.at
    clipped = [(status, max(begin, since), min(end, until), run) for status, begin, end, run in bands]
    return [each for each in clipped if each[1] < each[2]]
