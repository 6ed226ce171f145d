"""A request's id: in its answer and its refusal, in the journal, and on the lines of the sync that it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from domain.provisioning.outcomes import SyncRequest
from relay import NAMED_REQUESTS
from store.provisioning.outbox import claim
from store.provisioning.tables import outbox
from tests.helpers.live import working
from tests.helpers.logs import Log, logging_as
from tests.helpers.support import add_circuit, make_depot, refuse_microgrid, synced, until
from workflows.microgrid_sync import MicrogridSyncWorkflow


@pytest.fixture
def json_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    with logging_as("json", monkeypatch) as found:
        yield found


async def add(api: httpx.AsyncClient, depot_id: UUID, name: str, request_id: str) -> None:
    headers = {"X-Request-ID": request_id}
    made = await api.post(f"/api/depots/{depot_id}/circuits", json={"name": name}, headers=headers)
    assert made.status_code == 201, made.text


async def forget_all(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(delete(outbox))


async def test_a_change_is_followed_by_its_id_into_the_sync_and_the_journal(
    json_log: Log, engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    depot_id = await make_depot(engine, "A")
    await forget_all(engine)
    await add(api, depot_id, "B", "click-1")
    async with working(client, engine, task_queue):
        await synced(engine, depot_id)

        async def told() -> bool:
            return any(each["event"].startswith("workflow completed") for each in json_log.records)

        await until(told)
    lines = [each for each in json_log.records if each.get("request_id") == "click-1"]
    assert [each["event"].split(" after ")[0] for each in lines] == ["sync requested", "synced", "workflow completed"]
    assert {each["depot_id"] for each in lines} == {str(depot_id)}
    assert lines[1]["outcome"] == "CREATED"
    journal = (await api.get("/api/journal", params={"depot_id": str(depot_id)})).json()["items"]
    by_kind = {each["kind"]: each["request_id"] for each in journal}
    assert by_kind["CIRCUIT_CREATED"] == by_kind["MICROGRID_CREATED"] == "click-1"


async def test_a_burst_is_one_sync_whose_request_names_them_all(
    json_log: Log, engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    depot_id = await make_depot(engine)
    await forget_all(engine)
    asked = [f"click-{number}" for number in range(NAMED_REQUESTS + 2)]
    for each in asked:
        await add(api, depot_id, each, each)
    await add_circuit(engine, depot_id, "by no request")
    async with working(client, engine, task_queue):
        await synced(engine, depot_id)
    requested = json_log.only("sync requested")
    assert requested["request_ids"] == asked[-NAMED_REQUESTS:]
    assert requested["request_id"] == json_log.only("synced")["request_id"] == asked[-1]


async def test_what_was_merged_is_as_old_as_its_first_change(engine: AsyncEngine) -> None:
    depot_id = await make_depot(engine, "A")
    await add_circuit(engine, depot_id, "B")
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    async with engine.begin() as connection:
        first = "UPDATE outbox SET created_at = :at WHERE id = (SELECT min(id) FROM outbox)"
        await connection.execute(text(first), {"at": long_ago})
    async with claim(engine, 10) as (_, waiting):
        assert [(each.depot_id, each.changed_at, each.request_ids) for each in waiting] == [(depot_id, long_ago, ())]


def test_a_pass_takes_up_the_age_of_what_waits_and_leaves_none_behind() -> None:
    depot_id, first, later = uuid4(), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    sync = MicrogridSyncWorkflow(SyncRequest(depot_id, "ann", "CIRCUITS_CHANGED", "r-1", first))
    sync.circuits_changed(SyncRequest(depot_id, "bob", "CIRCUITS_CHANGED", "r-2", later))
    sync.circuits_changed(SyncRequest(depot_id, "cy", "RESYNC", "r-3"))
    taken = sync.take_request()
    assert taken == SyncRequest(depot_id, "cy", "RESYNC", "r-3", first)
    assert sync.take_request().changed_at is None
    sync.circuits_changed(SyncRequest(depot_id, "bob", "CIRCUITS_CHANGED", "r-4", later))
    assert sync.take_request().changed_at == later


async def test_a_sync_that_fails_for_good_says_whose_request_it_was(
    json_log: Log, engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient
) -> None:
    depot_id = await make_depot(engine, "A")
    await forget_all(engine)
    await refuse_microgrid(engine, depot_id)
    await add(api, depot_id, "B", "click-9")
    async with working(client, engine, task_queue):

        async def failed() -> bool:
            return any(each["event"].startswith("workflow failed") for each in json_log.records)

        await until(failed)
    lines = {each["event"].split(":")[0]: each for each in json_log.records if each.get("request_id") == "click-9"}
    assert {"step cannot succeed", "workflow failed"} <= set(lines)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", f"/api/depots/{UUID(int=1)}", 404), ("POST", "/api/depots", 422)]
)
async def test_a_refusal_names_its_request(api: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await api.request(method, path, json={}, headers={"X-Request-ID": "mine-1"})
    assert (answer.status_code, answer.json()["request_id"]) == (status, "mine-1")
    other = await api.request(method, path, json={}, headers={"X-Request-ID": "<b>odd</b>"})
    assert other.json()["request_id"] == other.headers["X-Request-ID"] != "<b>odd</b>"


async def test_a_page_that_failed_names_its_request(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("api.ui.site.depots.count_fleet", broken)
    headers = {"Accept": "text/html", "X-Request-ID": "page-1"}
    page = await api.get("/depots", headers=headers)
    assert page.status_code == 500
    assert "Request <code>page-1</code>" in page.text
    notice = await api.get("/depots", headers={**headers, "HX-Request": "true"})
    assert "Request <code>page-1</code>" in notice.text
    missing = await api.get("/nowhere", headers=headers)
    assert (missing.status_code, "page-1" in missing.text) == (404, False)
