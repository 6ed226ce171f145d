"""A gateway's ``output_translation`` as people see and choose it: the power source that it names.

The product looks at ``power_source_id`` alone (``domain.site.routing``). Other keys are left to whoever wrote them:
whoever names another power source here keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from domain.site.routing import named_power_source

AS_IT_IS = "as-it-is"
"""The choice of a translation that names no power source of the depot: it stays what it is."""
_MAX_SHOWN = 120


@dataclass(frozen=True)
class Translation:
    """What a translation says."""

    power_source_id: UUID | None
    """The power source of the depot that it names."""
    text: str
    is_sound: bool
    """Whether the third rule of routing could go by it, or there is none."""
    document: str
    """The beginning of it as JSON, where there is more in it than the power source."""

    @property
    def choice(self) -> str:
        """What of the choices in a form it is."""
        if self.power_source_id is not None:
            return str(self.power_source_id)
        return "" if self.is_sound else AS_IT_IS


def read_translation(value: object, names: Mapping[UUID, str]) -> Translation:
    """Say what a translation is, given the names of the depot's power sources."""
    if value is None:
        return Translation(None, "None", is_sound=True, document="")
    named = named_power_source(value)
    name = None if named is None else names.get(named)
    others = {key: each for key, each in _keys(value).items() if key != "power_source_id"}
    if name is not None:
        return Translation(named, name, is_sound=True, document=_json(others) if others else "")
    text = "Not in the required form" if named is None else "Names no power source of this depot"
    return Translation(None, text, is_sound=False, document=_json(value))


def choose(choice: str, before: object) -> Any:
    """Make the translation that a choice stands for, other than ``AS_IT_IS``."""
    return {**_keys(before), "power_source_id": choice} if choice else None


def _keys(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 2]} …"
