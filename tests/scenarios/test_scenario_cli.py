"""`./dev scenario`: begin, check and list scenarios without a running product."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cli.commands.scenario import run_list, run_new, run_validate
from cli.errors import CommandFailedError
from sim_scenarios.runs.library import FOLDER, preset_names
from tests.helpers.commands import run


def test_the_list_names_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_list() == 0
    shown = capsys.readouterr().out
    for name in preset_names():
        assert name in shown


def test_without_files_the_presets_are_checked() -> None:
    done: subprocess.CompletedProcess[str] = run("scenario", "validate")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("✓") == len(preset_names())


def test_a_new_scenario_is_written_once_and_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_new("my-site", None) == 0
    assert run_new("my-day", "heartbeat") == 0
    assert run_validate([Path("my-site.yaml"), Path("my-day.yaml")], []) == 0
    before = Path("my-site.yaml").read_text()
    with pytest.raises(CommandFailedError, match="is there already"):
        run_new("my-site", None)
    assert Path("my-site.yaml").read_text() == before
    assert capsys.readouterr().out.count("✓") == 2


@pytest.mark.parametrize(("name", "like", "why"), [("../x", None, "no name"), ("x", "y", "no preset")])
def test_a_new_scenario_needs_a_name_and_a_preset_that_exists(name: str, like: str | None, why: str) -> None:
    with pytest.raises(CommandFailedError, match=why):
        run_new(name, like)


def test_everything_wrong_is_told_with_line_code_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (FOLDER / "presets" / "heartbeat.yaml").read_text(encoding="utf-8")
    text = text.replace("every: 60s", "every: 7q").replace("connected: false", "conected: false")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text)
    assert run_validate([wrong], []) == 1
    shown = capsys.readouterr().out
    assert f"{wrong}:8: WRONG_FORM: Must be a duration such as 24h, 1h30m or 90s. (at /every)" in shown
    assert f"{wrong}:43: UNKNOWN_FIELD: The language has no such field here. (at /timeline/4/set/conected)" in shown


def test_an_expectation_that_cannot_come_true_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (FOLDER / "presets" / "heartbeat.yaml").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text.replace("capacity_kw: 90}", "capacity_kw: 91}"))
    assert run_validate([wrong], []) == 1
    assert "EXPECTATION_NOT_MET: Step 18 at 18m" in capsys.readouterr().out


def test_a_revision_of_one_s_own_is_a_file_beside_the_scenario(tmp_path: Path) -> None:
    table = (FOLDER / "controllers" / "bba-1.yaml").read_text(encoding="utf-8")
    revision = tmp_path / "bba-7.yaml"
    revision.write_text(table.replace('revision: "1"', 'revision: "7"'))
    scenario = tmp_path / "mine.yaml"
    text = (FOLDER / "presets" / "quick-look.yaml").read_text(encoding="utf-8")
    scenario.write_text(text.replace("controller: bba-1", "controller: bba-7"))
    assert run_validate([scenario], []) == 1
    assert run_validate([scenario], [revision]) == 0


def test_a_file_that_is_no_text_is_no_scenario(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandFailedError, match="not UTF-8"):
        run_validate([path], [])
