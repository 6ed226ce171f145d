"""What templates keep to, so that they can be read: short lines, declared tables, one piece for dialogs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.ui.base import rendering

TEMPLATES = sorted((Path(rendering.__file__).parent.parent / "templates").glob("*.html"))
LONGEST = 120
"""Characters in a line."""


def _lines_with(pattern: str, *, but: str) -> list[str]:
    """The lines that match a pattern, in all templates but one."""
    return [
        f"{path.name}:{number}: {line.strip()}"
        for path in TEMPLATES
        if path.name != but
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_lines_are_short() -> None:
    assert _lines_with(f"^.{{{LONGEST + 1},}}", but="") == []


@pytest.mark.parametrize("by_hand", [r"<table", r"<t[rhd]\b", r"colspan", r"data-label"])
def test_tables_are_declared_by_their_columns(by_hand: str) -> None:
    assert _lines_with(by_hand, but="parts.html") == []


@pytest.mark.parametrize("by_hand", [r'id="dialog-title"', r"VERSION_CONFLICT", r"DELETION_CHANGED"])
def test_dialogs_are_one_piece(by_hand: str) -> None:
    assert _lines_with(by_hand, but="dialog.html") == []
