"""The Journal page: who did what to what, when and from where, with before and after."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, cast
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import EngineDep, ScopeDep, resources_of
from api.base.types import Cursor, Search, Text, cut_page, decode_cursor
from api.site import depots
from api.ui.base.depot_choice import find_depot
from api.ui.base.rendering import render
from domain.access.principals import DepotScope
from store.access.journal import JournalEntry, JournalFilter, SubjectTable, find_subjects, read_journal
from store.base.database import snapshot

router = APIRouter(prefix="/journal", include_in_schema=False)

PAGE = 50
"""Entries that are loaded at a time."""
_OFFERED = 20
_LONGEST = 300
"""Characters that are shown of a value; an export has all."""
_TEMPLATE = "journal.html"
_FIELDS = ("depot", "person", "kind", "since", "until")
# Where a thing of a depot is shown: the route, and the anchor on its page.
_PLACES: dict[SubjectTable, tuple[str, str, str]] = {
    SubjectTable.CIRCUITS: ("page_microgrid", "depot_id", "#circuit-"),
    SubjectTable.GATEWAYS: ("page_devices", "depot_id", "#gateway-"),
    SubjectTable.POWER_SOURCES: ("page_devices", "depot_id", "#source-"),
    SubjectTable.DEVICES: ("page_device", "device_id", ""),
    SubjectTable.SCENARIO_RUNS: ("page_scenario_run", "run_id", ""),
}

Filter = Annotated[Text, Query(max_length=1_000)]


@dataclass(frozen=True)
class Asked:
    """What the address asks for, as it was filled in."""

    depot: str
    person: str
    kind: str
    since: str
    until: str

    def query(self, **other: str) -> str:
        """Ask for the same with something else in it."""
        given = {name: getattr(self, name) for name in _FIELDS} | other
        return urlencode({name: value for name, value in given.items() if value})

    @property
    def is_empty(self) -> bool:
        """Whether nothing in particular is asked for."""
        return not any(getattr(self, name) for name in _FIELDS)


@dataclass(frozen=True)
class Fact:
    """Something that an entry tells."""

    title: str
    before: str | None
    after: str


@dataclass(frozen=True)
class ShownEntry:
    """An entry, as the page shows it."""

    of: JournalEntry
    facts: list[Fact]
    thing_address: str | None
    """Where the thing is shown; None: it is gone, or has no page."""


async def _asked(
    depot: Filter = "",
    person: Filter = "",
    kind: Filter = "",
    since: Filter = "",
    until: Filter = "",
) -> Asked:
    return Asked(*(each.strip() for each in (depot, person, kind, since, until)))


AskedDep = Annotated[Asked, Depends(_asked)]


@router.get("", name="page_journal")
async def show(
    request: Request,
    engine: EngineDep,
    scope: ScopeDep,
    asked: AskedDep,
) -> Response:
    """Show the journal, the last entry first."""
    wanted, errors = await _read_filter(engine, scope, asked)
    context = await _entries(request, engine, scope, wanted, None) | {"asked": asked, "errors": errors}
    context["reads_any"] = not scope.is_empty
    return render(request, _TEMPLATE, context, status=422 if errors else 200)


@router.get("/rows", name="journal_rows")
async def more(
    request: Request,
    engine: EngineDep,
    scope: ScopeDep,
    asked: AskedDep,
    cursor: Cursor = None,
) -> Response:
    """The next entries of the list."""
    wanted, _ = await _read_filter(engine, scope, asked)
    context = await _entries(request, engine, scope, wanted, cursor) | {"asked": asked}
    return render(request, _TEMPLATE, context, block="more_rows")


@router.get("/depots", name="journal_depots")
async def offer(request: Request, engine: EngineDep, scope: ScopeDep, depot: Search = None) -> Response:
    """Depots whose name holds what was typed."""
    page = await depots.list_all(engine, scope, search=depot, limit=_OFFERED)
    return render(request, _TEMPLATE, {"offered": [each.name for each in page.items]}, block="offers")


async def _read_filter(
    engine: AsyncEngine, scope: DepotScope, asked: Asked
) -> tuple[JournalFilter | None, dict[str, str]]:
    """Read what is asked for; None, and what is wrong by the id of the field, where it is not clear."""
    errors: dict[str, str] = {}
    depot_id = None
    if asked.depot:
        # A deleted depot has entries still, under its id.
        depot_id = _id(asked.depot)
        if depot_id is None:
            found = await find_depot(engine, scope, asked.depot, errors, "journal-depot")
            depot_id = None if found is None else found.depot_id
    times = [_moment(getattr(asked, name), errors, f"journal-{name}") for name in ("since", "until")]
    kind = "_".join(asked.kind.upper().split()) or None
    return (None if errors else JournalFilter(depot_id, asked.person or None, kind, *times)), errors


async def _entries(
    request: Request, engine: AsyncEngine, scope: DepotScope, wanted: JournalFilter | None, cursor: str | None
) -> dict[str, Any]:
    key = decode_cursor(cursor, tuple[int])
    if wanted is None:
        return {"entries": [], "next_cursor": None, "export": ""}
    async with snapshot(engine) as connection:
        found = await read_journal(connection, scope, wanted, before=key[0] if key else None, limit=PAGE + 1)
        items, more = cut_page(found, PAGE, lambda entry: entry.entry_id)
        things = await find_subjects(connection, [each.subject_id for each in items if each.subject_id is not None])
    shown = [ShownEntry(each, _facts(each.detail), _address(request, each, things)) for each in items]
    export = {**wanted.as_detail()}
    if "actor" in export:
        export["person"] = export.pop("actor")
    return {"entries": shown, "next_cursor": more, "export": urlencode(export)}


def _address(request: Request, entry: JournalEntry, things: dict[UUID, SubjectTable]) -> str | None:
    thing, id_ = things.get(entry.subject_id) if entry.subject_id else None, str(entry.subject_id)
    if thing is None or entry.depot_id is None or entry.depot_name is None:
        return None
    name, parameter, anchor = _PLACES[thing]
    address = resources_of(request.app).addresses(name, **{parameter: str(entry.depot_id) if anchor else id_})
    return f"{address}{anchor}{id_ if anchor else ''}"


def _facts(detail: dict[str, Any]) -> list[Fact]:
    """What an entry tells, in words: a change is ``[before, after]`` by field."""
    changed = all(isinstance(each, list) and len(each) == 2 for each in detail.values())
    if changed:
        return [
            Fact(_title(name), None if before is None else _value(before), _value(after))
            for name, (before, after) in detail.items()
        ]
    return [Fact(_title(name), None, _value(value)) for name, value in detail.items() if value not in ([], {}, None)]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list) and all(isinstance(each, str) for each in cast("list[Any]", value)):
        text = ", ".join(cast("list[str]", value))
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _id(given: str) -> UUID | None:
    try:
        return UUID(given)
    except ValueError:
        return None


def _moment(given: str, errors: dict[str, str], field: str) -> datetime | None:
    """Read a time; one without a zone is in UTC."""
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        errors[field] = "A time such as 2026-05-01T08:00, in UTC."
        return None
