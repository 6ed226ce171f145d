"""The terminal that the commands print on."""

from __future__ import annotations

from rich.console import Console

_PLAIN_WIDTH = 140
"""Columns where the output goes into a file or a pipe, which have none of their own."""


def make_console() -> Console:
    """Make a console for the standard output."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)
