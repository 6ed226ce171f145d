"""The gateways that have proved who they are to this process: what they send costs no statement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.streams.rights import RightsWatch
from domain.access.gateway_secrets import gateway_of
from domain.access.principals import Grant, Principal, PrincipalKind
from domain.access.roles import Role
from domain.access.secrets import USE_NOTED_AFTER, digest_of
from domain.base.actor import Actor
from runtime.supervision import supervised
from store.access.depot_of import depots_of
from store.access.gateway_secrets import find_secret, note_uses
from store.base.database import is_busy, is_unavailable

_log = structlog.get_logger("access")

_COLLECT = 2.0
"""Seconds in which uses are collected, so that one statement notes those of many gateways."""


def gateway_principal(gateway_id: UUID, depot_id: UUID) -> Principal:
    """A gateway of this depot that has proved who it is."""
    grants = (Grant(Role.GATEWAY, depot_id),)
    return Principal(PrincipalKind.GATEWAY, str(gateway_id), Actor(f"gateway:{gateway_id}"), grants, gateway_id)


@dataclass
class _Known:
    """A secret that was right."""

    secret_id: UUID
    principal: Principal
    note_at: float = 0
    """From when on, by the loop's clock, a use is noted again."""


class KnownGateways:
    """Who comes with which secret.

    A secret that was right is kept in mind, by its digest, until secrets change; while the process cannot hear that
    they do, every one is looked up. So a revoked secret is refused at once.
    """

    def __init__(self, engine: AsyncEngine, rights: RightsWatch) -> None:
        self._engine = engine
        self._rights = rights
        self._known: dict[bytes, _Known] = {}
        self._by_id: dict[UUID, Principal] = {}
        self._changes = 0
        self._used: set[UUID] = set()
        self._rung = asyncio.Event()
        rights.when_secrets_change(self._forget)

    async def find(self, secret: str) -> Principal | None:
        """Say whose secret this is; None: nobody's. The log says whether it is wrong, or its gateway unknown."""
        digest = digest_of(secret)
        known = self._known.get(digest) if self._rights.hears else None
        if known is None:
            known = await self._look_up(secret, digest)
        if known is None:
            return None
        now = asyncio.get_running_loop().time()
        if now >= known.note_at:
            known.note_at = now + USE_NOTED_AFTER.total_seconds()
            self._used.add(known.secret_id)
            self._rung.set()
        return known.principal

    async def find_by_id(self, gateway_id: UUID) -> Principal | None:
        """The gateway with this id, which something else proved; None: there is none."""
        known = self._by_id.get(gateway_id) if self._rights.hears else None
        if known is None:
            changes = self._changes
            depot_id = await self._depot_of(gateway_id)
            if depot_id is None:
                _log.warning("gateway refused", reason="unknown gateway", gateway_id=str(gateway_id))
                return None
            known = gateway_principal(gateway_id, depot_id)
            # The secrets of a gateway go with it, so its deletion is heard as well.
            if self._rights.hears and changes == self._changes:
                self._by_id[gateway_id] = known
        return known

    async def _depot_of(self, gateway_id: UUID) -> UUID | None:
        async with self._engine.connect() as connection:
            return (await depots_of(connection, {"gateway_id": gateway_id}))["gateway_id"]

    async def work(self) -> None:
        """Note uses until cancelled."""
        while True:
            await self._rung.wait()
            await asyncio.sleep(_COLLECT)
            self._rung.clear()
            await self.note()

    async def note(self) -> None:
        """Note the uses that are not noted yet; a database that is away costs no more than these."""
        used, self._used = self._used, set()
        if not used:
            return
        try:
            async with self._engine.begin() as connection:
                await note_uses(connection, used)
        except Exception as error:
            if not (is_unavailable(error) or is_busy(error)):
                raise
            _log.warning("uses of secrets not noted", secrets=len(used), error=str(error))

    def _forget(self) -> None:
        self._changes += 1
        self._known.clear()
        self._by_id.clear()

    async def _look_up(self, secret: str, digest: bytes) -> _Known | None:
        claimed = gateway_of(secret)
        if claimed is None:
            _log.warning("gateway refused", reason="no secret of a gateway looks like this")
            return None
        changes = self._changes
        async with self._engine.connect() as connection:
            found = await find_secret(connection, digest)
        if found is None:
            reason = "unknown gateway" if await self._depot_of(claimed) is None else "wrong secret"
            _log.warning("gateway refused", reason=reason, gateway_id=str(claimed))
            return None
        secret_id, gateway_id, depot_id = found
        known = _Known(secret_id, gateway_principal(gateway_id, depot_id))
        # What was read before a change is not kept in mind after it.
        if self._rights.hears and changes == self._changes:
            self._known[digest] = known
        return known


@asynccontextmanager
async def open_known_gateways(engine: AsyncEngine, rights: RightsWatch) -> AsyncGenerator[KnownGateways]:
    """Know gateways while the block runs; uses that are not noted yet are noted at its end."""
    known = KnownGateways(engine, rights)
    async with supervised("uses of secrets", known.work):
        try:
            yield known
        finally:
            await known.note()
