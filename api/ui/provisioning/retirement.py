"""The dialogs that retire a depot and bring it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.base.dependencies import ActorDep, EngineDep
from api.base.types import DepotId
from api.base.versions import Edit
from api.provisioning import retirement as service
from api.site import depots
from api.ui.base.navigation import address_of
from api.ui.base.rendering import render
from api.ui.site.site_forms import gone
from domain.base.problems import Problem, ProblemCode

router = APIRouter(prefix="/depots/{depot_id}", include_in_schema=False)


@router.get("/retirement", name="depot_retirement")
async def ask_to_retire(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """The question before a depot is retired."""
    return _question(request, await depots.read(depot_id, engine), "retire")


@router.post("/retirement", name="depot_retire")
async def retire(request: Request, depot_id: DepotId, actor: ActorDep, engine: EngineDep) -> Response:
    """Retire the depot; or say why not."""
    return await _act(request, depot_id, Edit(engine, actor), service.retire, "retire")


@router.get("/restoration", name="depot_restoration")
async def ask_to_restore(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """The question before a depot is brought back."""
    return _question(request, await depots.read(depot_id, engine), "restore")


@router.post("/restoration", name="depot_restore")
async def restore(request: Request, depot_id: DepotId, actor: ActorDep, engine: EngineDep) -> Response:
    """Bring the depot back; or say why not."""
    return await _act(request, depot_id, Edit(engine, actor), service.restore, "restore")


async def _act(
    request: Request,
    depot_id: DepotId,
    edit: Edit,
    act: Callable[[DepotId, Edit], Awaitable[depots.Depot]],
    block: str,
) -> Response:
    try:
        await act(depot_id, edit)
    except Problem as problem:
        if problem.code is not ProblemCode.RUN_IN_PROGRESS:
            return gone(request, problem)
        return _question(request, await depots.read(depot_id, edit.engine), block, problem)
    return Response(headers={"HX-Redirect": address_of(request, "page_depot", depot_id=depot_id)})


def _question(request: Request, depot: depots.Depot, block: str, refused: Problem | None = None) -> Response:
    context = {"depot": depot, "refused": refused}
    return render(request, "retirement_dialogs.html", context, block=block, status=409 if refused else 200)
