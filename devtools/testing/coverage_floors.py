"""What share of each package's statements a full test run must execute: `./dev test --coverage`.

The floors are the table `[tool.coverage-floors]` of pyproject.toml, in whole percent; what is measured, and how, is in
`[tool.coverage.run]`. docs/decisions/0027-coverage-floors.md says how the floors were found and when to raise them.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Package:
    """A top-level package or module: what the tests executed of it, and what they must."""

    name: str
    covered: int
    """Statements that a test executed."""
    statements: int
    floor: int | None
    """In percent; none where the table of floors does not name it."""

    @property
    def fault(self) -> str | None:
        """What is wrong with it, in words; none where all is well."""
        if self.floor is None:
            return "has no floor"
        if not self.statements:
            return "was not measured"
        # Whole numbers: 89.99 % is below 90 %.
        return "below its floor" if 100 * self.covered < self.floor * self.statements else None


def floors(project: Path) -> dict[str, int]:
    """Read the floors from a pyproject.toml: percent, by package."""
    return tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["coverage-floors"]


def packages(report: Path, wanted: Mapping[str, int]) -> list[Package]:
    """Add up coverage.py's JSON report by package, and put each package beside its floor."""
    covered: Counter[str] = Counter()
    statements: Counter[str] = Counter()
    for file, facts in json.loads(report.read_text(encoding="utf-8"))["files"].items():
        name = Path(file).parts[0].removesuffix(".py")
        covered[name] += facts["summary"]["covered_lines"]
        statements[name] += facts["summary"]["num_statements"]
    names = sorted(statements.keys() | wanted.keys())
    return [Package(name, covered[name], statements[name], wanted.get(name)) for name in names]


def judge(console: Console, found: Sequence[Package], *, partial: bool) -> int:
    """Print package, share covered and floor; 1 where a package is at fault, else 0.

    ``partial``: only some of the tests ran, so the shares are shown and not compared with the floors.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("package")
    table.add_column("covered", justify="right")
    table.add_column("floor", justify="right")
    table.add_column("")
    faults = {} if partial else {each.name: each.fault for each in found if each.fault}
    for each in found:
        floor = "none" if each.floor is None else f"{each.floor} %"
        table.add_row(each.name, _share(each), floor, f"[bold red]{faults.get(each.name, '')}[/]")
    console.print(table)
    if partial:
        console.print("Only some of the tests ran, so no floor applies.")
    return 1 if faults else 0


def _share(package: Package) -> str:
    if not package.statements:
        return "none"
    # Cut off, not rounded, so that no share below its floor looks equal to it.
    return f"{1000 * package.covered // package.statements / 10:.1f} %"
