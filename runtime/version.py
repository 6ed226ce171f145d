"""The product's version, as ``pyproject.toml`` says it: the one place that does."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

PROJECT = next(each for each in Path(__file__).parents if (each / "pyproject.toml").exists())
"""The folder of the project."""


@cache
def version() -> str:
    """The version of this code, in the form of Semantic Versioning."""
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
