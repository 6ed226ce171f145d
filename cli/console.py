"""The terminal that the commands print on."""

from __future__ import annotations

import os
import sys

from rich.console import Console

_PLAIN_WIDTH = 140
"""Columns where the output goes into a file or a pipe, which have none of their own."""


def drop_output() -> None:
    """Let what is still to be written go nowhere: its reader is gone, and Python would complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class OutputConsole(Console):
    """A console whose reader may go away."""

    def on_broken_pipe(self) -> None:
        """Leave it to whoever runs the command; rich would end the process as if the command had failed."""
        raise BrokenPipeError


def make_console() -> Console:
    """Make a console for the standard output."""
    console = OutputConsole(highlight=False)
    return console if console.is_terminal else OutputConsole(highlight=False, width=_PLAIN_WIDTH)
