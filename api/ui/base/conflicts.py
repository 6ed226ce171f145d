"""Two people at one thing: what others changed while a form of it was open, and how one goes on from there.

A form carries its version and what its fields were when it was opened. Only what was changed of them is sent. Where the
version is stale, what was left alone follows what holds now, and what was changed stays as it was filled in: saving
never undoes a change of a field that one did not touch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from starlette.datastructures import FormData

from api.base.versions import etag
from api.ui.base.forms import read_whole
from api.ui.base.schema_forms import write_form
from domain.base.problems import Problem

_MAX_VERSION = 10**15
WAS = "was_"
"""Before a field's name: what it was when the form was opened."""


@dataclass(frozen=True)
class ConcurrentChange:
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
    changes: list[ConcurrentChange]
    """The last first."""
    taken: tuple[str, ...] = ()
    """Titles of what is taken over as it holds now."""
    now: Mapping[str, str] | None = None
    """What holds now of the fields that were changed on both sides, by their names."""


@dataclass
class EditForm:
    """A form of something that has a version, as it was filled in: the same for everything that is edited."""

    values: dict[str, Any]
    """By the names of the form's fields; of a new thing, all that it is made of."""
    was: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the fields were when the form was opened."""
    version: int | None = None
    """The version that it is a change of; None: it makes something new."""

    @property
    def if_match(self) -> str | None:
        """The version, as the API is asked for it."""
        return None if self.version is None else etag(self.version)

    @property
    def opened(self) -> list[tuple[str, str]]:
        """What the fields were, as the form carries it."""
        return write_form(self.was, WAS)

    def changed(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the fields of ``body`` that are not what they were; ``body`` is by the names of the form."""
        touched = changed(self.values, self.was)
        return {name: value for name, value in body.items() if name in touched}

    def go_on(
        self,
        problem: Problem,
        now: Mapping[str, Any],
        titles: Mapping[str, str],
        say: Callable[[str, Any], str],
        words: Mapping[str, str],
    ) -> Conflict:
        """Go on from the version that holds now: what was left alone is taken over, what was changed stays.

        ``now`` has the fields as the form writes what holds now, ``words`` the same to be read; ``titles`` and ``say``
        are as ``describe_conflict`` takes them.
        """
        merged = merge(self.values, self.was, now)
        self.values, self.was, self.version = merged.values, dict(now), current(problem)["version"]
        return describe_conflict(problem, titles, say, merged, words)


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


def describe_conflict(
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
        ConcurrentChange(
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
