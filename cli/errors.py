"""How a command fails."""

from __future__ import annotations


class CommandFailedError(Exception):
    """The command cannot do what was asked: its message says why and what to do."""
