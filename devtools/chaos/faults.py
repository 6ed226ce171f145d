"""Faults by seed: what is done to which part, for how long, and what comes next."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from signal import Signals

import asyncpg

from devtools.chaos.stack import Part, Stack


class FaultKind(StrEnum):
    """What is done to a part."""

    KILL = "kill"
    """SIGKILL, and a start some time later."""
    PAUSE = "pause"
    """SIGSTOP, and SIGCONT some time later."""
    RESTART = "restart"
    """An end in good order, and a start at once."""
    CUT = "cut"
    """``pg_terminate_backend`` of single connections."""


@dataclass(frozen=True)
class Fault:
    """One fault."""

    kind: FaultKind
    parts: tuple[str, ...]
    seconds: float
    """How long it lasts; a restart lasts as long as it takes."""
    rest: float
    """Seconds of peace before it."""
    paused: tuple[str, ...] = ()
    """Parts that are paused meanwhile, so that others are killed with work in hand."""

    @property
    def name(self) -> str:
        """The kind and the parts."""
        meanwhile = f" while {' and '.join(self.paused)} is paused" if self.paused else ""
        return f"{self.kind} {' and '.join(self.parts)}{meanwhile}"


_KINDS: tuple[tuple[FaultKind, tuple[str, ...], tuple[str, ...]], ...] = (
    (FaultKind.KILL, ("worker",), ()),
    (FaultKind.KILL, ("API",), ()),
    (FaultKind.KILL, ("Temporal",), ()),
    (FaultKind.KILL, ("PostgreSQL",), ()),
    (FaultKind.PAUSE, ("worker",), ()),
    (FaultKind.PAUSE, ("API",), ()),
    (FaultKind.PAUSE, ("Temporal",), ()),
    (FaultKind.PAUSE, ("PostgreSQL",), ()),
    (FaultKind.RESTART, ("worker",), ()),
    (FaultKind.RESTART, ("API",), ()),
    (FaultKind.RESTART, ("Temporal",), ()),
    (FaultKind.RESTART, ("PostgreSQL",), ()),
    (FaultKind.CUT, ("connections",), ()),
    (FaultKind.KILL, ("worker", "API"), ()),
    (FaultKind.KILL, ("worker", "Temporal"), ()),
    (FaultKind.KILL, ("worker",), ("PostgreSQL",)),
    (FaultKind.KILL, ("API",), ("PostgreSQL",)),
)


_LONGEST_OF_TEMPORAL = 16
"""Seconds: longer than the product's calls of Temporal wait."""
_WORK_COMES_IN = 1.0
"""Seconds of a pause before the kill: enough for every sender to send something, too few for the product to give up."""


def plan(seed: int) -> Iterator[Fault]:
    """Say which faults come, without end: each kind once, in a new order each time."""
    chance = random.Random(f"faults/{seed}")  # noqa: S311 (no secret)
    while True:
        kinds = list(_KINDS)
        chance.shuffle(kinds)
        for kind, parts, paused in kinds:
            longest = _LONGEST_OF_TEMPORAL if parts == ("Temporal",) else 8 if kind is FaultKind.PAUSE else 4
            yield Fault(kind, parts, round(chance.uniform(0, longest), 2), round(chance.uniform(0.5, 2), 2), paused)


async def inflict(stack: Stack, fault: Fault, seed: str) -> float:
    """Do a fault, and undo it; answer when it had ended, by the monotonic clock."""
    if fault.kind is FaultKind.CUT:
        await _cut(stack, fault.seconds, random.Random(seed))  # noqa: S311 (no secret)
        return time.monotonic()
    parts = [stack.parts[name] for name in fault.parts]
    if fault.kind is FaultKind.PAUSE:
        async with _paused(parts):
            await asyncio.sleep(fault.seconds)
        return time.monotonic()
    if fault.kind is FaultKind.KILL:
        async with _paused([stack.parts[name] for name in fault.paused]):
            if fault.paused:
                await asyncio.sleep(_WORK_COMES_IN)
            await asyncio.gather(*(part.kill() for part in parts))
        await asyncio.sleep(fault.seconds)
    else:
        await asyncio.gather(*(part.stop() for part in parts))
    ended = time.monotonic()
    await asyncio.gather(*(part.start() for part in parts))
    return ended


@asynccontextmanager
async def _paused(parts: Sequence[Part]) -> AsyncGenerator[None]:
    """Keep parts from doing anything while the block runs."""
    for part in parts:
        part.signal(Signals.SIGSTOP)
    try:
        yield
    finally:
        for part in parts:
            part.signal(Signals.SIGCONT)


_CONNECTIONS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND usename <> current_user AND backend_type = 'client backend' ORDER BY pid
"""


async def _cut(stack: Stack, seconds: float, chance: random.Random) -> None:
    """Cut one connection of the product after the other."""
    connection = await asyncpg.connect(stack.postgres.database_url)
    try:
        ends = time.monotonic() + seconds
        while True:
            pids = [row["pid"] for row in await connection.fetch(_CONNECTIONS)]
            if pids:
                await connection.execute("SELECT pg_terminate_backend($1)", chance.choice(pids))
            if time.monotonic() >= ends:
                return
            await asyncio.sleep(0.2)
    finally:
        await connection.close()
