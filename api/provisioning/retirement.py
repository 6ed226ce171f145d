"""Retire a depot with its microgrid, and bring it back."""

from __future__ import annotations

from fastapi import APIRouter

from api.base.problems import conflict_responses, problem_responses
from api.base.types import DepotId
from api.base.versions import EditDep, shows_version, tagged
from api.site.depots import Depot
from domain.base.problems import ProblemCode
from store.provisioning.retirement import restore_depot, retire_depot

router = APIRouter(prefix="/api/depots", tags=["depots"])


@router.post(
    "/{depot_id}/retire",
    responses=shows_version()
    | conflict_responses()
    | problem_responses(ProblemCode.DEPOT_NOT_FOUND, ProblemCode.RUN_IN_PROGRESS),
)
@tagged
async def retire(depot_id: DepotId, edit: EditDep) -> Depot:
    """Take a depot out of service, with its microgrid. One that is retired stays as it is.

    Its history stays. Its packets and every change of its site are refused as `DEPOT_RETIRED`, its open remediations
    are closed, its circuits follow no controller, and lists, counts, alarms and backfills leave it out.
    """
    return Depot.of(await edit.store(retire_depot, depot_id, edit.expected))


@router.post(
    "/{depot_id}/restore",
    responses=shows_version() | conflict_responses() | problem_responses(ProblemCode.DEPOT_NOT_FOUND),
)
@tagged
async def restore(depot_id: DepotId, edit: EditDep) -> Depot:
    """Bring a retired depot back, with the microgrid that it had. One that is in service stays as it is.

    A sync that follows makes the microgrid follow its circuits, or makes it where there was none.
    """
    return Depot.of(await edit.store(restore_depot, depot_id, edit.expected))
