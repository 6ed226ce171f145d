"""What the tests of sizes share: depots of any size, made fast, and counting what is done for them."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.helpers.support import make_depot

_FILL = text("""
    INSERT INTO circuits (depot_id, name, position, created_by, updated_by)
    SELECT :depot_id, :name || ' ' || n, n, 'tester', 'tester' FROM generate_series(0, :circuits - 1) AS n
""")


async def depot_with(engine: AsyncEngine, circuits: int, *, name: str = "Feeder") -> UUID:
    """Make a depot with so many top-level circuits, in one statement."""
    depot_id = await make_depot(engine)
    async with engine.begin() as connection:
        await connection.execute(_FILL, {"depot_id": depot_id, "name": name, "circuits": circuits})
    return depot_id


_EQUIP = [
    text("""
        INSERT INTO gateways (depot_id, name, created_by, updated_by)
        SELECT :depot_id, 'Gateway ' || n, 'tester', 'tester' FROM generate_series(1, :gateways) AS n
    """),
    text("""
        INSERT INTO devices (depot_id, gateway_id, sensor_id, name, created_by, updated_by)
        SELECT :depot_id, (SELECT id FROM gateways WHERE depot_id = :depot_id ORDER BY id LIMIT 1),
               'meter-' || n, 'Meter ' || n, 'tester', 'tester'
        FROM generate_series(1, :devices) AS n
    """),
    text("""
        INSERT INTO power_sources (depot_id, kind, name, created_by, updated_by)
        SELECT :depot_id, 'BATTERY', 'Source ' || n, 'tester', 'tester' FROM generate_series(1, :power_sources) AS n
    """),
]
_FIRST_GATEWAY = text("SELECT id FROM gateways WHERE depot_id = :depot_id ORDER BY id LIMIT 1")


async def equipped_depot(
    engine: AsyncEngine, *, gateways: int = 1, devices: int = 0, power_sources: int = 0
) -> tuple[UUID, UUID]:
    """Make a depot with so much equipment; all devices are at its first gateway. Answers the depot and that gateway."""
    depot_id = await make_depot(engine)
    given = {"depot_id": depot_id, "gateways": gateways, "devices": devices, "power_sources": power_sources}
    async with engine.begin() as connection:
        for statement in _EQUIP:
            names = statement.compile().params
            await connection.execute(statement, {name: given[name] for name in names})
        gateway_id = (await connection.execute(_FIRST_GATEWAY, {"depot_id": depot_id})).scalar_one()
    return depot_id, gateway_id


@dataclass
class Statements:
    """The statements that an engine was given."""

    count: int = 0
    most_parameters: int = 0
    many: list[str] = field(default_factory=list[str])
    """Those that were executed once for each of a list of parameters."""


@contextmanager
def statements_of(engine: AsyncEngine) -> Generator[Statements]:
    """Count the statements of an engine while the block runs."""
    seen = Statements()

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool) -> None:
        seen.count += 1
        seen.most_parameters = max(seen.most_parameters, len(parameters))
        if executemany:
            seen.many.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


def watch_threads(monkeypatch: pytest.MonkeyPatch, *places: tuple[Any, str]) -> list[int]:
    """Note in which thread each of these functions, by their holder and name, is called."""
    seen: list[int] = []
    for holder, name in places:
        original = getattr(holder, name)

        def noting(*args: Any, _original: Any = original, **kwargs: Any) -> Any:
            seen.append(threading.get_ident())
            return _original(*args, **kwargs)

        monkeypatch.setattr(holder, name, noting)
    return seen
