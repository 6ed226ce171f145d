"""Two people at one thing: what others changed while a form of it was open, and how one goes on from there.

A form carries its version and what its fields were when it was opened. Only what was changed of them is sent. Where the
version is stale, what was left alone follows what holds now, and what was changed stays as it was filled in: saving
never undoes a change of a field that one did not touch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from starlette.datastructures import FormData

from api.ui.base.forms import read_whole
from domain.base.problems import Problem

_MAX_VERSION = 10**15
WAS = "was_"
"""Before a field's name: what it was when the form was opened."""


@dataclass(frozen=True)
class Told:
    """What somebody else changed."""

    actor: str
    at: datetime
    fields: list[tuple[str, str, str]]
    """Title, before and after of each field."""


@dataclass(frozen=True)
class Merged:
    """What was filled in, on top of what holds now."""

    values: dict[str, Any]
    taken: tuple[str, ...]
    """Fields that others changed and that were left alone here: what holds now is in the form."""
    kept: tuple[str, ...]
    """Fields that were changed on both sides: the form has the own input."""


@dataclass(frozen=True)
class Conflict:
    """What others changed meanwhile, as a person reads it."""

    version: int
    """The one that holds now."""
    changes: list[Told]
    """The last first."""
    taken: tuple[str, ...] = ()
    """Titles of what is taken over as it holds now."""
    now: Mapping[str, str] | None = None
    """What holds now of the fields that were changed on both sides, by their names."""


def read_version(form: FormData) -> int | None:
    """Read the version that a form was opened with; None: it has none."""
    return read_whole(str(form.get("version", "")), _MAX_VERSION)


def current(problem: Problem) -> Mapping[str, Any]:
    """What holds now, by the names of the API and as JSON has it."""
    holds = cast("Mapping[str, Any]", (problem.context or {})["current"])
    return {name: [*value] if isinstance(value, tuple) else value for name, value in holds.items()}  # pyright: ignore[reportUnknownVariableType]


def merge(mine: Mapping[str, Any], was: Mapping[str, Any], holds: Mapping[str, Any]) -> Merged:
    """Go on from what holds now: own input stays, what was left alone follows."""
    moved = [name for name in mine if not _same(mine[name], holds[name]) and not _same(was.get(name), holds[name])]
    taken = tuple(name for name in moved if _same(mine[name], was.get(name)))
    kept = tuple(name for name in moved if name not in taken)
    return Merged({**mine, **{name: holds[name] for name in taken}}, taken, kept)


def tell(
    problem: Problem,
    titles: Mapping[str, str],
    say: Callable[[str, Any], str],
    merged: Merged | None = None,
    holds: Mapping[str, str] | None = None,
) -> Conflict:
    """Put a ``VERSION_CONFLICT`` into words, with the ``titles`` of fields and ``say`` for their values.

    ``holds`` has what holds now in words, by field, where a form goes on from there.
    """
    changes = [
        Told(
            each["actor"],
            each["at"],
            [(titles.get(name, name), say(name, old), say(name, new)) for name, (old, new) in each["fields"].items()],
        )
        for each in (problem.context or {})["changes"]
    ]
    version = current(problem)["version"]
    if merged is None:
        return Conflict(version, changes)
    now = {name: (holds or {})[name] for name in merged.kept}
    return Conflict(version, changes, tuple(titles.get(name, name) for name in merged.taken), now)


def changed(values: Mapping[str, Any], was: Mapping[str, Any]) -> set[str]:
    """The names of the fields that are not what they were."""
    return {name for name in values if name not in was or not _same(values[name], was[name])}


def _same(one: Any, other: Any) -> bool:
    """Whether two values of a field are the same; in which order choices were made is no difference."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(cast("list[str]", one)) == sorted(cast("list[str]", other))
    return one == other
