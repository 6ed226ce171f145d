"""Packet ingest with the secrets of gateways beside the same without, in turn, in one API process."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from fastapi import Request
from pydantic import SecretStr
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Message, Receive, Scope, Send

from api.access.authorization import authorize
from api.edge.guard import Guard
from api.main import create_app
from devtools.bench.figures import Latency
from devtools.bench.load import Client
from devtools.bench.runners import processor_seconds
from devtools.bench.site import DepotIds, packets_body
from domain.access.gateway_secrets import SALT_BYTES, make_gateway_secret
from domain.access.routes import OPERATIONS
from domain.access.secrets import BITS
from domain.base.actor import Actor
from runtime.settings import Settings
from store.access.gateway_secrets import create_secret

if TYPE_CHECKING:
    from devtools.bench.telemetry import Running

_ACTOR = Actor("bench")
_RUNS = 20
_REQUESTS = 2_000


@dataclass(frozen=True)
class _Sample:
    packets_a_second: float
    latency: Latency
    processor: float
    """Microseconds of the API's processor time a packet."""


@dataclass
class Door:
    """One way of bringing packets, with secrets and without, over all rounds."""

    clients: int
    array: int
    """Packets a request, all of the client's own gateway."""
    without: list[_Sample] = field(default_factory=list[_Sample])
    proved: list[_Sample] = field(default_factory=list[_Sample])

    def ratios(self) -> tuple[float, float]:
        """What a secret costs, as the medians over the pairs: of the throughput, and of the processor time."""
        pairs = list(zip(self.without, self.proved, strict=True))
        return (
            median(without.packets_a_second / proved.packets_a_second for without, proved in pairs),
            median(proved.processor / without.processor for without, proved in pairs),
        )


async def make_secrets(engine: AsyncEngine, sites: Sequence[DepotIds]) -> list[str]:
    """Give each site's gateway a secret."""
    made = [
        make_gateway_secret(site.gateway_id, secrets.token_bytes(BITS // 8), secrets.token_bytes(SALT_BYTES))
        for site in sites
    ]
    async with engine.begin() as connection:
        for site, secret in zip(sites, made, strict=True):
            await create_secret(connection, _ACTOR, site.gateway_id, secret)
    return [each.text for each in made]


async def measure_door(running: Running, path: str, door: Door, tokens: Sequence[str], *, proved_first: bool) -> None:
    """Measure both ways, one after the other; which comes first changes, so that neither gains by it."""
    for proved in (proved_first, not proved_first):
        begin = running.clock.begin()
        clients = [
            Client(
                "POST",
                path,
                packets_body([site], 0, door.array),
                door.array,
                begin=begin,
                token=token if proved else "",
            )
            for site, token in zip(running.sites[: door.clients], tokens, strict=True)
        ]
        assert running.api.pid is not None
        used = processor_seconds(running.api.pid)
        outcome = await running.load(clients)
        used = processor_seconds(running.api.pid) - used
        taken = len(outcome.latencies) * door.array
        # The processor time is that of the warm-up as well, and so are its packets.
        packets = sum(each - begin for each in outcome.next_times)
        sample = _Sample(taken / outcome.seconds, Latency.of(outcome.latencies), used / packets * 1e6)
        (door.proved if proved else door.without).append(sample)


@dataclass(frozen=True)
class GuardCost:
    """Microseconds of processor time until it is known who sends and whether they may, the least of many runs."""

    without: float
    proved: float

    def __str__(self) -> str:
        """The figures in a sentence."""
        return (
            f"Until a request is let in, it takes {self.without:.1f} µs without a secret and {self.proved:.1f} µs with "
            f"one: {self.proved - self.without:.1f} µs more (the least of {_RUNS} runs of {_REQUESTS:,})."
        )


async def measure_guard(database_url: str, token: str) -> GuardCost:
    """Measure what is asked before a packet is read, in this process and with nothing behind it.

    Other work on the machine hardly changes these figures, which it does with a difference of two throughputs.
    """
    app = create_app(Settings(database_url=SecretStr(database_url)))

    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        await authorize(Request(scope, receive, send), OPERATIONS["send_packets"], {})

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def refused(message: Message) -> None:
        raise AssertionError(f"not let in: {message}")

    guard = Guard(let_in, settings=Settings())
    plain = [(b"host", b"127.0.0.1:8000"), (b"content-type", b"application/json"), (b"content-length", b"300")]
    kinds = (plain, [*plain, (b"authorization", f"Bearer {token}".encode())])
    least = [float("inf"), float("inf")]
    async with app.router.lifespan_context(app):
        for _ in range(_RUNS):
            for place, headers in enumerate(kinds):
                began = time.process_time()
                for _ in range(_REQUESTS):
                    scope: Scope = {
                        "type": "http", "method": "POST", "path": "/api/telemetry/packets", "headers": list(headers),
                        "client": ("127.0.0.1", 1), "app": app, "query_string": b"", "scheme": "http",
                    }  # fmt: skip
                    await guard(scope, nothing, refused)
                least[place] = min(least[place], (time.process_time() - began) / _REQUESTS * 1e6)
    return GuardCost(*least)


def door_table(doors: Sequence[Door]) -> Table:
    """The figures as they are printed."""
    table = Table(title="Packets with the secret of their gateway beside the same without (medians)")
    for column in ("clients", "packets a request", "", "packets/s", "p50 ms", "p99 ms", "API µs a packet"):
        table.add_column(column, justify="right")
    for door in doors:
        for name, samples in (("without", door.without), ("with a secret", door.proved)):
            first = samples is door.without
            table.add_row(
                *((f"{door.clients}", f"{door.array}") if first else ("", "")),
                name,
                f"{median(each.packets_a_second for each in samples):,.0f}",
                f"{median(each.latency.p50 for each in samples):.1f}",
                f"{median(each.latency.p99 for each in samples):.1f}",
                f"{median(each.processor for each in samples):,.1f}",
            )
        rate, processor = door.ratios()
        table.add_row("", "", "ratio", f"{rate:.3f}", "", "", f"{processor:.3f}", end_section=True)
    table.caption = "Ratio: packets/s without by those with a secret; processor time with a secret by that without."
    return table
