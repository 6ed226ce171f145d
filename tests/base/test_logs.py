"""Log lines: one for each record, small, without secrets, with the ids that say what they are about."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from uuid import uuid4

import httpx
import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.microgrid_sync import MicrogridSyncActivities
from cli.place import ROOT
from domain.monitoring.upkeep import HistoryRequest
from domain.provisioning.outcomes import SyncRequest
from relay import RPC_TIMEOUT
from runtime.log_lines import MAX_LINE, MAX_TRACEBACK, MAX_VALUE
from runtime.settings import Settings
from store.base.database import make_engine
from tests.helpers.live import http_client, serving, working
from tests.helpers.logs import Log, logging_as
from tests.helpers.support import make_depot, until
from workflows.history_upkeep import HistoryUpkeepWorkflow
from workflows.launch import signal_sync

FORMATS = ("console", "json")
PASSWORD = "hunter2-s3cret"
LONGEST = 2 * MAX_LINE
"""Characters of a line: its values, their names, and what JSON adds."""


@pytest.fixture(params=FORMATS)
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    with logging_as(request.param, monkeypatch) as found:
        yield found


@pytest.fixture
def json_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    with logging_as("json", monkeypatch) as found:
        yield found


def fail(password: str = PASSWORD, size: int = 1) -> NoReturn:
    """Fail with local variables that are secret, and large."""
    held = [password] * size
    raise ValueError(f"{len(held)} kept")


def deep(levels: int) -> NoReturn:
    if levels:
        deep(levels - 1)
    fail()


def in_turn(first: int, second: int) -> NoReturn:
    if first:
        in_turn(second, first - 1)
    fail()


def chained(errors: int) -> NoReturn:
    found: Exception = ValueError("the first")
    for number in range(errors):
        after = RuntimeError(f"error {number}")
        after.__cause__ = found
        found = after
    raise found


def in_a_circle() -> NoReturn:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    raise one


def in_a_group() -> NoReturn:
    raise ExceptionGroup("many", [ValueError(f"{number}" * 1000) for number in range(5000)])


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot be said")


def unspeakable() -> NoReturn:
    raise Unspeakable


ERRORS: dict[str, Callable[[], NoReturn]] = {
    "large local variables": lambda: fail(size=100_000),
    "a deep recursion": lambda: deep(800),
    "a recursion of two": lambda: in_turn(400, 400),
    "a long message": lambda: (_ for _ in ()).throw(ValueError("x" * 5_000_000)),
    "a message of many lines": lambda: (_ for _ in ()).throw(ValueError("one\ntwo\r\nthree\x1b[2J\u2028four")),
    "a long chain": lambda: chained(5000),
    "a circle": in_a_circle,
    "a large group": in_a_group,
    "an error without words": unspeakable,
}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_one_small_line_with_a_plain_traceback(log: Log, kind: str) -> None:
    try:
        ERRORS[kind]()
    except Exception as error:
        structlog.get_logger("test").error("it failed", exc_info=error, depot_id="d1")
        logging.getLogger("foreign").exception("it failed")
    assert len(log.lines) == 2
    for line in log.lines:
        assert len(line) < LONGEST
        assert "Traceback (most recent call last):" in line
        assert "test_logs.py" in line
        assert PASSWORD not in line
        assert "\x1b" not in line
    assert "depot_id" in log.lines[0]


def test_a_traceback_ends_where_the_error_was_raised(json_log: Log) -> None:
    try:
        deep(800)
    except ValueError as error:
        structlog.get_logger("test").error("it failed", exc_info=error)
    traceback = json_log.only("it failed")["traceback"]
    assert traceback.endswith("ValueError: 1 kept")
    assert "in fail" in traceback
    assert len(traceback) <= MAX_TRACEBACK + 10


def test_causes_are_shown_in_the_order_in_which_they_came(json_log: Log) -> None:
    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError("because of it") from error
    except RuntimeError:
        structlog.get_logger("test").exception("it failed")
    traceback = json_log.only("it failed")["traceback"]
    assert traceback.index("1 kept") < traceback.index("direct cause") < traceback.index("because of it")


VALUES: dict[str, Any] = {
    "text of many lines": "one\ntwo\rthree\x85four\u2028five",
    "long text": "x" * 1_000_000,
    "colours of a terminal": "\x1b[31mred\x1b[0m",
    "text that runs the other way": "abc\u202edcba",
    "half a character": "\ud800",
    "bytes": b"\x00\xff" * 1_000_000,
    "an integer of many digits": 10**100_000,
    "no number": float("nan"),
    "endless": float("inf"),
    "many items": list(range(1_000_000)),
    "many names": {f"name {number}": "v" * 100 for number in range(100_000)},
    "many levels": json.loads("[" * 500 + "]" * 500),
    "an object without words": Unspeakable(),
    "empty": "",
    "nothing": None,
}


@pytest.mark.parametrize("kind", VALUES)
def test_whatever_a_value_is_the_line_is_one_and_small(log: Log, kind: str) -> None:
    structlog.get_logger("test").info("said", value=VALUES[kind], other=1)
    structlog.get_logger("test").info("said", **{f"value{number}": VALUES[kind] for number in range(100)})
    structlog.get_logger("test").info(str(VALUES[kind]) if kind == "text of many lines" else "said")
    assert len(log.lines) == 3, log.lines
    assert all(len(line) < LONGEST for line in log.lines)
    assert not set("\x1b\u2028\u202e\x85") & set(log.stream.getvalue())
    assert "other" in log.lines[0]


def test_a_line_in_json_is_json(json_log: Log) -> None:
    for value in VALUES.values():
        structlog.get_logger("test").info("said", value=value)
    assert len(json_log.records) == len(VALUES)
    assert all(len(str(each["value"])) <= 2 * MAX_VALUE for each in json_log.records)


def test_a_circle_of_values_is_shown_in_part(log: Log) -> None:
    ring: list[Any] = []
    ring.append(ring)
    structlog.get_logger("test").info("said", ring=ring)
    assert len(log.lines) == 1


def test_passwords_in_addresses_are_not_shown(log: Log) -> None:
    address = f"postgresql://manage:{PASSWORD}@db.example/manage"
    structlog.get_logger("test").info(f"to {address}", address=address, many=[address], by={"name": address})
    structlog.get_logger("test").info(
        "to", address="x" * MAX_VALUE + address, query=f"postgresql:///m?password={PASSWORD}"
    )
    logging.getLogger("foreign").warning("to %s", address)
    try:
        raise ValueError(f"{address} does not answer")
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert len(log.lines) == 4
    assert PASSWORD not in log.stream.getvalue()
    assert "db.example/manage" in log.stream.getvalue()


def test_a_record_that_cannot_be_written_is_told_in_one_line(log: Log) -> None:
    logging.getLogger("foreign").warning("%d packets", "no number")
    assert len(log.lines) == 1
    assert "a line of foreign cannot be written: TypeError" in log.lines[0]


async def test_a_task_that_nobody_waits_for_is_one_line(log: Log) -> None:
    task = asyncio.create_task(asyncio.to_thread(fail))
    await asyncio.wait([task])
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": task.exception(), "future": task}
    )
    assert len(log.lines) == 1
    assert "ValueError: 1 kept" in log.lines[0]


def test_settings_show_no_password() -> None:
    address = f"postgresql://manage:{PASSWORD}@db.example/manage"
    settings = Settings(
        database_url=SecretStr(address),
        migration_database_url=SecretStr(address),
        mqtt_url=SecretStr(f"mqtts://manage:{PASSWORD}@broker.example"),
    )
    shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()} {vars(settings)}"
    assert PASSWORD not in shown
    assert "db.example" not in shown


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://u:{PASSWORD}:x@y:z@host/db",
        f"{PASSWORD}",
        f"postgresql://u@host:{PASSWORD}/db",
        f"://{PASSWORD}@",
    ],
)
def test_an_address_that_cannot_be_read_is_not_quoted(address: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL has the form") as refused:
        make_engine(address)
    assert PASSWORD not in f"{refused.value!r} {refused.value.__cause__!r}"
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("program", "name", "value", "log_format"),
    [
        ("worker", "MANAGE_API_PORT", PASSWORD, "json"),
        ("api", "MANAGE_ALLOWED_HOSTS", f'["{PASSWORD}', "console"),
        ("migrate", "MANAGE_FLAGS", f"{{{PASSWORD}", "json"),
        ("migrate", "MANAGE_LOG_FORMAT", PASSWORD, PASSWORD),
        ("worker", "DATABASE_URL", "", "console"),
        ("api", "DATABASE_URL", "", "console"),
        ("migrate", "DATABASE_URL", "", "json"),
    ],
)
def test_a_process_with_wrong_settings_says_which_in_one_line(
    program: str, name: str, value: str, log_format: str
) -> None:
    commands = {
        "worker": ["worker.py"],
        "api": ["-c", "from api.main import create_app; create_app()"],
        "migrate": ["-m", "cli.migrate"],
    }
    environment = os.environ | {"MANAGE_LOG_FORMAT": log_format, name: value, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, *commands[program]], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert name.removeprefix("MANAGE_").lower() in ended.stderr.lower()
    assert PASSWORD not in ended.stderr


def test_a_process_that_an_error_ends_says_so_in_one_line() -> None:
    program = "from runtime.logs import configure_logs\nconfigure_logs('json')\nraise ValueError('x')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert json.loads(line)["traceback"].endswith("ValueError: x")


@pytest.mark.parametrize("wanted", [True, False])
def test_a_line_a_request_is_written_unless_the_server_was_told_not_to(wanted: bool) -> None:
    program = (
        "import logging; from uvicorn import Config; from runtime.logs import configure_logs\n"
        f"Config('nowhere:app', access_log={wanted})\nconfigure_logs('json')\n"
        "access = logging.getLogger('uvicorn.access')\naccess.info('GET /')\nprint(access.hasHandlers())"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == f"{wanted}\n"
    assert [json.loads(line)["event"] for line in ended.stderr.splitlines()] == ["GET /"] * wanted


async def test_an_unexpected_error_of_a_request_is_one_line_with_its_ids(
    json_log: Log, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> NoReturn:
        fail(size=100_000)

    monkeypatch.setattr("api.site.depots.read_depot", broken)
    depot = uuid4()
    settings = Settings(database_url=SecretStr(database_url))
    async with serving(settings) as address, http_client(address) as caller:
        json_log.stream.truncate(0)
        json_log.stream.seek(0)
        answer = await caller.get(f"/api/depots/{depot}", headers={"X-Request-ID": "abc-1"})
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "abc-1"
    assert [each for each in json_log.records if each["level"] == "error"] == [json_log.only("unexpected error")]
    told = json_log.only("unexpected error")
    assert (told["request_id"], told["depot_id"], told["path"]) == ("abc-1", str(depot), f"/api/depots/{depot}")
    assert told["traceback"].endswith("ValueError: 100000 kept")
    assert all("event" in each and "timestamp" in each for each in json_log.records)


@pytest.mark.parametrize("given", [None, "", "a" * 65, "no spaces", "x\ty", "é"])
async def test_a_request_gets_an_id_where_it_brings_none_that_can_be_used(
    api: httpx.AsyncClient, given: str | None
) -> None:
    headers = [] if given is None else [(b"X-Request-ID", given.encode())]
    first, second = [await api.get("/healthz", headers=headers) for _ in range(2)]
    assert first.headers["X-Request-ID"] not in (given, second.headers["X-Request-ID"])
    assert len(first.headers["X-Request-ID"]) == 36


async def test_a_step_that_fails_is_one_line_a_try_with_its_ids(
    json_log: Log, engine: AsyncEngine, client: Client, task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> NoReturn:
        fail(size=100_000)

    monkeypatch.setattr("activities.microgrid_sync.reconcile_microgrid", broken)
    depot = await make_depot(engine, "Incomer")
    async with working(client, engine, task_queue):
        await signal_sync(client, task_queue, SyncRequest(depot, "tester", "to see it fail"), rpc_timeout=RPC_TIMEOUT)

        async def told() -> bool:
            return any("traceback" in each for each in json_log.records)

        await until(told)
    failed = next(each for each in json_log.records if "traceback" in each)
    assert failed["workflow_id"] == f"microgrid-sync/{depot}"
    assert failed["depot_id"] == str(depot)
    assert failed["workflow_type"] == "MicrogridSync"
    assert failed["activity_type"] == MicrogridSyncActivities.reconcile_depot.__name__
    assert failed["attempt"] >= 1
    assert failed["workflow_run_id"]
    assert failed["activity_id"]
    assert "ValueError: 100000 kept" in failed["traceback"]
    assert "{" not in failed["event"]
    assert all(len(line) < LONGEST for line in json_log.lines)


async def test_each_workflow_and_each_step_says_in_one_line_how_it_ended(
    json_log: Log, engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    depot = await make_depot(engine, "Incomer")
    async with working(client, engine, task_queue):
        await signal_sync(client, task_queue, SyncRequest(depot, "tester", "to see it end"), rpc_timeout=RPC_TIMEOUT)
        await client.get_workflow_handle(f"microgrid-sync/{depot}").result()
        upkeep = await client.start_workflow(
            HistoryUpkeepWorkflow.run, HistoryRequest(), id=f"history-upkeep-{depot}", task_queue=task_queue
        )
        await upkeep.result()
    ended = [each for each in json_log.records if each["event"].startswith("workflow completed after ")]
    # The relay may ask for another sync of its own.
    assert list(dict.fromkeys(each["workflow_type"] for each in ended)) == ["MicrogridSync", "HistoryUpkeep"]
    assert ended[0]["workflow_id"] == f"microgrid-sync/{depot}"
    # The sync's own step is a local one, of which its workflow's line says enough.
    step = json_log.only("step done")
    assert (step["workflow_type"], step["activity_type"]) == ("HistoryUpkeep", "keep_months")
    assert step["seconds"] >= 0
