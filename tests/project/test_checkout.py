"""A checkout as somebody gets it: what it declares, what its hooks say, and the deployment by hand, step by step."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import yaml
from fastapi.routing import APIRoute
from pydantic import SecretStr

from api.main import create_app
from api.ui.base import assets, live
from devtools.assets import lay_out
from devtools.check import checks
from runtime.servers.processes import free_port
from runtime.settings import Settings
from tests.helpers.live import http_client
from tests.helpers.support import until

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = (
    "activities", "api", "cli", "devtools", "domain", "fleet", "relay", "runtime", "reconciliation", "sim_scenarios",
    "store", "telemetry", "tests", "worker", "workflows",
)  # fmt: skip
ELSEWHERE = {"flexmeasures", "depot_microgrid_client", "models"}
"""Installed beside the product by the bench that compares it; clients that tests have other tools generate."""
LEFT_BEHIND = ("__pycache__", "node_modules", "vendor")


def copy_of_the_checkout(folder: Path) -> Path:
    """What a checkout holds before anything is installed, but for the Python packages."""
    made = folder / "checkout"
    made.mkdir()
    for path in sorted(ROOT.iterdir()):
        if path.name.startswith((".venv", ".data", ".git", ".hypothesis")) and path.name != ".gitignore":
            continue
        if path.is_dir():
            shutil.copytree(path, made / path.name, ignore=shutil.ignore_patterns(*LEFT_BEHIND, ".*_cache"))
        else:
            shutil.copy2(path, made / path.name)
    (made / ".venv").symlink_to(Path(sys.prefix))
    return made


# Packages


def names(requirements: Iterable[str]) -> set[str]:
    found = {re.match(r"[\w.-]+", each) for each in requirements}
    return {re.sub(r"[-_.]+", "-", each[0]).lower() for each in found if each}


def imported(path: Path) -> Iterator[str]:
    """The top-level names of what a file imports, ours and Python's own left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        for module in modules:
            top = module.split(".")[0]
            if top not in sys.stdlib_module_names and top not in OURS:
                yield top


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = [each for extra in project["project"]["optional-dependencies"].values() for each in extra]
    product = names([*project["project"]["dependencies"], *extras])
    tools = product | names(project["dependency-groups"]["dev"])
    brings = packages_distributions()
    undeclared: set[str] = set()
    for name in OURS:
        for path in (ROOT / name).rglob("*.py") if (ROOT / name).is_dir() else [ROOT / f"{name}.py"]:
            alone_in_a_checkout = name in ("devtools", "tests")
            declared = tools if alone_in_a_checkout else product
            undeclared |= {
                f"{path.relative_to(ROOT)}: {top}"
                for top in imported(path)
                if top not in ELSEWHERE and not names(brings.get(top, ())) & declared
            }
    assert undeclared == set()


# Hooks


def test_the_hooks_say_of_a_clean_checkout_what_the_checks_say(tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTHONPATH"))}
    environment |= {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
    modules = Path("api", "ui", "node_modules")
    (checkout / modules).symlink_to(ROOT / modules)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)

    assert run("git", "init", "--quiet").returncode == 0
    assert run("git", "add", "--all", "--", ".", ":!.venv").returncode == 0
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    checked = {Path(each.command[0]).name for each in checks()}
    # What checks everything is a command of `./dev check` itself; the others are tried here.
    whole = {each["id"] for each in hooks if shlex.split(each["entry"])[0].rpartition("/")[2] in checked - {"ruff"}}
    assert whole >= {"layers", "types"}
    for hook in [each["id"] for each in hooks if each["id"] not in whole and "stages" not in each]:
        done = run(str(checkout / ".venv" / "bin" / "pre-commit"), "run", hook, "--all-files")
        assert done.returncode == 0, done.stdout + done.stderr


# By hand


def steps_by_hand() -> list[str]:
    """The commands of the section of docs/operations.md, in their order."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text[text.index("## By hand") :]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line and not line.startswith("export")]


@contextmanager
def running(command: list[str], folder: Path, environment: dict[str, str]) -> Generator[None]:
    """A command that goes on while the block runs."""
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        yield
        process.terminate()


def ran(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command that must succeed; answer what it printed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@asynccontextmanager
async def running_until_ready(
    command: list[str], folder: Path, environment: dict[str, str], port: int
) -> AsyncGenerator[httpx.AsyncClient]:
    """The API that a command runs, and somebody who calls it, while the block runs."""
    with running(command, folder, environment):
        async with http_client(f"http://127.0.0.1:{port}") as caller:

            async def ready() -> bool:
                try:
                    return (await caller.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(ready)
            yield caller


PAGE = {"accept": "text/html"}


def page_requests() -> list[tuple[str, str]]:
    """Method and path of everything that the pages ask for, but their files and their stream of changes."""
    app = create_app(Settings(database_url=SecretStr("postgresql://nobody@nowhere/nothing")))
    modules = {assets.__name__, live.__name__}
    found = [
        (method, re.sub(r"\{\w+(:\w+)?\}", str(uuid4()), route.path))
        for route in app.routes
        if isinstance(route, APIRoute)
        and route.endpoint.__module__.startswith("api.ui.")
        and route.endpoint.__module__ not in modules
        for method in route.methods or ()
    ]
    assert len(found) > 100
    return found


async def assert_pages_say_what_is_missing(caller: httpx.AsyncClient) -> None:
    told = (await caller.get("/readyz")).json()
    assert (told["status"], told["pages"]) == ("DEGRADED", "MISSING")
    requests = page_requests()
    assert {("GET", "/"), ("POST", "/depots/new"), ("GET", "/scenarios")} <= set(requests)
    for method, path in requests:
        # Nothing is changed by a form either: its answer could not be shown.
        document = await caller.request(method, path)
        assert (document.status_code, document.json()["code"]) == (503, "PAGES_UNAVAILABLE"), (method, path)
        assert "`.venv/bin/python devtools/assets.py --omit-dev`" in document.json()["detail"]
    page = await caller.get("/", headers=PAGE)
    assert page.status_code == 503
    assert "<code>.venv/bin/python devtools/assets.py --omit-dev</code>" in page.text
    loaded = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert loaded
    assert {(await caller.get(each)).status_code for each in loaded} == {200}
    # Another refusal stays what it is.
    nowhere = await caller.get("/nowhere", headers=PAGE)
    assert nowhere.status_code == 404
    assert "There is no such page" in nowhere.text
    assert (await caller.get("/api/depots")).status_code == 200


@pytest.mark.usefixtures("client")
async def test_the_steps_by_hand_bring_the_pages_up(tmp_path: Path, database_url: str, temporal_address: str) -> None:
    checkout = copy_of_the_checkout(tmp_path)
    install, fetch, migrate, work, serve = (shlex.split(step, comments=True) for step in steps_by_hand())
    port = free_port(0)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MANAGE_", "PYTHONPATH"))}
    environment |= {"DATABASE_URL": database_url, "TEMPORAL_ADDRESS": temporal_address}
    # The packages are those of this environment, and what is fetched is laid out from what `./dev` fetched.
    assert install[:3] == ["uv", "sync", "--frozen"]
    assert fetch == [".venv/bin/python", "devtools/assets.py", "--omit-dev"]
    assert "--omit-dev" in ran([*fetch, "--help"], checkout, environment)
    ran([part for part in migrate if "DATABASE_URL" not in part], checkout, environment)
    assert work == [".venv/bin/python", "worker.py"]
    serve[serve.index("8000")] = str(port)

    async with running_until_ready(serve, checkout, environment, port) as caller:
        await assert_pages_say_what_is_missing(caller)
        pages = checkout / "api" / "ui"
        lay_out(pages / "assets.json", ROOT / "api" / "ui" / "node_modules", pages / "static" / "vendor")
        # The same process, once the step is made up for.
        told = (await caller.get("/readyz")).json()
        assert (told["status"], told["pages"]) == ("READY", "OK")
        assert (await caller.get("/", headers=PAGE)).status_code == 200


@pytest.mark.parametrize("gone", ["icons.svg", "htmx.min.js", "inter", "inter/index.css"])
def test_each_file_that_is_missing_is_noticed(tmp_path: Path, gone: str) -> None:
    assert assets.missing_assets() == ()
    folder = tmp_path / "ui" / "static"
    shutil.copytree(assets.FOLDER, folder)
    shutil.copy(assets.FOLDER.parent / "assets.json", folder.parent)
    path = folder / "vendor" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert any(name.startswith(gone) for name in assets.Assets(folder).missing)
