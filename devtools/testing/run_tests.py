"""`./dev test`: runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from cli.console import make_console
from cli.place import ROOT
from devtools.system_packages import CHROMIUM, HEADLESS_SHELL, ensure
from devtools.testing.coverage_floors import floors, judge, packages

_NEEDED = {
    "chromium-headless-shell": HEADLESS_SHELL,
    "mosquitto": ("mosquitto",),
    "prometheus": ("promtool",),
    "nginx": ("nginx",),
}
"""Programs that tests need and no package registry has, each under its names, by their Debian package."""
_INSTEAD = {"chromium-headless-shell": CHROMIUM}
"""Programs that do as well where such a package cannot be had."""
_ONE_PROCESS = ("--pdb", "--trace")
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it, with a name that nobody can foresee
_MUCH_MEMORY = 8 * 2**30
"""So much memory must be free for files to be kept in it."""


def pytest_command(args: Sequence[str]) -> list[str]:
    """The command that runs the tests; two at a time unless ``args`` say otherwise."""
    chosen = any(argument.startswith(("-n", "--numprocesses")) or argument in _ONE_PROCESS for argument in args)
    return [sys.executable, "-m", "pytest", *([] if chosen else ["-n", "2", "--dist", "loadgroup"]), *args]


def _make_folder() -> Path:
    """Make the folder of the files: in memory where there is much of it, since each test makes a database of 14 MB.

    On some disks that takes more than ten times the processor time.
    """
    with suppress(OSError):
        if min(psutil.virtual_memory().available, shutil.disk_usage(_MEMORY).free) >= _MUCH_MEMORY:
            return Path(tempfile.mkdtemp(prefix="mt-", dir=_MEMORY))
    return Path(tempfile.mkdtemp(prefix="mt-"))


def _ensure_analysis() -> None:
    """Install what people open exports with, beside the other packages; `./dev up` does without it."""
    if all(find_spec(each) for each in ("duckdb", "pandas", "polars")):
        return
    sys.stderr.write("Installing DuckDB, pandas and polars …\n")
    command = ["uv", "sync", "--frozen", "--inexact", "--no-progress", "--group", "analysis", "--project", str(ROOT)]
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": sys.prefix, "UV_PYTHON_DOWNLOADS": "never"}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(  # noqa: S603 - the command is the one above
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.stderr.write(f"{done.stdout.decode(errors='replace')}\nThis failed: {' '.join(command)}\n")


def _environment(folder: Path) -> dict[str, str]:
    environment = os.environ | {"PYTEST_DEBUG_TEMPROOT": str(folder), "TMPDIR": str(folder)}
    # Whoever wants no bytecode beside the code gets none. Without any, each process that a test starts takes twice as
    # long to start.
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    return environment


def run_tests(args: Sequence[str], *, fast: bool = False, coverage: bool = False) -> int:
    """Run pytest and answer its exit code. ``fast``: only the tests that start nothing.

    ``coverage``: show what the tests executed of each package; 1 where all tests ran and passed, and a package is below
    its floor.

    Its files are in a folder of their own, because pytest clears away what other runs of the same user left, and
    one of those may still run. The folder is kept where a test failed.
    """
    partial = fast or bool(args)
    if fast:
        args = ("-p", "devtools.testing.fast_tests", *args)
    else:
        for package, programs in _NEEDED.items():
            ensure(*programs, package=package, instead=_INSTEAD.get(package, ()))
        _ensure_analysis()
    # A short path: a socket's may have little more than a hundred characters.
    folder = _make_folder()
    # The embedded PostgreSQL runs as a user of its own where it is started by root.
    folder.chmod(0o711)
    report = folder / "coverage.json"
    if coverage:
        args = ("--cov", f"--cov-report=json:{report}", *args)
    environment = _environment(folder)
    args = ("-p", "devtools.testing.progress", *args)
    with subprocess.Popen(pytest_command(args), cwd=ROOT, env=environment) as pytest:  # noqa: S603
        while pytest.poll() is None:
            # Ctrl-C reaches pytest, too, which ends in good order.
            with suppress(KeyboardInterrupt):
                pytest.wait()
    if pytest.returncode != 0:
        return pytest.returncode
    # Where a part was asked for, that may be none: `--help`, `--no-cov`.
    shown = coverage and (report.exists() or not partial)
    found = packages(report, floors(ROOT / "pyproject.toml")) if shown else []
    outcome = judge(make_console(), found, partial=partial) if shown else 0
    shutil.rmtree(folder, ignore_errors=True)
    return outcome
