"""The pieces of `./dev chaos` by themselves: what an answer means, what a report says, what is started again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import psutil
import pytest
from rich.console import Console

from cli.commands.services import Program
from cli.commands.up import ONE_OF_EACH, Processes
from cli.errors import CommandFailedError
from devtools.chaos.caller import Caller, Request, judge
from devtools.chaos.checker.request_log import Outcome, read_log
from devtools.chaos.probes import Ability
from devtools.chaos.read_watch import ReadsSeen, ReadWatch
from devtools.chaos.report import NO_FAULT, Recovery, Report
from devtools.chaos.request_writer import RequestWriter
from devtools.chaos.run import end_all, run_chaos
from devtools.chaos.stack import Part
from runtime.servers.processes import free_port
from tests.helpers.support import until

PROBLEM = "application/problem+json"


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code}, headers={"Content-Type": PROBLEM})


@pytest.mark.parametrize(
    ("response", "outcome", "code"),
    [
        (httpx.Response(201, json={"circuit_id": "x"}), Outcome.ACKNOWLEDGED, None),
        (httpx.Response(204, headers={"Content-Type": "application/json"}), Outcome.ACKNOWLEDGED, None),
        (problem(409, "VERSION_CONFLICT"), Outcome.REFUSED, "VERSION_CONFLICT"),
        # Nothing was stored, it says.
        (problem(503, "DATABASE_UNAVAILABLE"), Outcome.REFUSED, "DATABASE_UNAVAILABLE"),
        (problem(503, "OUTCOME_UNKNOWN"), Outcome.UNKNOWN, "OUTCOME_UNKNOWN"),
        (problem(500, "INTERNAL_ERROR"), Outcome.UNKNOWN, "INTERNAL_ERROR"),
        (httpx.Response(502, text="Bad gateway"), Outcome.UNKNOWN, "HTTP 502"),
        (httpx.Response(404, text="Not found"), Outcome.REFUSED, "HTTP 404"),
    ],
)
def test_an_answer_says_what_is_known(response: httpx.Response, outcome: Outcome, code: str | None) -> None:
    answer = judge(response)
    assert (answer.outcome, answer.code) == (outcome, code)


async def test_a_request_that_never_left_was_not_done(tmp_path: Path) -> None:
    with RequestWriter(tmp_path / "log") as writer:
        caller = Caller(f"http://127.0.0.1:{free_port()}", writer, timeout=5)
        request = Request("ADD_CIRCUIT", {"name": "A"}, "POST", "/api", {})
        for _ in range(2):
            assert (await caller.send(request)).outcome is Outcome.REFUSED
        await caller.aclose()
    (operation,) = read_log(tmp_path / "log").operations
    assert (operation.outcome, operation.count(Outcome.REFUSED)) == (Outcome.REFUSED, 2)
    assert writer.codes == {("ADD_CIRCUIT", "ConnectError"): 2}


def report(seconds: float | None, findings: dict[str, list[str]]) -> Report:
    works = dict.fromkeys(Ability, 0.5)
    reads = [ReadsSeen(1000, 3, 2.5), ReadsSeen(10, 0, 0.1)]
    recoveries = [
        Recovery("kill API", {**works, Ability.READS: seconds}, reads[0]),
        Recovery(NO_FAULT, works, reads[1]),
    ]
    requests = {"PACKET": {"ACKNOWLEDGED": 3, "REFUSED": 2, "UNKNOWN": 1}}
    return Report(1, 3, Processes(2, 1), 1.5, recoveries, requests, {}, ["API", "API"], 4, findings)


@pytest.mark.parametrize(
    ("seconds", "findings", "holds"),
    [(1.0, {"a rule": []}, True), (None, {"a rule": []}, False), (1.0, {"a rule": ["[bold] it is wrong"]}, False)],
)
def test_a_report_says_whether_everything_holds(
    tmp_path: Path, seconds: float | None, findings: dict[str, list[str]], holds: bool
) -> None:
    made = report(seconds, findings)
    assert made.holds is holds
    made.write(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["holds"] is holds
    written = (tmp_path / "report.md").read_text()
    # What is measured without a fault comes first.
    assert written.index(f"| {NO_FAULT} | 1 |") < written.index("| kill API | 1 |")
    assert "| 2.5 (2.5) | 3 of 1,003 |" in written
    assert "| PACKET | 3 | 2 | 1 |" in written
    assert "processes: 2 of the API and 1 of the worker" in written
    assert "were started again: API 2 times." in written
    console = Console(record=True, width=200)
    made.print(console)
    shown = console.export_text()
    assert all(each in shown for found in findings.values() for each in found)
    assert ("FAILED" in shown) is any(findings.values())


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandFailedError, match="is not empty"):
        run_chaos(1, 1, ONE_OF_EACH, tmp_path)


async def test_traffic_ends_even_where_a_cancellation_was_lost() -> None:
    lost: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.append("once")
        await asyncio.Event().wait()

    async def fail() -> None:
        raise ValueError("it was no cancellation")

    tasks = [asyncio.create_task(work()), asyncio.create_task(fail())]
    await asyncio.sleep(0)
    await end_all(tasks)
    assert lost == ["once"]
    assert tasks[0].cancelled()
    assert tasks[1].done()


async def test_a_part_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import signal; signal.pause()'])"
    part = Part(Program("part", ["-c", code], tmp_path / "log", {}))
    await part.start()

    async def has_started_another() -> bool:
        return len(psutil.Process(part.process.pid).children()) == 1

    await until(has_started_another)
    started = psutil.Process(part.process.pid).children()
    assert part.process.running
    assert not part.is_away
    assert await part.is_ready()
    part.pause()
    assert not await part.is_ready()
    part.go_on()
    assert await part.is_ready()
    await part.kill()
    assert part.is_away
    assert not await part.is_ready()
    assert part.process.exit_code == -9
    gone, _ = await asyncio.to_thread(psutil.wait_procs, started, 60)
    assert gone == started
    await part.start()
    assert part.process.running
    await part.stop()
    assert not part.process.running


async def test_reads_that_fail_are_counted_and_do_not_hold_up_the_next() -> None:
    """One that is never answered, one that is answered with an error, and then all are answered."""
    begun: list[int] = []
    goes_on = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        begun.append(len(begun))
        if begun[-1] == 0:
            await goes_on.wait()
        else:
            status = b"503 Service Unavailable" if len(begun) == 2 else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        watch = ReadWatch(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        watching = asyncio.create_task(watch.run())

        async def some_are_answered() -> bool:
            return len(begun) > 5

        await until(some_are_answered)
        first = watch.take()
        assert first.failed == 1
        assert first.answered > 0
        assert first.longest > 0
        goes_on.set()

        async def the_rest_is_told() -> bool:
            return watch.take().failed == 1

        await until(the_rest_is_told)
        await end_all([watching])
