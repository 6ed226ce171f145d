"""Whatever ends a long-lived task, it comes back, and what waited for it is done."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from temporalio.client import Client

import worker
from api.base.streams.live import Kind, LiveHub, Topic
from api.base.streams.watch import Watch
from cli.place import ROOT
from relay import Relay
from relay import signal_sync as signal_it
from runtime.servers.processes import free_port
from runtime.settings import Settings
from runtime.supervision import SupervisedTask, supervised
from store.base.database import make_engine
from store.base.notifications.listen import listen
from store.base.notifications.notify import CHANNEL as MICROGRID_EVENTS
from store.base.notifications.notify import tell_processes
from store.monitoring.telemetry import TakenPacket
from store.provisioning.outbox import CHANNEL
from store.provisioning.tables import outbox
from telemetry.ingest import PacketIngest, open_ingest
from telemetry.intake import ingest_packets, read_body
from telemetry.latest import open_reader
from telemetry.mqtt import subscribing
from tests.factories.sites import controller_site, milliseconds, packet
from tests.helpers.mosquitto import Mosquitto
from tests.helpers.support import ACTOR, add_circuit, follows, make_depot, until


def task_named(name: str) -> asyncio.Task[Any] | None:
    return next((each for each in asyncio.all_tasks() if each.get_name() == name and not each.done()), None)


async def kill(name: str) -> None:
    """End a long-lived task as nothing in the product does, and wait until it is back."""

    async def there() -> asyncio.Task[Any] | None:
        return task_named(name)

    killed = await until(there)
    killed.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await killed

    async def back() -> bool:
        return task_named(name) not in (None, killed)

    await until(back)


class Ends:
    """Work that ends in each way there is."""

    def __init__(self) -> None:
        self.begun = 0

    async def work(self) -> None:
        self.begun += 1
        if self.begun == 1:
            return
        if self.begun == 2:
            raise ValueError("a bug")
        if self.begun == 3:
            raise asyncio.CancelledError
        if self.begun == 4:
            raise PoolTimeoutError("no connection")
        await asyncio.Event().wait()


async def test_work_begins_again_whatever_ended_it() -> None:
    ends = Ends()
    async with supervised("work", ends.work) as found:

        async def all_seen() -> bool:
            return ends.begun == 5

        await until(all_seen)
        assert found.starts == 5
    assert task_named("work") is None
    assert ends.begun == 5


async def test_work_that_waits_to_begin_again_does_not_once_it_is_closed() -> None:
    ends = Ends()
    found = SupervisedTask("work", ends.work)
    found.start()

    async def ended() -> bool:
        return found.task is not None and found.task.done()

    await until(ended)
    await found.close()
    assert ends.begun == 1


async def test_work_that_takes_a_cancellation_for_its_own_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.supervision._ASK_AGAIN", 0.01)
    asked = 0

    async def deaf() -> None:
        nonlocal asked
        while asked < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asked += 1

    async with supervised("work", deaf):
        await asyncio.sleep(0)
    assert asked == 3


@pytest.mark.parametrize("steps", range(6))
async def test_a_relay_that_is_stopped_while_it_is_rung_ends(
    engine: AsyncEngine, client: Client, task_queue: str, steps: int
) -> None:
    relay = Relay(engine, client, task_queue)
    running = asyncio.create_task(relay.run())

    async def rests() -> bool:
        return bool(relay._rung._waiters)  # pyright: ignore[reportPrivateUsage]

    await until(rests)
    relay._rung.set()  # pyright: ignore[reportPrivateUsage]
    # Whatever the event loop is at between the bell and the end.
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=60)
    running.cancel()
    assert done == {running}


@asynccontextmanager
async def relaying(engine: AsyncEngine, client: Client, task_queue: str) -> AsyncGenerator[None]:
    async with supervised("relay", Relay(engine, client, task_queue).run):
        yield


async def outbox_is_empty(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return (await connection.execute(select(outbox.c.id))).first() is None


@pytest.mark.parametrize("name", ["relay", "relay's listener"])
async def test_a_relay_that_was_killed_tells_what_waits(
    engine: AsyncEngine, client: Client, task_queue: str, name: str
) -> None:
    async with relaying(engine, client, task_queue):
        await kill(name)
        await make_depot(engine, "A")
        await until(lambda: outbox_is_empty(engine))


async def test_a_relay_that_gets_no_connection_goes_on(
    engine: AsyncEngine, database_url: str, client: Client, task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = make_engine(database_url, pool_size=1)
    monkeypatch.setattr(small.sync_engine.pool, "_timeout", 0.01)
    refused = 0
    relay = Relay(small, client, task_queue)
    once = relay.relay_once

    async def counted() -> tuple[int, int]:
        nonlocal refused
        try:
            return await once()
        except PoolTimeoutError:
            refused += 1
            raise

    monkeypatch.setattr(relay, "relay_once", counted)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(small.connect())
        async with supervised("relay", relay.run) as keeping:

            async def has_been_refused() -> bool:
                return refused >= 3

            await until(has_been_refused)
            await make_depot(engine, "A")
            await held.aclose()
            await until(lambda: outbox_is_empty(engine))
            assert keeping.starts == 1
    await small.dispose()


async def test_a_depot_that_cannot_be_told_does_not_keep_the_others(
    engine: AsyncEngine, client: Client, task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = await make_depot(engine, "A")
    others = [await make_depot(engine, "A", name=f"Depot {number}") for number in range(3)]

    async def told(client: Client, queue: str, request: Any, **more: Any) -> None:
        if request.depot_id == odd:
            raise TypeError("a bug")
        await signal_it(client, queue, request, **more)

    monkeypatch.setattr("relay.signal_sync", told)

    async def only_the_odd_one_waits() -> bool:
        async with engine.connect() as connection:
            return set((await connection.execute(select(outbox.c.depot_id))).scalars()) == {odd}

    async with relaying(engine, client, task_queue):
        await until(only_the_odd_one_waits)
    assert len(others) == 3


@pytest.mark.parametrize("error", [PoolTimeoutError("none"), OSError("away"), ValueError("a bug"), KeyError("x")])
async def test_a_listener_connects_again_whatever_happened(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("store.base.notifications.listen._PAUSE", 0)
    heard: list[str] = []
    failures = iter([error])

    def on_connected() -> None:
        for each in failures:
            raise each
        heard.append("connected")

    async def connected() -> bool:
        return heard == ["connected"]

    listening = asyncio.create_task(listen(engine, CHANNEL, heard.append, on_connected))
    await until(connected)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_notification_that_nobody_understands_is_skipped(engine: AsyncEngine) -> None:
    watch = Watch()
    with capture_logs() as logs:
        async with supervised("watch", lambda: watch.run(engine)), watch.on(uuid4()) as watcher:
            # Of any depot, once it is connected.
            await watcher.changed()
            forged = ["", ";", "no-id STRUCTURE", "é", "* CAPACITY"]
            async with engine.begin() as connection:
                await tell_processes(connection, MICROGRID_EVENTS, forged)
            assert await watcher.changed() == {"CAPACITY"}
    told = [(each["event"], each["log_level"]) for each in logs if each["log_level"] != "info"]
    assert told == [("malformed notifications skipped", "warning")]


async def test_a_watch_that_was_killed_hears_again(engine: AsyncEngine) -> None:
    watch = Watch()
    async with supervised("watch", lambda: watch.run(engine)):
        await kill("watch")
        depot_id = await make_depot(engine, "A")
        async with watch.on(depot_id) as watcher:
            changed = asyncio.create_task(watcher.changed())
            async with asyncio.timeout(60):
                while not changed.done():
                    await add_circuit(engine, depot_id, "Another")
                    await asyncio.wait([changed], timeout=0.2)


async def test_pages_are_told_after_their_watch_was_killed(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A")
    hub = LiveHub(engine, Watch())
    async with hub.listen([Topic(Kind.DEPOT, depot_id)]) as listener:
        await kill("live pages")
        await add_circuit(engine, depot_id, "Another")
        async with asyncio.timeout(60):
            _, changed = await listener.news()
        assert changed == {Topic(Kind.DEPOT, depot_id)}


async def test_packet_ingest_that_was_killed_takes_packets(engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    sent = packet(site, milliseconds(), LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT=None)
    async with open_ingest(engine) as ingest:
        await kill("packet ingest")
        assert await submit(ingest, sent)


async def submit(ingest: PacketIngest, sent: Any) -> bool:
    intake = await ingest_packets(ingest, read_body(json.dumps(sent).encode(), ACTOR, datetime.now(UTC)))
    return isinstance(intake.results[0], TakenPacket)


async def test_who_waits_in_an_ingest_that_is_killed_hears_of_it(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await controller_site(engine)
    inside = asyncio.Event()

    async def hang(*_: object) -> NoReturn:
        inside.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("telemetry.ingest.take_group", hang)
    async with open_ingest(engine) as ingest:
        sent = packet(site, milliseconds(), LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT=None)
        waiting = asyncio.create_task(submit(ingest, sent))
        await inside.wait()
        monkeypatch.undo()
        await kill("packet ingest")
        with pytest.raises(InterruptedError):
            await waiting
        assert ingest.waiting == 0
        assert await submit(ingest, sent)


async def test_a_reader_that_was_killed_reads(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    site = await controller_site(engine)
    inside = asyncio.Event()

    async def hang(*_: object) -> NoReturn:
        inside.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("telemetry.latest.read_many_latest", hang)
    assert site.microgrid_id is not None
    async with open_reader(engine) as reader:
        waiting = asyncio.create_task(reader.read(site.microgrid_id))
        await inside.wait()
        monkeypatch.undo()
        await kill("latest reader")
        with pytest.raises(InterruptedError):
            await waiting
        assert await reader.read(site.microgrid_id)


@pytest_asyncio.fixture
async def broker(tmp_path: Path) -> AsyncGenerator[Mosquitto]:
    made = Mosquitto(tmp_path)
    await made.start()
    yield made
    made.stop()


async def test_a_subscriber_that_was_killed_connects_again(engine: AsyncEngine, broker: Mosquitto) -> None:
    registry = CollectorRegistry()
    async with subscribing(engine, Settings(mqtt_url=SecretStr(broker.url)), registry):

        async def connected() -> bool:
            return registry.get_sample_value("manage_mqtt_connected") == 1

        await until(connected)
        await kill("MQTT subscriber")
        await until(connected)


@asynccontextmanager
async def the_worker(database_url: str, task_queue: str, metrics_port: int) -> AsyncGenerator[None]:
    """The worker as its process runs it."""
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue, metrics_port=metrics_port)
    running = asyncio.create_task(worker.main(settings))
    try:
        yield
    finally:
        signal.raise_signal(signal.SIGTERM)
        await running


async def test_what_the_worker_keeps_comes_back(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str
) -> None:
    port = free_port()

    async def answers() -> bool:
        with suppress(httpx.TransportError):
            async with httpx.AsyncClient(trust_env=False) as caller:
                return (await caller.get(f"http://127.0.0.1:{port}/metrics")).status_code == 200
        return False

    async with the_worker(database_url, task_queue, port):
        for name in ("metrics", "schedules", "relay", "relay's listener"):
            await kill(name)
        await until(answers)
        depot_id = await make_depot(engine, "A")
        await until(lambda: follows(engine, depot_id))
        assert await client.get_schedule_handle("drift-audit").describe()


@pytest.mark.parametrize(("name", "call"), [("metrics", "start_http_server"), ("schedules", "ensure_schedules")])
async def test_what_the_worker_keeps_outlasts_an_error_that_nobody_thought_of(
    engine: AsyncEngine,
    client: Client,
    database_url: str,
    task_queue: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    call: str,
) -> None:
    tries = 0
    works: Callable[..., Awaitable[Any] | Any] = getattr(worker, call)

    def fails_first(*given: Any, **named: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise TypeError("a bug")
        return works(*given, **named)

    monkeypatch.setattr(worker, call, fails_first)

    async def tried_again() -> bool:
        return tries >= 3

    async with the_worker(database_url, task_queue, free_port()):
        await until(tried_again)
        depot_id = await make_depot(engine, "A")
        await until(lambda: follows(engine, depot_id))


def test_a_worker_that_cannot_work_ends_with_1_and_one_line() -> None:
    environment = os.environ | {"DATABASE_URL": "postgresql://u@host:port/db", "MANAGE_LOG_FORMAT": "json"}
    ended = subprocess.run(
        [sys.executable, "worker.py"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert "DATABASE_URL has the form" in ended.stderr
