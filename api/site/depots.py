"""Depots: create with circuits, list, read, change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep, ScopeDep
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import conflict_responses, problem_responses
from api.base.records import Extended
from api.base.types import (
    Body,
    Cursor,
    DepotId,
    Limit,
    Name,
    Region,
    Search,
    Tags,
    Text,
    Timezone,
    Watts,
    decode_cursor,
    encode_cursor,
    left_out,
)
from api.base.versions import EditDep, shows_version, tagged
from domain.base.bounds import CIRCUITS
from domain.base.names import MAX_REGION_LENGTH, MAX_TAG_LENGTH
from domain.base.problems import Problem, ProblemCode
from domain.monitoring.alarms import AlarmChoice
from domain.monitoring.depot_orders import BY_LOAD, DepotOrder, Sorting, own_order
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import PROVISIONING_MESSAGES, ProvisioningCode, ProvisioningState
from store.site.depots import (
    DepotRecord,
    NewCircuit,
    create_depot,
    list_depots,
    list_ranked_depots,
    read_depot,
    update_depot,
)
from store.site.fleet.fleet_list import DepotFilter
from store.site.fleet.fleet_search import read_search
from store.site.fleet.load_settlement import read_settled_at, settle_loads

router = APIRouter(prefix="/api/depots", tags=["depots"], route_class=StrictRoute)

FreshnessFilter = Annotated[
    DepotFreshness | None,
    Query(
        description="As fresh as the worse of the two capabilities: `NONE` where one has no status yet, else `STALE` "
        "where one is older than its threshold or no device updates it any more, else `FRESH`."
    ),
]

AlarmFilter = Annotated[
    AlarmChoice | None,
    Query(
        description="What of the depot needs attention: `ANY` of the following, `CONTROLLER_SILENT` where nothing came "
        "from a controller for longer than its limit, `FAIL_SAFE` where the fail-safe capacity holds at a circuit, "
        "`PROVISIONING_FAILED`, `REMEDIATION_OPEN`, `STATUS_STALE` where a status is too old although its controller "
        "is not silent."
    ),
]


OrderedBy = Annotated[
    DepotOrder | None,
    Query(
        description="What the depots are ordered by; of those that are alike in it, the name decides. `NAME`: as "
        "people count. `WORST`: the highest priority of its alarms, and since when it has it. `PROVISIONING`: failed, "
        "pending, provisioned. `STATUS`: stale, fresh, none. `FAIL_SAFE` and `REMEDIATIONS`: since when there is one; "
        "depots without one come last. `TIMEZONE`: the time zone's name. `LOAD`: what it draws, the most first, and "
        "`LOAD_SHARE`: its share of the capacity; depots that measured nothing lately come last. What has lasted "
        "longest comes first. Left out: `WORST` where `alarm`, `freshness=STALE` or `provisioning=FAILED` is asked "
        "for, else `NAME`. Retired depots are always in the order of `NAME`."
    ),
]
Descending = Annotated[bool, Query(description="Whether the order is turned round: what comes last in it is first.")]


class NestedCircuit(Body):
    """A circuit to create with its depot, with the circuits below it."""

    name: Name
    rated_power_w: Watts | None = None
    children: list[NestedCircuit] = Field(default=[])

    def to_store(self) -> NewCircuit:
        """The same for the store."""
        return NewCircuit(self.name, self.rated_power_w, tuple(child.to_store() for child in self.children))


AllowsSimulation = Annotated[
    bool,
    Field(
        description="Whether scenarios may run on the depot. A run sends simulated packets in the place of its devices."
    ),
]

OfRegion = Annotated[
    Region | None,
    Field(description="What the depot is filed under, such as a part of the country; null: nothing."),
]
OfTags = Annotated[
    Tags,
    Field(
        description="Short texts without commas by which depots are found; of two that differ only in case, the first "
        "stays. In the answer they are in alphabetical order."
    ),
]
RegionFilter = Annotated[
    Text | None, Query(max_length=MAX_REGION_LENGTH, description="Of this region, in upper or lower case.")
]
RetiredFilter = Annotated[
    bool, Query(description="Those that are retired, which are left out of every other list of depots.")
]
TagFilter = Annotated[
    Text | None, Query(max_length=MAX_TAG_LENGTH, description="With this tag, in upper or lower case.")
]


class DepotCreate(Body):
    """A depot to create, with its circuits, 5,000 at most; the first level are its top-level circuits."""

    name: Name
    timezone: Timezone
    allows_simulation: AllowsSimulation = False
    region: OfRegion = None
    tags: OfTags = Field(default=[])
    circuits: list[NestedCircuit] = Field(default=[])

    @model_validator(mode="before")
    @classmethod
    def _count(cls, given: object) -> object:
        # Before any circuit is looked at more closely, so that a body full of them costs little.
        if isinstance(given, Mapping):
            CIRCUITS.check(_count_nested(given.get("circuits")))
        return given


def _count_nested(circuits: object) -> int:
    """Count circuits with those below them; what is no circuit is left for the validation to say."""
    count = 0
    lists = [circuits]
    while lists:
        each = lists.pop()
        if isinstance(each, list):
            count += len(each)
            lists.extend(below for circuit in each if isinstance(circuit, dict) and (below := circuit.get("children")))
    return count


class DepotChange(Body):
    """What to change of a depot; what is left out stays."""

    name: Name = Field(default_factory=left_out)
    timezone: Timezone = Field(default_factory=left_out)
    allows_simulation: AllowsSimulation = Field(default_factory=left_out)
    region: OfRegion = Field(default_factory=left_out)
    tags: OfTags = Field(default_factory=left_out)


class Provisioning(BaseModel):
    """Whether the depot has its microgrid, and if not, why not."""

    state: ProvisioningState
    code: ProvisioningCode | None = Field(description="Set where the state is `FAILED`.")
    message: str | None = Field(description="What to do about it, for people.")


class Depot(BaseModel):
    """A depot."""

    depot_id: UUID
    name: str
    timezone: str
    provisioning: Provisioning
    microgrid_id: UUID | None = Field(description="The depot's canonical microgrid, where it has one.")
    allows_simulation: AllowsSimulation
    region: str | None = Field(description="What it is filed under; null: nothing.")
    tags: list[str] = Field(description="In alphabetical order.")
    retired_at: datetime | None = Field(description="Since when it is retired; null: it is in service.")
    version: int = Field(description="Moves with every change; the `ETag`.")
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @staticmethod
    def of(record: DepotRecord) -> Depot:
        """The depot as the store has it."""
        code = record.provisioning_code
        message = None if code is None else PROVISIONING_MESSAGES[code]
        provisioning = Provisioning(state=record.provisioning, code=code, message=message)
        return Depot.model_validate(Extended(record, provisioning=provisioning), from_attributes=True)


class DepotPage(BaseModel):
    """Depots, in the order of their list."""

    items: list[Depot]
    next_cursor: str | None
    ordered_at: datetime | None = Field(
        description="Of an order by load: when the loads were read that it is by. They are read again when the first "
        "page is asked for half a minute later. Null: they are being read for the first time, or the order is of the "
        "moment."
    )


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=shows_version(201) | problem_responses(*ONCE,
        ProblemCode.INVALID_NAME, ProblemCode.INVALID_TIMEZONE, ProblemCode.CIRCUIT_TREE_TOO_DEEP,
        ProblemCode.TOO_MANY_CIRCUITS, ProblemCode.BODY_TOO_LARGE,
    ),
)  # fmt: skip
@tagged
async def create(body: DepotCreate, actor: ActorDep, engine: EngineDep, once: OnceDep) -> Depot:
    """Create a depot with its circuits. Its microgrid follows by itself within moments (COR-8.2)."""
    circuits = [circuit.to_store() for circuit in body.circuits]

    async def make(connection: AsyncConnection) -> Depot:
        depot_id = await create_depot(connection, actor, body.model_dump(exclude={"circuits"}), circuits)
        return Depot.of(await read_depot(connection, depot_id))

    return await once.create(engine, actor, body, Depot, make)


@router.get("", responses=problem_responses(ProblemCode.INVALID_CURSOR))
async def list_all(
    engine: EngineDep,
    scope: ScopeDep,
    search: Search = None,
    provisioning: Annotated[ProvisioningState | None, Query()] = None,
    freshness: FreshnessFilter = None,
    alarm: AlarmFilter = None,
    region: RegionFilter = None,
    tag: TagFilter = None,
    retired: RetiredFilter = False,
    sort: OrderedBy = None,
    descending: Descending = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> DepotPage:
    """List depots by name, numbers in their order; those in trouble the worst first; or in the order of `sort`.

    `search` is words in any order, without accents: of each, a part of the name, or the beginning of a word of the time
    zone, the region or a tag; or the whole id of the depot, of a gateway or a device, or a sensor id (which finds 1,000
    depots at most).
    """
    sorting = Sorting(sort or own_order(alarm, freshness, provisioning), descending)
    is_by_load = sorting.order in BY_LOAD and not retired
    if is_by_load and cursor is None:
        await settle_loads(engine)
    async with engine.connect() as connection:
        words = await read_search(connection, search)
        wanted = DepotFilter(words, provisioning, freshness, scope, alarm, region=region, tag=tag, retired=retired)
        ordered_at = await read_settled_at(connection) if is_by_load else None
        found = await _listed(connection, wanted, sorting, cursor, limit + 1)
    more = encode_cursor(*found[limit - 1][0]) if len(found) > limit else None
    return DepotPage(items=[Depot.of(record) for _, record in found[:limit]], next_cursor=more, ordered_at=ordered_at)


async def _listed(
    connection: AsyncConnection, wanted: DepotFilter, sorting: Sorting, cursor: str | None, limit: int
) -> Sequence[tuple[tuple[object, ...], DepotRecord]]:
    """Read depots in the order of their list, each with its place there, as a cursor has it."""
    if sorting.order is DepotOrder.NAME or wanted.retired:
        after = decode_cursor(cursor, tuple[str, UUID])
        is_descending = sorting.is_descending
        named = await list_depots(connection, wanted, after=after, limit=limit, is_descending=is_descending)
        return [((each.name, each.depot_id), each) for each in named]
    place: tuple[DepotOrder, int | str, str, UUID] | None
    if sorting.order is DepotOrder.TIMEZONE:
        place = decode_cursor(cursor, tuple[DepotOrder, str, str, UUID])
    else:
        place = decode_cursor(cursor, tuple[DepotOrder, int, str, UUID])
    if place is not None and place[0] is not sorting.order:
        raise Problem(ProblemCode.INVALID_CURSOR, "This cursor did not come from a list in this order.", "cursor")
    after_place = None if place is None else place[1:]
    ranked = await list_ranked_depots(connection, wanted, sorting, after=after_place, limit=limit)
    return [((sorting.order, *own_place), record) for own_place, record in ranked]


@router.get("/{depot_id}", responses=shows_version() | problem_responses(ProblemCode.DEPOT_NOT_FOUND))
@tagged
async def read(depot_id: DepotId, engine: EngineDep) -> Depot:
    """Read one depot."""
    async with engine.connect() as connection:
        return Depot.of(await read_depot(connection, depot_id))


@router.patch(
    "/{depot_id}",
    responses=shows_version() | conflict_responses() | problem_responses(
        ProblemCode.DEPOT_NOT_FOUND, ProblemCode.INVALID_NAME, ProblemCode.INVALID_TIMEZONE,
        ProblemCode.DEPOT_RETIRED, ProblemCode.RUN_IN_PROGRESS, ProblemCode.BODY_TOO_LARGE,
    ),
)  # fmt: skip
@tagged
async def change(depot_id: DepotId, body: DepotChange, edit: EditDep) -> Depot:
    """Change a depot's settings: its name, time zone, region and tags, and whether scenarios may run on it.

    Simulation is not disallowed while a scenario run is in progress.
    """
    return Depot.of(await edit.store(update_depot, depot_id, body.given(), edit.expected))
