"""Acts that change nothing are in the journal, and nobody fills it with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.base.access import note_principal
from api.base.kept.acts import MOST, ActLog
from domain.access.principals import Grant, Principal
from domain.access.roles import Role
from runtime.settings import Settings
from store.base.origin import Origin, coming_from
from tests.access.sites import WHO, asked_as, depot_with_everything, person
from tests.factories.scenario_sites import make_depots, run_scenario
from tests.helpers.live import serving, working
from tests.helpers.openid import Surfer, signing_in
from tests.helpers.support import make_depot

READ = text("SELECT actor, action, depot_id, subject_id, detail, client FROM changes ORDER BY id")
ADA = "Ada Administrator <administrator@depot.example>"


async def entries(engine: AsyncEngine, *kinds: str) -> list[Any]:
    async with engine.connect() as connection:
        return [each for each in await connection.execute(READ) if each.action in kinds]


def asking(principal: Principal | None) -> dict[str, Any]:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    if principal is not None:
        note_principal(scope, principal)
    return scope


@pytest.mark.usefixtures("client")
async def test_refusals_are_one_entry_with_their_number(engine: AsyncEngine, database_url: str) -> None:
    depot_id = await make_depot(engine, "Feed")
    async with asked_as(database_url, {"ann": person(Grant(Role.VIEWER, depot_id))}) as caller:
        for _ in range(5):
            answer = await caller.post(f"/api/depots/{depot_id}/circuits", json={"name": "X"}, headers={WHO: "ann"})
            assert answer.json()["code"] == "NOT_PERMITTED"
        assert (await caller.get(f"/api/grants/{UUID(int=1)}", headers={WHO: "ann"})).status_code == 403
        # What does not exist for them was not refused, and what was permitted is no act of this kind.
        assert (await caller.get(f"/api/depots/{UUID(int=1)}", headers={WHO: "ann"})).status_code == 404
        assert (await caller.get("/api/depots", headers={WHO: "ann"})).status_code == 200
        assert await entries(engine, "PERMISSION_REFUSED") == []
    at_depot, elsewhere = await entries(engine, "PERMISSION_REFUSED")
    assert (at_depot.actor, at_depot.depot_id, at_depot.client) == ("ann@example.org", depot_id, "127.0.0.1")
    assert at_depot.detail["route"] == "POST /api/depots/{depot_id}/circuits"
    assert (at_depot.detail["times"], elsewhere.detail["times"], elsewhere.depot_id) == (5, 1, None)
    assert at_depot.detail["first"] <= at_depot.detail["last"]


@pytest.mark.usefixtures("client")
async def test_what_leaves_the_product_is_in_the_journal(engine: AsyncEngine, database_url: str) -> None:
    site = await depot_with_everything(engine, "North")
    async with asked_as(database_url, {"ann": person(Grant(Role.VIEWER))}) as caller:
        for run in ("run_id", "run_id", "other_id"):
            answer = await caller.get(f"/api/scenario-runs/{site[run]}/evidence", headers={WHO: "ann"})
            assert answer.status_code == 200, answer.text
    found = await entries(engine, "SCENARIO_RUN_EXPORTED")
    assert {(each.subject_id, each.detail["times"]) for each in found} == {(site["run_id"], 2), (site["other_id"], 1)}
    assert {each.depot_id for each in found} == {site["depot_id"]}
    assert {each.detail["route"] for each in found} == {"GET /api/scenario-runs/{run_id}/evidence"}


async def test_a_report_that_leaves_the_product_is_in_the_journal(
    engine: AsyncEngine, database_url: str, client: Client, task_queue: str
) -> None:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    reports = ("report.html", "report.xml")
    async with serving(settings) as address, working(client, engine, task_queue, api_url=address):
        (depot_id,) = await make_depots(address, 1)
        async with httpx.AsyncClient(base_url=address, timeout=60) as caller:
            run, _ = await run_scenario(caller, depot_id, "quick-look")
            for report in (*reports, *reports):
                answer = await caller.get(f"/api/scenario-runs/{run['run_id']}/{report}")
                assert answer.status_code == 200, answer.text
            missing = await caller.get(f"/api/scenario-runs/{UUID(int=1)}/report.xml")
            assert missing.status_code == 404
    found = {each.detail["route"]: each for each in await entries(engine, "SCENARIO_RUN_EXPORTED")}
    for report in reports:
        entry = found[f"GET /api/scenario-runs/{{run_id}}/{report}"]
        assert (str(entry.depot_id), str(entry.subject_id), entry.detail["times"]) == (depot_id, run["run_id"], 2)


async def test_nobody_fills_the_journal(engine: AsyncEngine) -> None:
    log = ActLog(engine)
    for n in range(3 * MOST):
        with coming_from(Origin(f"r-{n}", f"2001:db8:0:{n:x}::1")):
            log.note(asking(None), "BEARER_REFUSED")
        with coming_from(Origin(f"r-{n}", f"2001:db8:1:1::{n:x}")):
            log.note(asking(None), "BEARER_REFUSED")
            log.note(asking(person(subject=f"https://id.example#{n}")), "PERMISSION_REFUSED")
    await log.flush()
    for kind, least in (("BEARER_REFUSED", MOST), ("PERMISSION_REFUSED", MOST)):
        found = await entries(engine, kind)
        assert least <= len(found) <= MOST + 1
        assert sum(each.detail["times"] for each in found) == (6 if kind == "BEARER_REFUSED" else 3) * MOST
        (rest,) = (each for each in found if each.actor == "others")
        assert (rest.client, rest.subject_id) == (None, None)
    # One network is one caller, however many addresses it has.
    assert max(each.detail["times"] for each in await entries(engine, "BEARER_REFUSED") if each.client) == 3 * MOST


async def test_what_cannot_be_written_is_written_later(engine: AsyncEngine) -> None:
    log = ActLog(engine)
    log.note(asking(person()), "PERMISSION_REFUSED")
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE changes RENAME TO away"))
    await log.flush()
    log.note(asking(person()), "PERMISSION_REFUSED")
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO changes"))
    await log.flush()
    await log.flush()
    (found,) = await entries(engine, "PERMISSION_REFUSED")
    assert found.detail["times"] == 2


async def test_signing_in_and_out_and_being_refused(engine: AsyncEngine, database_url: str, tmp_path: Path) -> None:
    async with signing_in(database_url, tmp_path) as (url, provider), Surfer() as somebody, Surfer() as stranger:
        await somebody.sign_in(f"{url}/", "administrator")
        await somebody.change("POST", f"{url}/sign-out")
        await somebody.sign_in(f"{url}/", "administrator")
        await somebody.sign_out_at_provider(f"{provider.issuer}/session/end")
        for _ in range(3):
            secret = "Bearer mgt_a-secret-that-is-none"
            answer = await stranger.send("GET", f"{url}/api/depots", headers={"authorization": secret})
            assert answer.status_code == 401
            assert (await stranger.send("GET", f"{url}/sign-in/callback?state=a-secret&code=x")).status_code == 400
    acts = await entries(engine, "SIGNED_IN", "SIGNED_OUT")
    assert [(each.action, each.actor) for each in acts] == [
        ("SIGNED_IN", ADA), ("SIGNED_OUT", ADA), ("SIGNED_IN", ADA), ("SIGNED_OUT", ADA),
    ]  # fmt: skip
    assert [each.detail for each in acts] == [{}, {}, {}, {"where": "provider"}]
    assert {each.client for each in acts} == {"127.0.0.1"}
    refused = await entries(engine, "BEARER_REFUSED", "SIGN_IN_REFUSED")
    assert {(each.action, each.actor, each.detail["times"]) for each in refused} == {
        ("BEARER_REFUSED", "unknown", 3), ("SIGN_IN_REFUSED", "unknown", 3),
    }  # fmt: skip
    assert not any("secret" in str(each.detail) for each in refused)
