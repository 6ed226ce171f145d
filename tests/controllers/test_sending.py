"""How a gateway sends: what the page shows is what packet ingest takes, whatever a sensor is called; no secret."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from starlette.requests import Request

from api.ui.access.sending import Sending, how_to_send
from domain.monitoring.packets import Packet, parse_packet
from domain.site.measurands import MEASURANDS, MeasurandKey
from runtime.settings import Settings
from tests.access.sites import NO_PROVIDER, PROVIDER

GATEWAY = uuid4()
ODD = (
    "mgc-1", "it's", '"quoted"', "$(touch x)", "`id`", "a\\b", "a;b&c|d", "<b>bold</b>", "!history",
    "\u00e4\u4e2d\U0001f50b", "%s%n", "-d", "NOW",
)  # fmt: skip
# Prints what the command was given, a line each, instead of sending it.
PRINT = 'curl() { for each in "$@"; do printf \'%s\\n\' "$each"; done; }\n'


def sending(sensor_id: str = "mgc-1", **settings: Any) -> Sending:
    scope = {
        "type": "http", "scheme": "http", "server": ("localhost", 8000), "path": "/", "headers": [], "root_path": "",
        "query_string": b"",
    }  # fmt: skip
    given: dict[str, Any] = {**NO_PROVIDER, "mqtt_url": SecretStr(""), **settings}
    return how_to_send(Request(scope), Settings(**given), GATEWAY, sensor_id, tuple(MeasurandKey))


async def arguments(command: str) -> list[str]:
    """What a shell gives to curl."""
    env = {"GATEWAY_SECRET": "told", "PATH": "/bin:/usr/bin"}
    pipe = asyncio.subprocess.PIPE
    shell = await asyncio.create_subprocess_exec("sh", "-c", PRINT + command, stdout=pipe, env=env)
    out, _ = await shell.communicate()
    assert shell.returncode == 0
    return out.decode().splitlines()


@pytest.mark.parametrize("sensor_id", ODD)
async def test_the_command_sends_a_packet_of_the_sensor(sensor_id: str) -> None:
    given = await arguments(sending(sensor_id).command)
    assert given[:3] == ["-X", "POST", "http://localhost:8000/api/telemetry/packets"]
    packet = parse_packet(json.loads(given[given.index("-d", 3) + 1]))
    assert isinstance(packet, Packet)
    assert (packet.device_id, [each.sensor_id for each in packet.sensors]) == (GATEWAY, [sensor_id])
    readings = {each.key: each for each in packet.sensors[0].measurands}
    assert set(readings) == {key.value for key in MEASURANDS}


async def test_the_command_takes_the_secret_from_the_shell_where_one_is_needed() -> None:
    shown = sending(**PROVIDER)
    assert shown.needs_secret
    assert "told" not in shown.command
    given = await arguments(shown.command)
    assert "Authorization: Bearer told" in given
    assert "https://grid.example/api/telemetry/packets" in given
    assert not any("Authorization" in each for each in await arguments(sending().command))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("mqtt://manage:hidden@broker.example", "mqtt://broker.example:1883"),
        ("mqtts://manage:hidden@broker.example:9000", "mqtts://broker.example:9000"),
    ],
)
def test_the_broker_is_shown_without_our_own_account(url: str, shown: str) -> None:
    found = sending(mqtt_url=SecretStr(url))
    assert found.broker == shown
    assert "hidden" not in repr(found)
    assert found.topic == f"manage/packets/{GATEWAY}"
