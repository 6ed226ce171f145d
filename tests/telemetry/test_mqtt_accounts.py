"""The gateways' accounts at a real broker, as the deployment starts it: what each may do, rotation, revocation."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiomqtt
import pytest
import pytest_asyncio
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.gateway_secrets import create_one
from domain.access.gateway_secrets import Slot, make_gateway_secret, mosquitto_hash
from runtime.settings import Settings
from store.access.gateway_secrets import delete_secret
from store.base.database import transaction
from store.monitoring.tables import packets
from telemetry.accounts import account_files, keeping_accounts, write_files
from telemetry.mqtt import subscribing
from telemetry.topics import Topics
from tests.factories.sites import MadeDepot, controller_site, packet
from tests.helpers.mosquitto import DeployedMosquitto
from tests.helpers.support import ACTOR, until

V5 = aiomqtt.ProtocolVersion.V5
Made = tuple[UUID, str, str]
"""A secret: its id, the account's name and the password."""


class Field:
    """The broker of the deployment, with the worker's side of it, and what the worker counts."""

    def __init__(self, engine: AsyncEngine, broker: DeployedMosquitto) -> None:
        self.engine = engine
        self.broker = broker
        self.registry = CollectorRegistry()
        url = SecretStr(broker.url.replace("mqtt://", "mqtt://manage:own-secret@"))
        self.settings = Settings(mqtt_url=url, mqtt_accounts=str(broker.kept))

    def figure(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0

    async def add_secret(self, site: MadeDepot) -> Made:
        """Create a secret, and wait until the broker knows it."""
        record, text = await create_one(self.engine, ACTOR, site.gateway_id)
        await until(lambda: self.lets_in(record.mqtt_user, text))
        return record.secret_id, record.mqtt_user, text

    async def revoke(self, site: MadeDepot, made: Made) -> None:
        async with transaction(self.engine, ACTOR) as connection:
            await delete_secret(connection, ACTOR, site.gateway_id, made[0])

    def client(self, user: str | None, password: str | None) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.broker.port, username=user, password=password, protocol=V5)

    async def lets_in(self, user: str | None, password: str | None) -> bool:
        try:
            async with self.client(user, password):
                return True
        except aiomqtt.MqttError:
            return False


@asynccontextmanager
async def working(field: Field) -> AsyncGenerator[None]:
    """The worker's part, connected."""

    async def is_connected() -> bool:
        return field.figure("manage_mqtt_connected") == 1

    async with (
        keeping_accounts(field.engine, field.settings),
        subscribing(field.engine, field.settings, field.registry),
    ):
        await until(is_connected)
        yield


@pytest_asyncio.fixture
async def field(engine: AsyncEngine, tmp_path: Path) -> AsyncGenerator[Field]:
    broker = DeployedMosquitto(tmp_path)
    await broker.start()
    made = Field(engine, broker)
    async with working(made):
        yield made
    broker.stop()


def answered_on(topic: str) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = topic
    return properties


async def send(client: aiomqtt.Client, site: MadeDepot, body: object) -> dict[str, Any]:
    """Publish as a gateway does, and read the answer."""
    answers = f"manage/answers/{site.gateway_id}"
    await client.publish(f"manage/packets/{site.gateway_id}", json.dumps(body), qos=1, properties=answered_on(answers))
    async with asyncio.timeout(30):
        return json.loads((await anext(aiter(client.messages))).payload)


async def test_an_account_sends_its_gateways_packets_and_nothing_else(field: Field) -> None:
    site, neighbour = await controller_site(field.engine), await controller_site(field.engine)
    _, user, password = await field.add_secret(site)
    _, other_user, other_password = await field.add_secret(neighbour)
    wrong = make_gateway_secret(site.gateway_id, bytes(32), bytes(12)).text
    for name, given in (
        (user, wrong), (user, ""), (user, other_password), (other_user, password), (f"{site.gateway_id}/b", password),
        (f"{uuid4()}/a", password), (str(site.gateway_id), password), (None, None), ("manage", "wrong"),
    ):  # fmt: skip
        assert not await field.lets_in(name, given), name
    async with field.client(user, password) as one, field.client(other_user, other_password) as other:
        mine = f"manage/answers/{site.gateway_id}"
        await one.subscribe(mine, qos=1)
        for each in (mine, "manage/#", "#", "$share/manage/manage/packets/#"):
            await other.subscribe(each, qos=1)
        # Another gateway's topic: the broker gives it to nobody.
        body = packet(site, LIMIT_PEAK_SHAVING="true")
        await other.publish(f"manage/packets/{site.gateway_id}", json.dumps(body), qos=1)
        assert (await send(one, site, body))["items"][0]["status"] == "ACCEPTED"
        foreign = packet(neighbour, LIMIT_PEAK_SHAVING="true")
        assert (await send(one, site, foreign))["code"] == "FOREIGN_GATEWAY"
        items = (await send(one, site, [foreign, packet(site, LIMIT_DER_EXPORT="true")]))["items"]
        assert [each["problem"] and each["problem"]["code"] for each in items] == ["FOREIGN_GATEWAY", None]
        # Its own packet, answered where the neighbour reads; then its own answer, behind which nothing can be late.
        theirs = f"manage/answers/{neighbour.gateway_id}"
        await one.publish(
            f"manage/packets/{site.gateway_id}/meter", json.dumps(body), qos=1, properties=answered_on(theirs)
        )
        await send(one, site, body)
        await other.subscribe(theirs, qos=1)
        answer = await send(other, neighbour, foreign)
        assert answer["items"][0]["status"] == "ACCEPTED"
        # Once for each filter that it fits, and nothing that was another's.
        while len(other.messages):
            assert json.loads((await anext(aiter(other.messages))).payload) == answer
    assert field.figure("manage_mqtt_packets_total", result="FOREIGN_GATEWAY") == 2
    assert field.figure("manage_mqtt_answers_withheld_total") == 1
    async with field.engine.connect() as connection:
        stored = (await connection.execute(select(packets.c.gateway_id))).scalars().all()
    assert set(stored) == {site.gateway_id, neighbour.gateway_id}


async def test_a_gateway_goes_over_to_a_new_secret_without_a_gap(field: Field) -> None:
    site = await controller_site(field.engine)
    first = await field.add_secret(site)
    answers = f"manage/answers/{site.gateway_id}"
    async with field.client(*first[1:]) as old:
        await old.subscribe(answers, qos=1)
        second = await field.add_secret(site)
        assert (first[1], second[1]) == (f"{site.gateway_id}/a", f"{site.gateway_id}/b")
        assert (await send(old, site, packet(site, LIMIT_PEAK_SHAVING="true")))["items"]
        async with field.client(*second[1:]) as new:
            await new.subscribe(answers, qos=1)
            assert (await send(new, site, packet(site, LIMIT_PEAK_SHAVING="false")))["items"]
            # Both read the gateway's answers.
            async with asyncio.timeout(30):
                await anext(aiter(old.messages))
            await field.revoke(site, first)

            # What the revoked secret opened is closed, and does not come back.
            async def is_closed() -> bool:
                try:
                    await old.publish(f"manage/packets/{site.gateway_id}", b"{}", qos=1)
                except aiomqtt.MqttError:
                    return True
                return False

            await until(is_closed)
            assert not await field.lets_in(*first[1:])
            while len(new.messages):
                await anext(aiter(new.messages))
            assert (await send(new, site, packet(site, LIMIT_PEAK_SHAVING="true")))["items"]
    # The same account's name, and another secret.
    third = await field.add_secret(site)
    assert third[1] == first[1]
    assert not await field.lets_in(*first[1:])


async def test_accounts_made_by_hand_stay_and_a_broker_that_lost_everything_has_the_others_again(
    field: Field,
) -> None:
    site = await controller_site(field.engine)
    made = await field.add_secret(site)
    by_hand = f"watcher:{mosquitto_hash('watching', bytes(12))}\nmanage:{mosquitto_hash('old', bytes(12))}\n"
    (field.broker.data / "accounts").write_text(by_hand)
    await until(lambda: field.lets_in("watcher", "watching"))
    assert await field.lets_in(*made[1:])
    assert not await field.lets_in("manage", "old")
    field.broker.stop()
    shutil.rmtree(field.broker.data)
    field.broker.data.mkdir()
    await field.broker.start()
    assert await field.lets_in(*made[1:])
    assert not await field.lets_in("watcher", "watching")

    async def is_connected() -> bool:
        return field.figure("manage_mqtt_connected") == 1

    await until(is_connected)


async def test_without_accounts_nobody_gets_in(tmp_path: Path, engine: AsyncEngine) -> None:
    broker = DeployedMosquitto(tmp_path)
    await broker.start()
    field = Field(engine, broker)
    assert not await field.lets_in(None, None)
    assert not await field.lets_in("manage", "own-secret")
    broker.stop()


def test_the_files_follow_from_the_topics_and_the_secrets() -> None:
    gateway = UUID(int=7)
    topics = Topics("$share/manage/plant/7/#", "plant/answers/", sender_is_gateway=True)
    files = account_files(topics, "worker", "$7$w", [(gateway, Slot.A, "$7$a"), (gateway, Slot.B, "$7$b")])
    assert files["accounts"] == f"worker:$7$w\n{gateway}/a:$7$a\n{gateway}/b:$7$b\n"
    own = f"topic write plant/7/{gateway}/#\ntopic read plant/answers/{gateway}/#\n"
    assert files["rules"] == (
        "user worker\ntopic read $share/manage/plant/7/#\ntopic read plant/7/#\ntopic write plant/answers/#\n"
        f"user {gateway}/a\n{own}user {gateway}/b\n{own}"
    )


def test_files_are_written_when_they_change_and_for_nobody_else_to_read(tmp_path: Path) -> None:
    assert write_files(tmp_path, {"accounts": "a", "rules": "r"})
    before = {name: (tmp_path / name).stat() for name in ("accounts", "rules")}
    assert not write_files(tmp_path, {"accounts": "a", "rules": "r"})
    assert write_files(tmp_path, {"accounts": "b", "rules": "r"})
    assert (tmp_path / "accounts").read_text() == "b"
    assert (tmp_path / "rules").stat().st_ino == before["rules"].st_ino
    assert {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {
        "accounts": 0o600,
        "rules": 0o600,
    }


@pytest.mark.parametrize("url", ["", "mqtt://broker", "mqtt://only-a-name@broker", "mqtt://a%3Ab:secret@broker"])
async def test_the_products_own_account_is_needed(engine: AsyncEngine, tmp_path: Path, url: str) -> None:
    settings = Settings(mqtt_url=SecretStr(url), mqtt_accounts=str(tmp_path))
    with pytest.raises(ValueError, match="MANAGE_MQTT_"):
        async with keeping_accounts(engine, settings):
            pass
