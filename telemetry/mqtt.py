"""Packet ingest over MQTT, which is what gateways in the field speak.

A message is acknowledged when its packets are committed, and not before: what is not
acknowledged, the broker keeps and sends again. So neither a full queue nor a database that is down loses anything.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import aiomqtt
import prometheus_client
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.monitoring.packets import DEFAULT_PAST_WINDOW
from runtime.observing.traces import continuing
from runtime.settings import Settings
from runtime.supervision import supervised
from store.base.database import blames_data, is_busy, is_unavailable
from store.base.notifications.sole_worker import work_alone
from telemetry.accounts import topics_of
from telemetry.answers import PacketStatus, items_text, problem_document, sole_refusal
from telemetry.broker import Broker, Link, parse_broker, was_taken_over
from telemetry.ingest import DoorMetrics, PacketIngest, open_ingest
from telemetry.intake import MAX_PACKETS, IngestResult, RefusedPacket, ingest_packets, read_in
from telemetry.topics import Topics

_log = structlog.get_logger("mqtt")

AT_ONCE = 200
"""Messages that are with us and not acknowledged: enough that a transaction takes many, few enough to hold."""
MAX_MESSAGE_BYTES = 1_048_576
"""As large as a body over HTTP."""
SESSION = DEFAULT_PAST_WINDOW
"""How long the broker keeps messages for us while we are disconnected. An older packet would be refused."""
TRIES = 3
"""Tries for a message that fails by itself, in a way that nobody thought of. Anything else is tried for ever."""
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_LONGEST_PAUSE_LOST = 60.0
"""The same for connections that are lost as soon as they are made: two workers with the same client id take the
session from each other, and not every broker says so. This long, at least, each can work."""
_SETTLED = 30.0
"""Seconds after which a connection is a good one."""
_SHOWN = 200
"""Characters of a topic that a log line shows."""
_STOP_PATIENCE = 5.0
"""Seconds in which messages that are being taken may still be committed and acknowledged when we stop."""


class MqttFigures:
    """What the subscriber did since it started, for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connected = prometheus_client.Gauge(
            "manage_mqtt_connected", "Whether the broker is connected and subscribed to", registry=registry
        )
        self.in_hand = prometheus_client.Gauge(
            "manage_mqtt_messages_in_hand", "Messages that are not acknowledged yet", registry=registry
        )
        self.messages = prometheus_client.Counter(
            "manage_mqtt_messages", "Messages that were taken or refused, and acknowledged", registry=registry
        )
        self.packets = prometheus_client.Counter(
            "manage_mqtt_packets",
            "Packets by what became of them: ACCEPTED, or the code",
            ["result"],
            registry=registry,
        )
        self.retries = prometheus_client.Counter(
            "manage_mqtt_retries", "Times that a message had to be tried again", registry=registry
        )
        self.withheld = prometheus_client.Counter(
            "manage_mqtt_answers_withheld",
            "Answers that were asked for on a topic that is not the sender's",
            registry=registry,
        )


@dataclass(frozen=True)
class _Answer:
    """What is answered to a message."""

    text: str
    """A JSON document, the one that HTTP answers."""
    results: Counter[str]
    """How many packets came to ``ACCEPTED`` or to a code. A message that cannot be read counts as one packet."""
    is_problem: bool = False


class Subscriber:
    """Ingests what the broker delivers for as long as it runs. Losing the broker or the database makes it wait."""

    def __init__(
        self,
        ingest: PacketIngest,
        broker: Broker,
        *,
        topics: Topics,
        client_id: str,
        figures: MqttFigures,
        at_once: int = AT_ONCE,
    ) -> None:
        self._ingest = ingest
        self._broker = broker
        self._topics = topics
        self._client_id = client_id
        self._figures = figures
        self._at_once = at_once
        self._actor = Actor(f"mqtt:{client_id}")
        self._connected_at: float | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        task = asyncio.current_task()
        assert task is not None
        pause = _FIRST_PAUSE
        while True:
            self._connected_at = None
            try:
                await self._connection()
            except aiomqtt.MqttError as error:
                if task.cancelling():
                    # Saying good-bye failed; that does not keep us here.
                    raise asyncio.CancelledError from error
                if was_taken_over(error):
                    _log.error("another client has this client id", client_id=self._client_id)
                else:
                    _log.warning("broker away", host=self._broker.host, error=str(error.__cause__ or error))
            except Exception:  # noqa: BLE001 - whatever it is, the worker goes on
                _log.exception("subscriber failed")
            finally:
                self._figures.connected.set(0)
            if self._connected_at is not None and _now() - self._connected_at > _SETTLED:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE if self._connected_at is None else _LONGEST_PAUSE_LOST)

    async def _connection(self) -> None:
        async with Link(self._broker, self._client_id, at_once=self._at_once, session=SESSION) as link:
            await link.take_topic(self._topics.filter)
            _log.info("subscribed", host=self._broker.host, topic=self._topics.filter, client_id=self._client_id)
            self._figures.connected.set(1)
            self._connected_at = _now()
            await self._take_all(link)

    async def _take_all(self, link: Link) -> None:
        """Take messages until the connection is lost. The broker sends again what was not acknowledged on it."""
        places = asyncio.Semaphore(self._at_once)
        working: set[asyncio.Task[None]] = set()

        def done(task: asyncio.Task[None]) -> None:
            working.discard(task)
            places.release()
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("message failed", exc_info=error)

        try:
            async for message in link.messages:
                await places.acquire()
                task = asyncio.create_task(self._take(link, message))
                working.add(task)
                task.add_done_callback(done)
        except asyncio.CancelledError:
            if working:
                await asyncio.wait(working, timeout=_STOP_PATIENCE)
            raise
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _take(self, link: Link, message: aiomqtt.Message) -> None:
        with self._figures.in_hand.track_inprogress(), continuing(_traceparent(message), "take message"):
            answer = await self._try_until_answered(message)
            refused = {code: count for code, count in answer.results.items() if code != PacketStatus.ACCEPTED}
            if refused:
                _log.warning("packets refused", topic=str(message.topic), refused=refused)
            for result, count in answer.results.items():
                self._figures.packets.labels(result).inc(count)
            await self._reply(link, message, answer)
            link.acknowledge(message)
            self._figures.messages.inc()

    async def _try_until_answered(self, message: aiomqtt.Message) -> _Answer:
        raw = message.payload
        if len(raw) > MAX_MESSAGE_BYTES:
            return _refusal(ProblemCode.BODY_TOO_LARGE, f"A message has at most {MAX_MESSAGE_BYTES} bytes.")
        may_send = partial(self._topics.may_carry, self._topics.sender(str(message.topic)))
        pause, own_failures = _FIRST_PAUSE, 0
        while True:
            # What is read is larger than what came, so it is not held where it would only wait.
            await self._ingest.wait_for_room(MAX_PACKETS)
            try:
                body = await read_in(raw, self._actor, datetime.now(UTC), may_send)
                # Others may have come while it was read. Nothing else uses this queue, so it has room for what follows.
                await self._ingest.wait_for_room(MAX_PACKETS)
                return _answer(await ingest_packets(self._ingest, body))
            except Problem as problem:
                return _refusal(problem.code, problem.detail)
            except Exception as error:  # noqa: BLE001 - the message must not be lost, whatever it is
                own_failures += not passes(error)
                if own_failures == TRIES:
                    _log.exception("message given up", topic=str(message.topic), payload=raw[:2000])
                    return _refusal(ProblemCode.INTERNAL_ERROR, "Something unexpected went wrong with this message.")
                _log.warning("message not taken yet", topic=str(message.topic), error=str(error))
            self._figures.retries.inc()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _reply(self, link: Link, message: aiomqtt.Message, answer: _Answer) -> None:
        """Answer on the topic that the message names, where it names one of its sender's own."""
        topic = getattr(message.properties, "ResponseTopic", None)
        if not topic:
            return
        if not self._topics.may_be_answered_on(self._topics.sender(str(message.topic)), topic):
            # It would be read by somebody else, as a word of the product.
            self._figures.withheld.inc()
            _log.warning("answer withheld", topic=str(message.topic)[:_SHOWN], answer_topic=topic[:_SHOWN])
            return
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "application/problem+json" if answer.is_problem else "application/json"
        correlation = getattr(message.properties, "CorrelationData", None)
        if correlation is not None:
            properties.CorrelationData = correlation
        try:
            await link.publish(topic, answer.text, qos=1, properties=properties)
        except (aiomqtt.MqttError, ValueError) as error:
            # ValueError: no topic to publish on, such as one with a wildcard. The packets are safe all the same.
            _log.warning("answer not published", topic=topic[:_SHOWN], error=str(error))
        except Exception:  # noqa: BLE001 - a message that is never acknowledged holds its place until we connect again
            _log.exception("answer not published", topic=topic[:_SHOWN])


def _traceparent(message: aiomqtt.Message) -> str | None:
    """The trace that the sender hands on, as a user property of MQTT 5."""
    given: list[tuple[str, str]] = getattr(message.properties, "UserProperty", None) or []
    return next((value for name, value in given if name == "traceparent"), None)


def _now() -> float:
    return asyncio.get_running_loop().time()


def passes(error: Exception) -> bool:
    """Whether it lies with the database, and not with the message: then trying again helps, be it tomorrow."""
    if isinstance(error, DBAPIError):
        return not blames_data(error)
    return is_unavailable(error) or is_busy(error)


def _answer(intake: IngestResult) -> _Answer:
    results = Counter(
        each.code.value if isinstance(each, RefusedPacket) else PacketStatus.ACCEPTED.value for each in intake.results
    )
    refused = sole_refusal(intake)
    if refused is not None:
        document = problem_document(refused.code, refused.detail, refused.violations)
        return _Answer(json.dumps(document), results, is_problem=True)
    return _Answer(items_text(intake), results)


def _refusal(code: ProblemCode, detail: str) -> _Answer:
    return _Answer(json.dumps(problem_document(code, detail)), Counter({code.value: 1}), is_problem=True)


@asynccontextmanager
async def subscribing(engine: AsyncEngine, settings: Settings, registry: CollectorRegistry) -> AsyncGenerator[None]:
    """Take packets from the broker that ``settings`` names, through an ingest of its own, while the block runs.

    Of several processes with the same client id one does, and another takes over when it is gone.

    Raises:
        ValueError, OSError: the settings name no broker, topics that cannot be, or an authority that cannot be read.

    """
    if not settings.mqtt_url:
        yield
        return
    broker = parse_broker(settings.mqtt_url.get_secret_value(), settings.mqtt_ca)
    topics = topics_of(settings)
    async with open_ingest(engine, metrics=DoorMetrics(registry)) as ingest:
        subscriber = Subscriber(
            ingest,
            broker,
            topics=topics,
            client_id=settings.mqtt_client_id,
            figures=MqttFigures(registry),
        )
        # Of several workers with one client id, which is one session at the broker, one has it.
        alone = partial(work_alone, engine, f"mqtt {settings.mqtt_client_id}", subscriber.run)
        async with supervised("MQTT subscriber", alone):
            yield
