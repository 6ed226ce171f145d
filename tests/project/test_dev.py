"""The bootstrap: `./dev` installs what is missing, once, and becomes the command line."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
WANTED = ("pyproject.toml", "uv.lock", "api/ui/package-lock.json", "api/ui/assets.json", "devtools/assets.py")
"""What says what must be installed."""


class Checkout:
    """A fresh clone with a uv that makes an environment which only tells what it was asked to run.

    What uv itself does is not of interest here, and would need a package index.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = folder / "gate"
        self.calls = folder / "calls"
        self.uv = folder / "bin" / "uv"
        self.uv.parent.mkdir()
        for name in ("dev", *WANTED):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        # It lays out the pages' assets when it is asked to, as the real one does by `devtools/assets.py`.
        python = f'[ "$2" = --uv ] && exec mkdir -p {folder}/api/ui/static/vendor; echo "ran $@"; echo "path $PATH"'
        self.write(
            self.uv,
            f'echo "$@" >> {self.calls}; [ -p {self.gate} ] && cat {self.gate}\n'
            'mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"\n'
            f"printf '#!/bin/sh\\n%s\\n' '{python}' > \"$UV_PROJECT_ENVIRONMENT/bin/python\"\n"
            'chmod +x "$UV_PROJECT_ENVIRONMENT/bin/python"',
        )

    @staticmethod
    def write(program: Path, text: str) -> None:
        """Write a program."""
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start ./dev."""
        path = os.pathsep.join([str(self.uv.parent), "/usr/bin", "/bin"])
        return subprocess.Popen(
            [sys.executable, str(self.folder / "dev"), *args],
            cwd=self.folder.parent,
            env=os.environ | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str) -> tuple[int, str, str]:
        """Run ./dev to its end; answer exit code, output and errors."""
        with self.start(*args) as process:
            output, errors = process.communicate()
        return process.returncode, output, errors

    def syncs(self) -> int:
        """How often uv was called."""
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh clone."""
    folder = tmp_path / "clone"
    folder.mkdir()
    return Checkout(folder)


def test_dev_installs_once_and_then_becomes_the_command_line(checkout: Checkout) -> None:
    code, output, errors = checkout.run("backfill", "--dry-run")
    assert code == 0
    assert output.splitlines()[0] == "ran -P -m devtools backfill --dry-run"
    assert output.splitlines()[1].startswith(f"path {checkout.folder}/.venv/bin:")
    assert errors.startswith("Installing the locked packages into .venv … done in")
    assert len(errors.splitlines()) == 1
    assert checkout.run() == (0, output.replace(" backfill --dry-run", ""), "")
    assert checkout.syncs() == 1


@pytest.mark.parametrize("changed", WANTED)
def test_dev_installs_again_when_the_wanted_packages_changed(checkout: Checkout, changed: str) -> None:
    checkout.run()
    with (checkout.folder / changed).open("a") as file:
        file.write("\n# changed\n")
    checkout.run()
    checkout.run()
    assert checkout.syncs() == 2


def test_dev_installs_again_when_the_environment_is_broken(checkout: Checkout) -> None:
    checkout.run()
    (checkout.folder / ".venv" / "bin" / "python").unlink()
    assert checkout.run()[0] == 0
    assert checkout.syncs() == 2


def test_dev_installs_again_when_the_assets_are_gone(checkout: Checkout) -> None:
    checkout.run()
    (checkout.folder / "api" / "ui" / "static" / "vendor").rmdir()
    assert checkout.run()[0] == 0
    assert checkout.syncs() == 2


def test_dev_says_why_it_cannot_install_and_tries_again_the_next_time(checkout: Checkout) -> None:
    working = checkout.uv.read_text()
    checkout.write(checkout.uv, "echo 'the index is away'; exit 3")
    code, output, errors = checkout.run("test")
    assert (code, output) == (1, "")
    assert "the index is away" in errors
    assert "uv sync --frozen" in errors
    checkout.uv.write_text(working)
    assert checkout.run()[0] == 0


def test_two_first_calls_of_dev_install_once(checkout: Checkout) -> None:
    os.mkfifo(checkout.gate)
    with checkout.start("first") as first, checkout.start("second") as second:
        heard: list[str] = []

        def wait_for_the_one_that_waits(process: subprocess.Popen[str]) -> None:
            assert process.stderr is not None
            heard.append(process.stderr.readline())
            if heard[-1].startswith("Waiting"):
                # The other one is in the middle of installing, until the gate opens.
                checkout.gate.write_text("")

        readers = [threading.Thread(target=wait_for_the_one_that_waits, args=[each]) for each in (first, second)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        ran = {each.communicate()[0].splitlines()[0] for each in (first, second)}
    assert ran == {"ran -P -m devtools first", "ran -P -m devtools second"}
    assert sorted(line.split()[0] for line in heard) == ["Installing", "Waiting"]
    assert checkout.syncs() == 1


def test_dev_says_that_a_python_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed"):
        runpy.run_path(str(ROOT / "dev"), run_name="__main__")


def test_what_dev_runs_and_looks_for_is_there() -> None:
    named = runpy.run_path(str(ROOT / "dev"))
    assert named["ASSETS"].is_file()
    assert named["VENDOR"].is_dir()


def test_what_opens_exports_is_not_among_what_it_installs() -> None:
    # Parquet takes DuckDB, and analysts bring their own tools: `./dev up` waits for none of them.
    locked: dict[str, dict[str, Any]] = {
        each["name"]: each for each in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    }
    project = locked["depot-microgrid"]
    wanted = [*project["dependencies"], *project["dev-dependencies"]["dev"]]
    installed: set[str] = set()
    while wanted:
        each = wanted.pop()
        package = locked[each["name"]]
        if each["name"] not in installed:
            wanted += package.get("dependencies", [])
        for extra in each.get("extra", ()):
            wanted += package["optional-dependencies"].get(extra, [])
        installed.add(each["name"])
    assert installed >= {"fastapi", "pytest", "greenlet"}
    assert not installed & {"duckdb", "pandas", "polars", "pyarrow"}
    # What `uv sync` installs beside the dependencies is the group `dev` alone, unless somebody says otherwise.
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]
    assert "default-groups" not in settings
