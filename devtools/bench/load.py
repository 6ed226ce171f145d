"""A load generator in a process of its own: many clients, each sending its next request as soon as it is answered.

    python -m devtools.bench.load < PLAN.json > OUTCOME.json

It speaks just enough HTTP/1.1 to cost little of the processor that the server is measured on: what it did cost is part
of its outcome. A request is a template in which ``%d`` stands for the time of a packet in milliseconds since the
epoch, a step later for each, and ``%s`` for the same as text.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import uvloop


@dataclass(frozen=True)
class Client:
    """What one client sends again and again."""

    method: str
    path: str
    template: str = ""
    """The body; empty: none."""
    times: int = 0
    """How many places for a time the body has."""
    as_text: bool = False
    """Whether a time is written as RFC 3339 rather than as milliseconds."""
    begin: int = 0
    """The time of its first packet, in milliseconds since the epoch."""
    step: int = 1
    """Milliseconds from one time to the next."""
    token: str = ""
    """What proves who the client is; empty: nothing does."""


@dataclass(frozen=True)
class Plan:
    """What to send, whither, for how long."""

    host: str
    port: int
    clients: list[Client]
    seconds: float
    warm_up: float
    """Seconds that are not counted, before those that are."""
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Outcome:
    """What came of it, in the seconds that count."""

    seconds: float
    statuses: dict[str, int]
    """How many answers had which status."""
    latencies: list[float]
    """Seconds, of the answers with status 200."""
    next_times: list[int]
    """Where each client's times go on."""
    processor_seconds: float
    """What this process took of the processor in those seconds."""
    body_bytes: int
    """Size of the last body that was answered."""
    complaint: str
    """How the first answer begins that is not a 200; empty: there is none."""


_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_COMPLAINT = 500
"""Bytes."""
_CLOSES = re.compile(rb"connection: *close", re.IGNORECASE)


class Sender(asyncio.Protocol):
    """One client on one connection."""

    def __init__(self, load: Load, client: Client) -> None:
        self._load = load
        self._client = client
        self._next_time = client.begin
        self._got = b""
        self._sent_at = 0.0
        self._closes = False
        self._transport: asyncio.WriteTransport | None = None

    @property
    def next_time(self) -> int:
        """The time of the packet that would be next."""
        return self._next_time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request, or go on after a connection that the server closed."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._got = b""
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take an answer, and send the next request once it is whole."""
        got = self._got = self._got + data if self._got else data
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = got[:end]
        length = _LENGTH.search(head)
        size = int(length.group(1)) if length else 0
        if len(got) < end + 4 + size:
            return
        self._got = b""
        self._load.note(got[9:12], time.perf_counter() - self._sent_at, got[end + 4 :])
        self._closes = _CLOSES.search(head) is not None
        if self._load.over:
            self._load.leave()
        elif not self._closes:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol has it
        """Connect again."""
        if not self._load.over:
            # A server that closes after each answer is met again; one that went away ends the run.
            self._load.reconnect(self, lost=not self._closes)

    def _send(self) -> None:
        assert self._transport is not None
        client = self._client
        body = client.template.encode()
        if client.times:
            end = self._next_time + client.times * client.step
            times = range(self._next_time, end, client.step)
            self._next_time = end
            body = body % tuple(map(_as_text, times) if client.as_text else times)
        self._sent_at = time.perf_counter()
        self._transport.write(b"".join((self._load.head(client), b"%d\r\n\r\n" % len(body), body)))


def _as_text(moment: int) -> bytes:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat().encode()


class Load:
    """All clients of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._heads = {(client.path, client.token): _head(plan, client) for client in plan.clients}
        self._senders = [Sender(self, client) for client in plan.clients]
        self._counting = False
        self._statuses: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._reconnecting: set[asyncio.Task[Any]] = set()
        self._failure: BaseException | None = None
        self._left = len(plan.clients)
        self._ended = asyncio.Event()
        self._body_bytes = 0
        self._complaint = ""
        self.over = False

    def head(self, client: Client) -> bytes:
        """Everything before the length of the body."""
        return self._heads[client.path, client.token]

    def note(self, status: bytes, seconds: float, body: bytes) -> None:
        """Count an answer."""
        if self._counting:
            self._statuses[status.decode()] += 1
            if status == b"200":
                self._latencies.append(seconds)
                self._body_bytes = len(body)
            elif not self._complaint:
                self._complaint = body[:_COMPLAINT].decode(errors="replace")

    def leave(self) -> None:
        """Note that a client got its last answer."""
        self._left -= 1
        if self._left == 0:
            self._ended.set()

    def reconnect(self, sender: Sender, *, lost: bool) -> None:
        """Give a client a new connection."""
        if lost:
            self._failure = ConnectionError("the server closed a connection without an answer")
        task = asyncio.get_running_loop().create_task(self._connect(sender))
        self._reconnecting.add(task)
        task.add_done_callback(self._reconnecting.discard)

    async def _connect(self, sender: Sender) -> None:
        await asyncio.get_running_loop().create_connection(lambda: sender, self._plan.host, self._plan.port)

    async def run(self) -> Outcome:
        """Send for the plan's time."""
        for sender in self._senders:
            await self._connect(sender)
        await asyncio.sleep(self._plan.warm_up)
        used = _processor_seconds()
        began = time.perf_counter()
        self._counting = True
        await asyncio.sleep(self._plan.seconds)
        self._counting = False
        took = time.perf_counter() - began
        used = _processor_seconds() - used
        self.over = True
        async with asyncio.timeout(60):
            await self._ended.wait()
        if self._failure is not None:
            raise self._failure
        return Outcome(
            took,
            dict(self._statuses),
            self._latencies,
            [sender.next_time for sender in self._senders],
            used,
            self._body_bytes,
            self._complaint,
        )


def _head(plan: Plan, client: Client) -> bytes:
    lines = [f"{client.method} {client.path} HTTP/1.1", f"Host: {plan.host}:{plan.port}"]
    lines += [f"{name}: {value}" for name, value in plan.headers.items()]
    if client.token:
        lines.append(f"Authorization: Bearer {client.token}")
    if client.template:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "Content-Length: "]).encode()


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the plan on standard input."""
    given = json.load(sys.stdin)
    plan = Plan(**given | {"clients": [Client(**client) for client in given["clients"]]})

    async def run() -> Outcome:
        return await Load(plan).run()

    json.dump(asdict(uvloop.run(run())), sys.stdout)


if __name__ == "__main__":
    main()
