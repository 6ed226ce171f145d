"""`./dev test`: runs the tests."""

from __future__ import annotations

import os
import sys

from cli.place import ROOT
from cli.system_packages import ensure

_NEEDED = {"mosquitto": "mosquitto"}
"""Programs that tests need, with the Debian package of each."""
_ONE_PROCESS = ("--pdb", "--trace")


def run_tests(args: list[str]) -> int:
    """Become pytest; two tests at a time unless ``args`` say otherwise."""
    chosen = any(argument.startswith(("-n", "--numprocesses")) or argument in _ONE_PROCESS for argument in args)
    for program, package in _NEEDED.items():
        ensure(program, package)
    os.chdir(ROOT)
    command = [sys.executable, "-m", "pytest", *([] if chosen else ["-n", "2"]), *args]
    os.execv(sys.executable, command)  # noqa: S606 (pytest itself, no shell)
