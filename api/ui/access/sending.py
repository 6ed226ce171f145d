"""How a gateway sends packets: addresses, topics, and a command that sends one, to be tried or copied."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from fastapi import Request

from domain.site.measurands import MEASURANDS, MeasurandKey
from runtime.settings import Settings
from telemetry.broker import parse_broker
from telemetry.topics import Topics

SECRET_VARIABLE = "GATEWAY_SECRET"  # noqa: S105 - the name of a variable, never what is in it
"""The variable of the shell that the command takes a gateway's secret from."""
_NOW = "NOW"


@dataclass(frozen=True)
class Sending:
    """How the packets of one sensor are sent. Nothing of it is secret."""

    address: str
    """Where packets go over HTTP, by POST."""
    broker: str
    """The MQTT broker, as this product reaches it, without its account; empty: packets come over HTTP alone."""
    topic: str
    """The topic of the gateway's packets."""
    gateway_id: UUID
    """What packets have as ``device_id``."""
    sensor_id: str
    needs_secret: bool
    """Whether packets are refused without one of the gateway's secrets."""
    command: str
    """A command for a shell that sends one packet, stamped when it is run."""


def packet_address(request: Request, settings: Settings) -> str:
    """Return where packets go over HTTP."""
    return f"{settings.public_url or str(request.base_url).rstrip('/')}/api/telemetry/packets"


def topics_for(settings: Settings) -> Topics:
    """Return the topics that packets and answers have."""
    return Topics(settings.mqtt_topic, settings.mqtt_answers)


def how_to_send(
    request: Request, settings: Settings, gateway_id: UUID, sensor_id: str, keys: Iterable[MeasurandKey]
) -> Sending:
    """Say how a packet of a sensor with these measurands is sent."""
    address = packet_address(request, settings)
    return Sending(
        address,
        _broker(settings),
        topics_for(settings).packets_of(str(gateway_id)),
        gateway_id,
        sensor_id,
        settings.needs_gateway_secrets,
        _command(address, _packet(gateway_id, sensor_id, keys), needs_secret=settings.needs_gateway_secrets),
    )


def _broker(settings: Settings) -> str:
    url = settings.mqtt_url.get_secret_value()
    if not url:
        return ""
    broker = parse_broker(url)
    return f"{'mqtts' if broker.tls else 'mqtt'}://{broker.host}:{broker.port}"


def _packet(gateway_id: UUID, sensor_id: str, keys: Iterable[MeasurandKey]) -> str:
    measurands = [{"key": key, "value": _example(key), "unit": MEASURANDS[key].unit} for key in keys]
    sensors = [{"sensor_id": sensor_id, "measurands": measurands}]
    return json.dumps({"device_id": str(gateway_id), "timestamp": _NOW, "sensors": sensors})


def _example(key: MeasurandKey) -> str | float:
    texts = MEASURANDS[key].texts
    return texts[0] if texts else 0


def _command(address: str, packet: str, *, needs_secret: bool) -> str:
    """Make the command; whatever a sensor is called, a shell takes it as text."""
    before, after = packet.split(f'"{_NOW}"', 1)
    stamped = f'{shlex.quote(before)}"$(date +%s)000"{shlex.quote(after)}'
    lines = [
        f"curl -X POST {shlex.quote(address)}",
        "-H 'Content-Type: application/json'",
        *([f'-H "Authorization: Bearer ${SECRET_VARIABLE}"'] if needs_secret else []),
        f"-d {stamped}",
    ]
    return " \\\n  ".join(lines)
