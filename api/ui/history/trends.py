"""The Trends page: up to eight series on shared time, chosen by search, with what held beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.base.access import ScopeDep
from api.base.dependencies import EngineDep
from api.base.streams.live import Kind, Topic
from api.base.types import Moment, Search
from api.site import depots
from api.ui.base.rendering import render
from api.ui.base.words import EXPORT
from domain.access.principals import DepotScope
from domain.base.problems import Problem
from domain.history.buckets import LONGEST_SPAN
from domain.history.exports import ExportKind
from domain.history.series import MOST_SERIES, Selection, SeriesSubject
from domain.site.circuits import path_of
from domain.site.measurands import MEASURANDS
from store.base.database import clock, snapshot
from store.history.parquet import can_write_parquet
from store.history.series import depots_in
from store.history.sources import SeriesSource, read_sources
from store.history.trends.choices import Choice, list_choices
from store.site.circuits import read_ways
from store.site.depots import depot_not_found

router = APIRouter(prefix="/trends", include_in_schema=False)

RANGES = {
    "1h": ("1 h", 3_600),
    "6h": ("6 h", 21_600),
    "24h": ("24 h", 86_400),
    "7d": ("7 d", 604_800),
    "31d": ("31 d", 2_678_400),
    "90d": ("90 d", 7_776_000),
    "1y": ("1 y", 31_536_000),
}
"""What the charts may span: the word of it, and its seconds."""
COMPARED = {1: "the day before", 7: "a week before", 28: "four weeks before", 364: "a year before"}
"""How many days before the other day is, on the same day of the week where that is more than one."""
FURTHEST_DAYS = 3_660
"""How many days before the other day may be."""
_DEPOTS = 20
"""Depots that are offered at once."""
_CHOICES = 40
"""Things of a depot that are offered at once."""
_WATCHED = (Kind.PACKET, Kind.CAPACITY)
_SECONDS = re.compile(r"[0-9]{1,8}s")
_TEMPLATE = "trends.html"
SUBJECT = {
    SeriesSubject.DEVICE: "Device",
    SeriesSubject.CIRCUIT: "Circuit",
    SeriesSubject.POWER_SOURCE: "Power source",
}
"""The words for what a series is of."""


@dataclass(frozen=True)
class Shown:
    """What the address asks for: which series, over which time, beside which other day."""

    series: tuple[str, ...]
    """Selections as texts, each once."""
    span: str
    """A key of ``RANGES``, or seconds, as ``90s``: that much until now, which goes on."""
    since: datetime | None
    """With ``until``: a time that stays as it is."""
    until: datetime | None
    compare: int
    """Days before; 0: none."""

    @property
    def seconds(self) -> int:
        """How long the time until now is."""
        return RANGES[self.span][1] if self.span in RANGES else int(self.span[:-1])

    def query(self, *, series: Sequence[str] | None = None) -> str:
        """The same as a query, with other series where they are given."""
        given: list[tuple[str, str]] = [("series", each) for each in (self.series if series is None else series)]
        if self.since is not None and self.until is not None:
            given += [("since", self.since.isoformat()), ("until", self.until.isoformat())]
        elif self.span != "24h":
            given.append(("range", self.span))
        if self.compare:
            given.append(("compare", str(self.compare)))
        return urlencode(given)


def _span(given: str) -> str:
    longest = LONGEST_SPAN.total_seconds()
    if given in RANGES or (_SECONDS.fullmatch(given) and 1 <= int(given[:-1]) <= longest):
        return given
    return "24h"


async def _shown(
    series: Annotated[list[str] | None, Query(max_length=100)] = None,
    span: Annotated[str, Query(alias="range", max_length=20)] = "24h",
    since: Moment | None = None,
    until: Moment | None = None,
    compare: Annotated[int, Query(ge=0, le=FURTHEST_DAYS)] = 0,
) -> Shown:
    if since is None or until is None or not timedelta() < until - since <= LONGEST_SPAN:
        since = until = None
    chosen = [each for each in series or [] if each]
    return Shown(tuple(dict.fromkeys(chosen)), _span(span), since, until, compare)


ShownDep = Annotated[Shown, Depends(_shown)]


@router.get("", name="page_trends")
async def show(
    request: Request,
    engine: EngineDep,
    scope: ScopeDep,
    shown: ShownDep,
    without: Annotated[str | None, Query(max_length=200)] = None,
    depot: UUID | None = None,
) -> Response:
    """Show the page. ``depot``: whose things are offered first; ``without``: a series that is taken off."""
    if without is not None:
        kept = [each for each in shown.series if each != without]
        query = shown.query(series=kept)
        return RedirectResponse(f"{request.url.path}?{query}" if query else request.url.path, 303)
    async with snapshot(engine) as connection:
        sources, missing = await _read_chosen(connection, scope, shown.series)
        places = await _read_places(connection, sources)
        now = await clock(connection)
    beside = depot or (sources[0].depot_id if sources else None)
    found = await _find(engine, scope, beside, None)
    chosen = [str(each.selection) for each in sources]
    context = {
        "shown": shown,
        "sources": [
            (each, place, MEASURANDS[each.selection.measurand]) for each, place in zip(sources, places, strict=True)
        ],
        "chosen": chosen,
        "missing": missing,
        "left_out": max(0, len(shown.series) - missing - len(chosen)),
        "zones": list(dict.fromkeys(each.timezone for each in sources)),
        "ranges": RANGES,
        "compared": COMPARED,
        "exports": _exports(sources, shown, now),
        "exports_parquet": can_write_parquet(),
        "topics": [Topic(kind, depot_id) for depot_id in depots_in(sources) for kind in _WATCHED],
        **found,
    }
    return render(request, _TEMPLATE, context)


def _exports(sources: Sequence[SeriesSource], shown: Shown, now: datetime) -> list[tuple[str, str]]:
    """The exports of what is shown: the text and the address of each, of the time as it is now."""
    since, until = shown.since or now - timedelta(seconds=shown.seconds), shown.until or now
    window = [("since", since.isoformat()), ("until", until.isoformat())]
    devices = dict.fromkeys(str(each.device_id) for each in sources if each.device_id is not None)
    measurands = dict.fromkeys(each.selection.measurand.value for each in sources if each.device_id is not None)
    made: list[tuple[str, str]] = []
    if devices:
        named = [*(("device_id", each) for each in devices), *(("measurand", each) for each in measurands)]
        made.append(("Readings", _export(ExportKind.READINGS, [*named, *window])))
    return made + [
        (f"{EXPORT[kind]} of {name}", _export(kind, [("depot_id", str(depot_id)), *window]))
        for depot_id, name in depots_in(sources).items()
        for kind in (ExportKind.CAPABILITY_HISTORY, ExportKind.CAPACITY_HISTORY)
    ]


def _export(kind: ExportKind, given: Sequence[tuple[str, str]]) -> str:
    return f"/api/exports/{kind}?{urlencode(given)}"


async def _read_chosen(
    connection: AsyncConnection, scope: DepotScope, given: Sequence[str]
) -> tuple[list[SeriesSource], int]:
    """What is chosen and can be seen, as many as are shown together; and how much of it is gone, or cannot be."""
    sources: list[SeriesSource] = []
    missing = 0
    now = await clock(connection)
    for each in given:
        if len(sources) == MOST_SERIES:
            break
        try:
            sources += await read_sources(connection, [Selection.parse(each)], scope, now)
        except Problem:
            missing += 1
    return sources, missing


async def _read_places(connection: AsyncConnection, sources: Sequence[SeriesSource]) -> list[str]:
    """Where each of these is among its depot's circuits: under which one, or at which one; empty: at the top, or at
    none.
    """
    ways = await read_ways(connection, {each.circuit_id for each in sources if each.circuit_id is not None})

    def place(source: SeriesSource) -> str:
        way = [] if source.circuit_id is None else ways[source.circuit_id]
        return path_of(way[:-1] if source.selection.subject is SeriesSubject.CIRCUIT else way)

    return [place(each) for each in sources]


async def _find(engine: AsyncEngine, scope: DepotScope, depot_id: UUID | None, search: str | None) -> dict[str, Any]:
    """What can be chosen: depots, or of one depot the things that match.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    common = {"search": search or "", "place": None, "choices": [], "depots": [], "more": False, "most": MOST_SERIES,
              "subjects": SUBJECT, "measurands": MEASURANDS}  # fmt: skip
    if depot_id is None:
        page = await depots.list_all(engine, scope, search=search or None, limit=_DEPOTS)
        return common | {"depots": page.items, "more": page.next_cursor is not None}
    if not scope.holds(depot_id):
        raise depot_not_found(depot_id)
    place = await depots.read(depot_id, engine)
    choices: list[Choice]
    async with engine.connect() as connection:
        choices, complete = await list_choices(connection, depot_id, search or "", _CHOICES)
    return common | {"place": place, "choices": choices, "more": not complete}


@router.get("/finder", name="trends_finder")
async def finder(
    request: Request,
    engine: EngineDep,
    scope: ScopeDep,
    shown: ShownDep,
    depot: UUID | None = None,
    search: Search = None,
) -> Response:
    """What can be chosen, of one depot or of all: the whole finder."""
    return await _offer(request, engine, scope, shown, depot, search, "finder")


@router.get("/found", name="trends_found")
async def results(
    request: Request,
    engine: EngineDep,
    scope: ScopeDep,
    shown: ShownDep,
    depot: UUID | None = None,
    search: Search = None,
) -> Response:
    """What can be chosen and matches what was typed."""
    return await _offer(request, engine, scope, shown, depot, search, "found")


async def _offer(
    request: Request,
    engine: AsyncEngine,
    scope: DepotScope,
    shown: Shown,
    depot: UUID | None,
    search: str | None,
    block: str,
) -> Response:
    found = await _find(engine, scope, depot, search)
    return render(request, _TEMPLATE, {"chosen": list(shown.series), **found}, block=block)
