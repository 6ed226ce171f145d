"""Packet ingest: a bounded queue of packets, and the tasks that commit them in batches.

While transactions run, further packets queue; the next transaction takes them all. So a lone packet is committed at
once, and under load a transaction carries many, without a timer that would delay either. Two transactions may be open:
this process applies the rules to one batch while PostgreSQL works on the other. They never have a gateway in common, so
the packets of a gateway are taken in the order in which they came. The queue is bounded, which gives backpressure: a
packet that finds no room is rejected, and its sender tries again later. A packet in the queue is lost only with the
process, and then its sender got no acknowledgement.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.problems import Problem, ProblemCode
from runtime.supervision import supervised
from store.base.database import is_busy, is_unavailable
from store.base.driver import KeptConnection
from store.monitoring.telemetry import ReceivedPacket, TakenPacket, take_group

_log = structlog.get_logger("ingest")

MAX_GROUP = 500
"""Packets in one transaction. More would make single packets wait longer and gain nothing."""
MAX_WAITING = 10_000
"""Packets that may wait: some twenty transactions, so a second or two."""

AT_ONCE = 2
"""Transactions that may be open. Each has a connection. While PostgreSQL works for one, Python works for the other: a
third would find neither of them free."""
_MAX_PASSED = 100
"""Submissions that a batch looks past because their gateways are in an open transaction."""

Result = TakenPacket | Problem


@dataclass
class _Submission:
    """The packets of one caller, which are in one batch, and the future that the caller waits for."""

    packets: Sequence[ReceivedPacket]
    gateways: frozenset[UUID]
    done: asyncio.Future[list[Result]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass
class IngestMetrics:
    """What was done since the start."""

    packets: int = 0
    groups: int = 0
    rejected: int = 0
    largest_group: int = 0
    refused: Counter[ProblemCode] = field(default_factory=Counter[ProblemCode])
    """Packets of which nothing was stored, by why."""


class PacketIngest:
    """Commits packets in batches. One of them works in each process that takes packets."""

    def __init__(self, engine: AsyncEngine, *, max_group: int = MAX_GROUP, max_waiting: int = MAX_WAITING) -> None:
        self._connections = [KeptConnection(engine) for _ in range(AT_ONCE)]
        self._max_group = max_group
        self._max_waiting = max_waiting
        self._submissions: deque[_Submission] = deque()
        self._waiting = 0
        self._gateways_in_hand: set[UUID] = set()
        """The gateways whose packets are in open transactions."""
        self._may_begin = asyncio.Event()
        """Set when there may be a batch that no transaction has yet."""
        self._room_freed = asyncio.Event()
        self.figures = IngestMetrics()

    @property
    def waiting(self) -> int:
        """Packets that wait for a transaction."""
        return self._waiting

    def has_room(self, packets: int) -> bool:
        """Say whether so many packets have room in the queue now. In an empty one any number has."""
        return not self._waiting or self._waiting + packets <= self._max_waiting

    async def wait_for_room(self, packets: int) -> None:
        """Wait until so many packets have room. Submitted without waiting for anything else, they are accepted."""
        while not self.has_room(packets):
            self._room_freed.clear()
            await self._room_freed.wait()

    async def submit(self, packets: Sequence[ReceivedPacket]) -> list[Result]:
        """Commit packets; returns when they are committed, one result for each, in their order.

        Raises:
            Problem: ``TOO_MANY_PACKETS``: so many wait already that none of these was accepted.
            DBAPIError, OSError: the database cannot be reached. All of the packets may be committed, or none; to
                submit them again is idempotent.

        """
        if not packets:
            return []
        if not self.has_room(len(packets)):
            self.figures.rejected += len(packets)
            raise Problem(ProblemCode.TOO_MANY_PACKETS, "Too many packets wait already. Send them again in a second.")
        submission = _Submission(packets, frozenset(each.packet.device_id for each in packets))
        self._submissions.append(submission)
        self._waiting += len(packets)
        self._may_begin.set()
        # A caller that is cancelled does not withdraw what it submitted.
        return await asyncio.shield(submission.done)

    async def work(self) -> None:
        """Commit batches until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for connection in self._connections:
                tasks.create_task(self._commit_batches(connection))

    async def _commit_batches(self, connection: KeptConnection) -> None:
        """Commit one batch after the other on this connection."""
        while True:
            batch = self._next_batch()
            if not batch:
                self._may_begin.clear()
                await self._may_begin.wait()
                continue
            gateways = {gateway for submission in batch for gateway in submission.gateways}
            self._gateways_in_hand |= gateways
            try:
                await self._take_batch(connection, batch)
            finally:
                self._gateways_in_hand -= gateways
                self._may_begin.set()
                # Interrupted. Whoever waits must hear of it; as after a lost connection it may be committed.
                for submission in batch:
                    if not submission.done.done():
                        self._answer(submission, InterruptedError("Packet ingest was interrupted."))

    async def close(self) -> None:
        """Wait until the queue is empty and everyone is answered, then release the connection."""
        while self._waiting:
            self._room_freed.clear()
            await self._room_freed.wait()
        for connection in self._connections:
            await connection.close()

    def _next_batch(self) -> list[_Submission]:
        """Take from the queue what the next transaction has.

        What has a gateway in common with an open transaction stays at its place, and so does whatever comes after it
        from the same gateways: nothing overtakes what is of the same gateway.
        """
        batch: list[_Submission] = []
        passed: list[_Submission] = []
        held = set(self._gateways_in_hand)
        count = 0
        while self._submissions and len(passed) < _MAX_PASSED:
            found = self._submissions[0]
            if batch and count + len(found.packets) > self._max_group:
                break
            self._submissions.popleft()
            if found.gateways.isdisjoint(held):
                batch.append(found)
                count += len(found.packets)
            else:
                passed.append(found)
                held |= found.gateways
        self._submissions.extendleft(reversed(passed))
        return batch

    async def _take_batch(self, connection: KeptConnection, batch: list[_Submission]) -> None:
        packets = [packet for submission in batch for packet in submission.packets]
        try:
            results = await self._commit(connection, packets)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            if len(batch) == 1 or is_unavailable(error) or is_busy(error):
                for submission in batch:
                    self._answer(submission, error)
                return
            # One of them cannot be stored, or lost against another transaction: the others must not suffer for it.
            _log.warning("batch split", packets=len(packets), error=str(error))
            for submission in batch:
                await self._take_batch(connection, [submission])
            return
        self.figures.groups += 1
        self.figures.packets += len(packets)
        self.figures.largest_group = max(self.figures.largest_group, len(packets))
        place = 0
        for submission in batch:
            self._answer(submission, results[place : place + len(submission.packets)])
            place += len(submission.packets)

    async def _commit(self, connection: KeptConnection, packets: Sequence[ReceivedPacket]) -> list[Result]:
        async with connection.transaction() as driver:
            return await take_group(driver, packets)

    def _answer(self, submission: _Submission, answer: list[Result] | BaseException) -> None:
        self._waiting -= len(submission.packets)
        self._room_freed.set()
        if isinstance(answer, BaseException):
            submission.done.set_exception(answer)
            # Read once here: a caller that left will not.
            submission.done.exception()
        else:
            submission.done.set_result(answer)


@asynccontextmanager
async def open_ingest(
    engine: AsyncEngine, *, max_group: int = MAX_GROUP, max_waiting: int = MAX_WAITING
) -> AsyncGenerator[PacketIngest]:
    """Ingest packets while the block runs; what waits at its end is still committed."""
    ingest = PacketIngest(engine, max_group=max_group, max_waiting=max_waiting)
    async with supervised("packet ingest", ingest.work):
        try:
            yield ingest
        finally:
            await ingest.close()
