"""Saved views of the list of depots: each person has their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, status
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from api.access.api_tokens import owner_of
from api.base.access import PrincipalDep
from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import conflict_responses, problem_responses
from api.base.records import Extended
from api.base.types import Body, Name, Text, left_out
from api.base.versions import EditDep, shows_version, tagged
from domain.access.api_tokens import Owner
from domain.access.principals import Principal
from domain.access.saved_views import SavedViewRecord
from domain.base.actor import Actor
from domain.base.names import MAX_NAME_LENGTH, MAX_REGION_LENGTH, MAX_TAG_LENGTH
from domain.base.problems import Problem, ProblemCode
from domain.monitoring.alarms import AlarmChoice
from domain.monitoring.depot_orders import DepotOrder
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.outcomes import ProvisioningState
from store.site.fleet.saved_views import delete_view, list_views, read_view, save_view, update_view

router = APIRouter(prefix="/api/views", tags=["views"], route_class=StrictRoute)

ViewId = Annotated[UUID, Path(description="The view's id.")]


def _without_defaults(schema: dict[str, Any]) -> None:
    """Leave defaults out: clients that are made from the document would send them with a change."""
    for each in schema["properties"].values():
        each.pop("default", None)


class ViewFilters(Body):
    """What the list of depots is asked for, as `GET /api/depots` takes it; null or left out: not asked for."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    search: Annotated[Text, Field(max_length=MAX_NAME_LENGTH)] | None = None
    provisioning: ProvisioningState | None = None
    freshness: DepotFreshness | None = None
    alarm: AlarmChoice | None = Field(default=None, description="What of the depot needs attention.")
    region: Annotated[Text, Field(max_length=MAX_REGION_LENGTH)] | None = Field(default=None, description="The region.")
    tag: Annotated[Text, Field(max_length=MAX_TAG_LENGTH)] | None = Field(default=None, description="One of the tags.")
    retired: bool = Field(default=False, description="Whether those that are retired.")
    sort: DepotOrder | None = Field(default=None, description="The order; null: that of the list itself.")
    descending: bool = Field(default=False, description="Whether the order is turned round.")

    @field_validator("search", "region", "tag")
    @classmethod
    def _asked(cls, given: str | None) -> str | None:
        return given or None

    @staticmethod
    def of_stored(stored: Mapping[str, Any]) -> tuple[ViewFilters, list[str]]:
        """Read what was saved; besides, the names of what is no filter any more, or no value of one."""
        try:
            return ViewFilters.model_validate(stored), []
        except ValidationError as error:
            lost = {str(each["loc"][0]) for each in error.errors(include_url=False, include_input=False)}
            kept = {name: value for name, value in stored.items() if name not in lost}
            return ViewFilters.model_validate(kept), sorted(lost)

    def to_store(self) -> dict[str, Any]:
        """Say what is asked for."""
        return self.model_dump(mode="json", exclude_defaults=True)


class SavedViewCreate(Body):
    """A view to save."""

    name: Name
    filters: ViewFilters = Field(description="What the list is asked for.")
    replaces: int | None = Field(
        default=None,
        description="The version of your view of the same name that this one replaces. Null: a name that is taken is "
        "refused.",
    )


class SavedViewChange(Body):
    """What to change of a view; what is left out stays."""

    name: Name = Field(default_factory=left_out)
    filters: ViewFilters = Field(default_factory=left_out, description="What the list is asked for, as a whole.")


class SavedView(BaseModel):
    """A view of the list of depots that somebody saved."""

    view_id: UUID = Field(description="The view's id.")
    name: str
    filters: ViewFilters = Field(description="What the list is asked for.")
    lost: list[str] = Field(
        description="Filters that were saved and do not exist any more, or not with this value: they are left out."
    )
    version: int = Field(description="Moves with every change; the `ETag`.")
    created_at: datetime
    updated_at: datetime

    @staticmethod
    def of(record: SavedViewRecord) -> SavedView:
        """The view as the store has it."""
        filters, lost = ViewFilters.of_stored(record.filters)
        return SavedView.model_validate(Extended(record, filters=filters, lost=lost), from_attributes=True)


class SavedViewList(BaseModel):
    """All views of a person, by name."""

    items: list[SavedView]


async def _saver(connection: AsyncConnection, principal: Principal) -> Owner:
    owner = await owner_of(connection, principal)
    if not owner.is_local and owner.person_id is None:
        raise Problem(ProblemCode.NOT_PERMITTED, "People who signed in on the pages save views, and programs do not.")
    return owner


@router.get("")
async def list_all(engine: EngineDep, principal: PrincipalDep) -> SavedViewList:
    """List your saved views by name, 50 at most. They are yours alone."""
    async with engine.connect() as connection:
        found = await list_views(connection, await owner_of(connection, principal))
    return SavedViewList(items=[SavedView.of(each) for each in found])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=shows_version(201) | problem_responses(
        *ONCE, ProblemCode.INVALID_NAME, ProblemCode.VIEW_NAME_TAKEN, ProblemCode.TOO_MANY_VIEWS,
    ),
)  # fmt: skip
@tagged
async def create(
    body: SavedViewCreate, actor: ActorDep, principal: PrincipalDep, engine: EngineDep, once: OnceDep
) -> SavedView:
    """Save a view under a name, or replace the one of this name."""

    async def make(connection: AsyncConnection) -> SavedView:
        owner = await _saver(connection, principal)
        saved = await save_view(
            connection, actor, owner, body.name, body.filters.to_store(), replaces=body.replaces
        )  # fmt: skip
        return SavedView.of(saved)

    return await once.create(engine, actor, body, SavedView, make)


@router.get("/{view_id}", responses=shows_version() | problem_responses(ProblemCode.VIEW_NOT_FOUND))
@tagged
async def read(view_id: ViewId, principal: PrincipalDep, engine: EngineDep) -> SavedView:
    """Read one of your saved views."""
    async with engine.connect() as connection:
        return SavedView.of(await read_view(connection, view_id, await owner_of(connection, principal)))


@router.patch(
    "/{view_id}",
    responses=shows_version() | conflict_responses() | problem_responses(
        ProblemCode.VIEW_NOT_FOUND, ProblemCode.INVALID_NAME, ProblemCode.VIEW_NAME_TAKEN,
    ),
)  # fmt: skip
@tagged
async def change(view_id: ViewId, body: SavedViewChange, principal: PrincipalDep, edit: EditDep) -> SavedView:
    """Give one of your saved views another name or other filters."""
    given: dict[str, Any] = {}
    if "name" in body.model_fields_set:
        given["name"] = body.name
    if "filters" in body.model_fields_set:
        given["filters"] = body.filters.to_store()

    async def store(connection: AsyncConnection, actor: Actor) -> SavedViewRecord:
        owner = await owner_of(connection, principal)
        return await update_view(connection, actor, owner, view_id, given, edit.expected)

    return SavedView.of(await edit.store(store))


@router.delete(
    "/{view_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=conflict_responses() | problem_responses(ProblemCode.VIEW_NOT_FOUND),
)
async def remove(view_id: ViewId, principal: PrincipalDep, edit: EditDep) -> None:
    """Delete one of your saved views."""

    async def store(connection: AsyncConnection, actor: Actor) -> None:
        await delete_view(connection, actor, await owner_of(connection, principal), view_id, edit.expected)

    await edit.store(store)
