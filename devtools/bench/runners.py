"""What a benchmark runs in processes of its own: the API, the load, the baseline; and their processor time."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from cli.commands.services import ApiProgram
from cli.errors import CommandFailedError
from cli.place import ROOT
from devtools.bench.baselines.bare import BareOutcome, BarePlan
from devtools.bench.load import Outcome, Plan


class BenchApi(ApiProgram):
    """The API with the benchmark's own route, in one or more processes."""

    def __init__(self, port: int, log_path: Path, environment: Mapping[str, str], processes: int) -> None:
        super().__init__("127.0.0.1", port, log_path, environment)
        application = self._arguments.index("api.main:create_app")
        self._arguments[application] = "devtools.bench.baselines.server:create"
        if processes > 1:
            self._arguments += ["--workers", str(processes)]


async def run_load(plan: Plan) -> Outcome:
    """Run the load generator.

    Raises:
        CommandFailedError: it failed, or an answer was not a 200.

    """
    outcome = Outcome(**await _run("devtools.bench.load", asdict(plan)))
    if set(outcome.statuses) != {"200"}:
        raise CommandFailedError(f"not every answer was a 200: {outcome.statuses}: {outcome.complaint}")
    return outcome


async def run_bare(plan: BarePlan) -> BareOutcome:
    """Run the baseline of packet ingest."""
    return BareOutcome(**await _run("devtools.bench.baselines.bare", asdict(plan)))


async def _run(module: str, plan: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        written, complaints = await process.communicate(json.dumps(plan).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise CommandFailedError(f"{module} failed:\n{complaints.decode()}")
    return json.loads(written)


def processor_seconds(pid: int) -> float:
    """What a process and all that it started took of the processor, of those that still live."""
    used = 0.0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                used += times.user + times.system
    return used
