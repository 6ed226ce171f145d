"""The gateways' accounts at an MQTT broker: mosquitto's password file and rules, written from the secrets.

Both files follow from the database alone, so a broker that lost its state gets them again.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.gateway_secrets import SALT_BYTES, Slot, account_name, is_mosquitto_hash, mosquitto_hash
from runtime.settings import Settings
from runtime.supervision import supervised
from store.access.gateway_secrets import list_hashes
from store.access.grants import CHANNEL, SECRETS
from store.base.database import is_busy, is_unavailable
from store.base.notifications.listen import listen
from telemetry.broker import parse_broker
from telemetry.topics import Topics

_log = structlog.get_logger("mqtt")

ACCOUNTS = "accounts"
"""The file for mosquitto's ``password_file``."""
RULES = "rules"
"""The file for mosquitto's ``acl_file``."""
_LOOK_EVERY = 60.0
"""Seconds after which files that somebody took away are there again."""
_COLLECT = 0.2
"""Seconds in which changes are collected, so that many secrets are one reload of the broker."""
_PAUSE = 5.0
"""Seconds until what failed is tried again."""


def account_files(
    topics: Topics, own_name: str, own_hash: str, found: Iterable[tuple[UUID, Slot, str]]
) -> dict[str, str]:
    """Write the texts of both files: the product's own account, and one for each secret.

    A gateway publishes below its own level of the packets' topic, and reads below its own level of the answers'.
    """
    accounts, rules = [f"{own_name}:{own_hash}"], [f"user {own_name}"]
    rules += [f"topic read {each}" for each in sorted({topics.filter, topics.unshared})]
    rules.append(f"topic write {topics.answers.rstrip('/')}/#")
    for gateway_id, slot, hash_ in found:
        name = account_name(gateway_id, slot)
        accounts.append(f"{name}:{hash_}")
        rules += [
            f"user {name}",
            f"topic write {topics.packets_of(str(gateway_id))}/#",
            f"topic read {topics.answers_of(str(gateway_id))}/#",
        ]
    return {ACCOUNTS: _lines(accounts), RULES: _lines(rules)}


def _lines(texts: list[str]) -> str:
    return "".join(f"{each}\n" for each in texts)


def write_files(folder: Path, texts: dict[str, str]) -> bool:
    """Write files whose text is another than what stands there, each at once or not at all; says whether any was.

    Raises:
        OSError: the folder is missing, or not to be written to.

    """
    changed = [name for name, text in texts.items() if _read(folder / name) != text]
    for name in changed:
        # A name of its own: another worker may write the same file.
        number, new = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        try:
            with os.fdopen(number, "w") as file:
                file.write(texts[name])
                file.flush()
                os.fsync(file.fileno())
            Path(new).replace(folder / name)
        except BaseException:
            Path(new).unlink(missing_ok=True)
            raise
    return bool(changed)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


class AccountKeeper:
    """Keeps the files in step with the secrets for as long as it runs."""

    def __init__(self, engine: AsyncEngine, folder: Path, topics: Topics, *, user: str, password: str) -> None:
        self._engine = engine
        self._folder = folder
        self._topics = topics
        self._user = user
        self._password = password
        self._hash = mosquitto_hash(password, secrets.token_bytes(SALT_BYTES))
        self._rung = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        async with supervised("MQTT accounts' listener", self._listen):
            while True:
                self._rung.clear()
                await self._try()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY):
                        await self._rung.wait()
                await asyncio.sleep(_COLLECT)

    async def write(self) -> None:
        """Bring the files in step with the secrets as they are now.

        Raises:
            DBAPIError, OSError: the database, or the folder, cannot be reached.

        """
        async with self._engine.connect() as connection:
            found = await list_hashes(connection)
        if await asyncio.to_thread(self._write, found):
            _log.info("accounts written", folder=str(self._folder), gateway_accounts=len(found))

    def _write(self, found: Iterable[tuple[UUID, Slot, str]]) -> bool:
        # The hash that another worker, or an earlier one, wrote of the same password stays: the files change with the
        # secrets alone.
        first = (_read(self._folder / ACCOUNTS) or "").partition("\n")[0]
        written = first.removeprefix(f"{self._user}:")
        if written != self._hash and is_mosquitto_hash(written, self._password):
            self._hash = written
        return write_files(self._folder, account_files(self._topics, self._user, self._hash, found))

    async def _try(self) -> None:
        while True:
            try:
                await self.write()
            except Exception as error:
                if not (isinstance(error, OSError) or is_unavailable(error) or is_busy(error)):
                    raise
                _log.warning("accounts not written", folder=str(self._folder), error=str(error))
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def _listen(self) -> None:
        await listen(self._engine, CHANNEL, self._hear, self._rung.set)

    def _hear(self, payload: str) -> None:
        if payload == SECRETS:
            self._rung.set()


@asynccontextmanager
async def keeping_accounts(engine: AsyncEngine, settings: Settings) -> AsyncGenerator[None]:
    """Keep the files in the folder that ``settings`` names while the block runs; none named: nothing is written.

    Raises:
        ValueError: the settings name no account of the product's own, or topics that cannot be.

    """
    if not settings.mqtt_accounts:
        yield
        return
    broker = parse_broker(settings.mqtt_url.get_secret_value(), settings.mqtt_ca)
    if not broker.user or not broker.password or not broker.user.isprintable() or {":", " "} & set(broker.user):
        raise ValueError(
            "MANAGE_MQTT_ACCOUNTS needs a user name, without colon or space, and a password in MANAGE_MQTT_URL: "
            "the product's own account at the broker is written as well."
        )
    keeper = AccountKeeper(
        engine, Path(settings.mqtt_accounts), topics_of(settings), user=broker.user, password=broker.password
    )
    async with supervised("MQTT accounts", keeper.run):
        yield


def topics_of(settings: Settings) -> Topics:
    """The topics of the settings. With accounts of the product's own making, the sender is always the gateway.

    Raises:
        ValueError: topics that cannot be.

    """
    is_gateway = settings.mqtt_sender_is_gateway or bool(settings.mqtt_accounts)
    return Topics(settings.mqtt_topic, settings.mqtt_answers, is_gateway)
