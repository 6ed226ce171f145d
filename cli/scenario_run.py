"""`./dev scenario run` and `diff`: scenarios played against a running product, and where two runs differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.client import Api, RefusedError, UnreachableError, find_api
from cli.console import make_console
from cli.errors import CommandFailedError
from cli.meter import Meter
from cli.resync import find_depot
from cli.simulation_site import provision, simulation_depot
from domain.scenario_runs import RunOutcome, ScenarioRunState
from sim_scenarios.difference import diff
from sim_scenarios.evidence import BrokenEvidenceError, Evidence, read_evidence
from sim_scenarios.html_report import html_report
from sim_scenarios.junit import junit_xml
from sim_scenarios.library import preset_names

_LOOK_EVERY = 0.1
_LONGEST_SILENCE = 120.0
"""Seconds that the API may be away while its run is watched: everything that is killed comes back."""
_AWAY = {"DATABASE_UNAVAILABLE", "TEMPORAL_UNAVAILABLE"}
_MOST_WORDS = 20


@dataclass(frozen=True)
class Asked:
    """What to run, and what to keep of it."""

    scenarios: Sequence[str]
    """Names of presets, or files."""
    depot: str | None
    """An id or a name; None: the simulation's own depot."""
    seed: int
    time_scale: float
    provision: bool
    force: bool
    twice: bool
    junit: Path | None
    html: Path | None
    evidence: Path | None


@dataclass(frozen=True)
class Ran:
    """A run that has ended."""

    run: dict[str, Any]
    evidence: bytes
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every expectation came true."""
        return self.run["outcome"] == RunOutcome.PASSED

    @property
    def sha256(self) -> str:
        """Of the evidence."""
        return str(self.run["evidence_sha256"])


def run_scenarios(asked: Asked) -> int:
    """Run scenarios one after the other; 0 when all expectations came true and equal runs gave equal evidence.

    Raises:
        CommandFailedError: something cannot be run.

    """
    return asyncio.run(_run(asked))


def run_diff(first: str, second: str) -> int:
    """Print where two runs differ, by their ids or by files of their evidence; 0 where they do not.

    Raises:
        CommandFailedError: one of them is neither.

    """
    return asyncio.run(_diff(first, second))


async def _run(asked: Asked) -> int:
    console = make_console()
    ran: list[Ran] = []
    differ = False
    async with find_api() as api:
        depot_id = await _depot(api, asked, console)
        for scenario in asked.scenarios:
            done = [await _once(api, asked, depot_id, scenario, console)]
            if asked.twice:
                done.append(await _once(api, asked, depot_id, scenario, console))
                differ |= _compare(done[0], done[1], console)
            ran.append(done[0])
            for each in done:
                _tell_failures(each, console)
            differ |= not done[-1].passed
    _print(ran, console, twice=asked.twice)
    _keep(ran, asked)
    return 0 if all(each.passed for each in ran) and not differ else 1


async def _depot(api: Api, asked: Asked, console: Console) -> str:
    if asked.depot is None:
        return await simulation_depot(api)
    depot_id = await find_depot(api, asked.depot)
    if asked.provision:
        for each in await provision(api, depot_id):
            console.print(f"  [dim]set up: {escape(each)}[/]", soft_wrap=True)
    return depot_id


async def _once(api: Api, asked: Asked, depot_id: str, scenario: str, console: Console) -> Ran:
    begun = time.monotonic()
    body = {
        "depot_id": depot_id,
        **_what(scenario),
        "seed": asked.seed,
        "time_scale": asked.time_scale,
        "force": asked.force,
    }
    run = await start_scenario(api, body)
    try:
        ended = await watch_run(api, run, console)
    except asyncio.CancelledError:
        where = f"{api.url}/api/scenario-runs/{run['run_id']}"
        console.print(f"No longer watched; the run goes on: {where}", soft_wrap=True)
        raise
    evidence = await api.download(f"/api/scenario-runs/{run['run_id']}/evidence")
    return Ran(ended, evidence, time.monotonic() - begun)


def _what(scenario: str) -> dict[str, str]:
    if scenario in preset_names():
        return {"scenario": scenario}
    path = Path(scenario)
    if not path.is_file():
        known = ", ".join(preset_names())
        raise CommandFailedError(f"{scenario} is neither a preset nor a file. The presets are: {known}.")
    try:
        return {"text": path.read_text(encoding="utf-8")}
    except UnicodeDecodeError:
        raise CommandFailedError(f"{path} is not UTF-8.") from None


async def start_scenario(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    """Start a run; answer what the API says of it.

    Raises:
        CommandFailedError: it was refused, with everything that is wrong.

    """
    try:
        return await api.post("/api/scenario-runs", body)
    except RefusedError as error:
        raise CommandFailedError("\n".join([str(error), *_reasons(error)])) from error


def _reasons(error: RefusedError) -> list[str]:
    context: dict[str, Any] = error.problem.get("context") or {}
    found = [
        f"  line {each['line']}: {each['code']}: {each['reason']} (at {each['pointer'] or '/'})"
        for each in context.get("violations", [])
    ]
    if error.code == "SCENARIO_NOT_CONFIGURED":
        found.append("  ./dev scenario run … --provision sets up what is missing.")
    if error.code == "RUN_IN_PROGRESS" and "run_id" in context:
        found.append(f"  The run: {context['run_id']}")
    return found


async def watch_run(api: Api, run: dict[str, Any], console: Console) -> dict[str, Any]:
    """Show how far a run is until it has ended; answer what the API says of it then.

    Raises:
        CommandFailedError: the API is away for too long. The run goes on by itself.

    """
    heard_at = time.monotonic()
    with Meter(console, run["scenario"]) as meter:
        while True:
            meter.show(run["steps_done"], run["steps_total"], _note(run))
            if ScenarioRunState(run["state"]).ended:
                return run
            await asyncio.sleep(_LOOK_EVERY)
            try:
                run = await api.get(f"/api/scenario-runs/{run['run_id']}")
                heard_at = time.monotonic()
            except CommandFailedError as error:
                away = isinstance(error, UnreachableError) or (isinstance(error, RefusedError) and error.code in _AWAY)
                if not away or time.monotonic() - heard_at > _LONGEST_SILENCE:
                    raise


def _note(run: dict[str, Any]) -> str:
    failed = f", {run['checks_failed']} failed" if run["checks_failed"] else ""
    state = f", {run['state'].lower()}" if run["state"] != ScenarioRunState.RUNNING else ""
    return f"step {run['steps_done']:,} of {run['steps_total']:,}, {run['checks_passed']} came true{failed}{state}"


def _tell_failures(ran: Ran, console: Console) -> None:
    if ran.run["failure"]:
        console.print(f"  [red]{escape(ran.run['failure'])}[/]", soft_wrap=True)
    failed = [
        f"step {step['step']}: {check['words']}"
        for step in read_evidence(ran.evidence).steps
        for check in step["checks"]
        if not check["passed"]
    ]
    for words in failed[:_MOST_WORDS]:
        console.print(f"  [red]✗[/] {escape(words)}", soft_wrap=True)
    if len(failed) > _MOST_WORDS:
        console.print(f"  and {len(failed) - _MOST_WORDS} more")


def _compare(first: Ran, second: Ran, console: Console) -> bool:
    if first.evidence == second.evidence:
        return False
    console.print(f"  [red]✗[/] {escape(first.run['scenario'])}: the second run gave other evidence.", soft_wrap=True)
    for each in diff(first.evidence, second.evidence, most=_MOST_WORDS):
        console.print(f"    {escape(each.words)}", soft_wrap=True)
    return True


def _print(ran: Sequence[Ran], console: Console, *, twice: bool) -> None:
    table = Table(box=box.SIMPLE)
    for column in ("scenario", "outcome", "came true", "failed", "steps", "seconds", "evidence", "run"):
        table.add_column(column, justify="right" if column in ("came true", "failed", "steps", "seconds") else "left")
    for each in ran:
        run = each.run
        style = "green" if each.passed else "bold red"
        table.add_row(
            escape(run["scenario"]),
            f"[{style}]{run['outcome']}[/]",
            str(run["checks_passed"]),
            str(run["checks_failed"]),
            f"{run['steps_done']:,}",
            f"{each.seconds:.1f}",
            each.sha256[:16],
            run["run_id"],
        )
    console.print(table)
    if twice:
        console.print("Each was run twice.")


def _keep(ran: Sequence[Ran], asked: Asked) -> None:
    read = [read_evidence(each.evidence) for each in ran]
    if asked.junit is not None:
        _write(asked.junit, junit_xml(*read))
    for target, ending in ((asked.html, "html"), (asked.evidence, "ndjson")):
        if target is None:
            continue
        for each, found in zip(ran, read, strict=True):
            # Several have a folder.
            path = target if len(ran) == 1 else target / f"{each.run['scenario']}.{ending}"
            _write(path, html_report(found).encode() if ending == "html" else each.evidence)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


async def _diff(first: str, second: str) -> int:
    console = make_console()
    async with find_api() as api:
        one, other = [_kept(each) or await _evidence(api, each) for each in (first, second)]
    try:
        found = diff(one, other)
        names = [_title(read_evidence(each)) for each in (one, other)]
    except BrokenEvidenceError as error:
        raise CommandFailedError(str(error)) from error
    if not found:
        console.print(f"[green]The same.[/] {names[0]}", soft_wrap=True)
        return 0
    console.print(f"{len(found):,} differences between\n  {names[0]}\n  {names[1]}", soft_wrap=True)
    for each in found:
        console.print(f"  {escape(each.words)}", soft_wrap=True)
    return 1


def _kept(named: str) -> bytes | None:
    path = Path(named)
    return path.read_bytes() if path.is_file() else None


async def _evidence(api: Api, named: str) -> bytes:
    try:
        run_id = UUID(named)
    except ValueError:
        raise CommandFailedError(f"{named} is neither a run's id nor a file of evidence.") from None
    return await api.download(f"/api/scenario-runs/{run_id}/evidence")


def _title(evidence: Evidence) -> str:
    run = evidence.run
    return escape(f"{run['scenario']}, seed {run['seed']}, {evidence.result['outcome']}, {evidence.sha256[:16]}")
