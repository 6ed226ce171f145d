"""`./dev acceptance`: the acceptance criteria with the tests behind each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from cli.console import make_console
from cli.place import ROOT
from devtools.criteria import (
    CriteriaError,
    CriterionStatus,
    Finding,
    ProvingTest,
    State,
    evaluate,
    parse_criteria,
    unknown_criteria,
)

DOCUMENT = ROOT / "docs" / "acceptance.md"
_NO_TESTS_COLLECTED = 5
_STYLES = {
    CriterionStatus.COVERED: "green",
    CriterionStatus.PASSED: "green",
    CriterionStatus.FAILED: "bold red",
    CriterionStatus.UNPROVED: "bold red",
}


class CollectionError(Exception):
    """pytest could not collect the tests; the message is what it said."""


def run_acceptance(document: Path | None = None, tests: Path | None = None, *, run: bool, brief: bool) -> int:
    """Print the table; 0 when every delivered criterion has its test (``run``: and that passes), else 1.

    ``document`` and ``tests`` stand for the project's own; ``brief`` leaves the tables out.
    """
    console = make_console()
    try:
        criteria = parse_criteria((document or DOCUMENT).read_text(encoding="utf-8"))
        proving = collect(tests, run=run)
    except (CriteriaError, CollectionError) as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    findings = evaluate(criteria, proving, ran=run)
    shown = [] if brief else findings
    for story, rows in groupby(shown, key=lambda finding: finding.criterion.story):
        console.print(_table(story, list(rows)))
    unknown = unknown_criteria(criteria, proving)
    for name, function in unknown:
        console.print(f"{name or 'an empty marker'} is no criterion; {function} carries it.", style="bold red")
    faults = [finding for finding in findings if finding.is_fault]
    for finding in faults:
        why = "a test of it fails" if finding.status is CriterionStatus.FAILED else "no test proves it"
        console.print(f"{finding.criterion.id} is said to be delivered, but {why}.", style="bold red")
    console.print(_summary(findings, ran=run))
    return 1 if faults or unknown else 0


def collect(tests: Path | None = None, *, run: bool) -> list[ProvingTest]:
    """Ask pytest, in a process of its own, for the tests that carry criteria; ``run``: and run them.

    Raises:
        CollectionError: the tests could not be collected.

    """
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
        command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
        command += ["-p", "devtools.testing.acceptance_plugin", f"--acceptance-report={report}"]
        command += [] if run else ["--collect-only"]
        command += [] if tests is None else [str(tests)]
        # A run shows its progress; a collection only says something when it fails.
        done = subprocess.run(command, cwd=ROOT, capture_output=not run, text=True, check=False)  # noqa: S603
        collected = done.returncode in ((0, 1, _NO_TESTS_COLLECTED) if run else (0, _NO_TESTS_COLLECTED))
        if not collected or not report.exists():
            raise CollectionError(f"pytest ended with {done.returncode}\n{done.stdout or ''}{done.stderr or ''}")
        raw: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))
    return [ProvingTest(each["nodeid"], tuple(each["criteria"]), each["counts"], each["outcome"]) for each in raw]


def _table(story: str, findings: Sequence[Finding]) -> Table:
    table = Table(
        title=escape(story), title_justify="left", title_style="bold", expand=True, show_lines=True, box=box.HORIZONTALS
    )
    table.add_column("id", no_wrap=True)
    table.add_column("criterion", ratio=3)
    table.add_column("state", no_wrap=True)
    table.add_column("tests", ratio=5, overflow="fold")
    for finding in findings:
        planned = finding.criterion.state is State.PLANNED
        table.add_row(
            finding.criterion.id,
            escape(finding.criterion.text),
            finding.criterion.state,
            _tests_cell(finding),
            style="dim" if planned and not finding.tests else None,
        )
    return table


def _tests_cell(finding: Finding) -> str:
    style = "yellow" if finding.criterion.state is State.PLANNED else _STYLES[finding.status]
    if not finding.tests:
        return "" if finding.criterion.state is State.PLANNED else f"[{style}]none[/]"
    lines: list[str] = []
    # Sorted, so that the tests of one file stand under its name.
    functions = sorted({test.function for test in finding.tests})
    for file, group in groupby(functions, key=lambda function: function.split("::", 1)[0]):
        lines.append(f"[dim]{escape(file.removeprefix('tests/'))}[/]")
        for function in group:
            cases = [test for test in finding.tests if test.function == function]
            many = f" [dim]({len(cases)})[/]" if len(cases) > 1 else ""
            lines.append(f"  {escape(function.split('::', 1)[1])}{many}{_note(cases)}")
    verdict = "" if finding.status is CriterionStatus.COVERED else f"[{style}]{finding.status}[/]\n"
    return verdict + "\n".join(lines)


def _note(group: Sequence[ProvingTest]) -> str:
    if not any(test.counts for test in group):
        return " [bold red](skipped or expected to fail: does not count)[/]"
    outcomes = Counter(test.outcome for test in group if test.outcome is not None)
    notable = [f"{count} {outcome}" for outcome, count in sorted(outcomes.items()) if outcome != "passed"]
    return f" [red]({', '.join(notable)})[/]" if notable else ""


def _summary(findings: Sequence[Finding], *, ran: bool) -> str:
    delivered = [each for each in findings if each.criterion.state is State.DELIVERED]
    planned = [each for each in findings if each.criterion.state is State.PLANNED]
    good = sum(not each.is_fault for each in delivered)
    ahead = sum(each.status is not CriterionStatus.UNPROVED for each in planned)
    return (
        f"{len(findings)} criteria: {len(delivered)} delivered, {good} of them {'hold' if ran else 'with tests'}; "
        f"{len(planned)} planned, {ahead} of them with tests already."
    )
