"""Reads the tables and examples of the documentation, so that tests hold the product to them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs" / "system-design"
"""Where a document is looked for, unless its path leads elsewhere."""


def table(document: str, first_column: str) -> list[list[str]]:
    """Return the rows of the table whose header begins with ``first_column``, without back quotes."""
    found = tables(document, first_column)
    assert len(found) == 1, f"{document} has {len(found)} tables that begin with {first_column!r}"
    return found[0]


def tables(document: str, first_column: str) -> list[list[list[str]]]:
    """Return the rows of every table whose header begins with ``first_column``, without back quotes."""
    lines = (DOCS / document).read_text(encoding="utf-8").splitlines()
    headers = [index for index, line in enumerate(lines) if line.startswith(f"| {first_column} |")]
    return [_rows(lines[header + 2 :]) for header in headers]


def _rows(lines: list[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")])
    assert rows
    return rows


def examples(document: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    text = (DOCS / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def released() -> set[str]:
    """Return the versions of all releases, as the changelog has them."""
    text = (DOCS.parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    return set(re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text, re.MULTILINE))
