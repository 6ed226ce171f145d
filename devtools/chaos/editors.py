"""Depots that are created, and circuits that change all the time: who adds, renames, moves and deletes."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import Any

from devtools.chaos.caller import Answer, Caller, Request

_MOST_CIRCUITS = 12
_TRIES = 6
_PAUSE = 0.5
"""Seconds between two tries."""
_KEPT = ("circuit_id", "version")
_RETIRED = 0.2
"""The share of the founded depots that are retired."""
_YOUNG = 5
"""Founded depots that have not got their second circuit yet."""


def adding(depot_id: str, name: str, parent_id: str | None = None, position: int | None = None) -> Request:
    """Ask for a circuit, last among its siblings unless there is a ``position``."""
    body: dict[str, Any] = {"name": name, "parent_id": parent_id, "position": position}
    asked = {"depot_id": depot_id, "name": name, "parent_id": parent_id}
    path = f"/api/depots/{depot_id}/circuits"
    return Request("ADD_CIRCUIT", asked, "POST", path, body, kept=_KEPT, is_repeatable=True)


def _retiring(depot_id: str) -> Request:
    return Request("RETIRE_DEPOT", {"depot_id": depot_id}, "POST", f"/api/depots/{depot_id}/retire")


async def found_depots(caller: Caller, seed: str) -> None:
    """Create depot after depot, and add a circuit to each a little later. Some are then retired, others left alone.

    So nothing makes up for a sync that was lost: no later change, and no backfill, for there is a microgrid already.
    And a sync that was asked for just before a depot is retired must not bring it back.
    """
    chance = random.Random(seed)  # noqa: S311 (no secret)
    founded: deque[str] = deque()
    for number in count(1):
        name = f"Founded {number}"
        body = {"name": name, "timezone": "Etc/UTC", "circuits": [{"name": "Feed"}]}
        answer = await _send_on(
            caller,
            Request("ADD_DEPOT", {"name": name}, "POST", "/api/depots", body, kept=("depot_id",), is_repeatable=True),
        )
        if answer.acknowledged:
            founded.append(answer.document["depot_id"])
        if len(founded) > _YOUNG:
            depot_id = founded.popleft()
            await _send_on(caller, adding(depot_id, "Second feed"))
            if chance.random() < _RETIRED and (await _send_on(caller, _retiring(depot_id))).acknowledged:
                await caller.send(adding(depot_id, "Too late"))
        await asyncio.sleep(chance.uniform(0.2, 1))


async def _send_on(caller: Caller, request: Request) -> Answer:
    """Send a request until it is acknowledged, or often enough."""
    answer = await caller.send(request)
    while not answer.acknowledged and request.tries < _TRIES:
        await asyncio.sleep(_PAUSE)
        answer = await caller.send(request)
    return answer


@dataclass
class _Known:
    """A circuit as its editor knows it."""

    version: int
    parent_id: str | None


class Editor:
    """Changes the circuits of one depot, one after the other.

    Whoever changes a circuit says which version they read, so that a request that is carried out late, after nobody
    waited for it any longer, cannot undo one that came after it.
    """

    def __init__(self, caller: Caller, depot_id: str, seed: str) -> None:
        self._caller = caller
        self._depot_id = depot_id
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._circuits: dict[str, _Known] = {}
        self._number = 0

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._step()
            await asyncio.sleep(self._random.uniform(0.05, 0.4))

    async def _step(self) -> None:
        leaves = sorted(self._circuits.keys() - {each.parent_id for each in self._circuits.values()})
        if len(leaves) < 2:
            await self._add()
            return
        circuit_id = self._random.choice(leaves)
        chance = self._random.random()
        if len(self._circuits) >= _MOST_CIRCUITS or chance < 0.15:
            await self._change("DELETE_CIRCUIT", circuit_id, {})
        elif chance < 0.5:
            await self._add()
        elif chance < 0.8:
            await self._change("RENAME_CIRCUIT", circuit_id, {"name": self._name()})
        else:
            await self._move(circuit_id)

    def _name(self) -> str:
        self._number += 1
        return f"Circuit {self._number}"

    def _tops(self) -> list[str]:
        return sorted(name for name, each in self._circuits.items() if each.parent_id is None)

    async def _add(self) -> None:
        parent_id = self._random.choice([None, None, *self._tops()[:2]])
        request = adding(self._depot_id, self._name(), parent_id, self._random.choice([None, 0]))
        if self._random.random() < 0.1:
            # Twice at once, as from an impatient finger.
            first, second = await asyncio.gather(self._caller.send(request), self._caller.send(request))
            answer = first if first.acknowledged else second
        else:
            answer = await self._caller.send(request)
        gives_up = self._random.random() < 0.3
        while not answer.acknowledged and not gives_up and request.tries < _TRIES:
            await asyncio.sleep(_PAUSE)
            answer = await self._caller.send(request)
        if answer.acknowledged:
            self._circuits[answer.document["circuit_id"]] = _Known(answer.document["version"], parent_id)

    async def _move(self, circuit_id: str) -> None:
        others = [each for each in self._tops() if each != circuit_id]
        is_top = self._circuits[circuit_id].parent_id is None
        if is_top and not others:
            return
        await self._change("MOVE_CIRCUIT", circuit_id, {"parent_id": self._random.choice(others) if is_top else None})

    async def _change(self, what: str, circuit_id: str, body: dict[str, Any]) -> None:
        known = self._circuits[circuit_id]
        is_deletion = what == "DELETE_CIRCUIT"
        request = Request(
            what,
            {"circuit_id": circuit_id, **body},
            "DELETE" if is_deletion else "PATCH",
            f"/api/circuits/{circuit_id}",
            None if is_deletion else body,
            {"If-Match": f'"{known.version}"'},
            () if is_deletion else ("version",),
        )
        answer = await self._caller.send(request)
        if not answer.acknowledged:
            await self._look_again(circuit_id)
        elif is_deletion:
            del self._circuits[circuit_id]
        else:
            self._learn(circuit_id, answer)

    async def _look_again(self, circuit_id: str) -> None:
        """Find out what has become of a circuit."""
        while True:
            answer = await self._caller.read(f"/api/circuits/{circuit_id}")
            if answer.acknowledged:
                self._learn(circuit_id, answer)
                return
            if answer.code == "CIRCUIT_NOT_FOUND":
                del self._circuits[circuit_id]
                return
            await asyncio.sleep(_PAUSE)

    def _learn(self, circuit_id: str, answer: Answer) -> None:
        self._circuits[circuit_id] = _Known(answer.document["version"], answer.document["parent_id"])
