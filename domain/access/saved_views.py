"""Saved views: what the list of depots is asked for, kept by a person under a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

MOST_VIEWS = 50
"""Views that one person has at once."""


@dataclass(frozen=True)
class SavedViewRecord:
    """A view as it is stored."""

    view_id: UUID
    name: str
    """No two of a person's views have the same one, in upper or lower case."""
    filters: Mapping[str, Any]
    """What the list is asked for, by the names of its parameters, as it was when the view was saved."""
    version: int
    created_at: datetime
    updated_at: datetime
