"""`./dev test` brings the browser that page tests need, where it may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli import run_tests


@pytest.mark.parametrize(
    ("args", "needed"),
    [
        ([], True),
        (["-n", "1", "-q"], True),
        (["tests"], True),
        (["-k", "microgrid"], True),
        (["tests/pages"], True),
        (["tests/test_api.py", "tests/pages/test_depot_pages.py::test_it"], True),
        (["-n", "1", "tests/test_api.py::test_it"], False),
        (["tests/test_api.py", "tests/test_cli.py", "-q"], False),
    ],
)
def test_the_browser_is_brought_when_pages_are_looked_at(args: list[str], needed: bool) -> None:
    assert run_tests._shows_pages(args) is needed  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(("user", "status"), [(0, 0), (0, 100), (1000, 0)])
def test_chromium_is_installed_by_root_and_asked_for_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], user: int, status: int
) -> None:
    calls = tmp_path / "calls"
    program = tmp_path / "apt-get"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\necho "no such package"\nexit {status}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    run_tests._bring_browser()  # pyright: ignore[reportPrivateUsage]
    said = "".join(capfd.readouterr())
    steps = ["--quiet update", "--quiet install --yes --no-install-recommends chromium"]
    if user:
        assert not calls.exists()
        assert "apt-get install chromium" in said
    elif status:
        assert calls.read_text().splitlines() == steps[:1]
        assert "no such package" in said
    else:
        assert calls.read_text().splitlines() == steps
    program.rename(tmp_path / "chromium")
    calls.unlink(missing_ok=True)
    run_tests._bring_browser()  # pyright: ignore[reportPrivateUsage]
    assert not calls.exists()
