"""How long it takes until the product works again: a probe each for reads, writes, packets and syncs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from itertools import count

from devtools.chaos.caller import Caller
from devtools.chaos.editors import adding
from devtools.chaos.senders import Gateway, answered_by_mqtt, packet_by_http
from devtools.chaos.site import Site
from devtools.chaos.stack import Stack

_LONGEST = 300.0
_LOOK_EVERY = 0.05


class Ability(StrEnum):
    """What the product does, as somebody outside sees it."""

    READS = "reads"
    """A depot's microgrid is read."""
    WRITES = "writes"
    """A circuit is added."""
    PACKETS = "packets"
    """A packet is taken over HTTP."""
    MQTT = "packets by MQTT"
    """A packet over MQTT is taken and answered."""
    SYNCS = "syncs"
    """A circuit that was added after the end of the fault is a grid connection."""
    PARTS = "every part"
    """Each process of the product is there and says that it works."""


class Prober:
    """Asks until it is answered. What it changes is in the log like all else."""

    def __init__(self, stack: Stack, caller: Caller, site: Site) -> None:
        """``caller`` waits for few seconds only, so that an answer that never comes does not count as a slow one."""
        self._stack = stack
        self._caller = caller
        self._depot_id = site.probed
        self._gateway: Gateway = site.gateways[0]
        self._numbers = count(1)
        self._random = random.Random(0)  # noqa: S311 (no secret)

    async def measure(self, ended: float) -> dict[Ability, float | None]:
        """Say how many seconds after ``ended`` each worked; None: not in five minutes."""
        written: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        writing = asyncio.create_task(self._until(lambda: self._write(written), ended))
        reading, sending, publishing, syncing, coming_back = await asyncio.gather(
            self._until(self._read, ended),
            self._until(self._send, ended),
            self._publish(ended),
            self._until(lambda: self._is_connected(written), ended),
            self._until(self._stack.is_whole, ended),
        )
        return {
            Ability.READS: reading,
            Ability.WRITES: await writing,
            Ability.PACKETS: sending,
            Ability.MQTT: publishing,
            Ability.SYNCS: syncing,
            Ability.PARTS: coming_back,
        }

    async def _until(self, works: Callable[[], Awaitable[bool]], ended: float) -> float | None:
        while time.monotonic() < ended + _LONGEST:
            if await works():
                return time.monotonic() - ended
            await asyncio.sleep(_LOOK_EVERY)
        return None

    async def _read(self) -> bool:
        return (await self._caller.read(f"/api/depots/{self._depot_id}/microgrid")).acknowledged

    async def _write(self, written: asyncio.Future[str]) -> bool:
        name = f"Probe {next(self._numbers)}"
        done = (await self._caller.send(adding(self._depot_id, name))).acknowledged
        if done:
            written.set_result(name)
        return done

    async def _send(self) -> bool:
        return (await self._caller.send(packet_by_http(self._gateway, self._random))).acknowledged

    async def _publish(self, ended: float) -> float | None:
        answered = await answered_by_mqtt(self._stack.broker, self._caller.writer, self._gateway)
        return time.monotonic() - ended if answered else None

    async def _is_connected(self, written: asyncio.Future[str]) -> bool:
        if not written.done():
            return False
        answer = await self._caller.read(f"/api/depots/{self._depot_id}/microgrid")
        connections = answer.document.get("grid_connections", [])
        return written.result() in [each["name"] for each in connections]
