"""`./dev generate`: writes anew the committed files that are made from the code.

Each is committed so that a change of it is seen in review, and held by a test that fails when it is not what the code
makes.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tempfile
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.console import make_console
from cli.errors import CommandFailedError
from cli.place import ROOT

HINT = "It is made from the code: run `./dev generate`, look at what changed, and commit it."
"""What a test says where a file is not what the code makes."""


@dataclass(frozen=True)
class Generated:
    """A file of the repository, or several of a kind, and what makes their texts."""

    name: str
    make: Callable[[], Mapping[Path, str]]

    @staticmethod
    def file(name: str, path: Path, make: Callable[[], str]) -> Generated:
        """One file."""
        return Generated(name, lambda: {path: make()})


def run_generate(wanted: Sequence[str]) -> int:
    """Write the files that ``wanted`` names, or all; 0.

    Raises:
        CommandFailedError: there is no such file.

    """
    names = [each.name for each in GENERATED]
    for unknown in sorted({*wanted} - {*names}):
        raise CommandFailedError(f"{unknown} is none of {', '.join(names)}.")
    console = make_console()
    for each in GENERATED:
        if not wanted or each.name in wanted:
            with console.status(each.name):
                changed = [str(path.relative_to(ROOT)) for path, text in each.make().items() if write(path, text)]
            console.print(f"{each.name}: {', '.join(changed) + ' written' if changed else 'as it was'}")
    return 0


def write(path: Path, text: str) -> bool:
    """Write ``text``, unless the file holds it already; say whether it was written."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def schema_text() -> str:
    """The whole schema as the migrations make it, on a PostgreSQL that is started for it."""
    from runtime.servers.embedded import EmbeddedPostgres
    from store.migrate import upgrade

    # Not in a folder that other users cannot enter: where root runs this, the server runs as a user of its own.
    with (
        tempfile.TemporaryDirectory(prefix="manage-schema-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as server,
    ):
        upgrade(server.database_url)
        return dump_schema(server.database_url)


_SCHEMA_HEAD = """\
-- The whole schema as the migrations leave it: read it here, change it with a migration.
-- Made by `./dev generate schema`. Not shown: owners, rights, the months of the partitioned tables, Alembic's table.
"""
_NOISE = re.compile(
    r"--( Name: .*| Dumped .*| PostgreSQL .*)?|SET \w+ = [^;]*;|SELECT pg_catalog\.set_config\(.*|\\(un)?restrict \w+"
)
_MONTHS = "*_[0-9][0-9][0-9][0-9]_[0-9][0-9]"


def dump_schema(database_url: str) -> str:
    """The schema of a migrated database as SQL, the same text for the same schema."""
    from runtime.servers.embedded import postgres_program

    command = [postgres_program("pg_dump"), "--schema-only", "--no-owner", "--no-privileges"]
    command += [f"--exclude-table={_MONTHS}", "--exclude-table=alembic_version", f"--dbname={database_url}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    # Settings of the session, the versions of the programs and the marks of sections say nothing of the schema.
    lines = ("" if _NOISE.fullmatch(line) else line for line in done.stdout.splitlines())
    return _SCHEMA_HEAD + "\n" + re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def openapi_text() -> str:
    """The OpenAPI document, as the API serves it."""
    from pydantic import SecretStr

    from api.main import create_app
    from runtime.settings import Settings

    document = create_app(Settings(database_url=SecretStr("postgresql:///none"))).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


_PROBLEMS_HEAD = """\
# Problem codes

Every refusal is an RFC 9457 problem: over HTTP with a status, over MQTT without. Programs read its `code`, which never
changes its meaning. Its `type` leads to the page `/problems` of the API, which says the same as this one. This file is
made by `./dev generate problems`.
"""


def problems_text() -> str:
    """Every problem code by subject: its HTTP status, what it means, what to do."""
    from domain.base.problems import by_subject, problem_anchor

    lines = [_PROBLEMS_HEAD]
    for subject, codes in by_subject():
        lines += [f"## {subject}\n", "| code | status | meaning | what to do |", "|---|---|---|---|"]
        for code in codes:
            name = f'<a id="{problem_anchor(code)}"></a>`{code}`'
            lines.append(f"| {name} | {code.status.value} | {code.meaning} | {code.remedy} |")
        lines.append("")
    return "\n".join(lines)


_ACCESS_HEAD = """\
# Who may do what

Somebody has roles, each at one depot or at all of them, and roles add up. A role has permissions, and each route asks
for one of them. What somebody may not see does not exist for them: 404, and absent from lists, counts, search and
events. What they may see and not do is refused as 403 `NOT_PERMITTED`. Why it is so is in
[decision 0025](decisions/0025-who-may-do-what-stands-in-one-table.md). This file is made by `./dev generate access`
from `domain/access/`.
"""
_REACHES = {
    "public": "Anybody.",
    "signed in": "Whoever is known, whatever is granted.",
    "fleet": "A grant at all depots.",
    "depot": "A grant at each depot that the path names, itself or by what belongs to it.",
    "narrowed": "Whoever is known; it shows what there is at the depots where the permission is granted.",
    "body": "A grant at the depot that the body, form or query names.",
}


def access_text() -> str:
    """What each role permits, and what each route asks for."""
    from pydantic import SecretStr

    from api.main import create_app
    from domain.access.roles import PERMISSIONS, Permission, Role
    from domain.access.routes import OPERATIONS, PAGES, Access
    from runtime.settings import Settings

    def asked(access: Access) -> str:
        return f"{access.permission or ''} | {access.reach}"

    def row(*cells: str) -> str:
        return f"| {' | '.join(cells)} |"

    lines = [_ACCESS_HEAD, "## Roles\n", row("role", *Permission), row(*("---" for _ in range(len(Permission) + 1)))]
    lines += [row(role, *("yes" if each in PERMISSIONS[role] else "" for each in Permission)) for role in Role]
    lines += ["\n## Where a permission is needed\n", "| where | meaning |", "|---|---|"]
    lines += [row(name, meaning) for name, meaning in _REACHES.items()]
    lines += ["\n## Operations of the API\n", "| operation | path | permission | where |", "|---|---|---|---|"]
    document = create_app(Settings(database_url=SecretStr("postgresql:///none"))).openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            name = operation["operationId"]
            lines.append(f"| `{name}` | `{method.upper()} {path}` | {asked(OPERATIONS[name])} |")
    lines += ["\n## Pages and their parts\n", "| route | permission | where |", "|---|---|---|"]
    lines += [f"| `{name}` | {asked(access)} |" for name, access in PAGES.items()]
    return "\n".join(lines) + "\n"


def scenario_schema_text() -> str:
    """The JSON Schema of the scenario language."""
    from sim_scenarios.language.language import scenario_schema

    return json.dumps(scenario_schema(), indent=2) + "\n"


_WIDTH = 119
_MAP = re.compile(r"^- ``", re.MULTILINE)
_CRITERIA = re.compile(r" \(COR-[^)]*\)")


def package_maps() -> dict[Path, str]:
    """Each package's ``__init__.py``, whose docstring lists its modules, each with the first line of its own."""
    return {path: map_text(path) for path in _packages()}


def map_text(path: Path) -> str:
    """What the ``__init__.py`` of a package is to be: its own words, then its modules and packages by name."""
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text), clean=False) or ""
    parts = {each.stem: each for each in path.parent.glob("*.py") if each.stem not in ("__init__", "__main__")}
    parts |= {each.parent.name: each for each in path.parent.glob("*/__init__.py")}
    lines = [f"- ``{name}``: {_first_line(part)}" for name, part in sorted(parts.items())]
    wrapped = [textwrap.fill(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in lines]
    if not docstring or not lines:
        return text
    return text.replace(docstring, _MAP.split(docstring, maxsplit=1)[0].rstrip() + "\n\n" + "\n".join(wrapped) + "\n")


def _packages() -> Iterator[Path]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        roots = tomllib.load(file)["tool"]["importlinter"]["root_packages"]
    for root in roots:
        for path in sorted((ROOT / root).rglob("__init__.py")):
            # Migrations are a line through time.
            if not {"node_modules", "migrations"} & set(path.parts):
                yield path


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return _CRITERIA.sub("", docstring.partition("\n")[0].rstrip("."))


GENERATED = (
    Generated.file("access", ROOT / "docs" / "access.md", access_text),
    Generated("maps", package_maps),
    Generated.file("openapi", ROOT / "docs" / "openapi.json", openapi_text),
    Generated.file("problems", ROOT / "docs" / "problems.md", problems_text),
    Generated.file("scenario-schema", ROOT / "sim_scenarios" / "scenario.schema.json", scenario_schema_text),
    Generated.file("schema", ROOT / "store" / "schema.sql", schema_text),
)
"""Every such file. Tests hold each of them."""
