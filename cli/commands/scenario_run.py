"""`./dev scenario run` and `diff`: scenarios run against a product, and where two runs differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.client import Api, RefusedError, find_api
from cli.commands.resync import find_depot
from cli.commands.simulation_site import provision, simulation_depot
from cli.console import make_console
from cli.errors import CommandFailedError
from cli.files import check_writable, read_text, why
from cli.jobs import watch_job
from domain.base.jobs import JobState
from domain.simulation.scenario_runs import RunOutcome
from sim_scenarios.evidence.difference import diff
from sim_scenarios.evidence.evidence import BrokenEvidenceError, Evidence, read_evidence
from sim_scenarios.evidence.html_report import html_report
from sim_scenarios.evidence.junit import distinct, junit_xml
from sim_scenarios.runs.library import controller_tables, preset_names
from sim_scenarios.runs.scenario import Scenario, parse_scenario

_READ_EVERY = 0.1
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
    confirm: str | None
    """The name of the depot, where real devices report in it."""
    junit: Path | None
    html: Path | None
    evidence: Path | None


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended."""

    run: dict[str, Any]
    evidence: bytes
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every expectation passed."""
        return self.run["outcome"] == RunOutcome.PASSED

    @property
    def sha256(self) -> str:
        """Of the evidence."""
        return str(self.run["evidence_sha256"])


@dataclass(frozen=True)
class ReportFiles:
    """The files that are written of some runs, each of its own."""

    junit: Path | None
    html: Sequence[Path]
    """One a run, in order; or none."""
    evidence: Sequence[Path]

    @staticmethod
    def of(asked: Asked, names: Sequence[str]) -> ReportFiles:
        """Name the files for scenarios of these names; several, or where there is a folder, are in the folder."""
        # Two files may hold scenarios of one name, and one file may be run twice.
        own = distinct(names)

        def files(target: Path | None, ending: str) -> list[Path]:
            if target is None:
                return []
            if len(own) == 1 and not target.is_dir():
                return [target]
            return [target / f"{name}.{ending}" for name in own]

        return ReportFiles(asked.junit, files(asked.html, "html"), files(asked.evidence, "ndjson"))

    def check(self) -> None:
        """Make sure, before anything is run, that all of it can be written.

        Raises:
            CommandFailedError: something cannot.

        """
        check_writable([*([self.junit] if self.junit else []), *self.html, *self.evidence])

    def write(self, finished: Sequence[FinishedRun]) -> list[str]:
        """Write what is kept of the runs that there are; answer what could not be written, and why."""
        found = [read_evidence(each.evidence) for each in finished]
        wanted: list[tuple[Path, Callable[[], bytes]]] = []
        if self.junit is not None and finished:
            wanted.append((self.junit, lambda: junit_xml(*found)))
        wanted += [(path, partial(_html, each)) for path, each in zip(self.html, found, strict=False)]
        wanted += [(path, partial(bytes, each.evidence)) for path, each in zip(self.evidence, finished, strict=False)]
        unwritten: list[str] = []
        for path, make in wanted:
            try:
                path.write_bytes(make())
            except OSError as error:
                unwritten.append(why(error, path))
        return unwritten


def _html(evidence: Evidence) -> bytes:
    return html_report(evidence).encode()


def run_scenarios(asked: Asked) -> int:
    """Run scenarios one after the other; 0 when all expectations passed and equal runs gave equal evidence.

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
    what = [_what(scenario) for scenario in asked.scenarios]
    files_to_write = ReportFiles.of(asked, [_name(each) for each in what])
    files_to_write.check()
    finished: list[list[FinishedRun]] = []
    try:
        async with find_api() as api:
            depot_id = await _depot(api, asked, console)
            for each in what:
                done = [await _once(api, asked, depot_id, each, console)]
                finished.append(done)
                if asked.twice:
                    done.append(await _once(api, asked, depot_id, each, console))
    finally:
        # First what is to be kept, also of runs before one that could not be run; then what is only printed.
        unwritten = files_to_write.write([done[0] for done in finished])
    good = [_report(done, console) for done in finished]
    _print([done[0] for done in finished], console, twice=asked.twice)
    for words in unwritten:
        console.print(f"[bold red]Not written.[/] {escape(words)}", soft_wrap=True)
    return 0 if all(good) and not unwritten else 1


def _report(done: Sequence[FinishedRun], console: Console) -> bool:
    """Print what is wrong with a run, or with two equal ones; answer whether nothing is."""
    differ = len(done) > 1 and _compare(done[0], done[1], console)
    for each in done:
        _report_failures(each, console)
    return all(each.passed for each in done) and not differ


async def _depot(api: Api, asked: Asked, console: Console) -> str:
    if asked.depot is None:
        return await simulation_depot(api)
    depot_id = await find_depot(api, asked.depot)
    if asked.provision:
        for each in await provision(api, depot_id):
            console.print(f"  [dim]set up: {escape(each)}[/]", soft_wrap=True)
    return depot_id


async def _once(api: Api, asked: Asked, depot_id: str, what: dict[str, str], console: Console) -> FinishedRun:
    begun = time.monotonic()
    body = {
        "depot_id": depot_id,
        **what,
        "seed": asked.seed,
        "time_scale": asked.time_scale,
        "force": asked.force,
        "confirm_depot_name": asked.confirm,
    }
    run = await start_scenario(api, body)
    try:
        ended = await watch_run(api, run, console)
    except asyncio.CancelledError:
        where = f"{api.url}/api/scenario-runs/{run['run_id']}"
        console.print(f"Stopped watching; the run continues: {where}", soft_wrap=True)
        raise
    evidence = await api.download(f"/api/scenario-runs/{run['run_id']}/evidence")
    return FinishedRun(ended, evidence, time.monotonic() - begun)


def _what(scenario: str) -> dict[str, str]:
    if scenario in preset_names():
        return {"scenario": scenario}
    path = Path(scenario)
    if not path.is_file():
        known = ", ".join(preset_names())
        raise CommandFailedError(f"{scenario} is neither a preset nor a file. The presets are: {known}.")
    return {"text": read_text(path)}


def _name(what: dict[str, str]) -> str:
    """Return what a scenario calls itself; one that is wrong has no name, and will be refused."""
    if "scenario" in what:
        return what["scenario"]
    parsed = parse_scenario(what["text"], controller_tables())
    return parsed.name if isinstance(parsed, Scenario) else "scenario"


async def start_scenario(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    """Start a run; answer what the API says of it.

    Raises:
        CommandFailedError: it was refused, with everything that is wrong.

    """
    try:
        return await api.create("/api/scenario-runs", body)
    except RefusedError as error:
        raise CommandFailedError("\n".join([str(error), *_reasons(error)])) from error


def _reasons(error: RefusedError) -> list[str]:
    context: dict[str, Any] = error.problem.get("context") or {}
    found = [
        f"  line {each['line']}: {each['code']}: {each['reason']} (at {each['pointer'] or '/'})"
        for each in context.get("violations", [])
    ]
    if error.code == "SIMULATION_NOT_ALLOWED":
        found.append("  On its pages: Settings. By the API: PATCH /api/depots/{depot_id} with allows_simulation.")
    if error.code == "SIMULATION_NOT_CONFIRMED":
        found += [f"  in the place of the device {each['name']}" for each in context["devices"]]
        found += [f"  overwrites the status of {each}" for each in context["capabilities"]]
        found += [f"  overwrites the capacity of {each['name']}" for each in context["circuits"]]
        found.append('  ./dev scenario run … --confirm "NAME OF THE DEPOT" runs it all the same.')
    if error.code == "SCENARIO_NOT_CONFIGURED":
        found.append("  ./dev scenario run … --provision sets up what is missing.")
    if error.code == "RUN_IN_PROGRESS" and "run_id" in context:
        found.append(f"  The run: {context['run_id']}")
    return found


async def watch_run(api: Api, run: dict[str, Any], console: Console) -> dict[str, Any]:
    """Show how far a run is until it has ended; answer what the API says of it then.

    Raises:
        CommandFailedError: the API is unavailable for too long. The run goes on by itself.

    """
    path = f"/api/scenario-runs/{run['run_id']}"
    return await watch_job(api, path, run, console, run["scenario"], _progress, every=_READ_EVERY)


def _progress(run: dict[str, Any]) -> tuple[int, int | None, str]:
    done, total = run["steps_done"], run["steps_total"]
    failed = f", {run['checks_failed']} failed" if run["checks_failed"] else ""
    state = f", {run['state'].lower()}" if run["state"] != JobState.RUNNING else ""
    return done, total, f"step {done:,} of {total:,}, {run['checks_passed']} passed{failed}{state}"


def _report_failures(finished: FinishedRun, console: Console) -> None:
    if finished.run["failure"]:
        console.print(f"  [red]{escape(finished.run['failure'])}[/]", soft_wrap=True)
    failed = [
        f"step {step['step']}: {check['words']}"
        for step in read_evidence(finished.evidence).steps
        for check in step["checks"]
        if not check["passed"]
    ]
    for words in failed[:_MOST_WORDS]:
        console.print(f"  [red]✗[/] {escape(words)}", soft_wrap=True)
    if len(failed) > _MOST_WORDS:
        console.print(f"  and {len(failed) - _MOST_WORDS} more")


def _compare(first: FinishedRun, second: FinishedRun, console: Console) -> bool:
    if first.evidence == second.evidence:
        return False
    console.print(f"  [red]✗[/] {escape(first.run['scenario'])}: the second run gave other evidence.", soft_wrap=True)
    for each in diff(first.evidence, second.evidence, most=_MOST_WORDS):
        console.print(f"    {escape(each.words)}", soft_wrap=True)
    return True


def _print(finished: Sequence[FinishedRun], console: Console, *, twice: bool) -> None:
    table = Table(box=box.SIMPLE)
    for column in ("scenario", "outcome", "passed", "failed", "steps", "seconds", "evidence", "run"):
        table.add_column(column, justify="right" if column in ("passed", "failed", "steps", "seconds") else "left")
    for each in finished:
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


async def _diff(first: str, second: str) -> int:
    console = make_console()
    one, other = [_kept(each) or await _evidence(each) for each in (first, second)]
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
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise CommandFailedError(why(error, path)) from error


async def _evidence(named: str) -> bytes:
    try:
        run_id = UUID(named)
    except ValueError:
        raise CommandFailedError(f"{named} is neither a run's id nor a file of evidence.") from None
    async with find_api() as api:
        return await api.download(f"/api/scenario-runs/{run_id}/evidence")


def _title(evidence: Evidence) -> str:
    run = evidence.run
    return escape(f"{run['scenario']}, seed {run['seed']}, {evidence.result['outcome']}, {evidence.sha256[:16]}")
