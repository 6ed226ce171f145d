"""Components that are down are waited for; what cannot succeed is final, and shown where an operator looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities import microgrid_sync
from activities.manage_api import RefusedError, UnavailableError, UnclearError
from activities.steps import UNCLEAR_TRIES, Steps, in_words, worth_another_try
from domain.base.problems import Problem, ProblemCode
from domain.provisioning.outcomes import SyncRequest
from relay import RPC_TIMEOUT
from sim_scenarios.runs.run_plan import OtherScenarioError
from store.simulation.run_steps import StepTakenOverError
from tests.helpers.live import working
from tests.helpers.logs import logging_as
from tests.helpers.support import add_circuit, circuits_of, follows, make_depot, until
from workflows.launch import signal_sync, sync_workflow_id


def by_state(code: str) -> DBAPIError:
    """What SQLAlchemy raises where PostgreSQL answered with a SQLSTATE."""
    kind = asyncpg.PostgresError.get_message_class_for_sqlstate(code)
    return DBAPIError("SELECT", None, kind(f"failed with {code}"))


def by_driver(words: str) -> DBAPIError:
    """What SQLAlchemy raises where the driver refused by itself."""
    return DBAPIError("SELECT", None, asyncpg.InterfaceError(words))


AWAY: list[Exception] = [
    OSError("no route"),
    ConnectionResetError(),
    TimeoutError(),
    PoolTimeoutError("no connection"),
    UnavailableError("503"),
    StepTakenOverError(),
    *map(by_state, ("08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "57P01", "57P03", "58030", "XX000")),
    by_driver("connection is closed"),
    by_driver("cannot switch to state 12; another operation is in progress on this connection"),
    asyncpg.ConnectionDoesNotExistError("gone"),
    ApplicationError("Temporal knows by itself"),
    RPCError("tcp connect error", RPCStatusCode.UNAVAILABLE, b""),
    RPCError("too late", RPCStatusCode.DEADLINE_EXCEEDED, b""),
    RPCError("too much", RPCStatusCode.RESOURCE_EXHAUSTED, b""),
]
FINAL: list[Exception] = [
    TypeError("a bug"),
    ValueError("a bug"),
    KeyError("name"),
    AttributeError("a bug"),
    AssertionError(),
    ZeroDivisionError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    RefusedError("422"),
    OtherScenarioError("changed"),
    Problem(ProblemCode.DEPOT_NOT_FOUND, "gone"),
    *map(by_state, ("22003", "22021", "22P02", "22P05", "54000", "54011")),
]
UNCLEAR: list[Exception] = [
    RuntimeError("cannot schedule new futures after shutdown"),
    MemoryError(),
    UnclearError("500"),
    RPCError("no namespace", RPCStatusCode.NOT_FOUND, b""),
    by_driver("the number of query arguments cannot exceed 32767"),
    *map(by_state, ("23505", "23503", "42P01", "42501", "42703", "0A000", "P0001")),
]


def shown(error: Exception) -> str:
    return f"{type(error).__name__} {error}"[:60]


@pytest.mark.parametrize("error", AWAY, ids=shown)
def test_what_is_away_is_waited_for(error: Exception) -> None:
    assert all(worth_another_try(error, attempt) for attempt in (1, UNCLEAR_TRIES, 1_000_000))


@pytest.mark.parametrize("error", FINAL, ids=shown)
def test_what_cannot_succeed_is_tried_once(error: Exception) -> None:
    assert not worth_another_try(error, 1)


@pytest.mark.parametrize("error", UNCLEAR, ids=shown)
def test_what_may_be_either_gets_some_tries(error: Exception) -> None:
    assert [worth_another_try(error, attempt) for attempt in (1, UNCLEAR_TRIES - 1, UNCLEAR_TRIES)] == [
        True,
        True,
        False,
    ]


def test_the_words_are_one_short_line_without_what_was_to_be_stored() -> None:
    error = DBAPIError("INSERT INTO circuits VALUES ($1)", {"name": "secret"}, ValueError("one\ntwo"))
    assert in_words(error) == "ValueError: one"
    assert len(in_words(ValueError("x" * 1_000_000))) < 400
    assert in_words(Problem(ProblemCode.DEPOT_NOT_FOUND, "gone")) == "DEPOT_NOT_FOUND: gone"
    assert in_words(KeyError("name")) == "KeyError: 'name'"
    assert in_words(AssertionError()) == "AssertionError"


class _Fails(ActivityInboundInterceptor):
    """A step that fails with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def execute_activity(self, input: ExecuteActivityInput) -> NoReturn:  # noqa: A002 (the base's name)
        raise self._error


@pytest.mark.parametrize("error", [UnavailableError("The API at x does not answer (y)."), by_state("57P03")])
async def test_what_is_away_costs_one_line_each_try(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def step() -> None:
        given = ExecuteActivityInput(step, [], None, {})
        await Steps().intercept_activity(_Fails(error)).execute_activity(given)

    with logging_as("json", monkeypatch) as log:
        with pytest.raises(ApplicationError) as raised:
            await ActivityEnvironment().run(step)
        (line,) = log.records
    # Temporal's worker logs no failure of this category, and tries it again like any other.
    assert raised.value.category is ApplicationErrorCategory.BENIGN
    assert not raised.value.non_retryable
    assert (raised.value.type, raised.value.message) == (type(error).__name__, in_words(error))
    assert (line["event"], line["reason"]) == ("step waits for what is away", in_words(error))
    assert "traceback" not in line


async def test_an_error_of_temporals_own_stays_what_it_is() -> None:
    error = ApplicationError("later", type="Later")
    error.__cause__ = ConnectionRefusedError()

    async def step() -> None:
        given = ExecuteActivityInput(step, [], None, {})
        await Steps().intercept_activity(_Fails(error)).execute_activity(given)

    with pytest.raises(ApplicationError) as raised:
        await ActivityEnvironment().run(step)
    assert raised.value is error


def failing(error: Callable[[], Exception]) -> Callable[..., Any]:
    async def fail(*_: object, **__: object) -> NoReturn:
        raise error()

    return fail


def typed() -> Exception:
    return TypeError("unsupported operand")


def large() -> Exception:
    return ValueError("x" * 6_000_000)


def bad_data() -> Exception:
    return by_state("22003")


async def provisioning(api: httpx.AsyncClient, depot_id: UUID) -> dict[str, Any]:
    return (await api.get(f"/api/depots/{depot_id}")).json()["provisioning"]


@pytest.mark.parametrize("error", [typed, large, bad_data])
async def test_a_sync_that_cannot_succeed_ends_and_the_depot_says_so(
    engine: AsyncEngine,
    client: Client,
    task_queue: str,
    api: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    error: Callable[[], Exception],
) -> None:
    depot_id = await make_depot(engine, "A")
    async with working(client, engine, task_queue):
        await until(lambda: follows(engine, depot_id))
        monkeypatch.setattr("activities.microgrid_sync.reconcile_microgrid", failing(error))
        await signal_sync(client, task_queue, SyncRequest(depot_id, "tester", "TEST"), rpc_timeout=RPC_TIMEOUT)

        async def told() -> bool:
            return (await provisioning(api, depot_id))["code"] == "SYNC_FAILED"

        await until(told)
        handle = client.get_workflow_handle(sync_workflow_id(depot_id))

        async def ended() -> bool:
            return (await handle.describe()).status is WorkflowExecutionStatus.FAILED

        await until(ended)
        found = await provisioning(api, depot_id)
        assert found["state"] == "FAILED"
        assert found["message"]
        page = (await api.get(f"/depots/{depot_id}/microgrid", headers={"accept": "text/html"})).text
        assert "The last sync failed" in page
        listed = (await api.get("/depots?provisioning=FAILED", headers={"accept": "text/html"})).text
        assert "The last sync failed" in listed
        answer = await api.post(f"/api/depots/{depot_id}/microgrid/resync")
        assert (answer.status_code, answer.json()["code"]) == (500, "SYNC_FAILED")
        assert len(answer.json()["detail"]) < 500
        resynced = await api.post(f"/depots/{depot_id}/microgrid/resync", headers={"accept": "text/html"})
        assert "The sync failed" in resynced.text

        monkeypatch.undo()
        await add_circuit(engine, depot_id, "B")
        await until(lambda: follows(engine, depot_id))
        assert (await provisioning(api, depot_id)) == {"state": "PROVISIONED", "code": None, "message": None}
    async with engine.connect() as connection:
        noted = await connection.execute(text("SELECT detail FROM changes WHERE action = 'MICROGRID_SYNC_FAILED'"))
        assert all(len(detail["failure"]) < 400 for (detail,) in noted)


async def test_a_sync_that_failed_goes_on_with_what_came_meanwhile(
    engine: AsyncEngine, client: Client, task_queue: str, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = microgrid_sync.reconcile_microgrid
    tries = 0

    async def fail_first(*given: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            # The next change comes while this pass runs.
            await add_circuit(engine, depot_id, "B")
            await signal_sync(client, task_queue, SyncRequest(depot_id, "tester", "TEST"), rpc_timeout=RPC_TIMEOUT)
            raise TypeError("a bug")
        return await works(*given)

    monkeypatch.setattr("activities.microgrid_sync.reconcile_microgrid", fail_first)
    async with working(client, engine, task_queue):
        depot_id = await make_depot(engine, "A")
        await until(lambda: follows(engine, depot_id))
        assert len(await circuits_of(engine, depot_id)) == 2
        assert (await provisioning(api, depot_id))["state"] == "PROVISIONED"


@pytest.mark.parametrize("step", ["begin_backfill", "plan_pages", "run_page"])
async def test_a_backfill_that_cannot_succeed_ends_and_says_so(
    engine: AsyncEngine,
    client: Client,
    task_queue: str,
    api: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    await make_depot(engine, "A")
    monkeypatch.setattr(f"activities.backfill.{step}", failing(typed))
    async with working(client, engine, task_queue):
        made = (await api.post("/api/backfills", json={})).json()

        async def failed() -> bool:
            return (await api.get(f"/api/backfills/{made['backfill_id']}")).json()["state"] == "FAILED"

        await until(failed)
        found = (await api.get(f"/api/backfills/{made['backfill_id']}")).json()
        assert "unsupported operand" in found["failure"]
        page = await api.get(f"/backfills/{made['backfill_id']}", headers={"accept": "text/html"})
        assert "unsupported operand" in page.text
