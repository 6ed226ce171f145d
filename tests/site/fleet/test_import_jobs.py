"""Imports as jobs: uploaded, stored, paused, killed, reported on, on a real dev server and PostgreSQL."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment

from activities.transfers.fleet_import import ImportActivities
from api.main import create_app
from api.site.imports import import_jobs as routes
from domain.base.jobs import JobState
from domain.base.problems import Problem
from domain.site.imports import import_jobs as rules
from domain.site.imports.import_jobs import IMPORT, UNNAMED, ImportEnd, ImportRequest, file_label
from fleet.make_fleet import lines
from runtime.search_attributes import OUTCOME
from runtime.settings import Settings
from store.base.database import transaction
from store.base.jobs.rows import ContinuedElsewhereError
from store.site.fleet.fleet_import import fleet_import
from store.site.fleet.import_jobs import forget_reports, insert_file, insert_import, read_import
from store.site.fleet.import_ledger import ImportLedger
from store.site.tables import depots, import_parts, import_refusals, imports
from tests.factories.fleet_lines import depot, encode, gaps, post, state
from tests.factories.jobs.imports import ROUTE, begin, reached, read, told_to_stop
from tests.helpers.answers import problem
from tests.helpers.live import http_client, serving, working
from tests.helpers.support import ACTOR, until

VIEWER = {
    "name": "Looks",
    "grants": [{"role": "viewer"}],
    "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
}
FLEET = "".join(lines(60, seed=5, flaws=True)).encode()


async def kept(engine: AsyncEngine) -> tuple[int, int]:
    """Count the imports and the parts of files."""
    async with engine.connect() as connection:
        found = await connection.execute(select(func.count()).select_from(imports))
        parts = await connection.execute(select(func.count()).select_from(import_parts))
        return found.scalar_one(), parts.scalar_one()


async def stored_import(engine: AsyncEngine, body: bytes) -> ImportRequest:
    """Store an import and its file, and start nothing."""
    request = ImportRequest(uuid4(), "fleet.ndjson", len(body), "0" * 64, ACTOR.name)

    async def content() -> AsyncGenerator[bytes]:
        yield body

    async with transaction(engine, ACTOR) as connection:
        await insert_import(connection, request)
        await insert_file(connection, request.import_id, content())
    return request


@asynccontextmanager
async def held(engine: AsyncEngine) -> AsyncGenerator[None]:
    """Keep every new depot from being stored while the block runs."""
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE depots IN SHARE MODE"))
        yield


async def test_a_file_is_imported_as_by_the_other_route_and_reported_line_by_line(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    async with working(client, engine, task_queue):
        made = await begin(api, FLEET)
        done = await reached(api, made["import_id"], "COMPLETED")
    stored = await state(engine)
    assert done["landed"] == {kind: len(rows) for kind, rows in stored.items()}
    assert done["landed"]["depots"] > 50
    assert await gaps(engine) == 0
    # The other route, of the same file again, says the same of every refused line.
    expected = await post(api, FLEET)
    assert (done["lines"], done["refused_by_code"]) == (expected["lines"], expected["refused_by_code"])
    assert (done["unchanged"], expected["landed"]["depots"]) == (0, 0)
    assert done["lines"] == sum(done["landed"].values()) + done["refused"]
    assert (done["bytes_read"], done["size_bytes"]) == (len(FLEET), len(FLEET))
    report = await api.get(f"{ROUTE}/{made['import_id']}/report")
    assert [json.loads(line) for line in report.text.splitlines()] == expected["refusals"]
    assert report.headers["content-disposition"] == f'attachment; filename="import-{made["import_id"]}.ndjson"'
    table = await api.get(f"{ROUTE}/{made['import_id']}/report", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(int(row["line"]), row["code"]) for row in rows] == [
        (each["line"], each["code"]) for each in expected["refusals"]
    ]
    # The file is not kept, and the workflow says how it ended.
    assert await kept(engine) == (1, 0)
    described = await client.get_workflow_handle(IMPORT.workflow_id(UUID(made["import_id"]))).describe()
    assert described.status is WorkflowExecutionStatus.COMPLETED
    assert described.typed_search_attributes[OUTCOME] == "COMPLETED"


async def test_refusals_are_listed_in_parts_and_by_code(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    first = str(uuid4())
    body = encode(
        [
            depot(first),
            '{"type": "depot"',
            depot("no id"),
            depot(str(uuid4()), timezone="Mars/Base"),
            depot(first, name="Other"),
        ]
    )
    async with working(client, engine, task_queue):
        made = await begin(api, body)
        done = await reached(api, made["import_id"], "COMPLETED")
    assert done["refused_by_code"] == {"INVALID_ID": 1, "INVALID_TIMEZONE": 1, "NOT_JSON": 1, "REPEATED_ID": 1}
    assert done["reported"] == 4
    seen: list[tuple[int, str]] = []
    cursor: str | None = None
    while True:
        found = await api.get(
            f"{ROUTE}/{made['import_id']}/refusals", params={"limit": 3} | ({"cursor": cursor} if cursor else {})
        )
        seen += [(each["line"], each["code"]) for each in found.json()["items"]]
        cursor = found.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == [(2, "NOT_JSON"), (3, "INVALID_ID"), (4, "INVALID_TIMEZONE"), (5, "REPEATED_ID")]
    one = await api.get(f"{ROUTE}/{made['import_id']}/refusals", params={"code": "REPEATED_ID"})
    assert [each["reason"] for each in one.json()["items"]] == [
        "The id stands on line 1 already, and the first line of an id wins."
    ]
    assert problem(await api.get(f"{ROUTE}/{made['import_id']}/refusals", params={"cursor": "nonsense"})) == (
        422,
        "INVALID_CURSOR",
    )


@pytest.mark.parametrize(("body", "lines_read"), [(b"", 0), (b"\n\r\n \n", 0), (encode([depot(str(uuid4()))]), 1)])
async def test_no_line_and_one_line(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient, body: bytes, lines_read: int
) -> None:
    async with working(client, engine, task_queue):
        made = await begin(api, body)
        done = await reached(api, made["import_id"], "COMPLETED")
    assert (done["lines"], done["landed"]["depots"], done["unchanged"]) == (lines_read, lines_read, 0)
    assert (await api.get(f"{ROUTE}/{made['import_id']}/report")).text == ""


async def test_the_same_file_twice_and_both_at_once_store_everything_once(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    made = await asyncio.gather(begin(api, FLEET, "one.ndjson"), begin(api, FLEET, "two.ndjson"))
    async with working(client, engine, task_queue):
        done = [await reached(api, each["import_id"], "COMPLETED") for each in made]
        again = await reached(api, (await begin(api, FLEET))["import_id"], "COMPLETED")
    stored = await state(engine)
    for kind, rows in stored.items():
        assert sum(each["landed"][kind] for each in done) == len(rows)
    assert all(each["lines"] == sum(each["landed"].values()) + each["unchanged"] + each["refused"] for each in done)
    assert sum(again["landed"].values()) == 0
    assert again["unchanged"] == again["lines"] - again["refused"]
    listed = (await api.get(ROUTE, params={"limit": 2})).json()
    assert listed["items"][0]["import_id"] == again["import_id"]
    assert listed["next_cursor"] is not None


async def test_a_request_that_is_repeated_under_its_key_starts_one_import(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = await begin(api, FLEET, **key)
    assert await begin(api, FLEET, **key) == first
    other = await api.post(ROUTE, content=FLEET + b"\n", params={"file_name": "fleet.ndjson"}, headers=key)
    assert problem(other) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await kept(engine) == (1, 1)


async def test_half_an_upload_leaves_nothing(
    engine: AsyncEngine, database_url: str, temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    async with serving(Settings(database_url=SecretStr(database_url))) as address:
        _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        head = f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(FLEET) * 2}\r\n\r\n"
        writer.write(head.encode() + FLEET)
        await writer.drain()
        writer.transport.abort()
        async with http_client(address) as caller:
            # Whoever comes afterwards finds nothing of it.
            assert (await caller.get(ROUTE)).json() == {"items": [], "next_cursor": None}
            made = await begin(caller, FLEET)
            assert [each["import_id"] for each in (await caller.get(ROUTE)).json()["items"]] == [made["import_id"]]
    assert (await kept(engine))[0] == 1


async def test_a_file_beyond_the_bound_is_refused(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MAX_FILE_BYTES", len(FLEET) - 1)
    assert problem(await api.post(ROUTE, content=FLEET)) == (413, "BODY_TOO_LARGE")
    assert await kept(engine) == (0, 0)
    monkeypatch.setattr(routes, "MAX_FILE_BYTES", len(FLEET))
    await begin(api, FLEET)


async def test_as_many_imports_as_may_be_open(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.site.fleet.import_jobs.MAX_OPEN", 1)
    await begin(api, FLEET)
    assert problem(await api.post(ROUTE, content=FLEET)) == (429, "TOO_MANY_IMPORTS")
    assert await kept(engine) == (1, 1)


async def test_where_temporal_is_down_nothing_is_kept(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    app = create_app(Settings(database_url=SecretStr(database_url)))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as caller,
    ):
        assert problem(await caller.post(ROUTE, content=FLEET, timeout=60)) == (503, "TEMPORAL_UNAVAILABLE")
    assert await kept(engine) == (0, 0)


async def test_a_paused_import_goes_on_where_it_was(
    engine: AsyncEngine,
    client: Client,
    task_queue: str,
    api: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("activities.transfers.fleet_import.fleet_import", partial(fleet_import, batch_lines=40))
    async with working(client, engine, task_queue):
        async with held(engine):
            made = await begin(api, FLEET)
            path = f"{ROUTE}/{made['import_id']}"

            async def waits() -> bool:
                return (await read(api, made["import_id"]))["lines_to_store"] is not None

            await until(waits)
            assert (await api.post(f"{path}/pause")).status_code == 202
            await told_to_stop(client, IMPORT.workflow_id(UUID(made["import_id"])))
        paused = await reached(api, made["import_id"], "PAUSED")
        assert paused["lines_done"] < paused["lines_to_store"]
        assert (await kept(engine))[1] == 1
        assert (await api.post(f"{path}/resume")).status_code == 202
        done = await reached(api, made["import_id"], "COMPLETED")
    assert done["landed"] == {kind: len(rows) for kind, rows in (await state(engine)).items()}
    assert done["unchanged"] == 0
    expected = await post(api, FLEET)
    report = await api.get(f"{path}/report")
    assert [json.loads(line) for line in report.text.splitlines()] == expected["refusals"]
    assert problem(await api.post(f"{path}/pause")) == (409, "IMPORT_NOT_RUNNING")


async def test_a_cancelled_import_keeps_whole_depots_and_no_file(
    engine: AsyncEngine,
    client: Client,
    task_queue: str,
    api: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("activities.transfers.fleet_import.fleet_import", partial(fleet_import, batch_lines=40))
    async with working(client, engine, task_queue):
        async with held(engine):
            made = await begin(api, FLEET)

            async def waits() -> bool:
                return (await read(api, made["import_id"]))["lines_to_store"] is not None

            await until(waits)
            assert (await api.post(f"{ROUTE}/{made['import_id']}/cancel")).status_code == 202
            await told_to_stop(client, IMPORT.workflow_id(UUID(made["import_id"])))
        done = await reached(api, made["import_id"], "CANCELLED", "COMPLETED")
    assert done["state"] == "CANCELLED"
    assert done["landed"] == {kind: len(rows) for kind, rows in (await state(engine)).items()}
    assert done["unchanged"] is None
    assert await kept(engine) == (1, 0)
    # The same file again brings the rest.
    await post(api, FLEET)
    assert await gaps(engine) == 0


async def test_a_try_that_is_killed_is_gone_on_with_and_counts_every_line_once(
    engine: AsyncEngine, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await stored_import(engine, FLEET)
    monkeypatch.setattr("activities.transfers.fleet_import.fleet_import", partial(fleet_import, batch_lines=40))
    steps = ImportActivities(engine)
    await ActivityEnvironment().run(steps.begin_import, request)
    batches = 0
    original = ImportLedger.end_batch

    async def dies(self: ImportLedger, *given: object) -> None:
        nonlocal batches
        batches += 1
        if batches in (3, 5):
            raise OSError("the connection is gone")
        await original(self, *given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(ImportLedger, "end_batch", dies)
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            await ActivityEnvironment().run(steps.store_import, request)
    await ActivityEnvironment().run(steps.store_import, request)
    # A step that Temporal has run again although it was done does nothing.
    before = await state(engine)
    await ActivityEnvironment().run(steps.store_import, request)
    assert await ActivityEnvironment().run(steps.end_import, ImportEnd(request, JobState.COMPLETED)) == "COMPLETED"
    assert await state(engine) == before
    async with engine.connect() as connection:
        done = await read_import(connection, request.import_id)
    assert {f"{kind}s": count for kind, count in done.stored.items()} == {
        kind: len(rows) for kind, rows in before.items()
    }
    assert done.unchanged == 0
    expected = await post(api, FLEET)
    assert {str(code): count for code, count in done.refused.items()} == expected["refused_by_code"]
    report = await api.get(f"{ROUTE}/{request.import_id}/report")
    assert [json.loads(line) for line in report.text.splitlines()] == expected["refusals"]


async def test_of_two_tries_the_one_believed_dead_stores_nothing(engine: AsyncEngine) -> None:
    request = await stored_import(engine, FLEET)
    ledger = ImportLedger(request.import_id)
    async with engine.begin() as connection:
        await connection.execute(
            update(imports).where(imports.c.id == request.import_id).values(stored_upto=uuid4(), lines_to_store=1)
        )
        with pytest.raises(ContinuedElsewhereError):
            await ledger.begin_batch(connection, None)


async def test_nothing_is_stored_for_an_import_that_has_ended(engine: AsyncEngine) -> None:
    request = await stored_import(engine, FLEET)
    steps = ImportActivities(engine)
    ended = await ActivityEnvironment().run(steps.end_import, ImportEnd(request, JobState.FAILED, "no"))
    assert ended is JobState.FAILED
    with pytest.raises(Problem, match="has ended"):
        await ActivityEnvironment().run(steps.store_import, request)
    # The first end stands.
    await ActivityEnvironment().run(steps.end_import, ImportEnd(request, JobState.CANCELLED))
    async with engine.connect() as connection:
        assert (await read_import(connection, request.import_id)).state is JobState.FAILED
        assert (await connection.execute(select(func.count()).select_from(depots))).scalar_one() == 0


async def test_a_start_whose_commit_failed_ends_for_want_of_its_file(engine: AsyncEngine) -> None:
    request = ImportRequest(uuid4(), "fleet.ndjson", 10, "0" * 64, ACTOR.name)
    steps = ImportActivities(engine)
    await ActivityEnvironment().run(steps.begin_import, request)
    with pytest.raises(Problem, match="upload it again"):
        await ActivityEnvironment().run(steps.store_import, request)


async def test_completed_without_all_of_it_stored_is_failed(engine: AsyncEngine) -> None:
    request = await stored_import(engine, FLEET)
    ended = await ActivityEnvironment().run(ImportActivities(engine).end_import, ImportEnd(request, JobState.COMPLETED))
    assert ended is JobState.FAILED
    async with engine.connect() as connection:
        assert "earlier backup" in str((await read_import(connection, request.import_id)).failure)


async def test_an_import_whose_workflow_was_terminated_ends_where_it_is_read(
    engine: AsyncEngine, client: Client, api: httpx.AsyncClient
) -> None:
    made = await begin(api, FLEET)
    await client.get_workflow_handle(IMPORT.workflow_id(UUID(made["import_id"]))).terminate()
    ended = await reached(api, made["import_id"], "FAILED")
    assert ended["failure"] == "Its workflow was terminated."
    assert await kept(engine) == (1, 0)


async def test_who_may_only_look_cannot_import(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    token = (await api.post("/api/tokens", json=VIEWER)).json()["secret"]
    proof = {"Authorization": f"Bearer {token}"}
    made = await begin(api, FLEET)
    path = f"{ROUTE}/{made['import_id']}"
    assert (await api.get(path, headers=proof)).status_code == 200
    assert problem(await api.post(ROUTE, content=FLEET, headers=proof)) == (403, "NOT_PERMITTED")
    for word in ("pause", "resume", "cancel"):
        assert problem(await api.post(f"{path}/{word}", headers=proof)) == (403, "NOT_PERMITTED")
    form = await api.get("/imports", headers=proof | {"Accept": "text/html"})
    assert "<upload-form" not in form.text
    assert "End import" not in (await api.get(f"/imports/{made['import_id']}", headers=proof)).text
    assert "End import" in (await api.get(f"/imports/{made['import_id']}")).text
    assert await kept(engine) == (1, 1)


async def test_the_report_has_as_many_lines_as_it_may_and_all_are_counted(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.site.fleet.import_ledger.MAX_REPORTED", 3)
    request = await stored_import(engine, b"[]\n" * 10)
    await ActivityEnvironment().run(ImportActivities(engine).store_import, request)
    async with engine.connect() as connection:
        done = await read_import(connection, request.import_id)
        reported = await connection.execute(select(import_refusals.c.line).order_by(import_refusals.c.line))
        assert (done.refused, done.reported, reported.scalars().all()) == ({"NOT_AN_OBJECT": 10}, 3, [1, 2, 3])


async def test_reports_are_forgotten_after_a_while_and_counts_stay(engine: AsyncEngine) -> None:
    request = await stored_import(engine, b"[]\n" * 10)
    steps = ImportActivities(engine)
    await ActivityEnvironment().run(steps.store_import, request)
    await ActivityEnvironment().run(steps.end_import, ImportEnd(request, JobState.COMPLETED))
    for old, left in ((False, 10), (True, 0), (True, 0)):
        async with engine.begin() as connection:
            if old:
                ended = func.now() - rules.REPORT_KEPT * 2
                await connection.execute(update(imports).values(finished_at=ended))
            await forget_reports(connection)
            done = await read_import(connection, request.import_id)
            found = await connection.execute(select(func.count()).select_from(import_refusals))
            assert (found.scalar_one(), done.reported, done.refused) == (left, left, {"NOT_AN_OBJECT": 10})


async def test_a_file_of_several_parts_is_read_as_it_was(engine: AsyncEngine) -> None:
    body = b"".join(f'{{"n": {number}}}\n'.encode() for number in range(250_000))
    assert len(body) > 3 * 1_048_576
    request = await stored_import(engine, body)
    await ActivityEnvironment().run(ImportActivities(engine).store_import, request)
    async with engine.connect() as connection:
        done = await read_import(connection, request.import_id)
    assert (done.lines, done.refused, done.bytes_read) == (250_000, {"MISSING_FIELD": 250_000}, len(body))


async def test_an_import_that_nobody_knows(api: httpx.AsyncClient) -> None:
    for path in ("", "/refusals", "/report"):
        assert problem(await api.get(f"{ROUTE}/{uuid4()}{path}")) == (404, "IMPORT_NOT_FOUND")
    assert problem(await api.post(f"{ROUTE}/{uuid4()}/cancel")) == (404, "IMPORT_NOT_FOUND")


async def test_a_report_holds_no_formula(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    request = await stored_import(engine, b"[]\n")
    async with transaction(engine, ACTOR) as connection:
        await connection.execute(
            insert(import_refusals).values(
                import_id=request.import_id, line=7, code="UNKNOWN_FIELD", reason="=1+1", field="@here"
            )
        )
    table = await api.get(f"{ROUTE}/{request.import_id}/report", params={"format": "csv"})
    assert table.text.splitlines()[1] == "7,UNKNOWN_FIELD,'=1+1,'@here,,"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, UNNAMED),
        ("", UNNAMED),
        ("\u200b\u2060", UNNAMED),
        ("a\x07b", UNNAMED),
        ("C:\\fleet\\depots.ndjson", "depots.ndjson"),
        ("../../etc/passwd", "passwd"),
        ("<b>fleet</b>.ndjson", "b>.ndjson"),
        ("x" * 300, "x" * 200),
        ("Flotte Köln.ndjson", "Flotte Köln.ndjson"),
    ],
)
def test_what_a_file_is_called(given: str | None, shown: str) -> None:
    assert file_label(given) == shown
