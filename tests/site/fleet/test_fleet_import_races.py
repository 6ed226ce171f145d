"""Imports under stress: cut off, killed, racing one another and operators, and far larger than memory would hold."""

from __future__ import annotations

import asyncio
import json
import random
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.main import create_app
from domain.base.problems import Problem
from domain.site.fleet import LineKind
from fleet.make_fleet import CUT_SHORT, fleet, lines
from runtime.settings import Settings
from store.base.database import transaction
from store.site.circuits import create_circuit, delete_circuit, update_circuit
from store.site.depots import lock_depot
from store.site.fleet.fleet_import import fleet_import
from store.site.tables import circuits
from tests.factories.fleet_lines import (
    ROUTE,
    TABLES,
    circuit,
    count,
    depot,
    encode,
    flawed,
    gaps,
    import_lines,
    post,
    state,
    stored_fleet,
)
from tests.factories.fleet_model import Fleet, Line
from tests.helpers.answers import problem
from tests.helpers.live import http_client, serving
from tests.helpers.support import ACTOR, circuits_of, until

NOTHING: dict[str, list[Any]] = {table: [] for table in TABLES}


def made(depots: int, seed: int) -> list[Line | None]:
    return list(fleet(depots, seed, flaws=True))


def good(rows: list[Line | None]) -> list[Line]:
    """The rows that must land."""
    wrong = flawed(rows)
    return [row for number, row in enumerate(rows, 1) if row is not None and number not in wrong]


def body_of(rows: list[Line | None]) -> bytes:
    return encode(CUT_SHORT if row is None else row for row in rows)


async def assert_landed(engine: AsyncEngine, rows: list[Line | None]) -> None:
    """The good rows are stored, in their places, and nothing else."""
    expected = Fleet()
    expected.take(good(rows))
    assert await stored_fleet(engine, [good(rows)]) == expected
    assert await gaps(engine) == 0


async def staging(engine: AsyncEngine) -> int:
    """Count the imports that have temporary tables."""
    async with engine.connect() as connection:
        found = await connection.execute(
            text("SELECT count(*) FROM pg_class WHERE relname = 'refused' AND relpersistence = 't'")
        )
        return found.scalar_one()


async def waiting(engine: AsyncEngine) -> int | None:
    """The process of a connection that waits for another's lock."""
    async with engine.connect() as connection:
        found = await connection.execute(
            text("""
                SELECT pid FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 1
            """)
        )
        return found.scalar_one_or_none()


# Over a real connection


@asynccontextmanager
async def serving_on(database_url: str) -> AsyncGenerator[int]:
    """The API behind a real server; answers its port."""
    async with serving(Settings(database_url=SecretStr(database_url))) as address:
        yield int(address.rpartition(":")[2])


HEAD = f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("framing", ["Content-Length: 100000000", "Transfer-Encoding: chunked"])
async def test_a_connection_that_is_cut_leaves_nothing(engine: AsyncEngine, database_url: str, framing: str) -> None:
    body = body_of(made(400, seed=1))
    async with serving_on(database_url) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = f"{len(body) * 2:x}\r\n".encode() if "chunked" in framing else b""
        writer.write(f"{HEAD}{framing}\r\n\r\n".encode() + begun + body)
        await writer.drain()
        await until(lambda: staging(engine))
        writer.transport.abort()

        async def gone() -> bool:
            return await staging(engine) == 0

        await until(gone)
        assert await state(engine) == NOTHING
        assert await count(engine, "changes") == await count(engine, "outbox") == 0
        # The very same file afterwards comes in as if nothing had been.
        async with http_client(f"http://127.0.0.1:{port}") as caller:
            assert (await caller.post(ROUTE, content=body)).json()["landed"]["depots"] == 400


async def test_a_caller_who_does_not_wait_for_the_report_holds_nothing(engine: AsyncEngine, database_url: str) -> None:
    body = (CUT_SHORT + "\n").encode() * 50_000
    async with serving_on(database_url) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert await staging(engine) == 1
        writer.transport.abort()

        async def gone() -> bool:
            return await staging(engine) == 0

        await until(gone)


async def test_a_caller_who_leaves_after_the_last_line_has_imported_all(engine: AsyncEngine, database_url: str) -> None:
    rows = made(60, seed=8)
    held = next(iter(row["id"] for row in rows if row and row["type"] == "depot"))
    await import_lines(engine, encode([row for row in rows if row and row["id"] == held]))
    body = body_of(rows)
    async with serving_on(database_url) as port:
        async with transaction(engine, ACTOR) as connection:
            await lock_depot(connection, UUID(str(held)))
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await until(lambda: waiting(engine))
            writer.transport.abort()

        async def gone() -> bool:
            return await staging(engine) == 0

        await until(gone)
    await assert_landed(engine, rows)


# Killed in the middle


async def test_an_import_that_is_killed_while_it_lands_leaves_whole_depots_and_goes_on_when_it_comes_again(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.site.fleet_import.fleet_import", partial(fleet_import, batch_lines=40))
    rows = made(60, seed=8)
    everything = good(rows)
    held = sorted(str(row["id"]) for row in everything if row["type"] == "depot")[30]
    await import_lines(engine, encode([row for row in everything if row["id"] == held]))
    async with transaction(engine, ACTOR) as connection:
        await lock_depot(connection, UUID(held))
        answering = asyncio.create_task(api.post(ROUTE, content=body_of(rows)))
        victim = await until(lambda: waiting(engine))
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": victim})
        assert problem(await answering) == (503, "IMPORT_INTERRUPTED")
    stored = await stored_fleet(engine, [everything])
    whole = [row for row in everything if row["type"] != "device" and str(row.get("depot_id", row["id"])) != held]
    there: dict[str, set[bool]] = {}
    for row in whole:
        there.setdefault(str(row.get("depot_id", row["id"])), set()).add((row["type"], row["id"]) in stored.rows)
    assert Counter(map(tuple, there.values())).keys() == {(True,), (False,)}
    report = await post(api, body_of(rows))
    assert report["unchanged"] > 0
    assert {each["line"]: each["code"] for each in report["refusals"]} == flawed(rows)
    await assert_landed(engine, rows)


async def test_without_the_database_nothing_is_imported_and_the_answer_says_so(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    async def staged() -> int | None:
        async with engine.connect() as connection:
            found = await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND query LIKE 'COPY%' AND pid <> pg_backend_pid()"
                )
            )
            return found.scalar_one_or_none()

    answer, _ = await asyncio.gather(api.post(ROUTE, content=body_of(made(3_000, seed=1))), until(staged))
    assert problem(answer) == (503, "DATABASE_UNAVAILABLE")
    assert await state(engine) == NOTHING


# Beside others


async def test_imports_of_one_file_at_once_are_one_import(engine: AsyncEngine) -> None:
    rows = made(150, seed=4)
    sizes = (30, 200, 100_000, 30)
    found = await asyncio.gather(*(import_lines(engine, body_of(rows), batch_lines=size) for size in sizes))
    kinds = Counter(row["type"] for row in good(rows))
    for kind in LineKind:
        assert sum(summary.stored[kind] for summary, _ in found) == kinds[kind]
    for summary, refused in found:
        assert refused == flawed(rows)
        assert sum(summary.stored.values()) + summary.unchanged == len(good(rows))
    await assert_landed(engine, rows)


async def test_an_id_that_comes_under_two_depots_at_once_stays_with_the_first(engine: AsyncEngine) -> None:
    here, there, twice, below = (str(uuid4()) for _ in range(4))
    await import_lines(engine, encode([depot(here)]))
    async with transaction(engine, ACTOR) as connection:
        await connection.execute(
            circuits.insert().values(
                id=UUID(twice), depot_id=UUID(here), name="Feed", position=0, created_by="x", updated_by="x"
            )
        )
        body = encode([depot(there), circuit(there, twice), circuit(there, below, twice), circuit(there, name="Other")])
        importing = asyncio.create_task(import_lines(engine, body))
        await until(lambda: waiting(engine))
    _, refused = await importing
    assert refused == {2: "CONTENT_DIFFERS", 3: "PARENT_REFUSED"}
    assert [each.name for each in await circuits_of(engine, UUID(there))] == ["Other"]
    assert await gaps(engine) == 0


@pytest.mark.parametrize("seed", range(3))
async def test_beside_changes_by_operators_the_places_stay_dense(engine: AsyncEngine, seed: int) -> None:
    rng = random.Random(seed)
    depots = [str(uuid4()) for _ in range(8)]
    tops = {each: [str(uuid4()) for _ in range(3)] for each in depots}
    first = [row for each in depots for row in (depot(each), *(circuit(each, top) for top in tops[each]))]
    await import_lines(engine, encode(first))
    more = [
        circuit(each, parent=rng.choice([None, *tops[each]]), position=rng.randrange(9))
        for each in depots
        for _ in range(40)
    ]
    rng.shuffle(more)

    async def operate(depot_id: UUID) -> None:
        for step in range(12):
            one = rng.choice(await circuits_of(engine, depot_id))
            try:
                async with transaction(engine, ACTOR) as connection:
                    if step % 4 == 0:
                        await delete_circuit(connection, ACTOR, one.circuit_id, cascade=True)
                    elif step % 4 == 1:
                        await update_circuit(connection, ACTOR, one.circuit_id, {"parent_id": None, "position": 0})
                    else:
                        values = {"name": "By hand", "parent_id": one.circuit_id, "position": 0}
                        await create_circuit(connection, ACTOR, depot_id, values)
            except Problem as refused:
                assert refused.code in ("CIRCUIT_NOT_FOUND", "PARENT_NOT_FOUND", "CIRCUIT_TREE_TOO_DEEP")
            if not await circuits_of(engine, depot_id):
                return

    async with asyncio.TaskGroup() as beside:
        importing = beside.create_task(import_lines(engine, encode(more), batch_lines=60))
        for each in depots:
            beside.create_task(operate(UUID(each)))
    _, refused = importing.result()
    assert set(refused.values()) <= {"PARENT_NOT_FOUND"}
    assert await gaps(engine) == 0
    async with engine.connect() as connection:
        total = len((await connection.execute(select(circuits.c.id))).all())
    # All are reached from the top: nothing hangs on itself.
    assert sum([len(await circuits_of(engine, UUID(each))) for each in depots]) == total


# Larger than memory


async def drive(application: FastAPI, chunks: Iterator[bytes], accept: str) -> int:
    """Call the import without holding its body or its answer; answer how many bytes came back."""
    received = 0
    scope: MutableMapping[str, Any] = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": ROUTE, "raw_path": ROUTE.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", accept.encode())],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80),
    }  # fmt: skip
    sent = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        chunk = next(chunks, b"")
        sent = not chunk
        return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal received
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        received += len(message.get("body", b""))

    await application(scope, receive, send)
    return received


def cut(given: Iterator[str]) -> Iterator[bytes]:
    """Lines as chunks of a size that a server has."""
    while chunk := "".join(line for _, line in zip(range(250), given, strict=False)).encode():
        yield chunk


def flawless(count: int) -> Iterator[str]:
    return (line for _, line in zip(range(count), lines(count, seed=1, flaws=False), strict=False))


def cut_short(count: int) -> Iterator[str]:
    return (CUT_SHORT + "\n" for _ in range(count))


def orphans(count: int) -> Iterator[str]:
    here = str(uuid4())
    return (json.dumps(circuit(here)) + "\n" for _ in range(count))


@pytest.mark.parametrize(
    ("make", "accept"),
    [
        (flawless, "application/json"),
        (orphans, "application/json"),
        (cut_short, "application/json"),
        (cut_short, "application/x-ndjson"),
    ],
)
async def test_memory_does_not_grow_with_the_file_nor_with_the_report(
    database_url: str, make: Callable[[int], Iterator[str]], accept: str
) -> None:
    application = create_app(Settings(database_url=SecretStr(database_url)))

    async def peak(count: int) -> int:
        tracemalloc.start()
        await drive(application, cut(make(count)), accept)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    async with application.router.lifespan_context(application):
        await drive(application, cut(make(5_000)), accept)
        small = await peak(5_000)
        assert await peak(30_000) < 1.5 * small
