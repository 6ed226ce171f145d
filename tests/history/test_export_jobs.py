"""Exports as jobs: made slice by slice, kept for a while, downloaded by who may still see what is in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import ActivityEnvironment

from activities.transfers.export import ExportActivities
from api.main import create_app
from domain.access.principals import EVERYWHERE, LOCAL_PRINCIPAL, Grant
from domain.access.roles import Role
from domain.base.jobs import JobState
from domain.base.problems import Problem
from domain.base.times import EARLIEST, LATEST
from domain.history.export_jobs import EXPORT, ExportEnd, ExportRequest
from domain.history.exports import ExportFormat, ExportKind, ExportSelection
from runtime.logs import configure_logs
from runtime.settings import Settings
from store.base.database import transaction
from store.base.jobs.rows import ContinuedElsewhereError
from store.base.tables import changes
from store.history.jobs.export_jobs import forget_files, insert_export, lock_slice, read_export, read_file
from store.history.tables import export_parts, exports
from store.site.tables import capacity_events
from tests.access.sites import WHO, asked_as, person
from tests.factories.history.capability_events import Event, add_events
from tests.factories.packets import send
from tests.factories.sites import MadeDepot, add_device, make_site, milliseconds, open_remediation, packet
from tests.helpers.answers import problem
from tests.helpers.live import http_client, serving, working
from tests.helpers.logs import logging_as
from tests.helpers.support import ACTOR, until

ROUTE = "/api/exports"
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
HOURS = 40


async def measured(api: httpx.AsyncClient, engine: AsyncEngine) -> MadeDepot:
    """A depot whose meter measured once an hour."""
    site = await make_site(engine)
    await add_device(engine, site, "em-1", site.circuit_ids[0])
    for hour in range(HOURS):
        stamp = milliseconds(NOW - timedelta(hours=hour + 1))
        await send(api, packet(site, stamp, "em-1", TOTAL_POWER_LOAD=1_000.0 * hour))
    return site


def window(**other: Any) -> dict[str, Any]:
    since, to = NOW - timedelta(hours=HOURS + 1), NOW + timedelta(minutes=1)
    return {"kind": "readings", "since": since.isoformat(), "until": to.isoformat(), **other}


async def begin(api: httpx.AsyncClient, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = await api.post(ROUTE, json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{ROUTE}/{answer.json()['export_id']}"
    return answer.json()


async def reached(api: httpx.AsyncClient, export_id: str, *states: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found = (await api.get(f"{ROUTE}/{export_id}")).json()
        return found if found["state"] in states else None

    return await until(check)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


EVERYTHING = ExportSelection(NOW - timedelta(hours=HOURS + 1), NOW + timedelta(minutes=1))


async def stored_export(
    engine: AsyncEngine, kind: ExportKind = ExportKind.READINGS, selection: ExportSelection = EVERYTHING
) -> ExportRequest:
    """Store an export, and start nothing."""
    request = ExportRequest(uuid4(), kind, ExportFormat.CSV, ACTOR.name)
    async with transaction(engine, ACTOR) as connection:
        await insert_export(connection, request, selection, EVERYWHERE)
    return request


async def parts(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(export_parts))).scalar_one()


async def test_the_file_has_what_the_direct_answer_has(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    site = await measured(api, engine)
    await measured(api, engine)
    body = window(depot_id=str(site.depot_id), measurands=["TOTAL_POWER_LOAD"])
    async with working(client, engine, task_queue):
        made = await begin(api, body)
        done = await reached(api, made["export_id"], "COMPLETED")
    query = {"since": body["since"], "until": body["until"], "depot_id": body["depot_id"]}
    direct = await api.get(f"{ROUTE}/readings", params={**query, "measurand": "TOTAL_POWER_LOAD"})
    file = await api.get(f"{ROUTE}/{made['export_id']}/file")
    assert file.text == direct.text
    assert len(rows_of(file.text)) == done["rows_done"] == HOURS
    assert file.headers["content-length"] == str(len(direct.content)) == str(done["size_bytes"])
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"].startswith('attachment; filename="readings-')
    assert done["done_until"] == done["until"]
    # A download that broke off goes on.
    for wanted, found in (("bytes=10-19", direct.content[10:20]), ("bytes=100-", direct.content[100:]),
                          ("bytes=-7", direct.content[-7:])):  # fmt: skip
        some = await api.get(f"{ROUTE}/{made['export_id']}/file", headers={"Range": wanted})
        assert (some.status_code, some.content) == (206, found)
        assert some.headers["content-range"].endswith(f"/{len(direct.content)}")
    tag = file.headers["etag"]
    for of, code in ((tag, 206), (f"W/{tag}", 200), ('"another"', 200), ("Fri, 27 Nov 2026 12:00:00 GMT", 200)):
        some = await api.get(f"{ROUTE}/{made['export_id']}/file", headers={"Range": "bytes=10-19", "If-Range": of})
        assert (some.status_code, some.content) == (code, direct.content[10:20] if code == 206 else direct.content)
    behind = await api.get(f"{ROUTE}/{made['export_id']}/file", headers={"Range": "bytes=9999999-"})
    assert problem(behind) == (416, "RANGE_NOT_SATISFIABLE")
    for odd in ("bytes=5-2", "bytes=-", "lines=1-2", "bytes=1-2,4-5"):
        whole = await api.get(f"{ROUTE}/{made['export_id']}/file", headers={"Range": odd})
        assert (whole.status_code, len(whole.content)) == (200, len(direct.content))


async def test_parquet_is_opened_by_an_analyst(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await measured(api, engine)
    async with working(client, engine, task_queue):
        made = await begin(api, window(format="parquet"))
        await reached(api, made["export_id"], "COMPLETED")
    path = tmp_path / "rows.parquet"
    path.write_bytes((await api.get(f"{ROUTE}/{made['export_id']}/file")).content)
    query = f"""SELECT count(*), max("TOTAL_POWER_LOAD [W]") FROM '{path}'"""
    assert import_module("duckdb").sql(query).fetchall() == [(HOURS, 1_000.0 * (HOURS - 1))]


OTHERS = [kind for kind in ExportKind if kind is not ExportKind.READINGS]


async def happened(engine: AsyncEngine) -> None:
    """A depot where a capability and a capacity changed once an hour, and remediations were opened: a dozen of each."""
    site = await make_site(engine)
    assert site.microgrid_id is not None
    hours = [NOW - timedelta(hours=2 * n) for n in range(12, 0, -1)]
    states = ("ON", "OFF")
    await add_events(
        engine, site.microgrid_id, "PEAK_SHAVING", [Event(at, at, states[n % 2]) for n, at in enumerate(hours)]
    )
    async with engine.begin() as connection:
        for n, at in enumerate(hours):
            await connection.execute(
                insert(capacity_events).values(
                    circuit_id=site.circuit_ids[0], depot_id=site.depot_id, at=at, received_at=at, mode="CONTROLLER",
                    capacity_w=1_000.5 * n, basis="AVAILABLE_CHARGING_CAPACITY",
                )
            )  # fmt: skip
    for at in hours:
        await open_remediation(engine, site, at)


@pytest.mark.parametrize("answer", list(ExportFormat))
@pytest.mark.parametrize("kind", OTHERS)
async def test_other_kinds_and_endless_windows(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient, tmp_path: Path, kind: ExportKind,
    answer: ExportFormat,
) -> None:  # fmt: skip
    await happened(engine)
    body = {"kind": kind, "since": EARLIEST.isoformat(), "until": LATEST.isoformat()}
    async with working(client, engine, task_queue):
        made = await begin(api, body | {"format": answer})
        done = await reached(api, made["export_id"], "COMPLETED")
    assert done["rows_done"] == 12
    file = await api.get(f"{ROUTE}/{made['export_id']}/file")
    direct = await api.get(f"{ROUTE}/{kind}", params={"since": body["since"], "until": body["until"]})
    if answer is ExportFormat.CSV:
        assert file.text == direct.text
        assert len(file.text.splitlines()) == 13
    else:
        path = tmp_path / "rows.parquet"
        path.write_bytes(file.content)
        assert parquet_rows(path) == [typed(row) for row in rows_of(direct.text)]


_TIME, _ID, _COUNT, _NUMBER = "TIMESTAMP WITH TIME ZONE", "UUID", "BIGINT", "DOUBLE"


def type_of(header: str) -> str:
    """The type of a column, as its name says it to whoever opens the file."""
    if header == "at" or header.endswith("_at"):
        return _TIME
    if header.endswith("_id"):
        return _ID
    return _COUNT if header == "times" else _NUMBER if header.endswith(" [W]") else "VARCHAR"


def parquet_rows(path: Path) -> list[tuple[Any, ...]]:
    """The rows of a file whose columns have the types that they should; times as microseconds."""
    duckdb = import_module("duckdb")
    described = {name: kind for name, kind, *_ in duckdb.sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall()}
    assert described == {name: type_of(name) for name in described}
    as_told = {_TIME: 'epoch_us("{}")', _ID: 'CAST("{}" AS VARCHAR)'}
    listed = ", ".join(as_told.get(kind, '"{}"').format(name) for name, kind in described.items())
    return duckdb.sql(f"SELECT {listed} FROM '{path}'").fetchall()


def typed(row: dict[str, str]) -> tuple[Any, ...]:
    """A row of CSV, with the same types."""
    began = datetime.fromtimestamp(0, UTC)
    read: dict[str, Callable[[str], Any]] = {
        _TIME: lambda text: (datetime.fromisoformat(text) - began) // timedelta(microseconds=1),
        _NUMBER: float,
        _COUNT: int,
    }
    return tuple(read.get(type_of(name), str)(value) if value else None for name, value in row.items())


@pytest.mark.parametrize("kind", OTHERS)
async def test_other_kinds_have_each_row_once_however_they_are_sliced(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, kind: ExportKind
) -> None:
    await happened(engine)
    # Two days are halved to slices that end where something happened: it is in one of the two that meet there.
    two_days = ExportSelection(NOW - timedelta(hours=48), NOW)
    request = await stored_export(engine, kind, two_days)
    monkeypatch.setattr("domain.history.export_jobs.SLICE_ROWS", 2)
    steps, environment = ExportActivities(engine), ActivityEnvironment()
    slices = 1
    while not await environment.run(steps.export_slice, request):
        slices += 1
    assert slices == 1 if kind is ExportKind.REMEDIATIONS else slices > 6
    query = {"since": two_days.since.isoformat(), "until": two_days.until.isoformat()}
    direct = await api.get(f"{ROUTE}/{kind}", params=query)
    file = b"".join([piece async for piece in read_file(engine, request.export_id)])
    assert file.decode() == direct.text
    assert len(rows_of(direct.text)) == 12


async def test_a_slice_is_halved_until_it_is_small_and_a_killed_try_is_gone_on_with(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await measured(api, engine)
    request = await stored_export(engine)
    monkeypatch.setattr("domain.history.export_jobs.SLICE_ROWS", 3)
    steps, environment = ExportActivities(engine), ActivityEnvironment()
    await environment.run(steps.begin_export, request)
    slices = 0
    while not await environment.run(steps.export_slice, request):
        slices += 1
        if slices == 4:
            with monkeypatch.context() as broken, pytest.raises(OSError, match="gone"):
                broken.setattr("activities.transfers.export.append_slice", _dies)
                await environment.run(steps.export_slice, request)
    assert slices >= HOURS / 3 - 1
    # Steps that are run again do nothing.
    assert await environment.run(steps.export_slice, request) is True
    for _ in range(2):
        await environment.run(steps.finish_file, request)
    assert await environment.run(steps.end_export, ExportEnd(request, JobState.COMPLETED)) is JobState.COMPLETED
    async with engine.connect() as connection:
        record = await read_export(connection, request.export_id)
    assert record.rows_done == HOURS
    with pytest.raises(ContinuedElsewhereError):
        async with engine.begin() as connection:
            await connection.execute(update(exports).values(finished_at=None, state="RUNNING", size_bytes=1))
            await lock_slice(connection, record)


async def _dies(*_: object, **__: object) -> None:
    raise OSError("the connection is gone")


async def test_more_rows_than_a_job_may_make(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await measured(api, engine)
    request = await stored_export(engine)
    monkeypatch.setattr("activities.transfers.export.MOST_ROWS_OF_JOB", 5)
    steps, environment = ExportActivities(engine), ActivityEnvironment()
    with pytest.raises(Problem, match="more than 5 rows"):
        while not await environment.run(steps.export_slice, request):
            pass
    await environment.run(steps.end_export, ExportEnd(request, JobState.FAILED, "too many"))
    assert await parts(engine) == 0


async def test_an_export_is_cancelled_and_nothing_of_it_is_kept(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await measured(api, engine)
    made = await begin(api, window())
    path = f"{ROUTE}/{made['export_id']}"
    assert problem(await api.get(f"{path}/file")) == (409, "EXPORT_NOT_READY")
    assert (await api.post(f"{path}/pause")).status_code == 202
    async with working(client, engine, task_queue):
        await reached(api, made["export_id"], "PAUSED")
        assert (await api.post(f"{path}/cancel")).status_code == 202
        done = await reached(api, made["export_id"], "CANCELLED")
    assert (done["expires_at"], await parts(engine)) == (None, 0)
    assert problem(await api.post(f"{path}/resume")) == (409, "EXPORT_NOT_RUNNING")
    assert problem(await api.get(f"{path}/file")) == (409, "EXPORT_NOT_READY")


@pytest.mark.parametrize(
    ("control", "before", "ends"),
    [("pause", "cancel", "CANCELLED"), ("resume", "cancel", "CANCELLED"), ("cancel", "resume", "COMPLETED")],
)
async def test_what_comes_too_late_for_a_job_is_refused(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch,
    control: str, before: str, ends: str,
) -> None:  # fmt: skip
    await measured(api, engine)
    made = await begin(api, window())
    path = f"{ROUTE}/{made['export_id']}"
    assert (await api.post(f"{path}/pause")).status_code == 202
    async with working(client, engine, task_queue):
        await reached(api, made["export_id"], "PAUSED")

        async def overtaken(handle: WorkflowHandle[Any, Any], _: str) -> bool:
            # It is sent to a job that runs, which somebody else's signal ends first.
            await handle.signal(before)
            await reached(api, made["export_id"], ends)
            return True

        with monkeypatch.context() as patched:
            patched.setattr("api.base.jobs.service.send_signal", overtaken)
            assert problem(await api.post(f"{path}/{control}")) == (409, "EXPORT_NOT_RUNNING")
    requested = select(func.count()).where(changes.c.action == f"EXPORT_{control}_REQUESTED".upper())
    async with engine.connect() as connection:
        # The pause that was in time is.
        assert (await connection.execute(requested)).scalar_one() == (1 if control == "pause" else 0)


async def test_a_file_expires_and_is_removed(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    await measured(api, engine)
    async with working(client, engine, task_queue):
        kept, deleted = [(await begin(api, window()))["export_id"] for _ in range(2)]
        for each in (kept, deleted):
            await reached(api, each, "COMPLETED")
    assert (await api.delete(f"{ROUTE}/{deleted}")).status_code == 204
    assert problem(await api.delete(f"{ROUTE}/{deleted}")) == (409, "EXPORT_NOT_READY")
    assert (await api.get(f"{ROUTE}/{kept}/file")).status_code == 200
    async with engine.begin() as connection:
        await forget_files(connection)
    assert await parts(engine) > 0
    async with engine.begin() as connection:
        await connection.execute(update(exports).values(expires_at=func.now()))
    assert problem(await api.get(f"{ROUTE}/{kept}/file")) == (409, "EXPORT_NOT_READY")
    for _ in range(2):
        async with engine.begin() as connection:
            await forget_files(connection)
    assert await parts(engine) == 0
    found = (await api.get(f"{ROUTE}/{kept}")).json()
    assert (found["state"], found["rows_done"], found["expires_at"]) == ("COMPLETED", HOURS, None)


async def test_a_file_that_is_removed_while_it_is_downloaded_is_no_error(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=SecretStr(database_url))
    with logging_as("json", monkeypatch) as log:
        async with serving(settings) as url, http_client(url) as caller:
            configure_logs("json")
            request = await stored_export(engine)
            # As many parts as are there when the second one is asked for.
            async with engine.begin() as connection:
                await connection.execute(
                    insert(export_parts).values(export_id=request.export_id, starts_at=0, content=b"x" * 10)
                )
                await connection.execute(
                    update(exports).values(
                        requested_by=LOCAL_PRINCIPAL.actor.name, state=JobState.COMPLETED, size_bytes=20,
                        finished_at=func.now(), expires_at=func.now() + timedelta(days=1),
                    )
                )  # fmt: skip
            received = b""
            with pytest.raises(httpx.RemoteProtocolError):
                async with caller.stream("GET", f"{ROUTE}/{request.export_id}/file") as answer:
                    assert (answer.status_code, answer.headers["content-length"]) == (200, "20")
                    async for piece in answer.aiter_raw():
                        received += piece
            assert received == b"x" * 10
    assert log.only("answer ended early")["level"] == "info"
    assert [each for each in log.records if each["level"] != "info"] == []


async def test_only_who_asked_and_may_still_see_all_of_it_gets_the_file(
    engine: AsyncEngine, database_url: str, client: Client, api: httpx.AsyncClient
) -> None:
    here, there = [(await measured(api, engine)).depot_id for _ in range(2)]
    # The same person, before and after a change of roles.
    people = {"ann": person(Grant(Role.VIEWER, here)), "moved": person(Grant(Role.VIEWER, there))}
    async with asked_as(database_url, people) as caller:
        hidden = await caller.post(ROUTE, json=window(depot_id=str(there)), headers={WHO: "ann"})
        assert problem(hidden) == (404, "DEPOT_NOT_FOUND")
        made = await caller.post(ROUTE, json=window(), headers={WHO: "ann"})
        assert made.status_code == 202, made.text
        export_id = UUID(made.json()["export_id"])
        async with engine.connect() as connection:
            request = (await read_export(connection, export_id)).request
        await made_by_hand(engine, request)
        path = f"{ROUTE}/{export_id}"
        file = await caller.get(f"{path}/file", headers={WHO: "ann"})
        assert {row["depot_id"] for row in rows_of(file.text)} == {str(here)}
        (listed,) = (await caller.get(ROUTE, headers={WHO: "ann"})).json()["items"]
        assert listed["rows_done"] == HOURS
        assert problem(await caller.get(f"{path}/file", headers={WHO: "moved"})) == (403, "NOT_PERMITTED")


async def made_by_hand(engine: AsyncEngine, request: ExportRequest) -> None:
    """Execute the steps of an export without its workflow."""
    steps, environment = ExportActivities(engine), ActivityEnvironment()
    while not await environment.run(steps.export_slice, request):
        pass
    await environment.run(steps.finish_file, request)
    await environment.run(steps.end_export, ExportEnd(request, JobState.COMPLETED))


async def test_somebody_elses_export_does_not_exist(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    request = await stored_export(engine)
    path = f"{ROUTE}/{request.export_id}"
    for each in (path, f"{path}/file"):
        assert problem(await api.get(each)) == (404, "EXPORT_NOT_FOUND")
    assert problem(await api.delete(path)) == (404, "EXPORT_NOT_FOUND")
    assert problem(await api.post(f"{path}/cancel")) == (404, "EXPORT_NOT_FOUND")
    assert (await api.get(ROUTE)).json() == {"items": [], "next_cursor": None}


async def test_what_cannot_be_asked_for(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    wrong = window() | {"since": NOW.isoformat(), "until": NOW.isoformat()}
    assert problem(await api.post(ROUTE, json=wrong)) == (422, "INVALID_REQUEST")
    assert problem(await api.post(ROUTE, json=window(kind="secrets"))) == (422, "INVALID_REQUEST")
    endless = window(measurands=["SOC"] * 1_000)
    assert problem(await api.post(ROUTE, json=endless)) == (422, "INVALID_REQUEST")
    assert problem(await api.post(ROUTE, json=window(depot_id=str(uuid4())))) == (404, "DEPOT_NOT_FOUND")
    assert problem(await api.post(ROUTE, json=window(device_ids=[str(uuid4())]))) == (404, "DEVICE_NOT_FOUND")


async def test_as_many_exports_as_one_may_have_and_one_under_a_key(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.history.jobs.export_jobs.MAX_KEPT", 1)
    key = {"Idempotency-Key": str(uuid4())}
    first = await begin(api, window(), **key)
    assert await begin(api, window(), **key) == first
    assert problem(await api.post(ROUTE, json=window())) == (429, "TOO_MANY_EXPORTS")
    assert len((await api.get(ROUTE)).json()["items"]) == 1


async def test_where_temporal_is_down_nothing_is_kept(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    app = create_app(Settings(database_url=SecretStr(database_url)))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as caller,
    ):
        assert problem(await caller.post(ROUTE, json=window(), timeout=60)) == (503, "TEMPORAL_UNAVAILABLE")
    async with engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(exports))).scalar_one() == 0


async def test_a_start_that_came_to_nothing_leaves_nothing(engine: AsyncEngine) -> None:
    request = ExportRequest(uuid4(), ExportKind.READINGS, ExportFormat.CSV, ACTOR.name)
    with pytest.raises(Problem, match="no export"):
        await ActivityEnvironment().run(ExportActivities(engine).begin_export, request)
    async with engine.connect() as connection:
        with pytest.raises(Problem):
            await read_export(connection, request.export_id)


async def test_an_export_whose_workflow_was_terminated_ends_where_it_is_read(
    engine: AsyncEngine, client: Client, api: httpx.AsyncClient
) -> None:
    made = await begin(api, window())
    await client.get_workflow_handle(EXPORT.workflow_id(UUID(made["export_id"]))).terminate()
    ended = await reached(api, made["export_id"], "FAILED")
    assert ended["failure"] == "Its workflow was terminated."
