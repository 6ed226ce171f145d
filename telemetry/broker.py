"""The connection to an MQTT broker: where it is, and a client that acknowledges a message when told to."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

SHARED = "$share/"
"""How the filter of a shared subscription begins."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEPALIVE_SECONDS = 30
"""A broker that is silent for this long, half as much again, counts as down."""
_TAKEN_OVER = 0x8E


@dataclass(frozen=True)
class Broker:
    """Where the broker is and who we are to it."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)


def parse_broker(url: str, ca: str = "") -> Broker:
    """Read ``mqtt://user:password@host:1883`` or ``mqtts://…``; ``ca`` is a file with the authority to trust.

    Raises:
        ValueError: it is neither; the message does not hold the password.
        OSError: the file cannot be read.

    """
    form = "MANAGE_MQTT_URL has the form mqtt://user:password@host:1883, or mqtts:// with TLS."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(form) from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(form)
    secure = parts.scheme == "mqtts"
    if ca and not secure:
        raise ValueError("MANAGE_MQTT_CA is for mqtts://: over mqtt:// nothing is encrypted.")
    return Broker(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        tls=ssl.create_default_context(cafile=ca or None) if secure else None,
    )


class Link(aiomqtt.Client):
    """One connection, in a session that the broker keeps.

    At most ``at_once`` messages are with us and not acknowledged; the broker holds the rest. A message of QoS 0 is
    acknowledged by nobody, so what the broker sends of those beyond ``at_once`` is let go.
    """

    def __init__(self, broker: Broker, client_id: str, *, at_once: int, session: timedelta) -> None:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = int(session.total_seconds())
        properties.ReceiveMaximum = at_once

        class Arrivals(asyncio.Queue[aiomqtt.Message]):
            """What arrived. Only a message that nobody waits for to be acknowledged finds it full."""

            def put_nowait(self, item: aiomqtt.Message) -> None:
                if item.qos == 0 and self.qsize() >= at_once:
                    raise asyncio.QueueFull
                super().put_nowait(item)

        super().__init__(
            broker.host,
            broker.port,
            username=broker.user,
            password=broker.password,
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            keepalive=_KEEPALIVE_SECONDS,
            properties=properties,
            tls_context=broker.tls,
            queue_type=Arrivals,
            logger=logging.getLogger("mqtt"),
        )
        # aiomqtt has no word for this. Its client underneath has, and a subclass may speak to it.
        self._client.manual_ack_set(on=True)

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            MqttError: the broker is down, or does not let us in.

        """
        try:
            return await super().__aenter__()
        except BaseException:
            # What is half open is left alone otherwise: its socket, and the loop that looks at it.
            self._client.disconnect()
            raise

    async def take_topic(self, topic: str) -> None:
        """Subscribe with QoS 1.

        Raises:
            MqttError: the broker is down, refuses, or promises less than QoS 1.

        """
        # What we publish ourselves is no packet, whatever topic an answer is wanted on. The protocol forbids to say
        # so for a shared subscription. A retained message comes once, not with every connection.
        options = SubscribeOptions(qos=1, noLocal=not topic.startswith(SHARED), retainHandling=1)
        (granted,) = await self.subscribe(topic, options=options)
        code = granted.value if isinstance(granted, ReasonCode) else granted
        if code != 1:
            raise aiomqtt.MqttError(f"the broker does not let this client read {topic!r} with QoS 1: {granted}")

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Tell the broker that it can forget a message. On a connection that is lost this does nothing."""
        if message.qos > 0:
            self._client.ack(message.mid, message.qos)


def was_taken_over(error: BaseException) -> bool:
    """Say whether a connection ended because another client came with the same client id."""
    codes: list[Any] = [getattr(each, "rc", None) for each in (error, error.__cause__)]
    return any(isinstance(code, ReasonCode) and code.value == _TAKEN_OVER for code in codes)
