"""Gateways that send packets over HTTP and MQTT, a provider that posts statuses, and those who read them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from devtools.chaos.broker import Broker
from devtools.chaos.caller import Caller, Request
from devtools.chaos.checker.request_log import Outcome
from devtools.chaos.request_writer import RequestWriter

_PATH = "/api/telemetry/packets"
_TRIES = 8
_PAUSE = 0.5
"""Seconds between two tries."""
_ANSWER_WITHIN = 300.0


@dataclass
class Gateway:
    """A gateway with a controller, and the stamp of its last packet."""

    depot_id: str
    microgrid_id: str
    gateway_id: str
    device_id: str
    sensor_id: str
    last_ms: int = 0

    def packet(self, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
        """Make a packet with a stamp of its own; answer what the log says of it, and the document."""
        self.last_ms = max(self.last_ms + 1, time.time_ns() // 1_000_000)
        heartbeat = "error" if chance.random() < 0.1 else "ok"
        values = [
            ("LIMIT_PEAK_SHAVING", chance.choice(["true", "false", None]), None),
            ("LIMIT_DER_EXPORT", chance.choice(["true", "false"]), None),
            ("AVAILABLE_CHARGING_CAPACITY", chance.randrange(1000, 500_000), "W"),
            ("HEARTBEAT_STATUS", heartbeat, None),
            ("FAIL_SAFE_CAPACITY", chance.randrange(1000, 100_000), "W"),
        ]
        measurands = [{"key": key, "value": value, "unit": unit} for key, value, unit in values]
        document = {
            "device_id": self.gateway_id,
            "timestamp": self.last_ms,
            "sensors": [{"sensor_id": self.sensor_id, "measurands": measurands}],
        }
        asked = {
            "gateway_id": self.gateway_id,
            "device_id": self.device_id,
            "sensor_id": self.sensor_id,
            "timestamp_ms": self.last_ms,
        }
        return asked, document


def packet_by_http(gateway: Gateway, chance: random.Random) -> Request:
    """Ask for a packet to be taken."""
    asked, document = gateway.packet(chance)
    return Request("PACKET", {**asked, "transport": "HTTP"}, "POST", _PATH, document)


async def send_by_http(caller: Caller, gateway: Gateway, seed: str) -> None:
    """Send packet after packet, each until it is acknowledged or long enough, until cancelled."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    while True:
        request = packet_by_http(gateway, chance)
        answer = await caller.send(request)
        while not answer.acknowledged and request.tries < _TRIES:
            await asyncio.sleep(_PAUSE)
            answer = await caller.send(request)
        await asyncio.sleep(chance.uniform(0.1, 0.5))


async def publish(
    client: aiomqtt.Client, writer: RequestWriter, gateway: Gateway, chance: random.Random, **properties: Any
) -> None:
    """Publish a packet; what the broker has is acknowledged, for it keeps it until the product has taken it."""
    asked, document = gateway.packet(chance)
    operation_id = str(uuid4())
    writer.intent(operation_id, 1, "PACKET", {**asked, "transport": "MQTT"})
    await client.publish(f"manage/packets/{gateway.gateway_id}", json.dumps(document), qos=1, timeout=60, **properties)
    writer.answer(operation_id, 1, "PACKET", Outcome.ACKNOWLEDGED)


async def send_by_mqtt(broker: Broker, writer: RequestWriter, gateway: Gateway, seed: str) -> None:
    """Publish packet after packet until cancelled."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    while True:
        try:
            async with aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
                while True:
                    await publish(client, writer, gateway, chance)
                    await asyncio.sleep(chance.uniform(0.1, 0.5))
        except aiomqtt.MqttError:
            await asyncio.sleep(_PAUSE)


async def answered_by_mqtt(broker: Broker, writer: RequestWriter, gateway: Gateway) -> bool:
    """Publish one packet; whether the product answered that it has taken it, in five minutes."""
    topic = f"manage/answers/{gateway.gateway_id}"
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = topic
    try:
        async with (
            asyncio.timeout(_ANSWER_WITHIN),
            aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client,
        ):
            await client.subscribe(topic, qos=1)
            await publish(client, writer, gateway, random.Random(0), properties=properties)  # noqa: S311 (no secret)
            async for message in client.messages:
                return json.loads(message.payload)["items"][0]["status"] == "ACCEPTED"
    except (TimeoutError, aiomqtt.MqttError):
        pass
    return False


async def post_statuses(caller: Caller, gateway: Gateway, seed: str) -> None:
    """Post status after status by the canonical path, each until it is acknowledged, until cancelled."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    while True:
        reference = f"chaos-{uuid4()}"
        body = {
            "capability": "DER",
            "value": chance.choice([True, False, None]),
            "observed_at": datetime.now(UTC).isoformat(),
            "provider_event_ref": reference,
        }
        request = Request(
            "STATUS",
            {"microgrid_id": gateway.microgrid_id, "ref": reference},
            "POST",
            f"/api/microgrids/{gateway.microgrid_id}/capability-status",
            body,
            is_repeatable=True,
        )
        answer = await caller.send(request)
        while not answer.acknowledged and request.tries < _TRIES:
            await asyncio.sleep(_PAUSE)
            answer = await caller.send(request)
        await asyncio.sleep(chance.uniform(0.2, 0.8))


async def read_statuses(caller: Caller, gateway: Gateway) -> None:
    """Read the latest status again and again until cancelled."""
    while True:
        await caller.read(f"/api/microgrids/{gateway.microgrid_id}/capability-status")
        await asyncio.sleep(0.2)
