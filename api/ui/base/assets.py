"""The files that pages load: styles, scripts, fonts, icons. All of them are small enough to be kept in memory."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from fastapi import APIRouter, Response
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException

from domain.base.problems import Problem, ProblemCode

FOLDER = Path(__file__).parent.parent / "static"
FETCH = ".venv/bin/python devtools/assets.py --omit-dev"
"""Fetches what is missing."""

router = APIRouter(include_in_schema=False)

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """One file."""

    content: bytes
    media_type: str


class Assets:
    """All files below a folder, under a digest of all of them.

    One digest for all, not one for each, so that a stylesheet's relative address of a font, or a script's of
    another, leads to a file that is cached just as long.
    """

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, Asset] = {}
        digest = hashlib.sha256()
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name, content = path.relative_to(folder).as_posix(), path.read_bytes()
                digest.update(f"{name}\0{len(content)}\0".encode() + content)
                kind = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
                self.files[name] = Asset(content, kind)
        self.digest = digest.hexdigest()[:16]
        self._folder = folder

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """What ``assets.json`` beside the folder wants from npm and the folder lacks."""
        wanted = json.loads((self._folder.parent / "assets.json").read_text(encoding="utf-8"))["files"]
        names = ["icons.svg"]
        for source, target in wanted.items():
            # A pattern may stand for several files; a folder that has one has them all.
            names.append(target + ("" if "*" in source else Path(source).name) if target.endswith("/") else target)
        return tuple(name for name in names if not any(found.startswith(f"vendor/{name}") for found in self.files))

    def address(self, name: str) -> str:
        """Where a page finds a file.

        Raises:
            LookupError: there is no such file; ``devtools/assets.py`` fetches those under ``vendor/``.

        """
        if name not in self.files:
            raise LookupError(
                f"There is no {name} in {self._folder}. Where it begins with vendor/, devtools/assets.py fetches it."
            )
        return f"/static/{self.digest}/{name}"


@cache
def assets() -> Assets:
    """The files as they were when the first page asked for one."""
    return Assets(FOLDER)


def missing_assets() -> tuple[str, ...]:
    """The files from npm that pages load and that are not there, because the step that fetches them was left out."""
    missing = assets().missing
    if missing and all((FOLDER / "vendor" / name).exists() for name in missing):
        # The step was made up for since.
        assets.cache_clear()
        missing = assets().missing
    return missing


async def needs_assets() -> None:
    """Refuse what answers with a page that could not be shown, before anything is done.

    Raises:
        Problem: ``PAGES_UNAVAILABLE``.

    """
    missing = missing_assets()
    if missing:
        raise Problem(
            ProblemCode.PAGES_UNAVAILABLE,
            f"Files that the pages load are missing ({len(missing)}, such as {missing[0]}): they were not fetched. "
            f"Run `{FETCH}` in the folder of the product, then load the page again. The API works meanwhile.",
        )


class _FileConvertor(PathConvertor):
    """The name of a file, in folders or not. The empty one is none: nobody is redirected to its place."""

    regex = ".+"


register_url_convertor("file", _FileConvertor())


@router.get("/static/{digest}/{name:file}", name="static_file")
async def read(digest: str, name: str) -> Response:
    """Serve a file. Under its own digest it never changes; a page from before an upgrade gets the new file."""
    found = assets().files.get(name)
    if found is None:
        raise HTTPException(404, "There is no such file.")
    headers = {"Cache-Control": _FOREVER if digest == assets().digest else "no-cache"}
    return Response(found.content, media_type=found.media_type, headers=headers)
