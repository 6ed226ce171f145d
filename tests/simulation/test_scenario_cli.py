"""`./dev scenario run` beside a product: what it keeps of runs that fail, on any terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from cli.place import ROOT
from runtime.settings import Settings
from sim_scenarios.evidence.evidence import read_evidence
from sim_scenarios.runs.library import preset_text
from tests.helpers.live import serving, working

FAILS = "circuit: {mode: CONTROLLER, capacity_kw: 555}"


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest_asyncio.fixture
async def address(engine: AsyncEngine, client: Client, database_url: str, task_queue: str) -> AsyncGenerator[str]:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with serving(settings) as there, working(client, engine, task_queue, api_url=there):
        yield there


async def dev(folder: Path, address: str, *args: str, **variables: str) -> Answer:
    """Run a command in a folder, and name the product by ``--api``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "scenario", "run", *args, "--api", address,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("MANAGE_")}
        | {"PYTHONPATH": str(ROOT)}
        | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return Answer(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


def write_scenarios(folder: Path) -> None:
    """One scenario in two files, of which the second expects what does not come."""
    good = preset_text("quick-look").replace("All is well", "⚡ Ω")
    bad = good.replace("circuit: {mode: CONTROLLER, capacity_kw: 600}", FAILS)
    assert bad != good
    for place, text in (("a", good), ("b", bad)):
        (folder / place).mkdir()
        (folder / place / "mine.yaml").write_text(text, encoding="utf-8")


async def test_a_run_that_fails_leaves_every_report_on_any_terminal(tmp_path: Path, address: str) -> None:
    write_scenarios(tmp_path)
    kept = ("--junit", "out/report.xml", "--html", "out/html", "--evidence", "out/evidence")
    for variables in ({"LC_ALL": "en_US.ISO-8859-1"}, {"PYTHONIOENCODING": "ascii:strict"}):
        done = await dev(tmp_path, address, "a/mine.yaml", "b/mine.yaml", "quick-look", *kept, **variables)
        assert done.code == 1
        assert "Traceback" not in done.out + done.err
        assert "circuit capacity_w should be 555,000, and is 600,000." in done.out
        # Each run has its own, although all three have one name.
        names = ["quick-look", "quick-look-2", "quick-look-3"]
        found = [read_evidence((tmp_path / "out" / "evidence" / f"{name}.ndjson").read_bytes()) for name in names]
        assert [each.result["outcome"] for each in found] == ["PASSED", "FAILED", "PASSED"]
        assert sorted(path.stem for path in (tmp_path / "out" / "html").iterdir()) == names
        report = fromstring((tmp_path / "out" / "report.xml").read_bytes())
        assert [suite.attrib["name"] for suite in report] == names
        assert (report.attrib["failures"], report.attrib["errors"]) == ("1", "0")
        for suite in report:
            cases = [case.attrib["name"] for case in suite.iter("testcase")]
            assert len(set(cases)) == len(cases) == int(suite.attrib["tests"])
            assert {case.attrib["classname"] for case in suite.iter("testcase")} == {suite.attrib["name"]}
        both = [each for each in report.iter("testcase") if "circuit/capacity_w" in each.attrib["name"]]
        assert [len(each) for each in both if "555,000" in each.attrib["name"]] == [1]


async def test_what_ran_before_one_that_cannot_run_is_kept(tmp_path: Path, address: str) -> None:
    write_scenarios(tmp_path)
    (tmp_path / "wrong.yaml").write_text("scenario: wrong\n", encoding="utf-8")
    done = await dev(tmp_path, address, "a/mine.yaml", "wrong.yaml", "--junit", "report.xml", "--evidence", "evidence")
    assert done.code == 1
    assert "INVALID_SCENARIO" in done.err
    assert fromstring((tmp_path / "report.xml").read_bytes()).attrib["failures"] == "0"
    assert [path.name for path in (tmp_path / "evidence").iterdir()] == ["quick-look.ndjson"]


async def test_a_refusal_says_which_field_is_wrong(tmp_path: Path, address: str) -> None:
    for args, field in ((("--seed", str(2**60)), "seed"), (("--depot", "\u202ename"), "search")):
        done = await dev(tmp_path, address, "quick-look", *args)
        assert done.code == 1
        first, second = done.err.strip().splitlines()
        assert "INVALID_REQUEST" in first
        assert second.startswith(f"  {field}: ")


async def test_a_reader_that_goes_away_takes_no_report_along(tmp_path: Path, address: str) -> None:
    write_scenarios(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "scenario", "run", "quick-look", "--api", address, "--evidence", str(tmp_path),
        cwd=ROOT, stdout=writing, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    _, err = await process.communicate()
    assert err == b""
    assert process.returncode == 141
