"""Packet ingest under load, while PostgreSQL and the API are killed: what was accepted is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.main import create_app
from cli.commands.services import ApiProgram
from runtime.servers.embedded import EmbeddedPostgres
from runtime.servers.processes import free_port
from runtime.settings import Settings
from store.base.database import make_engine
from store.base.locks import lock_sites
from store.migrate import upgrade
from tests.factories.sites import MadeDepot, controller_site, milliseconds, packet
from tests.helpers.live import http_client
from tests.helpers.support import until

PATH = "/api/telemetry/packets"
SENDERS = 12
AGAIN = {429, 503}
"""What an answer says that asks for the same packet again."""


class Installation:
    """PostgreSQL and the API on a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.postgres.start()
        upgrade(self.postgres.database_url)
        environment = os.environ | {"DATABASE_URL": self.postgres.database_url}
        self.api = ApiProgram("127.0.0.1", free_port(0), folder / "api.log", environment)
        self.api.start()

    def stop(self) -> None:
        self.api.stop()
        self.postgres.stop()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.stop()


@dataclass
class Sender:
    """One gateway in the field: it sends a packet until it is told that it was accepted, then the next one."""

    site: MadeDepot
    begin: int
    accepted: dict[int, str] = field(default_factory=dict[int, str])
    """By the packet's time the id under which it was accepted."""
    asked_again: int = 0

    async def run(self, url: str, ended: asyncio.Event) -> None:
        async with http_client(url) as api:
            moment = self.begin
            while not ended.is_set():
                packet_id = await self._send(api, moment)
                if packet_id is None:
                    self.asked_again += 1
                    # As a gateway does: it is not its packet's fault, so it waits a little and comes again.
                    await asyncio.sleep(0.05)
                    continue
                self.accepted[moment] = packet_id
                moment += 1

    async def _send(self, api: httpx.AsyncClient, moment: int) -> str | None:
        sent = packet(self.site, moment, LIMIT_PEAK_SHAVING=str(bool(moment % 2)).lower(), LIMIT_DER_EXPORT="true")
        try:
            answer = await api.post(PATH, json=sent)
        except httpx.TransportError:
            return None
        if answer.status_code in AGAIN:
            return None
        assert answer.status_code == 200, answer.text
        (item,) = answer.json()["items"]
        assert item["status"] == "ACCEPTED", item
        return item["packet_id"]


@asynccontextmanager
async def load(url: str, senders: list[Sender]) -> AsyncGenerator[None]:
    """All senders at work while the block runs; each ends with an answer."""
    ended = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for sender in senders:
            group.create_task(sender.run(url, ended))
        try:
            yield
        finally:
            ended.set()


async def further(senders: list[Sender], packets: int = 5) -> None:
    """Wait until every sender has had so many further packets accepted."""
    wanted = {id(sender): len(sender.accepted) + packets for sender in senders}

    async def check() -> bool:
        return all(len(sender.accepted) >= wanted[id(sender)] for sender in senders)

    await until(check)


async def test_kills_under_load_lose_no_accepted_packet(installation: Installation) -> None:
    engine = make_engine(installation.postgres.database_url)
    senders = [Sender(await controller_site(engine), milliseconds() - 60_000) for _ in range(SENDERS)]
    await engine.dispose()

    async with load(installation.api.url, senders):
        for process in (installation.postgres, installation.api, installation.postgres, installation.api):
            await further(senders)
            process.kill()
            await asyncio.to_thread(process.wait)
            await asyncio.to_thread(process.start)
        await further(senders)

    # Each kill met packets on their way, or this would show nothing.
    assert sum(sender.asked_again for sender in senders) > 0
    engine = make_engine(installation.postgres.database_url)
    async with engine.connect() as connection:
        for sender in senders:
            rows = await connection.execute(
                text("SELECT id::text, observed_at FROM packets WHERE gateway_id = :gateway"),
                {"gateway": sender.site.gateway_id},
            )
            stored = {row.id: milliseconds(row.observed_at) for row in rows}
            assert {packet_id: stored.get(packet_id) for packet_id in sender.accepted.values()} == {
                packet_id: moment for moment, packet_id in sender.accepted.items()
            }
            await _status_is_that_of_the_last(connection, sender)
    await engine.dispose()


async def _status_is_that_of_the_last(connection: Any, sender: Sender) -> None:
    last = max(sender.accepted)
    rows = await connection.execute(
        text("SELECT capability, status, observed_at FROM capability_latest WHERE microgrid_id = :microgrid"),
        {"microgrid": sender.site.microgrid_id},
    )
    shown = {row.capability: (row.status, milliseconds(row.observed_at)) for row in rows}
    assert shown == {"PEAK_SHAVING": ("ON" if last % 2 else "OFF", last), "DER": ("ON", last)}
    # One event for each packet and capability, though some packets were sent twice.
    rows = await connection.execute(
        text("""
            SELECT count(*) AS events, count(DISTINCT (capability, provider_event_ref)) AS refs,
                   min(observed_at) AS first, max(observed_at) AS last
            FROM capability_events WHERE microgrid_id = :microgrid AND effect = 'SHOWN'
        """),
        {"microgrid": sender.site.microgrid_id},
    )
    found = rows.one()
    assert (found.events, found.refs) == (2 * len(sender.accepted), 2 * len(sender.accepted))
    assert (milliseconds(found.first), milliseconds(found.last)) == (sender.begin, last)


def figures(body: str) -> dict[str, float]:
    """The metrics of packet ingest as Prometheus reads them."""
    found = (sample for family in text_string_to_metric_families(body) for sample in family.samples)
    wanted = ("_count", "_sum", "_total", "_packets")
    return {
        sample.name.removeprefix("manage_door_"): sample.value
        for sample in found
        if sample.name.startswith("manage_door_") and sample.name.endswith(wanted)
    }


async def test_a_full_queue_rejects_and_loses_nothing_that_it_accepted(
    engine: AsyncEngine, database_url: str, temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    site = await controller_site(engine)
    settings = Settings(database_url=SecretStr(database_url), door_max_waiting=3, door_max_group=2)
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    base = milliseconds() - 1000

    async def send(api: httpx.AsyncClient, moment: int) -> httpx.Response:
        return await api.post(PATH, json=packet(site, moment, LIMIT_PEAK_SHAVING="true"))

    async def waiting(api: httpx.AsyncClient, wanted: int) -> None:
        async def check() -> bool:
            return figures((await api.get("/metrics")).text)["waiting_packets"] == wanted

        await until(check)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as api,
    ):
        async with engine.begin() as connection:
            # Whoever changes the site holds it: the transaction of packet ingest waits.
            await lock_sites(connection, [site.depot_id])
            inside = [asyncio.create_task(send(api, base + place)) for place in range(3)]
            await waiting(api, 3)
            refused = await send(api, base + 3)
            assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_PACKETS")
            assert int(refused.headers["retry-after"]) > 0
        assert [answer.status_code for answer in await asyncio.gather(*inside)] == [200] * 3
        assert (await send(api, base + 3)).status_code == 200
        told = figures((await api.get("/metrics")).text)
        # The first was alone when it was taken, unless the second was as fast.
        groups = told["group_packets_count"]
        assert 2 <= groups <= 4
        assert (told["group_packets_sum"], told["turned_away_packets_total"], told["waiting_packets"]) == (4, 1, 0)
        assert told["wait_seconds_count"] == told["commit_seconds_count"] == groups
        assert told["wait_seconds_sum"] > 0 < told["commit_seconds_sum"]
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT observed_at FROM packets ORDER BY observed_at"))
        assert [row.observed_at for row in rows] == [
            datetime.fromtimestamp((base + place) / 1000, UTC) for place in range(4)
        ]
