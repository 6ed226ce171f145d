"""The journal as it leaves the product."""

from __future__ import annotations

FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take for the beginning of a formula, full-width forms included."""


def spreadsheet_safe(text: str) -> str:
    """Write a text so that no spreadsheet computes it: with an apostrophe before what would begin a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_BEGINNINGS) else text
