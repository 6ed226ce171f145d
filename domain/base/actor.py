"""Who acts."""

from __future__ import annotations

from dataclasses import dataclass

from domain.base.texts import fault_of, is_blank, normal


@dataclass(frozen=True)
class Actor:
    """The person or service behind a request; its ``name`` is stored with every change it makes."""

    name: str
    """Stable and readable, such as ``local-administrator`` or ``schedule:drift-audit``: a text as ``domain.base.texts``
    has it, and not blank."""

    def __post_init__(self) -> None:
        """Raise ValueError for a name that is none."""
        if is_blank(self.name) or normal(self.name) != self.name or fault_of(self.name) is not None:
            raise ValueError("An actor's name shows something, and holds no control character.")


LOCAL_ADMINISTRATOR = Actor("local-administrator")
"""The embedded default: whoever sits at the machine itself."""
