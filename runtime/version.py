"""The product's version, as ``pyproject.toml`` says it: the one place that does."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

_PROJECT = next(each / "pyproject.toml" for each in Path(__file__).parents if (each / "pyproject.toml").exists())


@cache
def version() -> str:
    """The version of this code, in the form of Semantic Versioning."""
    return tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"]
