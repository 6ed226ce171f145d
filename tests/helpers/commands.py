"""Commands of `./dev`, run as a person runs them."""

from __future__ import annotations

import os
import subprocess
import sys

from cli.place import ROOT


def run(*args: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command of the command line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MANAGE_")} | variables
    return subprocess.run(
        [sys.executable, "-m", "devtools", *args],
        cwd=ROOT,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
