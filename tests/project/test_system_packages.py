"""`./dev test` brings the programs that tests need and no package registry has, where it may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devtools import system_packages


@pytest.mark.parametrize(("user", "status"), [(0, 0), (0, 100), (1000, 0)])
def test_a_program_is_installed_by_root_and_asked_for_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], user: int, status: int
) -> None:
    calls = tmp_path / "calls"
    apt = tmp_path / "apt-get"
    made = f': > "{tmp_path}/browser" && /bin/chmod 755 "{tmp_path}/browser"' if status == 0 else ":"
    apt.write_text(f'#!/bin/sh\necho "$@" >> {calls}\necho "no such package"\n{made}\nexit {status}\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    found = system_packages.ensure("browser", package="browser-package")
    said = "".join(capfd.readouterr())
    steps = ["update --quiet", "install --yes --quiet --no-install-recommends browser-package"]
    if user:
        assert found is None
        assert not calls.exists()
        assert "apt-get install browser-package" in said
    else:
        assert (found is not None) is (status == 0)
        assert calls.read_text().splitlines() == steps
        assert ("no such package" in said) is (status != 0)


def test_a_program_that_is_there_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apt-get").write_text("#!/bin/sh\nexit 1\n")
    program = tmp_path / "browser"
    program.write_text("#!/bin/sh\n")
    for each in (program, tmp_path / "apt-get"):
        each.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert system_packages.ensure("browser", package="browser-package") == str(program)
    # Other systems have it under another name.
    assert system_packages.ensure("another-name", "browser", package="browser-package") == str(program)


def test_what_does_as_well_is_taken_where_nothing_can_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "whole-browser"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = system_packages.ensure("browser", package="browser-package", instead=("browser", "whole-browser"))
    assert found == str(program)
    assert "".join(capfd.readouterr()) == ""
    (tmp_path / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert system_packages.ensure("browser", package="browser-package", instead=("whole-browser",)) == str(program)
