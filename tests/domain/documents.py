"""Reads the tables and examples of the documentation, so that tests hold the product to them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs" / "system-design"


def table(document: str, first_column: str) -> list[list[str]]:
    """Return the rows of the table whose header begins with ``first_column``, without back quotes."""
    lines = (DOCS / document).read_text(encoding="utf-8").splitlines()
    headers = [index for index, line in enumerate(lines) if line.startswith(f"| {first_column} |")]
    assert len(headers) == 1, f"{document} has {len(headers)} tables that begin with {first_column!r}"
    rows: list[list[str]] = []
    for line in lines[headers[0] + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")])
    assert rows
    return rows


def examples(document: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    text = (DOCS / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
