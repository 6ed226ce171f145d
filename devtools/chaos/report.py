"""What came of a chaos run: a table for the terminal, JSON for programs, Markdown for the documentation."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.commands.up import Processes
from devtools.chaos.probes import Ability
from devtools.chaos.read_watch import ReadsSeen

NO_FAULT = "no fault"
_MOST_SHOWN = 20
_COLUMNS = ("after", "times", *Ability, "longest without a read", "reads failed")


@dataclass(frozen=True)
class Recovery:
    """How long each ability took after one fault."""

    fault: str
    seconds: Mapping[Ability, float | None]
    """None: it did not come back in five minutes."""
    reads: ReadsSeen
    """From the beginning of the fault until all that was measured worked."""


@dataclass(frozen=True)
class Report:
    """All that is told of a run."""

    seed: int
    minutes: float
    processes: Processes
    load_average: float
    recoveries: Sequence[Recovery]
    requests: Mapping[str, Mapping[str, int]]
    """How many requests of each kind ended how."""
    codes: Mapping[str, int]
    """How many tries were not acknowledged, by kind and code."""
    ended_by_themselves: Sequence[str]
    """The parts that ended although no fault took them away, each time."""
    settled_seconds: float
    """From the end of the traffic until all rules held, or were given up."""
    findings: Mapping[str, Sequence[str]]
    """What each rule found."""

    @property
    def holds(self) -> bool:
        """Whether every rule holds and every ability came back."""
        lost = any(seconds is None for each in self.recoveries for seconds in each.seconds.values())
        return not lost and not any(self.findings.values())

    def by_fault(self) -> dict[str, list[Recovery]]:
        """What was measured, by fault; without a fault first."""
        found: dict[str, list[Recovery]] = defaultdict(list)
        for each in self.recoveries:
            found[each.fault].append(each)
        return {name: found[name] for name in sorted(found, key=lambda name: (name != NO_FAULT, name))}

    @property
    def head(self) -> str:
        """With what it was run."""
        of_each = f"{self.processes.apis} of the API and {self.processes.workers} of the worker"
        return f"Seed {self.seed}, {self.minutes:g} minutes, processes: {of_each}, load average {self.load_average:.1f}"

    def write(self, folder: Path) -> None:
        """Write ``report.json`` and ``report.md``."""
        told = json.dumps({**asdict(self), "holds": self.holds}, indent=2)
        (folder / "report.json").write_text(told + "\n", encoding="utf-8")
        (folder / "report.md").write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        """Write it for the documentation."""
        verdict = "everything holds" if self.holds else "something does not hold"
        lines = [
            f"{self.head}: {verdict}, looked at {self.settled_seconds:.0f} s after the traffic ended.",
            "",
            f"| {' | '.join(_COLUMNS)} |",
            "|---" * len(_COLUMNS) + "|",
            *(f"| {' | '.join(row)} |" for row in self._rows()),
            "",
            "| requests | acknowledged | refused | unknown |",
            "|---|---|---|---|",
            *(
                f"| {what} | {found['ACKNOWLEDGED']} | {found['REFUSED']} | {found['UNKNOWN']} |"
                for what, found in self.requests.items()
            ),
        ]
        lines += ["", self._ended(), ""]
        for rule, found in self.findings.items():
            lines.append(f"- {rule}: {f'{len(found)} findings' if found else 'holds'}")
            lines += [f"  - {each}" for each in found[:_MOST_SHOWN]]
        return "\n".join(lines) + "\n"

    def print(self, console: Console) -> None:
        """Show it."""
        console.print(self.head)
        table = Table(title="Seconds until it works, median (worst)")
        for column in _COLUMNS:
            table.add_column(column, justify="left" if column == _COLUMNS[0] else "right")
        for row in self._rows():
            table.add_row(*row)
        console.print(table)
        requests = Table(title="Requests")
        for column in ("what", "acknowledged", "refused", "unknown"):
            requests.add_column(column, justify="left" if column == "what" else "right")
        for what, found in self.requests.items():
            requests.add_row(what, *(f"{found[each]:,}" for each in ("ACKNOWLEDGED", "REFUSED", "UNKNOWN")))
        console.print(requests)
        console.print(self._ended())
        for rule, found in self.findings.items():
            console.print(f"{'[bold red]FAILED[/]' if found else '[green]holds[/] '} {rule}")
            for each in found[:_MOST_SHOWN]:
                console.print(f"    {escape(each)}", soft_wrap=True)
            if len(found) > _MOST_SHOWN:
                console.print(f"    and {len(found) - _MOST_SHOWN} more")

    def _ended(self) -> str:
        ended = ", ".join(f"{name} {times} times" for name, times in sorted(Counter(self.ended_by_themselves).items()))
        return f"Ended by themselves, and were started again: {ended or 'none'}."

    def _rows(self) -> list[list[str]]:
        rows: list[list[str]] = []
        for fault, found in self.by_fault().items():
            took = [[_shown(each.seconds[ability]) for each in found] for ability in Ability]
            without = [each.reads.longest for each in found]
            failed, answered = sum(each.reads.failed for each in found), sum(each.reads.answered for each in found)
            cells = [f"{median(each):.1f} ({max(each):.1f})" for each in (*took, without)]
            rows.append([fault, str(len(found)), *cells, f"{failed:,} of {failed + answered:,}"])
        return rows


def _shown(seconds: float | None) -> float:
    return float("inf") if seconds is None else seconds
