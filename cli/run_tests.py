"""`./dev test`: runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from cli.place import ROOT

_ONE_PROCESS = ("--pdb", "--trace")


def run_tests(args: list[str]) -> int:
    """Become pytest; two tests at a time unless ``args`` say otherwise."""
    if _shows_pages(args):
        _bring_browser()
    chosen = any(argument.startswith(("-n", "--numprocesses")) or argument in _ONE_PROCESS for argument in args)
    os.chdir(ROOT)
    command = [sys.executable, "-m", "pytest", *([] if chosen else ["-n", "2"]), *args]
    os.execv(sys.executable, command)  # noqa: S606 (pytest itself, no shell)


def _shows_pages(args: list[str]) -> bool:
    """Whether the tests that ``args`` choose can be some that look at pages."""
    named = [Path(argument.split("::")[0]) for argument in args if not argument.startswith("-")]
    paths = [path for path in named if (ROOT / path).exists()]
    return not paths or any("pages" in path.parts or not path.suffix for path in paths)


def _bring_browser() -> None:
    """Install Chromium by the system's packages where it is missing; say how where that is not possible."""
    if shutil.which("chromium"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print("The page tests need Chromium, and fail without it. On Debian: apt-get install chromium")  # noqa: T201
        return
    print("Installing Chromium for the page tests …", flush=True)  # noqa: T201
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        done = subprocess.run(  # noqa: S603
            ["apt-get", "--quiet", *step],  # noqa: S607 (the system's own)
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            check=False,
        )
        if done.returncode != 0:
            print(done.stdout.decode(errors="replace"), file=sys.stderr)  # noqa: T201
            return
