"""The command line by itself: the overview, and what a command says when it cannot work."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from xml.etree.ElementTree import fromstring

import httpx
import psutil
import pytest
from pydantic import SecretStr
from rich.console import Console

from cli import meter as meters
from cli.client import Api, UnreachableError, find_api
from cli.commands.services import ApiProgram, child_environment, choose_port, end_leftovers
from cli.errors import CommandFailedError
from cli.meter import Meter
from cli.place import ROOT, AlreadyRunningError, Place, Running, announce, running_places
from devtools.generate import GENERATED
from devtools.testing import run_tests as test_runner
from devtools.testing.run_tests import pytest_command, run_tests
from domain.site.imports.import_jobs import MAX_FILE_BYTES
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal
from runtime.servers.processes import ProcessFailedError, free_port
from runtime.settings import Settings
from tests.helpers.commands import run
from tests.helpers.live import serving
from tests.helpers.support import until


def test_the_overview_names_every_command() -> None:
    overview = run().stdout
    for command in (
        "up",
        "import",
        "backfill",
        "resync",
        "fleet",
        "scenario",
        "token",
        "test",
        "check",
        "generate",
        "acceptance",
        "bench",
        "chaos",
    ):
        assert f"│ {command} " in overview


def test_the_readme_names_every_command_and_links_to_what_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `\./dev (\w+)", readme, re.MULTILINE))
    assert named == set(re.findall(r"^│ (\w+) ", run().stdout, re.MULTILINE))
    files = re.findall(r"\]\(([^)#]+)\)", readme)
    assert "docs/architecture.md" in files
    assert [file for file in files if not (ROOT / file).exists()] == []
    titles = re.findall(r"^#+ (.+)", readme, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", readme)) <= anchors


def test_the_readme_uses_no_variable_that_nothing_sets() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    # Its text says what the token is.
    known = {"MANAGE_TOKEN"}
    used: list[str] = []
    for line in "\n".join(re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)).splitlines():
        names = re.findall(r"\$(\w+)", line)
        used += names
        assert set(names) <= known, line
        known |= set(re.findall(r"^(\w+)=", line))
    assert {"API", "DEPOT_ID"} <= set(used)


def test_the_help_of_a_command_tells_more_than_the_overview() -> None:
    assert "--ephemeral" in run("up", "--help").stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    answer = run("upp")
    assert answer.returncode == 2
    assert 'Unknown command "upp"' in answer.stdout + answer.stderr


def test_the_shipped_fleet_is_what_the_command_writes() -> None:
    shipped = (ROOT / "fleet" / "demo.ndjson").read_text(encoding="utf-8")
    assert run("fleet", "40", "--seed", "7").stdout == shipped
    flawed = run("fleet", "40", "--seed", "7", "--flaws").stdout
    assert flawed != shipped
    assert sum(line.startswith('{"type": "depot"') for line in flawed.splitlines()) == 40


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "fleet", "5000"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("command", [["backfill"], ["resync", "Arrow Road 1"], ["import", "fleet/demo.ndjson"]])
def test_without_an_api_a_command_says_how_to_start_one(command: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    answer = run(*command, MANAGE_API_URL=f"http://127.0.0.1:{port}", MANAGE_DATA_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert "./dev up" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_import_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert run("import", str(tmp_path / "none.ndjson")).returncode == 2


def test_a_fleet_without_the_demonstration_is_a_contradiction() -> None:
    answer = run("up", "--no-demo", "--fleet", "fleet/demo.ndjson")
    assert answer.returncode == 1
    assert "contradict" in answer.stderr


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ["-n", "2", "--dist", "loadgroup"]),
        (["tests/commands/test_cli.py"], ["-n", "2", "--dist", "loadgroup", "tests/commands/test_cli.py"]),
        (["-n0", "-x"], ["-n0", "-x"]),
        (["-n", "4"], ["-n", "4"]),
        (["--numprocesses=1"], ["--numprocesses=1"]),
        (["--pdb"], ["--pdb"]),
    ],
)
def test_tests_run_two_at_a_time_unless_told_otherwise(given: list[str], expected: list[str]) -> None:
    assert pytest_command(given) == [sys.executable, "-m", "pytest", *expected]


def test_fast_tests_start_nothing(tmp_path: Path) -> None:
    starting = "os.posix_spawn('/bin/true', ['true'], {})"
    (tmp_path / "test_fast.py").write_text(f"import os\ndef test_a(): pass\ndef test_b(): {starting}\n")
    (tmp_path / "test_slow.py").write_text("import subprocess\ndef test_c(): raise AssertionError\n")
    (tmp_path / "test_server.py").write_text("def test_d(postgres_url): raise AssertionError\n")
    report = tmp_path / "report.xml"
    given = ["-n0", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path), f"--junit-xml={report}", str(tmp_path)]
    assert run_tests(given, fast=True) == 1
    cases = {each.attrib["name"]: each.find("failure") for each in fromstring(report.read_text()).iter("testcase")}
    assert cases.keys() == {"test_a", "test_b"}
    assert cases["test_a"] is None
    failure = cases["test_b"]
    assert failure is not None
    assert "test_b counts as a fast test and starts a process" in failure.attrib["message"]


@pytest.mark.parametrize(("body", "passes"), [("assert True", True), ("assert False", False)])
def test_a_test_run_has_a_folder_of_its_own_that_only_failures_keep(tmp_path: Path, body: str, passes: bool) -> None:
    told = tmp_path / "told"
    test = tmp_path / "test_it.py"
    test.write_text(f"def test_it(tmp_path):\n    open({str(told)!r}, 'w').write(str(tmp_path))\n    {body}\n")
    assert (run_tests(["-n0", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path), str(test)]) == 0) is passes
    folder = Path(told.read_text())
    assert "mt-" in str(folder)
    assert folder.exists() is not passes
    if not passes:
        shutil.rmtree(next(each for each in folder.parents if each.name.startswith("mt-")))


@pytest.mark.parametrize("much", [0, 2**60])
def test_files_of_tests_are_in_memory_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, much: int
) -> None:
    memory, disk, told = tmp_path / "memory", tmp_path / "disk", tmp_path / "told"
    memory.mkdir()
    disk.mkdir()
    monkeypatch.setattr(test_runner, "_MEMORY", memory)
    monkeypatch.setattr(test_runner, "_MUCH_MEMORY", much)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    test = tmp_path / "test_it.py"
    write = f"open({str(told)!r}, 'w').write(tempfile.mkdtemp() + ' ' + str(tmp_path))"
    test.write_text(f"import tempfile\ndef test_it(tmp_path):\n    {write}\n")
    assert run_tests(["-n0", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path), str(test)]) == 0
    place = disk if much else memory
    assert all(Path(each).is_relative_to(place) for each in told.read_text().split())


def test_what_fails_is_named_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What failed leaves its folder.
    monkeypatch.setattr(test_runner, "_MEMORY", tmp_path / "none-such")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    test = tmp_path / "test_it.py"
    test.write_text("def test_a(): assert False\ndef test_b(tmp_path): print('B runs')\n")
    assert run_tests(["-n0", "-q", "-s", "-c", "/dev/null", "--rootdir", str(tmp_path), str(test)]) == 1
    shown = capfd.readouterr().out
    assert shown.index("[minute 0] test_it.py::test_a failed in its call") < shown.index("B runs")


def test_without_bytecode_beside_the_code_it_is_kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    test = tmp_path / "test_it.py"
    test.write_text(
        "import sys\ndef test_it(tmp_path):\n    assert not sys.dont_write_bytecode\n"
        "    assert tmp_path.is_relative_to(sys.pycache_prefix.removesuffix('/bytecode'))\n"
    )
    assert run_tests(["-n0", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path), str(test)]) == 0
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize("command", ["test", "check", "generate", "acceptance", "bench", "bench telemetry", "chaos"])
def test_the_commands_for_working_on_it_have_the_same_parser(command: str) -> None:
    answer = run(*command.split(), "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith(f"Usage: ./dev {command} ")
    wrong = run(*command.split(), "--none-such=1")
    if command != "test":
        assert wrong.returncode == 2
        assert "none-such" in wrong.stdout + wrong.stderr


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (
            ["--collect-only", "-q", "-n0", "tests/commands/test_cli.py", "-k", "none_such or reach_pytest"],
            "test_arguments_reach",
        ),
        (["--", "--help"], "usage: python -m pytest"),
    ],
)
def test_arguments_reach_pytest_whatever_they_look_like(args: list[str], shown: str) -> None:
    answer = run("test", *args)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert shown in answer.stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("generate", "nothing"), f"nothing is none of {', '.join(each.name for each in GENERATED)}."),
        (("bench", "fleet", "--sizes", "1"), "Two sizes are compared."),
        (("bench", "provisioning", "--sizes", "1,many"), "many"),
        (("bench", "telemetry", "--only", "reads,writes"), "writes is none of packets,"),
        (("chaos", "--minutes", "0"), "Must be > 0"),
        (("chaos", "--minutes", "nan"), "Must be"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(args: tuple[str, ...], says: str) -> None:
    answer = run(*args)
    assert answer.returncode in (1, 2)
    assert says in " ".join((answer.stdout + answer.stderr).split())
    assert "Traceback" not in answer.stderr


def running(processes: dict[str, list[float]] | None = None) -> Running:
    """What an `up` says of itself."""
    return Running(
        pid=1,
        api_url="http://127.0.0.1:8123",
        temporal_address="",
        temporal_ui_url="",
        database_url="",
        processes=processes or {},
    )


def test_a_place_has_one_owner_who_says_where_it_is(tmp_path: Path) -> None:
    owner, other = Place(tmp_path), Place(tmp_path)
    assert other.running() is None
    owner.take()
    with pytest.raises(AlreadyRunningError, match="still starting"):
        other.take()
    owner.describe(running())
    assert other.running() == running()
    with pytest.raises(AlreadyRunningError, match=r"http://127\.0\.0\.1:8123"):
        other.take()
    owner.leave()
    assert other.running() is None
    other.take()
    other.leave()


def test_a_file_that_is_too_large_for_a_job_is_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "fleet.ndjson"
    with file.open("wb") as sparse:
        sparse.truncate(MAX_FILE_BYTES + 1)
    for option in ("--watch", "--no-watch"):
        answer = run("import", str(file), option, "--api", "http://127.0.0.1:9")
        assert answer.returncode == 1
        said = " ".join(answer.stderr.split())
        assert "a job takes at most 209.7 MB" in said
        assert "without --watch or --no-watch takes larger ones" in said


async def test_an_upload_that_is_broken_off_does_not_say_that_nobody_is_there(tmp_path: Path) -> None:
    file = tmp_path / "fleet.ndjson"
    with file.open("wb") as sparse:
        sparse.truncate(64_000_000)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Api(f"http://127.0.0.1:{port}") as api:
            with pytest.raises(UnreachableError, match="may have refused the file"):
                await api.upload_fleet(file, lambda _: None)
    async with Api(f"http://127.0.0.1:{free_port()}") as api:
        with pytest.raises(UnreachableError, match=r"Start it with \./dev up"):
            await api.upload_fleet(file, lambda _: None)


async def test_without_a_terminal_something_long_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "_PLAIN_EVERY", 0.01)
    monkeypatch.setattr(meters, "_PLAIN_AGAIN", 0.01)
    printed = io.StringIO()
    with Meter(Console(file=printed), "Import a") as shown:
        shown.show(1, 2, "1 of 2 MB")
        # The last that is shown for long.
        shown.show(0, None, "landing …")

        async def said_again() -> bool:
            return "landing …  0 s" in printed.getvalue()

        await until(said_again)
    lines = printed.getvalue().splitlines()
    assert lines[0] == "Import a   50%  1 of 2 MB"
    assert "Import a  landing …" in lines


@pytest.mark.parametrize("command", [["backfill"], ["resync", "Arrow Road 1"], ["import", "fleet/demo.ndjson"]])
def test_without_a_product_of_its_own_a_command_takes_no_other(command: list[str], tmp_path: Path) -> None:
    answer = run(*command, MANAGE_DATA_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert "The product of this folder does not run. Start it with ./dev up" in answer.stderr


async def test_another_product_at_the_address_of_ones_own_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("MANAGE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("MANAGE_API_URL", raising=False)
    owner = Place(tmp_path)
    owner.take()
    for answers, taken in (("mine", True), ("another", False), ("", False)):
        async with serving(Settings(database_url=SecretStr(database_url), instance_id=answers)) as address:
            owner.describe(replace(running(), api_url=address, instance_id="mine"))
            if taken:
                async with find_api() as api:
                    assert (await api.get("/healthz"))["instance_id"] == "mine"
                continue
            with pytest.raises(CommandFailedError, match="Something else answers"):
                async with find_api():
                    pass
    owner.leave()
    with pytest.raises(CommandFailedError, match="does not run"):
        find_api()


def test_a_place_elsewhere_that_was_killed_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANAGE_DATA_DIR", str(tmp_path / "home"))
    elsewhere = Place(tmp_path / "elsewhere")
    elsewhere.take()
    announce(elsewhere)
    elsewhere.describe(running())
    assert [found for _, found in running_places()] == [running()]
    elsewhere.leave()
    assert running_places() == []
    shutil.rmtree(elsewhere.folder)
    assert running_places() == []
    assert not (tmp_path / "home").exists()


def test_a_description_without_an_owner_is_not_believed(tmp_path: Path) -> None:
    Place(tmp_path).describe(running())
    (tmp_path / "up.lock").touch()
    assert Place(tmp_path).running() is None
    assert Place(tmp_path).left_behind() == running()
    (tmp_path / "up.json").write_text(json.dumps({"something": "else"}))
    assert Place(tmp_path).left_behind() is None


def test_only_what_is_certainly_left_over_is_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        created = psutil.Process(process.pid).create_time()
        end_leftovers(running({"worker": [process.pid, created - 1]}))
        assert process.poll() is None
        end_leftovers(running({"worker": [process.pid, created]}))
        assert not psutil.pid_exists(process.pid)


def test_a_named_port_must_be_free_and_the_usual_one_need_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        with pytest.raises(CommandFailedError, match=f"Port {port} is taken"):
            choose_port(Settings(), port)
        assert choose_port(Settings(api_port=port), None) != port
    assert choose_port(Settings(), port) == port


class Other(BaseHTTPRequestHandler):
    """Another product at the API's address, which is ready, too."""

    def do_GET(self) -> None:
        """Be ready."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the standard library's)
        """Say nothing."""


@pytest.mark.parametrize("movable", [True, False])
def test_the_api_is_not_taken_for_another_one_that_took_its_port(
    movable: bool, database_url: str, tmp_path: Path
) -> None:
    environment = child_environment(None, None, "") | {
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
        "MANAGE_INSTANCE_ID": "ours",
    }
    with HTTPServer(("127.0.0.1", 0), Other) as other:
        port = other.server_port
        threading.Thread(target=other.serve_forever, daemon=True).start()
        api = ApiProgram("127.0.0.1", port, tmp_path / "api.log", environment, movable=movable)
        if movable:
            with api:
                assert api.port != port
                assert httpx.get(f"{api.url}/healthz", timeout=60).json()["instance_id"] == "ours"
                known = api.port
                assert "GET /healthz" not in api.log_path.read_text(), "a log without a bound"
            assert not api.yield_port()
            assert api.port == known
        else:
            with pytest.raises(ProcessFailedError, match="address already in use"):
                api.start()
            assert not api.running
            assert api.port == port
        other.shutdown()


def test_processes_are_told_of_the_embedded_servers_and_of_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/manage")
    monkeypatch.setenv("MIGRATION_DATABASE_URL", "postgresql://elsewhere/manage")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "elsewhere:7233")
    monkeypatch.setenv("TEMPORAL_API_KEY", "secret")
    elsewhere = child_environment(None, None, "http://127.0.0.1:1")
    assert elsewhere["DATABASE_URL"] == "postgresql://elsewhere/manage"
    assert elsewhere["TEMPORAL_API_KEY"] == "secret"
    postgres, temporal = EmbeddedPostgres(tmp_path / "postgres"), EmbeddedTemporal(tmp_path / "temporal")
    here = child_environment(postgres, temporal, "http://127.0.0.1:1")
    assert here["DATABASE_URL"] == postgres.application_url
    assert here["TEMPORAL_ADDRESS"] == temporal.address
    assert here["MANAGE_TEMPORAL_UI_URL"] == temporal.ui_url
    assert "MIGRATION_DATABASE_URL" not in here
    assert "TEMPORAL_API_KEY" not in here


def test_without_a_terminal_progress_is_a_plain_line_at_the_beginning_and_at_the_end() -> None:
    output = io.StringIO()
    with Meter(Console(file=output), "Backfill") as meter:
        for done in range(1001):
            meter.show(done, 1000, f"{done:,} of 1,000 depots")
    assert output.getvalue().splitlines() == [
        "Backfill    0%  0 of 1,000 depots",
        "Backfill  100%  1,000 of 1,000 depots",
    ]


def test_on_a_terminal_progress_is_a_bar() -> None:
    output = io.StringIO()
    with Meter(Console(file=output, force_terminal=True, width=120), "Backfill") as meter:
        meter.show(0, None, "counting the depots")
        meter.show(0, 0, "0 of 0 depots")
    assert "━" in output.getvalue()
    assert "100 %" in output.getvalue()
