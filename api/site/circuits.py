"""Circuits of a depot: list, add, rename, move, delete. The microgrid follows every change."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response, status
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep
from api.base.idempotency import ONCE, OnceDep
from api.base.problems import conflict_responses, problem_responses
from api.base.records import Extended
from api.base.types import Body, CircuitId, DepotId, Name, Position, Watts, left_out
from api.base.versions import EditDep, shows_version, tagged
from api.edge.large import large_document
from api.site.capacities import Capacity
from api.site.deletions import Consent, DeletionDocument, preview_deletion
from domain.base.problems import ProblemCode
from domain.site.deletions import SubjectKind
from store.base.database import clock, snapshot, transaction
from store.site.capacities import CircuitCapacity, list_capacities, read_capacity
from store.site.circuits import (
    CircuitRecord,
    create_circuit,
    delete_circuit,
    list_circuits,
    read_circuit,
    update_circuit,
)

router = APIRouter(prefix="/api", tags=["circuits"], route_class=StrictRoute)

ParentId = Annotated[UUID | None, Field(description="The circuit above, in the same depot; null: top level.")]


class CircuitCreate(Body):
    """A circuit to add."""

    name: Name
    parent_id: ParentId = None
    position: Position | None = Field(default=None, description="Left out: last.")
    rated_power_w: Watts | None = None


class CircuitChange(Body):
    """What to change of a circuit; what is left out stays."""

    name: Name = Field(default_factory=left_out)
    parent_id: ParentId = Field(default_factory=left_out)
    position: Position | None = Field(
        default_factory=left_out, description="Null, as left out: it stays, or comes last under another parent."
    )
    rated_power_w: Watts | None = Field(default_factory=left_out, description="Watts; null: it is not known.")


class Circuit(BaseModel):
    """A circuit."""

    circuit_id: UUID
    depot_id: UUID
    parent_id: ParentId
    name: str
    position: int = Field(description="The place among the siblings, dense from 0.")
    rated_power_w: float | None = Field(description="Watts.")
    version: int = Field(
        description="Moves with every change, and is the `ETag`; not where its place moves with its siblings."
    )
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    capacity: Capacity | None = Field(description="Null: the circuit follows no controller, and its rating holds.")

    @staticmethod
    def of(record: CircuitRecord, capacity: CircuitCapacity | None) -> Circuit:
        """The circuit as the store has it."""
        shown = None if capacity is None or capacity.state is None else Capacity.of(capacity)
        return Circuit.model_validate(Extended(record, capacity=shown), from_attributes=True)


class CircuitList(BaseModel):
    """All circuits of a depot, a parent before its children, siblings in their order."""

    items: list[Circuit]
    next_cursor: str | None = Field(default=None, description="Always null: a depot's circuits are one page.")


@router.get(
    "/depots/{depot_id}/circuits",
    response_model=CircuitList,
    responses=problem_responses(ProblemCode.DEPOT_NOT_FOUND),
)
async def list_all(depot_id: DepotId, engine: EngineDep) -> Response:
    """List a depot's circuits in the order of its tree."""
    async with snapshot(engine) as connection:
        circuits = await list_circuits(connection, depot_id)
        capacities = await list_capacities(connection, depot_id, await clock(connection))
    return await large_document(
        len(circuits),
        lambda: CircuitList(items=[Circuit.of(record, capacities.get(record.circuit_id)) for record in circuits]),
    )


@router.post(
    "/depots/{depot_id}/circuits",
    status_code=status.HTTP_201_CREATED,
    responses=shows_version(201) | problem_responses(*ONCE,
        ProblemCode.DEPOT_NOT_FOUND, ProblemCode.PARENT_NOT_FOUND, ProblemCode.CIRCUIT_TREE_TOO_DEEP,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.TOO_MANY_CIRCUITS, ProblemCode.INVALID_NAME,
    ),
)  # fmt: skip
@tagged
async def create(depot_id: DepotId, body: CircuitCreate, actor: ActorDep, engine: EngineDep, once: OnceDep) -> Circuit:
    """Add a circuit (COR-8.4)."""

    async def make(connection: AsyncConnection) -> Circuit:
        return Circuit.of(await create_circuit(connection, actor, depot_id, body.model_dump()), None)

    return await once.create(engine, actor, body, Circuit, make)


@router.get("/circuits/{circuit_id}", responses=shows_version() | problem_responses(ProblemCode.CIRCUIT_NOT_FOUND))
@tagged
async def read(circuit_id: CircuitId, engine: EngineDep) -> Circuit:
    """Read one circuit."""
    async with snapshot(engine) as connection:
        record = await read_circuit(connection, circuit_id)
        return Circuit.of(record, await read_capacity(connection, circuit_id, await clock(connection)))


@router.patch(
    "/circuits/{circuit_id}",
    responses=shows_version() | conflict_responses() | problem_responses(
        ProblemCode.CIRCUIT_NOT_FOUND, ProblemCode.PARENT_NOT_FOUND, ProblemCode.CIRCUIT_CYCLE,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.CIRCUIT_TREE_TOO_DEEP, ProblemCode.INVALID_NAME,
    ),
)  # fmt: skip
@tagged
async def change(circuit_id: CircuitId, body: CircuitChange, edit: EditDep) -> Circuit:
    """Rename, move or rerate a circuit (COR-8.5, COR-8.7). All that is below it moves with it."""
    async with transaction(edit.engine, edit.actor) as connection:
        changed = await update_circuit(connection, edit.actor, circuit_id, body.given(), edit.expected)
        return Circuit.of(changed, await read_capacity(connection, circuit_id, await clock(connection)))


@router.get("/circuits/{circuit_id}/deletion", responses=problem_responses(ProblemCode.CIRCUIT_NOT_FOUND))
async def deletion(circuit_id: CircuitId, engine: EngineDep) -> DeletionDocument:
    """Say what deleting the circuit would take along now."""
    return DeletionDocument.of(await preview_deletion(engine, SubjectKind.CIRCUIT, circuit_id))


@router.delete(
    "/circuits/{circuit_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=conflict_responses()
    | problem_responses(
        ProblemCode.CIRCUIT_NOT_FOUND,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.DELETION_CHANGED,
        ProblemCode.CIRCUIT_HAS_CHILDREN,
    ),
)
async def remove(
    circuit_id: CircuitId,
    edit: EditDep,
    cascade: Annotated[bool, Query(description="Delete the circuits below it as well.")] = False,
    consent: Consent = None,
) -> None:
    """Delete a circuit (COR-8.6). Linked devices and power sources stay, without a circuit."""
    await edit.store(delete_circuit, circuit_id, cascade=cascade, expected=edit.expected, consent=consent)
