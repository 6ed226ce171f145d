"""Worker, API and Temporal are killed in the middle of a scenario run; the evidence is that of an undisturbed one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from cli.commands.services import ApiProgram, Program
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal
from runtime.servers.processes import ManagedProcess, free_port
from store.migrate import upgrade
from tests.factories.scenario_sites import begin, ended, evidence_of, make_depots, read, run_scenario
from tests.helpers.live import http_client
from tests.helpers.support import until

DISTURBED = ("late-repeated-shuffled", "quick-look", "heartbeat-silence")
"""Packets that are late, come again and out of order; all measurands; a silence in real time."""


class Installation:
    """A whole installation on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.temporal = EmbeddedTemporal(folder / "temporal")
        self.postgres.start()
        self.temporal.start()
        upgrade(self.postgres.database_url)
        environment = os.environ | {
            "DATABASE_URL": self.postgres.database_url,
            "TEMPORAL_ADDRESS": self.temporal.address,
            "MANAGE_TASK_QUEUE": "scenario-chaos",
        }
        self.api = ApiProgram("127.0.0.1", free_port(0), folder / "api.log", environment)
        environment["MANAGE_API_URL"] = self.api.url
        self.worker = Program("worker", ["worker.py"], folder / "worker.log", environment)
        self.worker.start()
        self.api.start()

    def stop(self) -> None:
        for process in (self.api, self.worker, self.temporal, self.postgres):
            process.stop()

    async def kill(self, *processes: ManagedProcess) -> None:
        """Kill processes with SIGKILL, all at once, and start them again."""
        await asyncio.to_thread(self._kill, processes)

    def _kill(self, processes: tuple[ManagedProcess, ...]) -> None:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        for process in processes:
            process.start()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.stop()


@asynccontextmanager
async def calling(installation: Installation) -> AsyncGenerator[httpx.AsyncClient]:
    async with http_client(installation.api.url) as api:
        yield api


async def done(api: httpx.AsyncClient, run_id: str, wanted: int) -> None:
    """Wait until so many steps have their evidence, whatever goes away in the meantime."""

    async def check() -> bool:
        try:
            return (await read(api, run_id))["steps_done"] >= wanted
        except httpx.HTTPError:
            return False

    await until(check)


@pytest.mark.acceptance("COR-40.9")
async def test_kills_in_mid_run_change_no_byte_of_the_evidence(installation: Installation) -> None:
    async with calling(installation) as api:
        depots = await make_depots(installation.api.url, len(DISTURBED))
        expected = await asyncio.gather(
            *(run_scenario(api, depot, name) for depot, name in zip(depots, DISTURBED, strict=True))
        )
        assert [run["outcome"] for run, _ in expected] == ["PASSED"] * len(DISTURBED)

        runs = [await begin(api, depot, name, time_scale=0.03) for depot, name in zip(depots, DISTURBED, strict=True)]
        first = runs[0]
        await done(api, first, 2)
        await installation.kill(installation.worker)
        await done(api, first, 6)
        await installation.kill(installation.worker, installation.api)
        await done(api, first, 11)
        await installation.kill(installation.worker, installation.api, installation.temporal)
        for run_id, (_, evidence) in zip(runs, expected, strict=True):
            run = await ended(api, run_id)
            assert (run["outcome"], run["failure"]) == ("PASSED", None)
            assert await evidence_of(api, run_id) == evidence


@pytest.mark.acceptance("COR-40.9")
async def test_kills_while_packets_travel_change_no_byte_of_the_evidence(installation: Installation) -> None:
    # As fast as it goes: kills come whenever they come, also between a packet's commit and the step's evidence.
    async with calling(installation) as api:
        (depot,) = await make_depots(installation.api.url, 1)
        _, expected = await run_scenario(api, depot, "nominal-day")
        run_id = await begin(api, depot, "nominal-day")
        for steps in (1, 600):
            await done(api, run_id, steps)
            await installation.kill(installation.worker, installation.api)
        assert (await ended(api, run_id))["outcome"] == "PASSED"
        assert await evidence_of(api, run_id) == expected


def test_the_command_line_runs_scenarios_and_says_what_failed(installation: Installation, tmp_path: Path) -> None:
    def dev(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "cli", "scenario", *arguments],
            cwd=Path(__file__).parent.parent.parent,
            env=os.environ | {"MANAGE_API_URL": installation.api.url},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    kept = [f"--junit={tmp_path}/junit.xml", f"--html={tmp_path}/html", f"--evidence={tmp_path}/evidence"]
    code, out = dev("run", "quick-look", "heartbeat", "--twice", *kept)
    assert code == 0, out
    assert out.count("PASSED") == 2
    assert (tmp_path / "junit.xml").read_text().count("<testsuite ") == 2
    assert sorted(path.name for path in (tmp_path / "html").iterdir()) == ["heartbeat.html", "quick-look.html"]
    evidence = tmp_path / "evidence" / "quick-look.ndjson"
    run_id = next(
        word for line in out.splitlines() if "quick-look" in line for word in line.split() if word[8:9] == "-"
    )
    assert dev("diff", run_id, str(evidence))[0] == 0
    code, out = dev("diff", str(evidence), str(tmp_path / "evidence" / "heartbeat.ndjson"))
    assert code == 1
    assert "run /scenario: 'quick-look' / 'heartbeat'" in out

    wrong = tmp_path / "wrong.yaml"
    text = (Path(__file__).parent.parent.parent / "sim_scenarios/presets/quick-look.yaml").read_text()
    wrong.write_text(text.replace("every: 60s", "every: 7q"))
    code, out = dev("run", str(wrong))
    assert code == 1
    assert "WRONG_FORM" in out
    code, out = dev("run", "quick-look", "--all")
    assert code == 1
    assert "--all" in out
