"""`./dev test --coverage` fails where the tests executed less of a package than its floor."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from cli.place import ROOT
from devtools.testing import run_tests as runner
from devtools.testing.coverage_floors import floors, judge, packages
from devtools.testing.run_tests import run_tests

REPORT = {
    "store/site/depots.py": (8, 10),
    "store/schema.py": (9, 10),
    "domain/base/texts.py": (30, 30),
    "relay.py": (3, 4),
}
"""Statements that were executed, of how many, by file."""
HELD = {"store": 85, "domain": 100, "relay": 75}


def judged(tmp_path: Path, held: Mapping[str, int], *, partial: bool = False) -> tuple[int, dict[str, str]]:
    """Judge the report by these floors: the exit code, and each package's row of the table."""
    report = tmp_path / "coverage.json"
    files = {file: {"summary": {"covered_lines": a, "num_statements": b}} for file, (a, b) in REPORT.items()}
    report.write_text(json.dumps({"files": files}))
    written = io.StringIO()
    outcome = judge(Console(file=written, width=100), packages(report, held), partial=partial)
    rows = (line.split(maxsplit=1) for line in written.getvalue().splitlines()[1:])
    return outcome, {row[0]: " ".join(row[1].split()) for row in rows}


def test_packages_at_their_floors_pass(tmp_path: Path) -> None:
    assert judged(tmp_path, HELD) == (0, {"domain": "100.0 % 100 %", "relay": "75.0 % 75 %", "store": "85.0 % 85 %"})


@pytest.mark.parametrize(
    ("held", "package", "row"),
    [
        ({"store": 86}, "store", "85.0 % 86 % below its floor"),
        ({"relay": 76}, "relay", "75.0 % 76 % below its floor"),
        ({"worker": 0}, "worker", "none 0 % was not measured"),
    ],
)
def test_a_package_at_fault_is_named_and_fails(tmp_path: Path, held: dict[str, int], package: str, row: str) -> None:
    outcome, rows = judged(tmp_path, HELD | held)
    assert outcome == 1
    assert rows[package] == row
    assert [name for name, other in rows.items() if not other.endswith("%")] == [package]


def test_a_share_just_below_its_floor_is_not_rounded_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REPORT, "relay.py", (89_999, 100_000))
    outcome, rows = judged(tmp_path, HELD | {"relay": 90})
    assert (outcome, rows["relay"]) == (1, "89.9 % 90 % below its floor")


def test_a_package_without_a_floor_fails(tmp_path: Path) -> None:
    outcome, rows = judged(tmp_path, {"store": 85, "domain": 100})
    assert (outcome, rows["relay"]) == (1, "75.0 % none has no floor")


def test_a_part_of_the_tests_is_shown_and_not_judged(tmp_path: Path) -> None:
    outcome, rows = judged(tmp_path, HELD | {"store": 86}, partial=True)
    assert (outcome, rows["store"]) == (0, "85.0 % 86 %")


def test_every_package_of_the_product_has_a_floor() -> None:
    copied = [line.split() for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()]
    named = {name for words in copied if words[:1] == ["COPY"] for name in words[1:-1]}
    product = {name.removesuffix(".py") for name in named if name.endswith(".py") or any((ROOT / name).glob("**/*.py"))}
    assert floors(ROOT / "pyproject.toml").keys() == product
    assert all(0 < floor <= 100 for floor in floors(ROOT / "pyproject.toml").values())


@pytest.mark.parametrize(("floor", "outcome"), [(83, 0), (84, 1)])
def test_the_command_measures_what_the_tests_execute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], floor: int, outcome: int
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f"""
        [tool.pytest.ini_options]
        pythonpath = ["."]
        asyncio_default_fixture_loop_scope = "function"
        [tool.coverage.run]
        source = ["."]
        omit = ["test_*"]
        [tool.coverage-floors]
        shop = {floor}
        """
    )
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "till.py").write_text(
        "def f(x):\n    if x:\n        return 1\n    return 2\ndef g():\n    return 3\n"
    )
    # Two processes share the tests; what is measured is what both of them executed.
    (tmp_path / "test_till.py").write_text("from shop.till import f\ndef test_a(): f(1)\ndef test_b(): f(0)\n")
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.delenv("COVERAGE_FILE", raising=False)
    assert run_tests([], coverage=True) == outcome
    assert capsys.readouterr().out.splitlines()[-1].split()[:4] == ["shop", "83.3", "%", str(floor)]
