"""What the commands say of files and terminals that do not take what they write, and of files that they cannot read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.place import ROOT
from tests.helpers.commands import run

NOWHERE = "http://127.0.0.1:1"
"""No API: a command that comes as far as asking one says that it does not answer."""


def failed(*args: str, cwd: Path | None = None, **variables: str) -> str:
    """Run a command that must fail in plain words; answer them."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MANAGE_")}
    done = subprocess.run(
        [sys.executable, "-m", "devtools", *args],
        cwd=cwd or ROOT,
        env=environment | {"PYTHONPATH": str(ROOT), "MANAGE_API_URL": NOWHERE} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 2), done
    assert "Traceback" not in done.stdout + done.stderr
    said = done.stderr or done.stdout
    assert "Failed." in said or done.returncode == 2
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "is-a-folder").mkdir()
    (tmp_path / "quick-look.ndjson").mkdir()
    (tmp_path / "quick-look.html").mkdir()
    (tmp_path / "is-a-file").write_text("\n")
    (tmp_path / "not-utf8").write_bytes(b"scenario: \xff\xfe\n")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--all", "--evidence", "."), "quick-look.ndjson: Is a directory"),
        (("quick-look", "--evidence", "."), "quick-look.ndjson: Is a directory"),
        (("--all", "--html", "."), "quick-look.html: Is a directory"),
        (("quick-look", "--junit", "is-a-folder"), "is-a-folder: Is a directory"),
        (("quick-look", "--junit", "is-a-file/report.xml"), "is-a-file"),
        (("quick-look", "--html", "is-a-file/deeper/report.html"), "is-a-file"),
        (("quick-look", "--junit", "/proc/nothing/report.xml"), "/proc/nothing"),
        (("quick-look", "--junit", "n" * 300), "File name too long"),
        (("quick-look", "--junit", "same", "--html", "same"), "same would be written twice"),
        (("quick-look", "--junit", "same", "--evidence", "is-a-folder/../same"), "same would be written twice"),
        (("not-utf8",), "not-utf8 is not UTF-8"),
        (("quick-look", "nothing-here"), "neither a preset nor a file"),
        # All of it can be written: only then is the API asked.
        (("quick-look", "--junit", "new/report.xml", "--html", "/dev/stdout"), "does not answer"),
        (("quick-look", "quick-look", "--evidence", "new"), "does not answer"),
    ],
)
def test_what_a_run_cannot_write_is_said_before_it_runs(folder: Path, args: tuple[str, ...], says: str) -> None:
    assert says in failed("scenario", "run", *args, cwd=folder)
    assert [path.name for path in folder.rglob("report*")] == []
    assert not (folder / "same").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("import", "is-a-folder"), "is-a-folder"),
        (("import", "nothing"), "nothing"),
        (("import", "is-a-file", "--api", "http://[zz"), "no address of an API"),
        (("import", "is-a-file", "--api", "nonsense"), "does not answer"),
        (("up", "--fleet", "is-a-folder"), "is-a-folder"),
        (("up", "--port", "65536"), "65536"),
        (("up", "--port", "-1"), "-1"),
        (("fleet", "0"), "0"),
        (("fleet", "-1"), "-1"),
        (("backfill", "--page-size", "0"), "0"),
        (("scenario", "run", "quick-look", "--seed", "-1"), "-1"),
        (("scenario", "validate", "not-utf8"), "not-utf8 is not UTF-8"),
        (("scenario", "validate", "--controller", "not-utf8"), "not-utf8 is not UTF-8"),
        (("scenario", "diff", "not-utf8", "not-utf8"), "Failed."),
        (("scenario", "diff", "is-a-file", "is-a-file"), "Failed."),
        (("scenario", "diff", "n" * 300, "is-a-file"), "File name too long"),
        (("scenario", "diff", "is-a-folder", "is-a-file"), "neither a run's id nor a file"),
        (("acceptance", "--document", "nothing"), "nothing: No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(folder: Path, args: tuple[str, ...], says: str) -> None:
    assert says in failed(*args, cwd=folder)


def test_a_data_folder_that_cannot_be_one_is_named(folder: Path) -> None:
    said = failed("import", "is-a-file", cwd=folder, MANAGE_DATA_DIR=str(folder / "is-a-file"))
    assert "is-a-file" in said
    said = failed("up", "--no-demo", cwd=folder, MANAGE_DATA_DIR=str(folder / "is-a-file" / "deeper"))
    assert "is-a-file" in said


def test_a_scenario_is_not_begun_where_nothing_can_be_written() -> None:
    assert "mine.yaml" in failed("scenario", "new", "mine", cwd=Path("/proc"))


def test_a_setting_that_is_wrong_is_named(tmp_path: Path) -> None:
    assert "api_port" in failed("up", "--no-demo", MANAGE_API_PORT="many", MANAGE_DATA_DIR=str(tmp_path)).lower()


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "iso-8859-1:strict"},
        {"LC_ALL": "en_US.ISO-8859-1"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_every_terminal_takes_what_is_said(tmp_path: Path, variables: dict[str, str]) -> None:
    # A name that no byte of the terminal's says, one of no encoding at all, and our own signs.
    for name in (b"\xe2\x9a\xa1.yaml", b"\xff.yaml"):
        (tmp_path / os.fsdecode(name)).write_text("scenario: Ω\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "scenario", "validate", *sorted(os.listdir(os.fsencode(tmp_path)))],  # noqa: PTH208
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stdout + done.stderr
    assert done.stdout.count(b".yaml:") >= 2
    assert run("scenario", "list", **variables).returncode == 0


@pytest.mark.parametrize("command", [("scenario", "list"), ("--help",), ("scenario", "validate"), ("acceptance",)])
def test_a_reader_that_goes_away_draws_no_traceback(command: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "devtools", *command], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
