"""The packet door: whoever brings packets waits here until they are committed.

While one transaction runs, other packets gather; the next one takes them all. So a lone packet is taken at once, and
under load a transaction carries many, without a timer that would delay either. What waits is bounded: beyond the
bound the door is shut, and the sender comes again later. Nothing that was let in is lost in here, except by the end
of the process, and then its sender was never told that it is safe.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.problems import Problem, ProblemCode
from runtime.kept import kept
from store.base.database import is_away, is_busy
from store.base.driver import KeptConnection
from store.monitoring.telemetry import ReceivedPacket, TakenPacket, take_group

_log = structlog.get_logger("door")

MAX_GROUP = 500
"""Packets in one transaction. More would make single packets wait longer and gain nothing."""
MAX_WAITING = 10_000
"""Packets that may wait: some twenty transactions, so a second or two."""

Result = TakenPacket | Problem


@dataclass
class _Visit:
    """The packets that one caller brought, which are in one group, and its wait for them."""

    packets: Sequence[ReceivedPacket]
    done: asyncio.Future[list[Result]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass
class DoorFigures:
    """What the door did since it opened."""

    packets: int = 0
    groups: int = 0
    turned_away: int = 0
    largest_group: int = 0


class PacketDoor:
    """Takes packets in groups. One of them works in each process that takes packets."""

    def __init__(self, engine: AsyncEngine, *, max_group: int = MAX_GROUP, max_waiting: int = MAX_WAITING) -> None:
        self._connection = KeptConnection(engine)
        self._max_group = max_group
        self._max_waiting = max_waiting
        self._visits: deque[_Visit] = deque()
        self._waiting = 0
        self._rung = asyncio.Event()
        self._left = asyncio.Event()
        self.figures = DoorFigures()

    @property
    def waiting(self) -> int:
        """Packets that wait for a transaction."""
        return self._waiting

    def has_room(self, packets: int) -> bool:
        """Say whether so many packets are let in now. Where nobody waits any number is."""
        return not self._waiting or self._waiting + packets <= self._max_waiting

    async def wait_for_room(self, packets: int) -> None:
        """Wait until so many packets are let in. Brought without waiting for anything else, they are."""
        while not self.has_room(packets):
            self._left.clear()
            await self._left.wait()

    async def bring(self, packets: Sequence[ReceivedPacket]) -> list[Result]:
        """Have packets taken; answers when they are committed, in their order.

        Raises:
            Problem: ``TOO_MANY_PACKETS``: so many wait already that none of these was let in.
            DBAPIError, OSError: the database is away. Nothing of it may be there, or all of it; to bring the same
                packets again does no harm.

        """
        if not packets:
            return []
        if not self.has_room(len(packets)):
            self.figures.turned_away += len(packets)
            raise Problem(ProblemCode.TOO_MANY_PACKETS, "Too many packets wait already. Send them again in a second.")
        visit = _Visit(packets)
        self._visits.append(visit)
        self._waiting += len(packets)
        self._rung.set()
        # A caller that leaves does not take back what it brought.
        return await asyncio.shield(visit.done)

    async def work(self) -> None:
        """Take groups until cancelled."""
        self._rung.set()  # for who came before, where this is not the first time
        while True:
            await self._rung.wait()
            self._rung.clear()
            while self._visits:
                group = self._next_group()
                try:
                    await self._take(group)
                finally:
                    # Interrupted. Whoever waits must hear of it; as after a lost connection it may be committed.
                    for visit in group:
                        if not visit.done.done():
                            self._answer(visit, InterruptedError("The packet door was interrupted."))

    async def close(self) -> None:
        """Wait until the last who waits was answered, and give the connection up."""
        while self._waiting:
            self._left.clear()
            await self._left.wait()
        await self._connection.close()

    def _next_group(self) -> list[_Visit]:
        group = [self._visits.popleft()]
        count = len(group[0].packets)
        while self._visits and count + len(self._visits[0].packets) <= self._max_group:
            group.append(self._visits.popleft())
            count += len(group[-1].packets)
        return group

    async def _take(self, group: list[_Visit]) -> None:
        packets = [packet for visit in group for packet in visit.packets]
        try:
            results = await self._commit(packets)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            if len(group) == 1 or is_away(error) or is_busy(error):
                for visit in group:
                    self._answer(visit, error)
                return
            # One of them cannot be taken, or lost against another transaction: the others must not suffer for it.
            _log.warning("group taken apart", packets=len(packets), error=str(error))
            for visit in group:
                await self._take([visit])
            return
        self.figures.groups += 1
        self.figures.packets += len(packets)
        self.figures.largest_group = max(self.figures.largest_group, len(packets))
        place = 0
        for visit in group:
            self._answer(visit, results[place : place + len(visit.packets)])
            place += len(visit.packets)

    async def _commit(self, packets: Sequence[ReceivedPacket]) -> list[Result]:
        async with self._connection.transaction() as driver:
            return await take_group(driver, packets)

    def _answer(self, visit: _Visit, answer: list[Result] | BaseException) -> None:
        self._waiting -= len(visit.packets)
        self._left.set()
        if isinstance(answer, BaseException):
            visit.done.set_exception(answer)
            # Read once here: a caller that left will not.
            visit.done.exception()
        else:
            visit.done.set_result(answer)


@asynccontextmanager
async def open_door(
    engine: AsyncEngine, *, max_group: int = MAX_GROUP, max_waiting: int = MAX_WAITING
) -> AsyncGenerator[PacketDoor]:
    """Keep a door open while the block runs; what waits at its end is still taken."""
    door = PacketDoor(engine, max_group=max_group, max_waiting=max_waiting)
    async with kept("packet door", door.work):
        try:
            yield door
        finally:
            await door.close()
