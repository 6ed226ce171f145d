"""The Microgrid tab of a depot: its structure as a single-line diagram, its state, and Resync."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.dependencies import ActorDep, ClientDep, EngineDep, SettingsDep
from api.base.streams.live import Kind, Topic
from api.base.temporal import workflow_url
from api.base.types import DepotId
from api.provisioning import microgrids as service
from api.site import depots
from api.ui.base.depot_head import with_head
from api.ui.base.rendering import render_large
from api.ui.provisioning.structure_view import Place, place_of, view_structure
from domain.base.problems import Problem, ProblemCode
from domain.provisioning.reconcile import GridConnection, ReconcilePlan, TopLevelCircuit, plan_reconcile
from runtime.settings import Settings
from store.base.database import snapshot
from store.base.off_loop import off_loop
from store.monitoring.powers import MeasuredPower, read_powers
from store.provisioning.structure import StructureRecord, read_structure
from store.site.circuits import CircuitRecord, list_circuits
from store.site.depots import DepotRecord, read_depot
from workflows.launch import sync_workflow_id

router = APIRouter(prefix="/depots/{depot_id}/microgrid", include_in_schema=False)


async def read_tab(engine: AsyncEngine, depot_id: UUID, place: Place) -> dict[str, Any]:
    """Read what the tab shows of the structure at ``place``, as of one moment.

    Raises:
        Problem: ``DEPOT_NOT_FOUND``.

    """
    async with snapshot(engine) as connection:
        depot = await read_depot(connection, depot_id)
        structure = await _read_structure(connection, depot)
        circuits = await list_circuits(connection, depot_id) if structure is None else structure.circuits
        powers = await read_powers(connection, depot_id)
    view = drift = None
    if structure is not None:
        view = await off_loop(len(circuits), view_structure, structure, place)
        drift = await off_loop(len(circuits), _drift, structure)
    return {
        "depot": depots.Depot.of(depot),
        "structure": view,
        "drift": drift,
        "circuit_count": len(circuits),
        "tops": [circuit.name for circuit in circuits if circuit.parent_id is None],
        "powers": powers,
        "loads": {} if structure is None else _loads(structure, powers),
        "topics": [Topic(Kind.DEPOT, depot_id), Topic(Kind.PACKET, depot_id)],
    }


async def _read_structure(connection: Any, depot: DepotRecord) -> StructureRecord | None:
    return None if depot.microgrid_id is None else await read_structure(connection, depot.microgrid_id)


def _loads(structure: StructureRecord, powers: Mapping[UUID, MeasuredPower]) -> dict[UUID, MeasuredPower]:
    """What the meters of each circuit measure together, but for those of power sources."""
    loads: dict[UUID, MeasuredPower] = {}
    for device in structure.devices:
        power = powers.get(device.device_id)
        if power is None or power.power_source_kind is not None or device.circuit_id is None:
            continue
        so_far = loads.get(device.circuit_id, MeasuredPower(0))
        simulated_by = so_far.simulated_by or power.simulated_by
        loads[device.circuit_id] = MeasuredPower(so_far.watts + power.watts, simulated_by=simulated_by)
    return loads


def _drift(structure: StructureRecord) -> ReconcilePlan | None:
    """What a sync would change at this moment; None where that is nothing."""
    if not structure.drifted:
        return None

    def top(circuit: CircuitRecord) -> TopLevelCircuit:
        return TopLevelCircuit(circuit.circuit_id, circuit.name)

    return plan_reconcile(
        [GridConnection(node.circuit_id, node.name, node.position) for node in structure.microgrid.grid_connections],
        [top(circuit) for circuit in structure.circuits if circuit.parent_id is None],
    )


@router.get("", name="page_microgrid")
async def show(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """Show the tab (COR-8.8). Without a microgrid the status is 404, and the page says why and what to do."""
    context = await with_head(request, engine, depot_id, await read_tab(engine, depot_id, place_of(request)))
    return await render_large(
        request,
        "microgrid.html",
        context,
        status=200 if context["structure"] is not None else 404,
    )


@router.get("/parts", name="microgrid_parts")
async def parts(request: Request, depot_id: DepotId, engine: EngineDep) -> Response:
    """The parts of the tab that change, as they are now."""
    return await render_large(
        request, "microgrid.html", await read_tab(engine, depot_id, place_of(request)), block="parts"
    )


_NO_RESULT = (ProblemCode.SYNC_TIMED_OUT, ProblemCode.SYNC_FAILED, ProblemCode.TEMPORAL_UNAVAILABLE)
"""Failures of a Resync that the tab shows."""


@router.post("/resync", name="microgrid_resync")
async def resync(
    request: Request, depot_id: DepotId, actor: ActorDep, engine: EngineDep, client: ClientDep, settings: SettingsDep
) -> Response:
    """Make the microgrid follow the top-level circuits now, and tell in words what that changed (COR-8.9)."""
    result: service.SyncResultDocument | None = None
    failure: Problem | None = None
    try:
        result = await service.resync_depot(depot_id, actor, engine, client, settings)
    except Problem as problem:
        if problem.code not in _NO_RESULT:
            raise
        failure = problem
    context = await read_tab(engine, depot_id, place_of(request)) | {
        "result": result,
        "failure": failure,
        "run": _run(settings, client, depot_id),
    }
    return await render_large(request, "microgrid.html", context, block="resynced")


def _run(settings: Settings, client: Any, depot_id: UUID) -> str | None:
    return workflow_url(settings, client, sync_workflow_id(depot_id))
