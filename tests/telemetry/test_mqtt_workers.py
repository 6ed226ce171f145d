"""Several workers read packets over MQTT: with one client id one of them has the session, with several each its own."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest_asyncio
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.gateway_secrets import is_mosquitto_hash, mosquitto_hash
from runtime.settings import Settings
from store.monitoring.tables import packets
from telemetry.accounts import AccountKeeper
from telemetry.mqtt import subscribing
from telemetry.topics import Topics
from tests.factories.sites import MadeDepot, controller_site, milliseconds, packet
from tests.helpers.mosquitto import Mosquitto
from tests.helpers.support import until

SHARED = "$share/manage/manage/packets/#"


@pytest_asyncio.fixture
async def broker(tmp_path: Path) -> AsyncGenerator[Mosquitto]:
    """A broker that runs."""
    made = Mosquitto(tmp_path)
    await made.start()
    yield made
    made.stop()


class Worker:
    """The subscriber of one worker process."""

    def __init__(self, engine: AsyncEngine, broker: Mosquitto, **settings: str) -> None:
        self._registry = CollectorRegistry()
        given = Settings.model_validate({"mqtt_url": SecretStr(broker.url)} | settings)
        self._context = subscribing(engine, given, self._registry)

    async def start(self) -> None:
        await self._context.__aenter__()

    async def end(self) -> None:
        await self._context.__aexit__(None, None, None)

    async def is_connected(self) -> bool:
        return self._registry.get_sample_value("manage_mqtt_connected") == 1

    @property
    def messages(self) -> float:
        return self._registry.get_sample_value("manage_mqtt_messages_total") or 0


@asynccontextmanager
async def workers(*made: Worker) -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        for each in made:
            await each.start()
            stack.push_async_callback(each.end)
        yield


async def publish(broker: Mosquitto, site: MadeDepot, first: int, count: int, began: int = milliseconds()) -> None:
    async with broker.gateway() as gateway:
        for number in range(first, first + count):
            body = packet(site, began + number, LIMIT_PEAK_SHAVING="true")
            await gateway.publish("manage/packets/gw", json.dumps(body), qos=1)


async def stored(engine: AsyncEngine, wanted: int) -> None:
    """Wait until so many packets are stored; there are no more."""

    async def count() -> int:
        async with engine.connect() as connection:
            return (await connection.execute(select(func.count()).select_from(packets))).scalar_one()

    async def are_there() -> bool:
        return await count() >= wanted

    await until(are_there)
    assert await count() == wanted


async def test_of_two_with_one_client_id_one_is_connected_and_the_other_takes_over(
    engine: AsyncEngine, broker: Mosquitto
) -> None:
    site = await controller_site(engine)
    one, other = Worker(engine, broker), Worker(engine, broker)
    async with workers(other), workers(one):
        await until(other.is_connected)
        await publish(broker, site, 0, 20)
        await stored(engine, 20)
        assert (other.messages, one.messages) == (20, 0)
        assert not await one.is_connected()


async def test_what_comes_between_two_holders_waits_at_the_broker(engine: AsyncEngine, broker: Mosquitto) -> None:
    site = await controller_site(engine)
    one, other = Worker(engine, broker), Worker(engine, broker)
    await one.start()
    await until(one.is_connected)
    async with workers(other):
        await one.end()
        await publish(broker, site, 0, 20)
        await until(other.is_connected)
        await stored(engine, 20)
        assert (one.messages, other.messages) == (0, 20)


async def test_with_ids_of_their_own_and_a_shared_subscription_all_read(engine: AsyncEngine, broker: Mosquitto) -> None:
    site = await controller_site(engine)
    both = [Worker(engine, broker, mqtt_client_id=name, mqtt_topic=SHARED) for name in ("one", "two")]
    async with workers(*both):
        for each in both:
            await until(each.is_connected)
        await publish(broker, site, 0, 40)
        await stored(engine, 40)
        assert sum(each.messages for each in both) == 40
        assert all(each.messages for each in both)


async def test_workers_that_write_the_same_accounts_change_nothing_of_each_others(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    topics = Topics("manage/packets/#", "manage/answers")
    one, other = (AccountKeeper(engine, tmp_path, topics, user="manage", password="s3cret") for _ in range(2))
    await one.write()
    first = (tmp_path / "accounts").stat()
    await other.write()
    await one.write()
    after = (tmp_path / "accounts").stat()
    assert (first.st_ino, first.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    # Another password is another account.
    await AccountKeeper(engine, tmp_path, topics, user="manage", password="another").write()
    line = (tmp_path / "accounts").read_text().strip()
    assert is_mosquitto_hash(line.removeprefix("manage:"), "another")
    assert names(tmp_path) == {"accounts", "rules"}


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def test_whether_a_hash_is_of_a_password_is_told() -> None:
    right = mosquitto_hash("s3cret", b"123456789012")
    assert is_mosquitto_hash(right, "s3cret")
    for wrong in ("", "$7$", right[:-1], right.replace("$7$", "$6$"), f"{right}=", "$7$101$ü$x", "a$b$c$d"):
        assert not is_mosquitto_hash(wrong, "s3cret"), wrong
    assert not is_mosquitto_hash(right, "S3cret")
