"""Who acts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """The person or service behind a request; its ``name`` is stored with every change it makes."""

    name: str
    """Stable and readable, such as ``local-administrator`` or ``schedule:drift-audit``."""


LOCAL_ADMINISTRATOR = Actor("local-administrator")
"""The embedded default: whoever sits at the machine itself."""
