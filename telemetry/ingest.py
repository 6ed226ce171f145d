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
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.problems import Problem, ProblemCode
from runtime.observing.metrics import NAMESPACE
from runtime.observing.traces import continuing, kept_traceparent, untraced
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

_WAITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_GROUPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

_LINKED = 20

Result = TakenPacket | Problem


@dataclass
class _Submission:
    """The packets of one caller, which are in one batch, and the future that the caller waits for."""

    packets: Sequence[ReceivedPacket]
    gateways: frozenset[UUID]
    done: asyncio.Future[list[Result]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    at: float = field(default_factory=time.monotonic)
    traceparent: str = field(default_factory=kept_traceparent)
    """Of a trace that is kept; empty: of none."""


class DoorMetrics:
    """What packet ingest of this process did. What takes time is observed once a transaction, not once a packet."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self.wait = Histogram(
            "door_wait_seconds", "How long the packet of a transaction that waited longest waited for it",
            namespace=NAMESPACE, buckets=_WAITS, registry=registry,
        )  # fmt: skip
        self.group = Histogram(
            "door_group_packets", "Packets that one transaction took",
            namespace=NAMESPACE, buckets=_GROUPS, registry=registry,
        )  # fmt: skip
        self.commit = Histogram(
            "door_commit_seconds", "How long a transaction that took packets lasted",
            namespace=NAMESPACE, buckets=_WAITS, registry=registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "door_waiting_packets", "Packets that wait for a transaction", namespace=NAMESPACE, registry=registry
        )
        self.turned_away = Counter(
            "door_turned_away_packets", "Packets that were turned away because too many waited",
            namespace=NAMESPACE, registry=registry,
        )  # fmt: skip
        self.refused = Counter(
            "door_refused_packets", "Packets of which nothing was stored, by why", ["code"],
            NAMESPACE, registry=registry,
        )  # fmt: skip


class PacketIngest:
    """Commits packets in batches. One of them works in each process that takes packets."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        max_group: int = MAX_GROUP,
        max_waiting: int = MAX_WAITING,
        metrics: DoorMetrics | None = None,
    ) -> None:
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
        self.metrics = metrics or DoorMetrics(None)
        self.metrics.waiting.set_function(lambda: self._waiting)

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
            self.metrics.turned_away.inc(len(packets))
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
        begun = time.monotonic()
        try:
            results = await self._commit(connection, batch, packets)
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
        # The queue is in order, so the first of a batch has waited longest.
        self.metrics.wait.observe(begun - batch[0].at)
        self.metrics.commit.observe(time.monotonic() - begun)
        self.metrics.group.observe(len(packets))
        place = 0
        for submission in batch:
            self._answer(submission, results[place : place + len(submission.packets)])
            place += len(submission.packets)

    async def _commit(
        self, connection: KeptConnection, batch: Sequence[_Submission], packets: Sequence[ReceivedPacket]
    ) -> list[Result]:
        # One transaction is a step of many traces: it is told in the first one that is kept, with links to others.
        kept = [each.traceparent for each in batch if each.traceparent]
        figures = {"door.group_packets": len(packets), "door.wait_seconds": time.monotonic() - batch[0].at}
        with continuing(kept[0], "take packets", kept[1:_LINKED], figures) if kept else untraced():
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
    engine: AsyncEngine,
    *,
    max_group: int = MAX_GROUP,
    max_waiting: int = MAX_WAITING,
    metrics: DoorMetrics | None = None,
) -> AsyncGenerator[PacketIngest]:
    """Ingest packets while the block runs; what waits at its end is still committed. Without ``metrics`` nobody reads
    what it did.
    """
    ingest = PacketIngest(engine, max_group=max_group, max_waiting=max_waiting, metrics=metrics)
    async with supervised("packet ingest", ingest.work):
        try:
            yield ingest
        finally:
            await ingest.close()
