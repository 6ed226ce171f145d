"""`./dev up --api 2 --workers 2`: several processes of each behind one address, and what holds with any number."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.actor import Actor
from runtime.servers.processes import free_port
from store.base.database import make_engine, transaction
from store.monitoring.tables import packets
from store.site.circuits import create_circuit
from tests.access.tokens.made import bearing, wanted
from tests.factories.sites import controller_site, milliseconds, packet
from tests.helpers.live import http_client
from tests.helpers.mosquitto import Mosquitto
from tests.helpers.openid import SESSION, Surfer
from tests.helpers.support import follows, make_depot, until
from tests.helpers.up import Up, running

# They share the processes, which take long to start.
pytestmark = pytest.mark.xdist_group("several")

FIGURES = "figures-of-the-tests"
DEPOT = {"name": "Arrow Road", "timezone": "UTC", "circuits": [{"name": "Feed"}]}


@dataclass(frozen=True)
class Several:
    """The product in several processes, with people who sign in and a broker."""

    folder: Path
    broker: Mosquitto
    address: str
    """The one of all API processes."""
    own: tuple[str, str]
    """Where each API process alone answers."""
    workers: tuple[str, str]
    """Where each worker serves its figures."""
    token: str
    """An API token of an administrator."""

    @property
    def database_url(self) -> str:
        return running(self.folder).database_url

    @asynccontextmanager
    async def engine(self) -> AsyncGenerator[AsyncEngine]:
        made = make_engine(self.database_url)
        try:
            yield made
        finally:
            await made.dispose()

    @asynccontextmanager
    async def callers(self) -> AsyncGenerator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
        """A program that speaks with each API process."""
        async with AsyncExitStack() as stack:
            one, two = [
                await stack.enter_async_context(http_client(each, headers=bearing(self.token))) for each in self.own
            ]
            yield one, two

    def process(self, name: str) -> int:
        """Its process id now."""
        return int(running(self.folder).processes[name][0])


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    """Two API processes and two workers, which the tests of this module share."""
    folder = tmp_path_factory.mktemp("several")
    broker = Mosquitto(folder)
    asyncio.run(broker.start())
    data = folder / "data"
    up = Up(
        data, "--api", "2", "--workers", "2", "--sign-in", "--no-demo", "--port", "0",
        # Not the usual port, which another worker of this machine may take meanwhile.
        MANAGE_MQTT_URL=broker.url, MANAGE_METRICS_TOKEN=FIGURES, MANAGE_METRICS_PORT=str(free_port()),
    )  # fmt: skip
    try:
        printed = up.until("Audrey Auditor")
        one, two = re.findall(r"API \d +(http://\S+)/metrics", printed)
        address = running(data).api_url
        token = asyncio.run(_token(address))
        workers = [f"http://127.0.0.1:{_metrics_port(data, f'worker {number}')}" for number in (1, 2)]
        assert len({address, one, two, *workers}) == 5
        yield Several(data, broker, address, (one, two), (workers[0], workers[1]), token)
        assert up.interrupt() == 0
    finally:
        up.kill()
        broker.stop()


async def _token(address: str) -> str:
    async with Surfer() as administrator:
        await sign_in(administrator, address, "administrator")
        asked = wanted(("administrator", None))
        answer = await administrator.change("POST", f"{address}/api/tokens", json=asked)
    assert answer.status_code == 201, answer.text
    return answer.json()["secret"]


async def sign_in(somebody: Surfer, address: str, login: str) -> None:
    """Sign somebody in, once the provider answers."""

    async def is_signed_in() -> bool:
        try:
            await somebody.sign_in(f"{address}/", login)
        except httpx.ConnectError:
            return False
        return SESSION in somebody.cookies(address)

    await until(is_signed_in)


def _metrics_port(folder: Path, name: str) -> str:
    process = psutil.Process(int(running(folder).processes[name][0]))
    return process.environ()["MANAGE_METRICS_PORT"]


async def figures(address: str) -> dict[str, float]:
    """What a process counts: the sum of each sample over its labels."""
    async with http_client(address, headers=bearing(FIGURES)) as caller:
        answer = await caller.get("/metrics")
    assert answer.status_code == 200
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


async def test_each_process_has_its_own_figures_and_is_reached_by_the_one_address(several: Several) -> None:
    before = [await figures(each) for each in several.own]
    async with several.callers() as (one, two):
        for caller, times in ((one, 3), (two, 1)):
            for _ in range(times):
                assert (await caller.get("/api/depots")).status_code == 200
    after = [await figures(each) for each in several.own]
    name = "manage_http_request_duration_seconds_count"
    # The figures themselves were asked for once between.
    assert [later[name] - earlier[name] for earlier, later in zip(before, after, strict=True)] == [4, 2]
    async with http_client(several.address, headers=bearing(several.token)) as caller:
        assert (await caller.get("/api/depots")).status_code == 200


async def test_one_key_sent_to_both_at_once_creates_once(several: Several) -> None:
    async with several.callers() as both:
        for round_ in range(5):
            body, headers = DEPOT | {"name": f"Twice {round_}"}, {"idempotency-key": str(uuid4())}
            answers = await asyncio.gather(*(caller.post("/api/depots", json=body, headers=headers) for caller in both))
            late = [each for each in answers if each.status_code != 201]
            assert all(each.json()["code"] == "IDEMPOTENCY_KEY_IN_USE" for each in late)
            assert len(late) < 2
            again = [await caller.post("/api/depots", json=body, headers=headers) for caller in both]
            created = {each.json()["depot_id"] for each in (*answers, *again) if each.status_code == 201}
            assert len(created) == 1
            found = await both[0].get("/api/depots", params={"search": f"Twice {round_}"})
            assert {each["depot_id"] for each in found.json()["items"]} == created


async def test_a_change_through_one_is_synced_and_heard_on_a_stream_of_the_other(several: Several) -> None:
    async with several.callers() as (one, two), several.engine() as engine:
        depot_id = await make_depot(engine, "Feed 1", name="Streamed")

        async def is_there() -> bool:
            return await follows(engine, depot_id)

        await until(is_there)
        found = (await one.get(f"/api/depots/{depot_id}/microgrid")).json()
        async with one.stream("GET", f"/api/microgrids/{found['microgrid_id']}/events") as stream:
            lines = stream.aiter_lines()
            async with asyncio.timeout(60):
                await _told(lines, "*")
                made = await two.post(f"/api/depots/{depot_id}/circuits", json={"name": "Feed 2"})
                assert made.status_code == 201, made.text
                await _told(lines, "STRUCTURE")
        shown = (await one.get(f"/api/depots/{depot_id}/microgrid")).json()
        assert [each["name"] for each in shown["grid_connections"]] == ["Feed 1", "Feed 2"]


async def _told(lines: Any, word: str) -> None:
    async for line in lines:
        name, _, value = line.partition(": ")
        if name == "data" and word in value.split():
            return
    raise AssertionError(f"the stream ended before {word}")


async def test_of_two_workers_one_takes_the_packets_and_the_other_when_it_is_killed(several: Several) -> None:
    async with several.engine() as engine:
        site = await controller_site(engine)
        began = milliseconds() - 1000

        async def publish(first: int, count: int) -> None:
            async with several.broker.gateway() as gateway:
                for number in range(first, first + count):
                    body = packet(site, began + number, LIMIT_PEAK_SHAVING="true")
                    await gateway.publish("manage/packets/gw", json.dumps(body), qos=1)

        async def stored() -> int:
            async with engine.connect() as connection:
                query = select(func.count()).select_from(packets).where(packets.c.gateway_id == site.gateway_id)
                return (await connection.execute(query)).scalar_one()

        async def connected() -> list[int] | None:
            found = [int((await figures(each))["manage_mqtt_connected"]) for each in several.workers]
            return found if sum(found) == 1 else None

        holder = (await until(connected)).index(1)
        await publish(0, 30)

        async def all_are_there() -> bool:
            return await stored() == 30

        await until(all_are_there)

        async def all_are_acknowledged() -> bool:
            return (await figures(several.workers[holder]))["manage_mqtt_messages_total"] == 30

        await until(all_are_acknowledged)
        assert (await figures(several.workers[1 - holder]))["manage_mqtt_messages_total"] == 0
        os.kill(several.process(f"worker {holder + 1}"), signal.SIGKILL)
        await publish(30, 10)

        async def the_rest_is_there() -> bool:
            return await stored() == 40

        await until(the_rest_is_there)
        # A sync is done meanwhile, by whichever is there.
        async with transaction(engine, Actor("tester")) as connection:
            await create_circuit(connection, Actor("tester"), site.depot_id, {"name": "Feed 9"})

        async def is_in_step() -> bool:
            return await follows(engine, site.depot_id)

        await until(is_in_step)


async def test_reads_are_never_away_while_one_api_is_killed_and_it_comes_back_alone(several: Several) -> None:
    killed, other = several.process("API 1"), several.process("API 2")

    async def read() -> bool:
        """One read on a connection of its own; only what the killed process had in hand may fail."""
        async with http_client(several.address, headers=bearing(several.token)) as caller:
            try:
                answer = await caller.get("/api/depots")
            except httpx.TransportError as error:
                assert not isinstance(error, httpx.ConnectError)
                return False
        assert answer.status_code == 200
        return True

    async def is_back() -> bool:
        assert await read() or await read(), "two reads in a row failed"
        if several.process("API 1") == killed:
            return False
        async with http_client(several.own[0]) as caller:
            return (await caller.get("/readyz")).status_code == 200

    os.kill(killed, signal.SIGKILL)
    await until(is_back)
    assert several.process("API 2") == other


async def test_a_session_that_is_ended_at_one_is_ended_at_the_other(several: Several) -> None:
    one, two = several.own
    async with Surfer() as somebody:
        await sign_in(somebody, several.address, "viewer")
        for own in (one, two):
            assert (await somebody.send("GET", f"{own}/api/depots")).status_code == 200
        kept = dict(somebody.cookies(one))
        answer = await somebody.change("POST", f"{several.address}/sign-out")
        assert answer.status_code in (200, 303)
        for own in (one, two):
            somebody.cookies(own).update(kept)
            assert (await somebody.send("GET", f"{own}/api/depots")).status_code == 401
