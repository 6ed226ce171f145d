"""The pages of all depots: the list, and the creation of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.datastructures import FormData

from api.base.dependencies import ActorDep, EngineDep, PrincipalDep, ScopeDep
from api.base.idempotency import FormOnceDep
from api.base.limits import MAX_FIELDS, open_form
from api.base.streams.live import Kind, Topic
from api.base.types import Cursor, DepotId, Search
from api.monitoring.overview import DepotInAlarm
from api.site import depots as service
from api.site import saved_views
from api.site.depots import Descending, OrderedBy, RegionFilter, RetiredFilter, TagFilter
from api.site.saved_views import SavedView, ViewFilters
from api.ui.base.forms import FieldErrors, read_name, read_whole
from api.ui.base.navigation import address_of
from api.ui.base.rendering import is_htmx, render
from api.ui.base.sparks import Spark, draw_spark
from api.ui.base.tables import SortLink
from api.ui.site.outline import Line, Outline
from api.ui.site.site_forms import Field
from domain.access.principals import DepotScope, Principal
from domain.base.names import clean_region, clean_tags
from domain.base.problems import Problem, ProblemCode
from domain.base.timezones import check_timezone, known_timezones
from domain.history.series import MOST_SERIES
from domain.monitoring.alarms import AlarmChoice
from domain.monitoring.depot_orders import DepotOrder, Sorting, own_order
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import ProvisioningState
from domain.site.circuits import MAX_CIRCUITS, MAX_DEPTH
from domain.site.measurands import MeasurandKey
from store.base.database import clock, snapshot
from store.history.trends.sparks import SHORT_SPAN, read_sparks
from store.monitoring.statuses.fleet import read_latest_statuses
from store.site.fleet.fleet_alarms import list_alarms
from store.site.fleet.fleet_list import MOST_COUNTED, count_fleet, count_retired
from store.site.fleet.fleet_load import DepotLoad, read_depot_loads

router = APIRouter(include_in_schema=False)

PAGE = 100
"""Depots that are loaded at a time."""
_LOAD = MeasurandKey.TOTAL_POWER_LOAD

State = Annotated[ProvisioningState | None, Query(alias="provisioning")]
Fresh = Annotated[DepotFreshness | None, Query(alias="freshness")]
OfAlarm = Annotated[AlarmChoice | None, Query(alias="alarm")]


@dataclass(frozen=True)
class DepotField(Field):
    """A field of depots: one of the form that creates a depot, and a column of their list."""

    read: Callable[[str], object] = str.strip
    """Reads what was filled in as the API takes it, or raises the ``Problem`` that says why not."""
    look: str = ""
    """Class of its cells in the list."""
    plain: bool = False
    """Whether a card of the list shows its value without its label, for the value speaks for itself."""
    filter: str = ""
    """The filter of the list by which a value leads to all depots that have the same: it stands below the name. Empty:
    none, and the field is a column."""

    def say(self, value: object) -> str:
        """A value of the field, to be read; those of a list have commas between them."""
        return super().say(write_value(value))


def write_value(value: object) -> object:
    """A value of a field as its form has it: those of a list have commas between them."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


@cache
def depot_fields() -> tuple[DepotField, ...]:
    """Return every field that a depot is created with, besides its circuits, in the form's and the list's order."""
    zones = sorted(zone for zone in known_timezones() if "/" in zone and not zone.startswith("Etc/"))
    where = "The depot's location, such as America/Toronto. Type a part of the city's name."
    return (
        DepotField("name", "Name", read=read_name),
        DepotField(
            "timezone",
            "Time zone",
            hint=where,
            offers=[(zone, zone) for zone in ("UTC", *zones)],
            read=_read_timezone,
            look="zone",
            plain=True,
        ),
        DepotField(
            "region",
            "Region",
            hint="What the depot is filed under, such as a part of the country.",
            optional=True,
            read=_read_region,
            filter="region",
        ),
        DepotField(
            "tags",
            "Tags",
            hint="Short texts by which the depot is found, with commas between them.",
            optional=True,
            read=_read_tags,
            filter="tag",
        ),
    )


def _read_region(given: str) -> str | None:
    return clean_region(given) if given.strip() else None


def _read_tags(given: str) -> list[str]:
    return clean_tags([each for each in given.split(",") if each.strip()])


def _read_timezone(given: str) -> str:
    if not given.strip():
        raise Problem(ProblemCode.INVALID_TIMEZONE, "Choose the time zone that the depot lies in.")
    return check_timezone(given.strip())


FILTERS = frozenset({"search", "provisioning", "freshness", "alarm", "region", "tag", "retired"})
"""What the list is narrowed down by, in its address."""

ORDERS = {
    DepotOrder.NAME: "Name",
    DepotOrder.WORST: "Worst first",
    DepotOrder.PROVISIONING: "Provisioning",
    DepotOrder.STATUS: "Status",
    DepotOrder.FAIL_SAFE: "Fail-safe",
    DepotOrder.REMEDIATIONS: "Remediations",
    DepotOrder.TIMEZONE: "Time zone",
    DepotOrder.LOAD: "Load",
    DepotOrder.LOAD_SHARE: "Share of capacity",
}
"""What the list is sorted by, as it is offered."""


@dataclass(frozen=True)
class Wanted:
    """Which depots are asked for, and in which order."""

    search: str | None
    provisioning: ProvisioningState | None
    freshness: DepotFreshness | None
    alarm: AlarmChoice | None
    region: str | None = None
    tag: str | None = None
    retired: bool = False
    sort: DepotOrder | None = None
    descending: bool = False

    @property
    def sorting(self) -> Sorting:
        """The order of the list."""
        if self.retired:
            return Sorting(DepotOrder.NAME, self.descending)
        return Sorting(self.sort or own_order(self.alarm, self.freshness, self.provisioning), self.descending)

    @property
    def filters(self) -> dict[str, str | None]:
        """All of it but the search, by the names of the address."""
        return {
            "provisioning": self.provisioning,
            "freshness": self.freshness,
            "alarm": self.alarm,
            "region": self.region,
            "tag": self.tag,
            "retired": "true" if self.retired else None,
        }

    @property
    def kept(self) -> dict[str, str | None]:
        """What stays while one searches: the filters and the order."""
        return {**self.filters, "sort": self.sort, "descending": "true" if self.descending else None}

    @property
    def labels(self) -> dict[str, str]:
        """The filters by region and tag that are asked for, by the names of the address."""
        return {name: value for name, value in (("region", self.region), ("tag", self.tag)) if value}

    def query(self, **other: object) -> str:
        """Ask for the same with something else in it; None takes a filter away."""
        given = {"search": self.search, **self.kept, **other}
        return urlencode({name: value for name, value in given.items() if value})

    def sorted_by(self, name: str, path: str) -> SortLink | None:
        """The link that sorts by an order: from its other end where the list has it. None: the list cannot have it."""
        order = DepotOrder(name)
        if self.retired and order is not DepotOrder.NAME:
            return None
        now = self.sorting
        turned = "true" if now == Sorting(order) else None
        ordered = "" if now.order is not order else "descending" if now.is_descending else "ascending"
        return SortLink(f"{path}?{self.query(sort=order, descending=turned)}", ordered)

    def in_service(self, **other: object) -> str:
        """Ask for the same of the depots that are not retired, with something else in it."""
        return self.query(**other, retired=None)

    def has_any(self, name: str) -> bool:
        """Whether depots in service are asked for, whatever they have of one filter."""
        return not (self.retired or self.filters[name])


@dataclass(frozen=True)
class ViewLink:
    """A saved view, and where it leads."""

    of: SavedView
    query: str
    """What the list's address has for it."""


def wanted_of(filters: ViewFilters) -> Wanted:
    """What the list is asked for by a view."""
    return Wanted(**{name: getattr(filters, name) for name in ViewFilters.model_fields})


async def _views(engine: AsyncEngine, principal: Principal) -> list[ViewLink]:
    found = await saved_views.list_all(engine, principal)
    return [ViewLink(each, wanted_of(each.filters).query()) for each in found.items]


async def _rows(engine: AsyncEngine, scope: DepotScope, wanted: Wanted, cursor: str | None) -> dict[str, Any]:
    page = await service.list_all(
        engine,
        scope,
        search=wanted.search,
        provisioning=wanted.provisioning,
        freshness=wanted.freshness,
        alarm=wanted.alarm,
        region=wanted.region,
        tag=wanted.tag,
        retired=wanted.retired,
        sort=wanted.sort,
        descending=wanted.descending,
        cursor=cursor,
        limit=PAGE,
    )
    async with engine.connect() as connection:
        shown = [depot.depot_id for depot in page.items]
        latest_statuses = await read_latest_statuses(connection, shown)
        alarms = await list_alarms(connection, shown)
        loads = await read_depot_loads(connection, shown)
        trends = await _load_trends(connection, loads)
    names = Counter(depot.name for depot in page.items)
    return {
        "page": page,
        "wanted": wanted,
        "statuses": latest_statuses,
        "loads": loads,
        "trends": trends,
        "load_series": {depot_id: _series(load) for depot_id, load in loads.items()},
        "alarms": {depot_id: DepotInAlarm.of(found) for depot_id, found in alarms.items()},
        "namesakes": {name for name, count in names.items() if count > 1},
        "fields": depot_fields(),
        "orders": ORDERS,
    }


async def _load_trends(connection: AsyncConnection, loads: Mapping[UUID, DepotLoad]) -> dict[UUID, Spark]:
    """Draw what each depot drew in the last hours: what its devices measured, summed where any did."""
    wanted = [(device_id, _LOAD) for load in loads.values() for device_id in load.device_ids]
    found = await read_sparks(connection, wanted, await clock(connection), SHORT_SPAN)
    drawn: dict[UUID, Spark] = {}
    for depot_id, load in loads.items():
        parts = [found[device_id, _LOAD] for device_id in load.device_ids if (device_id, _LOAD) in found]
        steps = [[value for value in step if value is not None] for step in zip(*parts, strict=True)]
        if any(steps):
            values = [sum(step) if step else None for step in steps]
            drawn[depot_id] = draw_spark(_LOAD, values, SHORT_SPAN // timedelta(hours=1))
    return drawn


def _series(load: DepotLoad) -> str:
    """The series of a depot's load, as the address of the Trends page has them."""
    return "&series=".join(f"device:{device_id}:{_LOAD}" for device_id in load.device_ids[:MOST_SERIES])


async def _counts(engine: AsyncEngine, scope: DepotScope, wanted: Wanted) -> dict[str, Any]:
    """Count by each filter what the other filters leave."""
    async with snapshot(engine) as connection:
        retired = await count_retired(connection, scope)
        found = await count_fleet(connection, wanted.search, scope, wanted.alarm, region=wanted.region, tag=wanted.tag)
    counts, fresh = found.by_provisioning(wanted.freshness), found.by_freshness(wanted.provisioning)
    return {
        "counts": counts,
        "total": sum(counts.values()),
        "fresh": fresh,
        "fresh_total": sum(fresh.values()),
        "retired": retired,
        "most_counted": MOST_COUNTED if found.is_capped else None,
    }


async def asked_for(
    search: Search = None,
    provisioning: State = None,
    freshness: Fresh = None,
    alarm: OfAlarm = None,
    region: RegionFilter = None,
    tag: TagFilter = None,
    retired: RetiredFilter = False,
    sort: OrderedBy = None,
    descending: Descending = False,
) -> Wanted:
    """Say which depots an address asks for."""
    return Wanted(search, provisioning, freshness, alarm, region, tag, retired, sort, descending)


WantedDep = Annotated[Wanted, Depends(asked_for)]


@router.get("/depots", name="page_depots")
async def show(
    request: Request,
    engine: EngineDep,
    scope: ScopeDep,
    principal: PrincipalDep,
    wanted: WantedDep,
) -> Response:
    """Show all depots, or those that were searched for."""
    context = await _rows(engine, scope, wanted, None) | await _counts(engine, scope, wanted)
    context["views"] = await _views(engine, principal)
    return render(
        request,
        "depots.html",
        context | {"topics": [Topic(Kind.FLEET)]},
        block="results" if is_htmx(request) else None,
    )


@router.get("/depots/rows", name="depot_rows")
async def more(
    request: Request,
    engine: EngineDep,
    scope: ScopeDep,
    wanted: WantedDep,
    cursor: Cursor = None,
) -> Response:
    """The next depots of the list."""
    context = await _rows(engine, scope, wanted, cursor)
    return render(request, "depots.html", context, block="more_rows")


@router.get("/depots/new", name="page_new_depot")
async def begin(request: Request) -> Response:
    """Show the form for a new depot."""
    return render(
        request, "depot_new.html", _filled_in({field.name: "" for field in depot_fields()}, Outline([Line()]))
    )


@router.post("/depots/new/circuits", name="new_depot_circuits")
async def outline(request: Request) -> Response:
    """Add, indent, outdent or remove a line of the circuits that are being filled in."""
    async with open_form(request) as form:
        lines = _outline(form)
        action = str(form.get("action", ""))
        place = str(form.get("place", ""))
    chosen = read_whole(place, MAX_FIELDS)
    at = lines.act(action, -1 if chosen is None else chosen)
    focus = f"circuit-{at}-{action if action in ('indent', 'outdent') else 'name'}"
    return render(
        request, "depot_new.html", {"outline": lines, "errors": FieldErrors(), "focus": focus}, block="circuits"
    )


@router.post("/depots/new", name="create_depot")
async def create(request: Request, actor: ActorDep, engine: EngineDep, once: FormOnceDep) -> Response:
    """Create the depot; or show the form again, with everything that is wrong."""
    async with open_form(request) as form:
        lines = _outline(form)
        values = {field.name: str(form.get(field.name, "")) for field in depot_fields()}
    errors = FieldErrors()
    body = {field.name: errors.check(field.name, partial(field.read, values[field.name])) for field in depot_fields()}
    body["circuits"] = lines.read(errors)
    if len(lines.lines) > MAX_CIRCUITS:
        errors["circuits"] = f"A depot has at most {MAX_CIRCUITS:,} circuits; here are {len(lines.lines):,}."
    asked = None if errors else errors.read(service.DepotCreate, body, {name: name for name in body})
    if asked is None:
        context = _filled_in(values, lines) | {"errors": errors, "focus": "form-errors"}
        block = "form" if is_htmx(request) else None
        return render(request, "depot_new.html", context, block=block, status=422)
    made = await service.create(asked, actor, engine, once)
    there = address_of(request, "page_microgrid", depot_id=made.depot_id)
    return Response(headers={"HX-Redirect": there}) if is_htmx(request) else RedirectResponse(there, 303)


@router.get("/depots/{depot_id}", name="page_depot")
async def enter(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """Lead to the depot's first tab, with its Microgrid card (COR-9.1)."""
    await service.read(depot_id, engine)
    return RedirectResponse(address_of(request, "page_load", depot_id=depot_id), 303)


def _outline(form: FormData) -> Outline:
    columns = [[str(value) for value in form.getlist(f"circuit_{name}")] for name in ("name", "kilowatts", "level")]
    return Outline(
        [
            Line(name, kilowatts, read_whole(level, MAX_DEPTH) or 0)
            for name, kilowatts, level in zip(*columns, strict=False)
        ]
    )


def _filled_in(values: Mapping[str, str], lines: Outline) -> dict[str, Any]:
    return {"fields": depot_fields(), "values": values, "outline": lines, "errors": FieldErrors(), "focus": ""}
