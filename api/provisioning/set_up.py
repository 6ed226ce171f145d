"""How far a depot is set up, from its circuits to the first packet."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.base.dependencies import EngineDep, SettingsDep
from api.base.problems import problem_responses
from api.base.types import DepotId
from domain.base.problems import ProblemCode
from domain.provisioning.set_up import SetUpStep, set_up_of
from store.base.database import snapshot
from store.provisioning.set_up import read_set_up
from store.site.depots import read_depot

router = APIRouter(prefix="/api/depots", tags=["depots"])


class SetUpItem(BaseModel):
    """One step of a depot's set-up."""

    step: SetUpStep
    done: bool = Field(description="Whether what is stored says so; it opens again when that is taken away.")


class SetUpDocument(BaseModel):
    """How far a depot is set up."""

    items: list[SetUpItem] = Field(
        description="The steps in their order; `GATEWAY_SECRET` only where packets are refused without one. "
        "Of a depot that is retired: none."
    )
    next_step: SetUpStep | None = Field(description="The first step that is not done. Null: there is none.")


@router.get("/{depot_id}/set-up", responses=problem_responses(ProblemCode.DEPOT_NOT_FOUND))
async def read(depot_id: DepotId, engine: EngineDep, settings: SettingsDep) -> SetUpDocument:
    """Say how far a depot is set up, and which step comes next."""
    async with snapshot(engine) as connection:
        await read_depot(connection, depot_id)
        facts = await read_set_up(connection, depot_id)
    if facts is None:
        return SetUpDocument(items=[], next_step=None)
    found = set_up_of(facts, needs_secrets=settings.needs_gateway_secrets)
    items = [SetUpItem(step=step, done=done) for step, done in found.done.items()]
    return SetUpDocument(items=items, next_step=found.next_step)
