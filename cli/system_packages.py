"""Programs of the operating system that tests need and no package registry has: a message broker, a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where servers are that may not be on the path of a person."""


def find(program: str) -> str | None:
    """Say where a program is; None: it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
    return shutil.which(program, path=path)


def ensure(program: str, package: str) -> str | None:
    """Find a program, and install Debian's ``package`` where it is missing and this process may do that.

    None: it is missing, and what to do about it was said on standard error. Tests that need it fail then.
    """
    found = find(program)
    if found is not None:
        return found
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        sys.stderr.write(f"{program} is missing, and tests need it. On Debian and Ubuntu: apt-get install {package}\n")
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
    return find(program)
