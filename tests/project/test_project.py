"""The project's habits: who may import whom, and the commands that hold the project to its word."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import api.base.dependencies
import api.main
import runtime.begin
import worker
from cli.console import make_console
from devtools import acceptance, check
from devtools.criteria import (
    CriteriaError,
    CriterionStatus,
    ProvingTest,
    State,
    evaluate,
    parse_criteria,
    unknown_criteria,
)

ROOT = Path(__file__).parent.parent.parent
PACKAGES = (
    "domain",
    "runtime",
    "store",
    "sim_scenarios",
    "reconciliation",
    "activities",
    "workflows",
    "telemetry",
    "api",
    "cli",
    "devtools",
)
DOCUMENT = """\
## COR-8 Provisioning
| id | criterion | state |
|---|---|---|
| COR-8.1 | One microgrid \\| one depot | delivered |
| COR-8.10 | Whatever races | delivered |

## COR-9 Status
| id | criterion | state |
|---|---|---|
| COR-9.1 | A card | planned |
"""


# Layers


def lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages that may be broken."""
    folder = tmp_path_factory.mktemp("project")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    return folder


def test_the_layers_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("domain.base.names", "store.site.tables", "Imports point downwards"),
        ("domain.base.names", "asyncio", "The domain does no I/O and has no clock"),
        ("domain.base.names", "sqlalchemy", "The domain does no I/O and has no clock"),
        ("runtime.logs", "store.site.tables", "Imports point downwards"),
        ("store.site.tables", "sim_scenarios", "Imports point downwards"),
        ("store.site.tables", "runtime.settings", "The store knows the domain and PostgreSQL"),
        ("store.site.tables", "temporalio", "The store knows the domain and PostgreSQL"),
        ("telemetry.ingest", "api.main", "Imports point downwards"),
        ("sim_scenarios", "runtime.settings", "Scenarios know the domain alone"),
        ("sim_scenarios.runs.steps", "time", "Scenarios know the domain alone"),
        ("activities.heartbeat", "workflows.launch", "Imports point downwards"),
        ("activities.heartbeat", "fastapi", "Activities know nothing of HTTP"),
        ("workflows.launch", "store.site.tables", "Workflows reach the world through activities alone"),
        ("workflows.launch", "sqlalchemy", "Workflows reach the world through activities alone"),
        ("workflows.launch", "api.main", "Imports point downwards"),
        ("api.health", "activities.backfill", "The API calls workflows, never their steps"),
        ("api.health", "cli.place", "Imports point downwards"),
        ("cli.place", "devtools.check", "Imports point downwards"),
        ("domain.base.names", "devtools.legacy_fleet", "Imports point downwards"),
        ("api.health", "relay", "Only the command line imports the worker, the relay or the made-up fleet"),
        ("workflows.launch", "worker", "Only the command line imports the worker, the relay or the made-up fleet"),
        ("domain.base.names", "domain.site.circuits", "Wings know what stands to their left"),
        ("domain.site.routing", "domain.monitoring.packets", "Wings know what stands to their left"),
        (
            "domain.monitoring.freshness",
            "domain.controllers.controller_support",
            "Wings know what stands to their left",
        ),
        ("store.base.locks", "store.site.depots", "Wings know what stands to their left"),
        ("store.site.circuits", "store.provisioning.microgrids", "Wings know what stands to their left"),
        ("store.provisioning.outbox", "store.monitoring.packets", "Wings know what stands to their left"),
        ("store.controllers.packet_arrivals", "store.simulation.change_tokens", "Wings know what stands to their left"),
        ("api.base.versions", "api.edge.fast_path", "Wings of the API know what stands to their left, and no pages"),
        ("api.site.depots", "api.monitoring.load", "Wings of the API know what stands to their left, and no pages"),
        (
            "api.simulation.scenarios",
            "api.ui.base.words",
            "Wings of the API know what stands to their left, and no pages",
        ),
        ("api.ui.site.devices", "api.ui.monitoring.load", "Wings know what stands to their left"),
        (
            "sim_scenarios.language.source",
            "sim_scenarios.runs.steps",
            "The simulation goes from its language to its evidence",
        ),
    ],
)
def test_a_broken_layer_is_noticed(copy: Path, module: str, imported: str, contract: str) -> None:
    path = copy / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    before = path.read_text()
    path.write_text(f"{before}\nimport {imported}\n")
    try:
        done = lint_imports(copy)
    finally:
        path.write_text(before)
    assert done.returncode == 1
    assert f"{contract} BROKEN" in done.stdout
    assert f"{module} -> {imported} (l." in done.stdout


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    return imports_in(ast.parse(path.read_text()))


def imports_in(tree: ast.AST) -> set[str]:
    """The modules that a module's tree imports, and what it imports from them."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_relay_stands_below_worker_api_and_command_line() -> None:
    ours = {name.split(".")[0] for name in imports_of(ROOT / "relay.py")} & {*PACKAGES, "worker"}
    assert ours <= {"domain", "runtime", "store", "workflows"}


def test_benchmarks_and_tests_share_what_is_named_for_it_alone() -> None:
    borrowed = {
        f"{path.relative_to(ROOT)}: {name}"
        for folder, foreign in (("tests", "devtools.bench"), ("devtools", "tests"))
        for path in (ROOT / folder).rglob("*.py")
        for name in imports_of(path)
        if f"{name}.".startswith(f"{foreign}.")
    }
    assert borrowed == set()


def test_sql_is_written_in_the_store_alone() -> None:
    # What a module may do elsewhere: hold an engine or a connection, and know its errors.
    handles = ("sqlalchemy.ext.asyncio", "sqlalchemy.exc")
    files = [ROOT / "relay.py", ROOT / "worker.py"]
    for package in set(PACKAGES) - {"store", "cli", "devtools"}:
        files += sorted((ROOT / package).rglob("*.py"))
    written = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in imports_of(path)
        if name.startswith("sqlalchemy") and name != "sqlalchemy" and not name.startswith(handles)
    }
    assert written == set()


def callers_in_store(name: str) -> set[str]:
    """The modules of ``store/`` that call a function, wherever in them."""
    return {
        path.stem
        for path in (ROOT / "store").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == name
    }


def test_every_change_of_a_configuration_is_a_block_that_locks_first_and_notifies_last() -> None:
    assert callers_in_store("apply_configuration_change") == callers_in_store("follow_capacities") == {"site_changes"}
    changing = callers_in_store("configuration_change") | callers_in_store("change_in_depot_of")
    changing |= callers_in_store("change_of")
    assert changing == {
        "circuits", "gateways", "devices", "power_sources", "sensor_actions", "controller_bindings", "retirement",
        "site_changes",
    }  # fmt: skip
    # Whoever changes a configuration takes the lock, and the journal, of the block alone.
    others = changing - {"site_changes"}
    assert others.isdisjoint(callers_in_store("lock_depot") | callers_in_store("record_change"))


# Composition roots


def reads_settings(text: str) -> bool:
    """Whether a module reads the settings from the environment: by itself, or by what does it for a process."""
    tree = ast.parse(text)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = imports_in(tree)
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return (
        ("runtime.settings" in imported and not called.isdisjoint({"Settings", "runtime.settings.Settings"}))
        or "runtime.settings.load_settings" in imported
        or "runtime.settings.load_settings" in called
        or ("runtime.begin.begin" in imported and "begin" in names)
    )


def modules_of_processes() -> list[Path]:
    """The modules of the product's processes; commands are programs of their own."""
    packages = [path for package in set(PACKAGES) - {"cli", "devtools"} for path in (ROOT / package).rglob("*.py")]
    return [ROOT / "relay.py", ROOT / "worker.py", *packages]


def test_settings_are_read_in_the_composition_roots_alone() -> None:
    roots = {Path(str(each.__file__)) for each in (api.main, worker, runtime.begin)}
    reading = {path for path in modules_of_processes() if reads_settings(path.read_text())}
    assert reading == roots, "settings are read in main, and passed on"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from runtime.settings import Settings\nurl = Settings().api_url", True),
        ("from runtime.settings import load_settings", True),
        ("import runtime.settings\nurl = runtime.settings.load_settings().api_url", True),
        ("from runtime.begin import begin\nbegin()", True),
        ("from runtime.settings import Settings\ndef make(settings: Settings) -> None: settings.api_url", False),
        ("class Settings: ...\nSettings()", False),
    ],
)
def test_reading_settings_is_noticed(text: str, *, found: bool) -> None:
    assert reads_settings(text) is found


_STATE = re.compile(r"\b(app|application)\.state\b")


def test_the_state_of_an_application_is_touched_in_one_module() -> None:
    touching = {path for path in modules_of_processes() if _STATE.search(path.read_text())}
    touching |= {path for path in (ROOT / "api").rglob("*.py") if re.search(r"\brequest\.state\b", path.read_text())}
    assert touching == {Path(str(api.base.dependencies.__file__))}, "what requests share is a field of Resources"


def test_no_test_module_imports_another() -> None:
    paths = sorted((ROOT / "tests").rglob("*.py"))
    assert paths
    taken = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in imports_of(path)
        if re.match(r"tests\.(\w+\.)*test_\w+", name)
    }
    assert taken == set()


# Acceptance


def test_the_criteria_are_read_with_story_and_state() -> None:
    first, second, third = parse_criteria(DOCUMENT)
    assert (first.id, first.story, first.state) == ("COR-8.1", "COR-8 Provisioning", State.DELIVERED)
    assert first.text == "One microgrid \\| one depot"
    assert second.id == "COR-8.10"
    assert (third.id, third.state) == ("COR-9.1", State.PLANNED)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("| COR-9.1 | A card | planned |", "| COR-9.1 | A card | done |", "the state 'done' of COR-9.1"),
        ("| COR-9.1 | A card | planned |", "| COR-9.1 | A card planned |", "is no row"),
        ("| COR-9.1 |", "| COR-9.x |", "is no row"),
        ("| COR-9.1 |", "| COR-8.2 |", "COR-8.2 stands in the section of COR-9"),
        ("| COR-8.10 |", "| COR-8.1 |", "COR-8.1 is there twice"),
        ("COR-", "KOR-", "no criterion"),
    ],
)
def test_a_row_of_another_form_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(CriteriaError) as refused:
        parse_criteria(DOCUMENT.replace(old, new))
    assert said in str(refused.value)


def proving(*criteria: str, counts: bool = True, outcome: str | None = None) -> ProvingTest:
    return ProvingTest("tests/test_it.py::test_it", criteria, counts, outcome)


@pytest.mark.parametrize(
    ("tests", "ran", "status", "fault"),
    [
        ([], False, CriterionStatus.UNPROVED, True),
        ([proving("COR-8.10")], False, CriterionStatus.UNPROVED, True),
        ([proving("COR-8.1")], False, CriterionStatus.COVERED, False),
        ([proving("COR-9.1", "COR-8.1")], False, CriterionStatus.COVERED, False),
        ([proving("COR-8.1", counts=False)], False, CriterionStatus.UNPROVED, True),
        ([proving("COR-8.1", outcome="passed")], True, CriterionStatus.PASSED, False),
        ([proving("COR-8.1", outcome="skipped")], True, CriterionStatus.UNPROVED, True),
        (
            [proving("COR-8.1", outcome="passed"), proving("COR-8.1", outcome="failed")],
            True,
            CriterionStatus.FAILED,
            True,
        ),
        ([proving("COR-8.1")], True, CriterionStatus.UNPROVED, True),
    ],
)
def test_what_the_tests_say_of_a_delivered_criterion(
    tests: list[ProvingTest], ran: bool, status: CriterionStatus, fault: bool
) -> None:
    finding = evaluate(parse_criteria(DOCUMENT), tests, ran=ran)[0]
    assert (finding.status, finding.is_fault) == (status, fault)


def test_a_planned_criterion_is_no_fault_and_an_unknown_one_is_named() -> None:
    criteria = parse_criteria(DOCUMENT)
    assert not evaluate(criteria, [], ran=False)[2].is_fault
    assert unknown_criteria(criteria, [proving("COR-8.1", "COR-8.2")]) == [("COR-8.2", "tests/test_it.py::test_it")]


TESTS = """\
import pytest

@pytest.mark.acceptance("COR-8.1", "COR-9.1")
@pytest.mark.parametrize("number", [1, 2])
def test_one(number): assert number

@pytest.mark.acceptance("COR-8.10")
def test_two(): assert {second}

def test_three(): raise AssertionError("a test without a criterion is not run")
"""


@pytest.mark.parametrize(
    ("tests", "run", "status", "said"),
    [
        (TESTS.format(second=True), False, 0, "3 criteria: 2 delivered, 2 of them with tests; 1 planned, 1 of them"),
        (TESTS.format(second=True), True, 0, "3 criteria: 2 delivered, 2 of them hold"),
        (TESTS.format(second=False), False, 0, "2 of them with tests"),
        (TESTS.format(second=False), True, 1, "COR-8.10 is said to be delivered, but a test of it fails."),
        (TESTS.replace("8.10", "8.11"), False, 1, "COR-8.11 is no criterion; "),
        (TESTS.replace("8.10", "8.1"), False, 1, "COR-8.10 is said to be delivered, but no test proves it."),
        (TESTS.replace('"COR-8.10"', ""), False, 1, "an empty marker is no criterion"),
        ("import nothing_of_the_kind", False, 1, "ModuleNotFoundError"),
        ("", False, 1, "COR-8.1 is said to be delivered, but no test proves it."),
    ],
)
def test_the_acceptance_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], tests: str, run: bool, status: int, said: str
) -> None:
    (tmp_path / "criteria.md").write_text(DOCUMENT)
    (tmp_path / "test_it.py").write_text(tests)
    document, test = tmp_path / "criteria.md", tmp_path / "test_it.py"
    assert acceptance.run_acceptance(document, test, run=run, brief=False) == status
    assert said in capfd.readouterr().out


def test_every_delivered_criterion_of_the_product_has_its_test(capfd: pytest.CaptureFixture[str]) -> None:
    status = acceptance.run_acceptance(run=False, brief=True)
    assert status == 0, capfd.readouterr().out


# Check


def test_every_check_runs_whatever_fails(capfd: pytest.CaptureFixture[str]) -> None:
    fails = check.Check("bad", (sys.executable, "-c", "import sys; print('why it fails'); sys.exit(3)"))
    passes = check.Check("good", (sys.executable, "-c", "print('nothing to see')"))
    console = make_console()
    assert check.report(console, check.run_all(console, [fails, passes])) == 1
    out = capfd.readouterr().out
    assert "why it fails" in out
    assert "nothing to see" not in out
    assert check.report(console, check.run_all(console, [passes])) == 0
