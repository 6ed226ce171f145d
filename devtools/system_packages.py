"""Programs of the operating system that tests need and no package registry has: a broker, a browser, a proxy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

_PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where servers are that may not be on the path of a person."""


HEADLESS_SHELL = ("chromium-headless-shell", "chrome-headless-shell")
"""The names of Chromium without windows, whose own pages took three times as long as one of ours to open."""
CHROMIUM = (*HEADLESS_SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""The names under which systems have the browser, the best for tests first."""


def find(*programs: str) -> str | None:
    """Say where the first of these programs is that there is; None: none is installed."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
    return next((found for program in programs if (found := shutil.which(program, path=path))), None)


def ensure(*programs: str, package: str, instead: Sequence[str] = ()) -> str | None:
    """Find a program under one of its names, and install Debian's ``package`` where none is there and this may be done.

    ``instead``: programs that do as well, if none can be installed. None: it is missing, and what to do about it was
    said on standard error. Tests that need it fail then.
    """
    found = find(*programs)
    if found is not None:
        return found
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        if (found := find(*instead)) is not None:
            return found
        sys.stderr.write(
            f"{programs[0]} is missing, and tests need it. On Debian and Ubuntu: apt-get install {package}\n"
        )
        return None
    sys.stderr.write(f"Installing {package} …\n")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "--yes", "--quiet", "--no-install-recommends", package]
    # The lists of a fresh machine are empty, those of an old one may name versions that are gone.
    for command in ([apt, "update", "--quiet"], install):
        done = subprocess.run(  # noqa: S603 - apt-get with a package that this project names
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            check=False,
        )  # fmt: skip
        if done.returncode != 0:
            sys.stderr.write(f"{done.stdout.decode(errors='replace')}\nThis failed: {' '.join(command)}\n")
    return find(*programs, *instead)
