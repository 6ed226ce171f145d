"""Packet ingest over MQTT, on a real broker: nothing is lost, and nobody is told that something is safe too early."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiomqtt
import asyncpg
import pytest
import pytest_asyncio
import trustme
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.limits import MAX_BODY_BYTES
from devtools.system_packages import find
from runtime.settings import Settings
from store.base.database import blames_data
from store.base.locks import lock_sites
from store.monitoring.tables import capability_events, capability_latest, packets
from telemetry import intake, mqtt
from telemetry.broker import Link, parse_broker, was_taken_over
from telemetry.ingest import PacketIngest, open_ingest
from telemetry.mqtt import MAX_MESSAGE_BYTES, MqttFigures, Subscriber, subscribing
from telemetry.topics import Topics
from tests.factories.sites import MadeDepot, controller_site, milliseconds, packet
from tests.helpers.counting import watch_threads
from tests.helpers.mosquitto import Mosquitto
from tests.helpers.support import database_away, until

TOPIC = "manage/packets/gw"
ANSWERS = "manage/answers/gw"
TOPICS = Topics("manage/packets/#", "manage/answers")
ROOT = Path(__file__).parent.parent.parent
V5 = aiomqtt.ProtocolVersion.V5


@pytest_asyncio.fixture
async def broker(tmp_path: Path) -> AsyncGenerator[Mosquitto]:
    """A broker that runs."""
    made = Mosquitto(tmp_path)
    await made.start()
    yield made
    made.stop()


class Running:
    """A subscriber of this process, and its figures."""

    def __init__(self, ingest: PacketIngest) -> None:
        self.registry = CollectorRegistry()
        self.ingest: PacketIngest = ingest

    def figure(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0

    async def is_connected(self) -> bool:
        return self.figure("manage_mqtt_connected") == 1

    async def answered(self, messages: int) -> None:
        """Wait until so many messages were acknowledged."""

        async def check() -> bool:
            return self.figure("manage_mqtt_messages_total") >= messages

        await until(check)
        assert self.figure("manage_mqtt_messages_total") == messages


@asynccontextmanager
async def subscribed(
    engine: AsyncEngine,
    broker: Mosquitto,
    *,
    at_once: int = mqtt.AT_ONCE,
    max_waiting: int = 5000,
    topics: Topics = TOPICS,
) -> AsyncGenerator[Running]:
    """A subscriber that is connected when the block begins."""
    async with open_ingest(engine, max_waiting=max_waiting) as ingest:
        running = Running(ingest)
        subscriber = Subscriber(
            ingest, parse_broker(broker.url), topics=topics, client_id="manage-packets",
            figures=MqttFigures(running.registry), at_once=at_once,
        )  # fmt: skip
        task = asyncio.create_task(subscriber.run())
        try:
            await until(running.is_connected)
            yield running
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def become_known(broker: Mosquitto) -> None:
    """Make the session that the broker keeps, so that it holds messages from now on."""
    async with Link(parse_broker(broker.url), "manage-packets", at_once=1, session=timedelta(hours=1)) as link:
        await link.take_topic("manage/packets/#")


async def publish(broker: Mosquitto, *bodies: Any, qos: int = 1) -> None:
    """Publish as a gateway: each is confirmed by the broker."""
    async with broker.gateway() as gateway:
        for body in bodies:
            await gateway.publish(TOPIC, body if isinstance(body, bytes) else json.dumps(body), qos=qos)


async def ask(broker: Mosquitto, body: Any, topic: str = ANSWERS) -> tuple[dict[str, Any], str]:
    """Publish and wait for the answer; answers the document and its content type."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = topic
    correlation = uuid4().bytes
    properties.CorrelationData = correlation
    async with broker.gateway() as gateway:
        await gateway.subscribe(topic, qos=1)
        raw = body if isinstance(body, bytes) else json.dumps(body)
        await gateway.publish(TOPIC, raw, qos=1, properties=properties)
        async for message in gateway.messages:
            given: Any = message.properties
            assert given.CorrelationData == correlation
            return json.loads(message.payload), given.ContentType
    raise AssertionError("the gateway was disconnected")


async def count(engine: AsyncEngine, table: Any = packets) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def has(engine: AsyncEngine, wanted: int) -> None:
    """Wait until so many packets are stored."""

    async def check() -> bool:
        return await count(engine) >= wanted

    await until(check)


def many(site: MadeDepot, number: int) -> list[dict[str, Any]]:
    """Packets, each measured a millisecond after the other."""
    began = milliseconds() - number
    return [packet(site, began + place, LIMIT_PEAK_SHAVING="true") for place in range(number)]


async def is_held_up(engine: AsyncEngine) -> bool:
    """Whether a group of packets waits for the lock of a site."""
    async with engine.connect() as connection:
        waiting = await connection.execute(text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        return waiting.first() is not None


async def test_a_packet_is_taken_acknowledged_and_answered(engine: AsyncEngine, broker: Mosquitto) -> None:
    site = await controller_site(engine)
    sent = packet(site, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false")
    async with subscribed(engine, broker) as running:
        document, kind = await ask(broker, sent)
        await running.answered(1)
        assert running.figure("manage_mqtt_packets_total", result="ACCEPTED") == 1
    assert kind == "application/json"
    (item,) = document["items"]
    assert (item["status"], item["actions"][0]["outcome"]) == ("ACCEPTED", "APPLIED")
    async with engine.connect() as connection:
        stored = (await connection.execute(select(packets.c.id, packets.c.document))).one()
        who = (await connection.execute(select(capability_events.c.recorded_by).distinct())).scalar_one()
        shown = (await connection.execute(select(capability_latest.c.capability, capability_latest.c.status))).all()
    assert (str(stored.id), stored.document) == (item["packet_id"], sent)
    assert who == "mqtt:manage-packets"
    assert sorted(map(tuple, shown)) == [("DER", "OFF"), ("PEAK_SHAVING", "ON")]


async def test_an_array_is_taken_packet_by_packet(engine: AsyncEngine, broker: Mosquitto) -> None:
    site = await controller_site(engine)
    good = packet(site, LIMIT_PEAK_SHAVING="true")
    async with subscribed(engine, broker) as running:
        document, kind = await ask(broker, [good, {"device_id": 5}, good | {"device_id": str(uuid4())}])
        await running.answered(1)
        found = [(item["status"], (item["problem"] or {}).get("code")) for item in document["items"]]
        for result in ("ACCEPTED", "INVALID_PACKET", "UNKNOWN_DEVICE"):
            assert running.figure("manage_mqtt_packets_total", result=result) == 1
    assert found == [("ACCEPTED", None), ("REFUSED", "INVALID_PACKET"), ("REFUSED", "UNKNOWN_DEVICE")]
    assert kind == "application/json"
    assert await count(engine) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x00\xff\xfejunk", "INVALID_JSON"),
        (b"", "INVALID_JSON"),
        (b"{", "INVALID_JSON"),
        (b"[]", "INVALID_PACKET"),
        (b'{"device_id": 5}', "INVALID_PACKET"),
        (b"7", "INVALID_PACKET"),
        (
            json.dumps({"device_id": str(uuid4()), "timestamp": milliseconds(), "sensors": []}).encode(),
            "UNKNOWN_DEVICE",
        ),
        (json.dumps({"device_id": str(uuid4()), "timestamp": 0, "sensors": []}).encode(), "TIMESTAMP_TOO_OLD"),
        (b"[%s]" % (b" " * MAX_MESSAGE_BYTES), "BODY_TOO_LARGE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_refused_is_answered_and_does_not_come_again(
    engine: AsyncEngine, broker: Mosquitto, body: bytes, code: str
) -> None:
    async with subscribed(engine, broker) as running:
        document, kind = await ask(broker, body)
        await running.answered(1)
        assert running.figure("manage_mqtt_packets_total", result=code) == 1
    assert (document["code"], kind) == (code, "application/problem+json")
    assert document["type"] == f"/problems#{code.lower().replace('_', '-')}"
    assert {"title", "detail", "errors"} <= set(document)
    async with subscribed(engine, broker) as again:
        await publish(broker, b"the only one")
        await again.answered(1)
    assert await count(engine) == 0


def test_a_message_may_be_as_large_as_a_body_over_http() -> None:
    assert MAX_MESSAGE_BYTES == MAX_BODY_BYTES


async def test_the_answer_says_where_the_packet_breaks_the_contract(engine: AsyncEngine, broker: Mosquitto) -> None:
    async with subscribed(engine, broker):
        document, _ = await ask(broker, {"device_id": str(uuid4()), "timestamp": "soon", "sensors": []})
    assert [(error["field"], error["code"]) for error in document["errors"]] == [("timestamp", "WRONG_TYPE")]


async def test_an_answer_is_not_taken_for_a_packet(engine: AsyncEngine, broker: Mosquitto) -> None:
    topics = Topics("manage/packets/#", "manage/packets/gw/answers")
    async with subscribed(engine, broker, topics=topics) as running:
        # Answers go where packets are published: our own subscription would bring them back to us.
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = "manage/packets/gw/answers/gw"
        async with broker.gateway() as gateway:
            await gateway.subscribe("manage/packets/gw/answers/gw", qos=1)
            await gateway.publish(TOPIC, b"junk", qos=1, properties=properties)
            assert await anext(aiter(gateway.messages))
        await publish(broker, b"more junk")
        await running.answered(2)


async def test_a_message_whose_answer_cannot_be_published_is_taken(engine: AsyncEngine, broker: Mosquitto) -> None:
    site = await controller_site(engine)

    async def not_there(self: Link, *args: Any, **kwargs: Any) -> None:
        raise aiomqtt.MqttError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Link, "publish", not_there)
        async with subscribed(engine, broker) as running:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic = ANSWERS
            async with broker.gateway() as gateway:
                body = json.dumps(packet(site, LIMIT_PEAK_SHAVING="true"))
                await gateway.publish(TOPIC, body, qos=1, properties=properties)
            await running.answered(1)
    assert await count(engine) == 1


async def test_messages_wait_at_the_broker_while_we_are_away(engine: AsyncEngine, broker: Mosquitto) -> None:
    site = await controller_site(engine)
    await become_known(broker)
    await publish(broker, *many(site, 300))
    # The broker itself is stopped and started meanwhile, as with an update of its machine.
    broker.stop()
    await broker.start()
    async with subscribed(engine, broker) as running:
        await running.answered(300)
    assert await count(engine) == 300


async def test_a_broker_that_is_killed_and_comes_back_is_found_again(engine: AsyncEngine, broker: Mosquitto) -> None:
    site = await controller_site(engine)
    first, second = many(site, 2)
    async with subscribed(engine, broker) as running:
        await publish(broker, first)
        await running.answered(1)
        broker.stop(signal.SIGKILL)

        async def is_lost() -> bool:
            return not await running.is_connected()

        await until(is_lost)
        await broker.start()
        await until(running.is_connected)
        await publish(broker, second)
        await running.answered(2)
    assert await count(engine) == 2


async def test_a_broker_that_is_not_there_yet_is_waited_for(engine: AsyncEngine, tmp_path: Path) -> None:
    late = Mosquitto(tmp_path)
    registry = CollectorRegistry()
    async with subscribing(engine, Settings(mqtt_url=SecretStr(late.url)), registry):
        await late.start()

        async def is_connected() -> bool:
            return registry.get_sample_value("manage_mqtt_connected") == 1

        await until(is_connected)
    late.stop()


async def test_the_broker_holds_what_we_cannot_take_yet(engine: AsyncEngine, broker: Mosquitto) -> None:
    async with Link(parse_broker(broker.url), "few", at_once=5, session=timedelta(0)) as link:
        await link.take_topic("manage/packets/#")
        await publish(broker, *([b"one"] * 50))
        messages = aiter(link.messages)
        assert [(await anext(messages)).payload for _ in range(5)] == [b"one"] * 5
        # A message of QoS 0 waits for nothing, so whatever comes at all has come before it. It is sent when there is
        # room for it: nobody would keep it otherwise.
        await publish(broker, b"last", qos=0)
        assert (await anext(messages)).payload == b"last"
        assert len(link.messages) == 0


async def test_messages_without_an_acknowledgement_are_let_go_when_there_are_too_many(
    engine: AsyncEngine, broker: Mosquitto
) -> None:
    async with Link(parse_broker(broker.url), "few", at_once=5, session=timedelta(0)) as link:
        await link.take_topic("manage/packets/#")
        async with broker.gateway() as gateway:
            for _ in range(50):
                await gateway.publish(TOPIC, b"careless", qos=0)
            await gateway.publish(TOPIC, b"careful", qos=1)

        async def all_came() -> bool:
            return len(link.messages) == 6

        await until(all_came)
        messages = aiter(link.messages)
        assert [(await anext(messages)).payload for _ in range(6)] == [b"careless"] * 5 + [b"careful"]


async def test_a_slow_database_is_felt_by_the_broker_and_loses_nothing(engine: AsyncEngine, broker: Mosquitto) -> None:
    site = await controller_site(engine)
    async with subscribed(engine, broker, at_once=5) as running:
        async with engine.begin() as holding:
            await lock_sites(holding, {site.depot_id})
            await publish(broker, *many(site, 40))
            await until(lambda: is_held_up(engine))
            assert running.figure("manage_mqtt_messages_total") == 0
            assert running.figure("manage_mqtt_messages_in_hand") <= 5
        await running.answered(40)
    assert await count(engine) == 40


@pytest.mark.parametrize("rows", [[], [1] * 30_000], ids=["small", "large"])
async def test_room_in_a_full_queue_is_waited_for(engine: AsyncEngine, broker: Mosquitto, rows: list[int]) -> None:
    site = await controller_site(engine)
    async with subscribed(engine, broker, max_waiting=mqtt.MAX_PACKETS + 3) as running:
        async with engine.begin() as holding:
            await lock_sites(holding, {site.depot_id})
            await publish(broker, *([each, each | {"rows": rows}] for each in many(site, 20)))

            async def is_full() -> bool:
                # In hand are those that wait for a transaction and those before it.
                in_hand = running.figure("manage_mqtt_messages_in_hand")
                return in_hand == 20 and not running.ingest.has_room(mqtt.MAX_PACKETS)

            await until(is_full)
            assert running.ingest.waiting == 4
        await running.answered(20)
        assert running.figure("manage_mqtt_retries_total") == 0
    assert await count(engine) == 40


async def test_a_database_that_is_away_is_waited_for(
    engine: AsyncEngine, broker: Mosquitto, postgres_url: str, database_url: str
) -> None:
    site = await controller_site(engine)
    async with subscribed(engine, broker) as running:
        async with database_away(postgres_url, database_url):
            await publish(broker, *many(site, 20))

            # More often than a message that fails by itself would be tried.
            async def is_retrying() -> bool:
                return running.figure("manage_mqtt_retries_total") > 20 * mqtt.TRIES

            await until(is_retrying)
            assert running.figure("manage_mqtt_messages_total") == 0
        await running.answered(20)
    assert await count(engine) == 20


async def end_waiting(postgres_url: str, database_url: str) -> bool:
    """End the connections that wait for a lock; answers whether there was one."""
    server = await asyncpg.connect(postgres_url)
    try:
        return bool(
            await server.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = $1 AND wait_event_type = 'Lock'",
                make_url(database_url).database,
            )
        )
    finally:
        await server.close()


async def test_a_connection_that_is_lost_under_a_packet_is_not_the_packets_failure(
    engine: AsyncEngine, broker: Mosquitto, postgres_url: str, database_url: str
) -> None:
    site = await controller_site(engine)
    async with subscribed(engine, broker) as running:
        async with engine.begin() as holding:
            await lock_sites(holding, {site.depot_id})
            asking = asyncio.create_task(ask(broker, packet(site, LIMIT_PEAK_SHAVING="true")))

            async def was_tried(times: int) -> bool:
                return running.figure("manage_mqtt_retries_total") >= times

            # More often than a message that fails by itself is tried.
            for lost in range(1, 2 * mqtt.TRIES + 1):
                await until(lambda: end_waiting(postgres_url, database_url))
                await until(partial(was_tried, lost))
            assert running.figure("manage_mqtt_messages_total") == 0
        document, _ = await asking
        await running.answered(1)
        assert running.figure("manage_mqtt_packets_total", result="ACCEPTED") == 1
    assert [item["status"] for item in document["items"]] == ["ACCEPTED"]
    assert await count(engine) == 1


async def test_a_message_that_fails_by_itself_is_given_up_and_stops_no_other(
    engine: AsyncEngine, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await controller_site(engine)
    real = mqtt.read_in

    async def broken(raw: bytes, *rest: Any) -> Any:
        if raw == b"poison":
            raise RuntimeError("a defect")
        return await real(raw, *rest)

    monkeypatch.setattr(mqtt, "read_in", broken)
    async with subscribed(engine, broker) as running:
        document, _ = await ask(broker, b"poison")
        assert document["code"] == "INTERNAL_ERROR"
        await publish(broker, packet(site, LIMIT_PEAK_SHAVING="true"))
        await running.answered(2)
    assert await count(engine) == 1


async def test_a_large_message_is_read_while_the_worker_goes_on(
    engine: AsyncEngine, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await controller_site(engine)
    places = watch_threads(monkeypatch, (intake, "read_body"))
    small = packet(site, LIMIT_PEAK_SHAVING="true")
    async with subscribed(engine, broker) as running:
        for sent in (small, small | {"rows": [1] * 100_000}):
            document, _ = await ask(broker, sent)
            assert [item["status"] for item in document["items"]] == ["ACCEPTED"]
        await running.answered(2)
    here = threading.get_ident()
    assert [place == here for place in places] == [True, False]


async def test_what_the_database_refuses_is_told_from_what_passes(engine: AsyncEngine) -> None:
    for statement, blamed in (
        ("SELECT 1 / 0", True),
        ("INSERT INTO microgrid_nodes DEFAULT VALUES", True),
        ("SELECT * FROM not_migrated_yet", False),
        ("SET TRANSACTION READ ONLY; DELETE FROM depots", False),
    ):
        with pytest.raises(DBAPIError) as caught:
            async with engine.begin() as connection:
                for each in statement.split(";"):
                    await connection.execute(text(each))
        assert blames_data(caught.value) is blamed, statement


def forget(*_: object) -> None:
    """Acknowledge nothing."""


async def test_a_lost_acknowledgement_makes_a_duplicate_that_nobody_sees(
    engine: AsyncEngine, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await controller_site(engine)
    with monkeypatch.context() as patch:
        patch.setattr(Link, "acknowledge", forget)
        async with subscribed(engine, broker):
            await publish(broker, packet(site, LIMIT_PEAK_SHAVING="true"))
            await has(engine, 1)
    async with engine.connect() as connection:
        shown = (await connection.execute(select(capability_latest))).one()
    async with subscribed(engine, broker) as running:
        await running.answered(1)
    async with engine.connect() as connection:
        assert (await connection.execute(select(capability_latest))).one() == shown
        effects = (
            await connection.execute(select(capability_events.c.effect).order_by(capability_events.c.id))
        ).scalars()
        assert list(effects) == ["SHOWN", "REPEATED"]
    assert await count(engine) == 2


async def test_stopping_finishes_what_is_in_hand(engine: AsyncEngine, broker: Mosquitto) -> None:
    site = await controller_site(engine)
    async with engine.connect() as holding:
        await holding.begin()
        await lock_sites(holding, {site.depot_id})
        async with subscribed(engine, broker) as running:
            await publish(broker, *many(site, 10))
            await until(lambda: is_held_up(engine))
            await until(lambda: in_hand(running, 10))
            # The lock goes when the subscriber has been told to stop already.
            releasing = asyncio.create_task(holding.rollback())
        await releasing
    assert running.figure("manage_mqtt_messages_total") == 10
    assert await count(engine) == 10


async def in_hand(running: Running, messages: int) -> bool:
    return running.figure("manage_mqtt_messages_in_hand") == messages


async def test_two_with_one_client_id_take_the_session_from_each_other_and_lose_nothing(
    engine: AsyncEngine, broker: Mosquitto
) -> None:
    site = await controller_site(engine)
    async with subscribed(engine, broker), subscribed(engine, broker):
        for each in many(site, 20):
            await publish(broker, each)

        async def all_are_there() -> bool:
            async with engine.connect() as connection:
                found = await connection.execute(select(func.count(packets.c.observed_at.distinct())))
                return found.scalar_one() == 20

        await until(all_are_there)


def test_a_broker_that_says_that_the_session_was_taken_over_is_understood() -> None:
    lost = aiomqtt.MqttError("lost")
    lost.__cause__ = aiomqtt.MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, identifier=0x8E))
    assert was_taken_over(lost)
    lost.__cause__ = aiomqtt.MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, identifier=0x8B))
    assert not was_taken_over(lost)


# The worker's process


def worker_environment(broker: Mosquitto, database_url: str) -> dict[str, str]:
    # No Temporal: packets need none.
    return os.environ | {
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
        "MANAGE_MQTT_URL": broker.url,
        "MANAGE_METRICS_PORT": "0",
        "PYTHONPATH": str(ROOT),
    }


@asynccontextmanager
async def worker(broker: Mosquitto, database_url: str, ends_by: signal.Signals) -> AsyncGenerator[None]:
    """A worker's process, ended by a signal at the end of the block; by SIGTERM it ends in order."""
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "worker.py"], cwd=ROOT, env=worker_environment(broker, database_url)
    )
    try:
        yield
        process.send_signal(ends_by)
        assert await asyncio.to_thread(process.wait, 30) == (0 if ends_by is signal.SIGTERM else -ends_by)
    finally:
        process.kill()
        process.wait()


async def test_a_worker_killed_before_the_commit_gets_the_message_again(
    engine: AsyncEngine, database_url: str, broker: Mosquitto
) -> None:
    site = await controller_site(engine)
    await become_known(broker)
    await publish(broker, *many(site, 3))
    async with engine.begin() as holding:
        await lock_sites(holding, {site.depot_id})
        async with worker(broker, database_url, signal.SIGKILL):
            await until(lambda: is_held_up(engine))
        await holding.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock'"
            )
        )
    assert await count(engine) == 0
    async with worker(broker, database_url, signal.SIGTERM):
        await has(engine, 3)
    # Everything was acknowledged: the broker has nothing left to send.
    async with subscribed(engine, broker) as running:
        await publish(broker, b"the only one")
        await running.answered(1)
    assert await count(engine) == 3


# Where the broker is


def read(url: str, ca: str = "") -> Sequence[object]:
    found = parse_broker(url, ca)
    return found.host, found.port, found.user, found.password, found.tls is not None


def test_the_address_of_the_broker_is_read() -> None:
    assert read("mqtt://host") == ("host", 1883, None, None, False)
    assert read("mqtt://user:p%40ss%2F@host:1884/") == ("host", 1884, "user", "p@ss/", False)
    assert read("mqtts://user@[::1]") == ("::1", 8883, "user", None, True)


@pytest.mark.parametrize(
    "url", ["host:1883", "http://user:secret@host", "mqtt://", "mqtt://user:secret@host:port", "mqtt://host/topic"]
)
def test_a_wrong_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="MANAGE_MQTT_URL has the form") as caught:
        parse_broker(url)
    assert "secret" not in str(caught.value)


def test_an_authority_without_encryption_is_refused() -> None:
    with pytest.raises(ValueError, match="MANAGE_MQTT_CA"):
        parse_broker("mqtt://host", "ca.pem")


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(parse_broker("mqtts://user:secret@host"))


# The TLS client underneath leaves its socket to the garbage collector when the broker's certificate is refused.
@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl:pytest.PytestUnraisableExceptionWarning")
async def test_tls_and_a_password_are_needed_where_the_broker_wants_them(engine: AsyncEngine, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for each in certificate.cert_chain_pems:
        each.write_to_path(tmp_path / "cert.pem", append=True)
    maker = find("mosquitto_passwd")
    assert maker is not None
    subprocess.run([maker, "-b", "-c", tmp_path / "accounts", "manage", "p@ss:/word"], check=True)  # noqa: ASYNC221
    # The plain port, which `start` waits for, lets nobody in without a password either.
    strict = Mosquitto(
        tmp_path, "allow_anonymous false", f"password_file {tmp_path}/accounts", "listener 0 127.0.0.1",
    )  # fmt: skip
    conf = tmp_path / "mosquitto.conf"
    secure_port = strict.port + 1 if strict.port < 65_535 else strict.port - 1
    lines = [f"listener {secure_port} 127.0.0.1", f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem"]
    conf.write_text(conf.read_text().replace("listener 0 127.0.0.1", "\n".join(lines)))
    await strict.start()
    good = f"mqtts://manage:p%40ss%3A%2Fword@localhost:{secure_port}"
    site = await controller_site(engine)
    registry = CollectorRegistry()
    settings = Settings(mqtt_url=SecretStr(good), mqtt_ca=str(tmp_path / "ca.pem"))
    async with subscribing(engine, settings, registry):

        async def is_connected() -> bool:
            return registry.get_sample_value("manage_mqtt_connected") == 1

        await until(is_connected)
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        async with aiomqtt.Client(
            "localhost", secure_port, username="manage", password="p@ss:/word", tls_context=context
        ) as gateway:
            await gateway.publish(TOPIC, json.dumps(packet(site, LIMIT_PEAK_SHAVING="true")), qos=1)
        await has(engine, 1)
    for url, ca in (
        (good, ""),
        (f"mqtts://manage:wrong@localhost:{secure_port}", settings.mqtt_ca),
        (f"mqtt://127.0.0.1:{strict.port}", ""),
    ):
        link = Link(parse_broker(url, ca), "manage-packets", at_once=1, session=timedelta(0))
        with pytest.raises(aiomqtt.MqttError):
            await link.__aenter__()
    strict.stop()


async def test_without_an_address_nothing_is_subscribed(engine: AsyncEngine) -> None:
    registry = CollectorRegistry()
    async with subscribing(engine, Settings(mqtt_url=SecretStr("")), registry):
        assert registry.get_sample_value("manage_mqtt_connected") is None


# The deployment's broker


async def test_the_deployments_broker_lets_each_do_what_it_should(engine: AsyncEngine, tmp_path: Path) -> None:
    """Its settings and rules, as they are delivered, but for the places of the container."""
    delivered = (ROOT / "deploy/mqtt/mosquitto.conf").read_text().splitlines()
    rules = tmp_path / "rules"
    rules.write_text((ROOT / "deploy/mqtt/rules").read_text())
    rules.chmod(0o700)
    placed = {"password_file": f"{tmp_path}/accounts", "acl_file": str(rules)}
    ours = ("listener", "persistence", "persistence_location", "max_queued_messages", "#")
    settings = [
        f"{name} {placed.get(name, rest)}"
        for name, _, rest in (line.partition(" ") for line in delivered if line)
        if not name.startswith("#") and name not in ours
    ]
    maker = find("mosquitto_passwd")
    assert maker is not None
    site, neighbour = await controller_site(engine), await controller_site(engine)
    mine, theirs = str(site.gateway_id), str(neighbour.gateway_id)
    for place, name in enumerate(("manage", mine, theirs)):
        create = [] if place else ["-c"]
        subprocess.run([maker, "-b", *create, tmp_path / "accounts", name, "secret"], check=True)  # noqa: ASYNC221
    made = Mosquitto(tmp_path, *settings)
    await made.start()
    registry = CollectorRegistry()
    url = made.url.replace("mqtt://", "mqtt://manage:secret@")
    asked = Settings(mqtt_url=SecretStr(url), mqtt_sender_is_gateway=True)

    def figure(name: str, **labels: str) -> float:
        return registry.get_sample_value(name, labels) or 0

    async with subscribing(engine, asked, registry):

        async def is_connected() -> bool:
            return figure("manage_mqtt_connected") == 1

        await until(is_connected)
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = f"manage/answers/{mine}"
        elsewhere = Properties(PacketTypes.PUBLISH)
        elsewhere.ResponseTopic = f"manage/answers/{theirs}"
        async with (
            aiomqtt.Client("127.0.0.1", made.port, username=mine, password="secret", protocol=V5) as one,
            aiomqtt.Client("127.0.0.1", made.port, username=theirs, password="secret", protocol=V5) as other,
        ):
            await one.subscribe(f"manage/answers/{mine}", qos=1)
            await other.subscribe(f"manage/answers/{mine}", qos=1)
            await other.subscribe("manage/#", qos=1)
            body = json.dumps(packet(site, LIMIT_PEAK_SHAVING="true"))
            # Not its own topic: the broker takes it, as the protocol wants, and gives it to nobody.
            await other.publish(f"manage/packets/{mine}", b"another's", qos=1)
            await one.publish(f"manage/packets/{mine}", body, qos=1, properties=properties)
            answer = await anext(aiter(one.messages))
            assert json.loads(answer.payload)["items"][0]["status"] == "ACCEPTED"
            # Its own topic with the neighbour's packet, alone and among its own, answered where the neighbour reads.
            foreign = packet(neighbour, LIMIT_PEAK_SHAVING="true")
            await one.publish(f"manage/packets/{mine}", json.dumps(foreign), qos=1, properties=properties)
            refused = json.loads((await anext(aiter(one.messages))).payload)
            assert refused["code"] == "FOREIGN_GATEWAY"
            both = json.dumps([packet(site, LIMIT_DER_EXPORT="true"), foreign])
            await one.publish(f"manage/packets/{mine}/meter", both, qos=1, properties=elsewhere)

            async def all_taken() -> bool:
                return figure("manage_mqtt_messages_total") == 3

            await until(all_taken)
            assert len(other.messages) == 0
    assert figure("manage_mqtt_packets_total", result="ACCEPTED") == 2
    assert figure("manage_mqtt_packets_total", result="FOREIGN_GATEWAY") == 2
    assert figure("manage_mqtt_answers_withheld_total") == 1
    async with engine.connect() as connection:
        stored = (await connection.execute(select(packets.c.gateway_id))).scalars().all()
    assert set(stored) == {site.gateway_id}
    made.stop()
