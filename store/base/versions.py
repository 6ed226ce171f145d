"""Whether something that is edited is still as the caller read it; and if not, who changed what of it since.

The rows count their versions by themselves: a trigger moves ``version`` whenever what a person gave is changed,
whoever changes it. Each version is one ``…_CHANGED`` entry of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.problems import Problem, ProblemCode
from domain.base.versions import Versions, last_read
from store.base.changes import list_changes

_MAX_CHANGES_REPORTED = 20


class Versioned(Protocol):
    """A record of what is edited; a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def depot_id(self) -> UUID:
        """Where it is."""
        ...

    @property
    def version(self) -> int:
        """Moves with every change."""
        ...

    @property
    def updated_by(self) -> str:
        """Who made this version."""
        ...

    @property
    def updated_at(self) -> datetime:
        """When that was."""
        ...


def _as_it_is(fields: dict[str, Any]) -> dict[str, Any]:
    return fields


async def check_version(
    connection: AsyncConnection,
    record: Versioned,
    noun: str,
    subject_id: UUID,
    expected: Versions,
    *,
    current: Mapping[str, Any] | None = None,
    journal: str | None = None,
    describe: Callable[[dict[str, Any]], dict[str, Any]] = _as_it_is,
) -> None:
    """Refuse a change of a record that has another version by now than any of those ``expected``.

    To be called under the depot's lock. ``noun`` is the kind of thing, which the journal has unless ``journal`` names
    it; ``current`` is what holds now by the names of the API (else all that the record has), ``describe`` gives the
    fields of a change by those names.

    Raises:
        Problem: ``VERSION_CONFLICT``. Its context has ``current``, and ``changes`` with who changed which fields and
            when, the last first.

    """
    if expected is None or record.version in expected:
        return
    read = last_read(expected, record.version)
    actions = (f"{(journal or noun).upper().replace(' ', '_')}_CHANGED",)
    found = (
        []
        if read is None
        else await list_changes(
            connection,
            record.depot_id,
            subject_ids=(subject_id,),
            actions=actions,
            limit=min(record.version - read, _MAX_CHANGES_REPORTED),
        )
    )
    since = "" if read is None else f" since version {read} was read"
    raise Problem(
        ProblemCode.VERSION_CONFLICT,
        f"The {noun} has changed{since}; {record.updated_by} made it version {record.version}. "
        "Look at what holds now, then change it again.",
        "version",
        context={
            "current": asdict(record) if current is None else current,
            "changes": [{"at": each.at, "actor": each.actor, "fields": describe(each.detail)} for each in found],
        },
    )
