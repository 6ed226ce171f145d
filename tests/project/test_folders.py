"""Folders of code stay small enough to read."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MOST = 15
"""Modules that a folder of code may hold, its ``__init__.py`` included."""


def folders_of_code() -> dict[Path, list[Path]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        packages = tomllib.load(file)["tool"]["importlinter"]["root_packages"]
    assert packages
    found: dict[Path, list[Path]] = {}
    for package in (*packages, "tests"):
        for path in (ROOT / package).rglob("*.py"):
            if "node_modules" not in path.parts:
                found.setdefault(path.parent, []).append(path)
    return found


def test_no_folder_of_code_is_a_hall() -> None:
    # Migrations are a line through time: each stays what it was, whatever comes after it.
    full = {
        str(folder.relative_to(ROOT)): len(files) for folder, files in folders_of_code().items() if len(files) > MOST
    }
    assert {name: size for name, size in full.items() if name != "store/migrations/versions"} == {}
