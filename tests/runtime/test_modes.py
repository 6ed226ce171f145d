"""Nobody else of a machine reads what the product keeps there, however open the user's own files are."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from cli import place as places
from cli.commands.fleet_import import _open  # pyright: ignore[reportPrivateUsage]
from cli.place import AlreadyRunningError, Place, Running, announce, withdraw
from runtime.modes import grant_traversal, make_private, open_to_all
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """A user whose files everybody may read."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def running() -> Running:
    return Running(1, "", "", "", "")


@pytest.mark.parametrize("there", [False, True])
def test_the_projects_folder_is_closed_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    folder = tmp_path / ".data"
    monkeypatch.setattr(places, "_HOME", folder)
    monkeypatch.delenv("MANAGE_DATA_DIR", raising=False)
    if there:
        # As an earlier version left it.
        (folder / "logs").mkdir(parents=True)
    place = places.home()
    assert place.folder == folder
    place.take()
    place.describe(running())
    assert [mode(each) for each in (folder, place.logs)] == [0o700, 0o700]
    assert mode(folder / "up.json") == mode(folder / "up.lock") == 0o600
    place.leave()


def test_a_folder_that_somebody_named_stays_as_it_is_and_what_is_in_it_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    place = Place(tmp_path)
    place.take()
    place.describe(running())
    assert mode(tmp_path) == 0o755
    assert mode(place.logs) == 0o700
    assert mode(tmp_path / "up.json") == mode(tmp_path / "up.lock") == 0o600
    place.leave()


def test_an_imports_report_is_private_where_nothing_runs(tmp_path: Path) -> None:
    _open(tmp_path / "home" / "import-report.ndjson.new").close()
    assert mode(tmp_path / "home") == 0o700
    assert mode(tmp_path / "home" / "import-report.ndjson.new") == 0o600


def test_temporals_database_and_every_log_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "temporal"
    folder.mkdir()
    assert mode(folder) == 0o777
    with EmbeddedTemporal(folder, log_path=tmp_path / "temporal.log"):
        assert mode(folder) == 0o700
        assert (folder / "temporal.db").exists()
        assert mode(tmp_path / "temporal.log") == 0o600


def test_postgres_is_reached_through_folders_that_are_closed(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    make_private(closed)
    with EmbeddedPostgres(closed / "data" / "postgres") as server:
        assert mode(server.data_folder) == 0o700
        assert mode(closed) & stat.S_IRWXO == 0
        assert mode(closed) & (stat.S_IRGRP | stat.S_IWGRP) == 0
        assert mode(server.log_path) == 0o600


async def test_no_command_beside_it_closes_the_folder_to_a_running_postgres(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_HOME", tmp_path / ".data")
    monkeypatch.delenv("MANAGE_DATA_DIR", raising=False)
    place = places.home()
    place.take()
    with EmbeddedPostgres(place.folder / "postgres") as server:
        before = [stat.filemode(each.stat().st_mode) for each in (place.folder, place.logs)]
        with pytest.raises(AlreadyRunningError):
            places.home().take()
        elsewhere = Place(tmp_path / "elsewhere")
        elsewhere.take()
        note = announce(elsewhere)
        _open(place.report).close()
        make_private(place.folder)
        assert [stat.filemode(each.stat().st_mode) for each in (place.folder, place.logs)] == before
        connection = await asyncpg.connect(server.database_url)
        # It opens its control file by its path, as it does by itself every few minutes.
        await connection.execute("CHECKPOINT")
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        withdraw(note)
        elsewhere.leave()
    place.leave()
    # Whoever takes the folder after one that was killed does not close it to the server that still runs, either.
    place.take()
    assert stat.filemode(place.folder.stat().st_mode) == before[0]
    place.leave()


def test_no_more_is_opened_than_one_group_needs(tmp_path: Path) -> None:
    group = os.getgid()
    alone, ours, open_to_everybody = tmp_path / "alone", tmp_path / "alone/ours", tmp_path / "alone/ours/open"
    target = open_to_everybody / "target"
    target.mkdir(parents=True)
    alone.chmod(0o700)
    ours.chmod(0o740)
    open_to_everybody.chmod(0o755)
    target.chmod(0o700)
    grant_traversal(target, group)
    assert [mode(each) for each in (alone, ours, open_to_everybody, target)] == [0o710, 0o750, 0o755, 0o700]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders to other groups")
def test_a_group_that_has_rights_keeps_them(tmp_path: Path) -> None:
    staff, target = tmp_path / "staff", tmp_path / "staff/target"
    target.mkdir(parents=True)
    os.chown(staff, -1, 50)
    staff.chmod(0o750)
    grant_traversal(target, 12345)
    assert (mode(staff), staff.stat().st_gid) == (0o751, 50)
    staff.chmod(0o700)
    grant_traversal(target, 12345)
    assert (mode(staff), staff.stat().st_gid) == (0o710, 12345)


def test_programs_are_opened_to_all_and_their_texts_are_not_made_programs(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir(mode=0o700)
    program, text = tmp_path / "bin/program", tmp_path / "bin/text"
    program.touch(0o700)
    text.touch(0o600)
    (tmp_path / "bin/dangling").symlink_to(tmp_path / "nothing")
    open_to_all(tmp_path / "bin")
    assert [mode(each) for each in (tmp_path / "bin", program, text)] == [0o755, 0o755, 0o644]
