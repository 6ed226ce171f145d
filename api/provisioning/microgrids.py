"""Microgrids: read by depot or by their own id, their structure, and Resync."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import FailureError

from api.base.dependencies import ActorDep, ClientDep, EngineDep, SettingsDep
from api.base.problems import problem_responses
from api.base.records import Extended
from api.base.temporal import CALL_WITHIN, temporal_calls
from api.base.types import AsOf, DepotId, MicrogridId
from api.edge.large import large_document
from domain.base.problems import Problem, ProblemCode
from domain.provisioning.outcomes import NodeChange, SyncOutcome, SyncRequest, SyncResult
from store.base.database import snapshot
from store.base.origin import current_origin
from store.history.rows_as_of import microgrid_of_depot_as_of
from store.history.structure_as_of import StructureAsOf, read_structure_as_of
from store.provisioning.microgrids import MicrogridRecord, NodeRecord, read_microgrid
from store.provisioning.structure import StructureRecord, read_structure
from store.site.circuits import CircuitRecord
from store.site.depots import depot_retired, read_depot
from workflows.launch import resync

router = APIRouter(prefix="/api", tags=["microgrids"])


class GridConnection(BaseModel):
    """A first-level node of the microgrid: where a top-level circuit meets the grid."""

    node_id: UUID
    circuit_id: UUID
    name: str
    position: int = Field(description="The place among the grid connections, dense from 0.")


class Microgrid(BaseModel):
    """The canonical microgrid of a depot."""

    microgrid_id: UUID
    depot_id: UUID
    version: int = Field(description="Moves only when the set or the order of the grid connections changes.")
    synced_at: datetime = Field(description="When a sync last looked at it, whether or not it changed anything.")
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    grid_connections: list[GridConnection]

    @staticmethod
    def of(record: MicrogridRecord) -> Microgrid:
        """The microgrid as the store has it."""
        return Microgrid.model_validate(record, from_attributes=True)


class MicrogridAsOf(BaseModel):
    """The microgrid of a depot as it was shown at a moment."""

    as_of: datetime
    microgrid_id: UUID
    depot_id: UUID
    version: int
    grid_connections: list[GridConnection]

    @staticmethod
    def at(found: StructureAsOf, as_of: datetime) -> MicrogridAsOf:
        """The microgrid as the store has it."""
        return MicrogridAsOf.model_validate(Extended(found, as_of=as_of), from_attributes=True)


class StructureDevice(BaseModel):
    """A device, where it is linked."""

    device_id: UUID
    gateway_id: UUID
    gateway_name: str
    sensor_id: str
    name: str


class StructurePowerSource(BaseModel):
    """A power source, where it is connected."""

    power_source_id: UUID
    kind: str
    name: str


class StructureCircuit(BaseModel):
    """A circuit with what is linked to it and the circuits below it."""

    circuit_id: UUID
    name: str
    position: int
    rated_power_w: float | None = Field(description="Watts.")
    devices: list[StructureDevice]
    power_sources: list[StructurePowerSource]
    circuits: list[StructureCircuit]


class StructureGridConnection(GridConnection):
    """A grid connection with the circuit behind it."""

    circuit: StructureCircuit | None = Field(description="Null: the circuit is gone and the sync has not run yet.")


class Structure(BaseModel):
    """The microgrid from its grid connections down, without the internal root (COR-8.8)."""

    microgrid_id: UUID
    depot_id: UUID
    version: int
    synced_at: datetime
    drifted: bool = Field(description="Whether the grid connections differ from the top-level circuits right now.")
    grid_connections: list[StructureGridConnection]
    unlinked_devices: list[StructureDevice]
    unlinked_power_sources: list[StructurePowerSource]

    @staticmethod
    def of(record: StructureRecord) -> Structure:
        """Hang circuits, devices and power sources where they belong."""
        nodes, unlinked_devices, unlinked_sources = _hung(record, record.microgrid.grid_connections)
        return Structure(
            microgrid_id=record.microgrid.microgrid_id,
            depot_id=record.microgrid.depot_id,
            version=record.microgrid.version,
            synced_at=record.microgrid.synced_at,
            drifted=record.drifted,
            grid_connections=nodes,
            unlinked_devices=unlinked_devices,
            unlinked_power_sources=unlinked_sources,
        )


class StructureAsOfDocument(BaseModel):
    """The microgrid as it was shown at a moment."""

    as_of: datetime
    microgrid_id: UUID
    depot_id: UUID
    version: int
    drifted: bool = Field(description="Whether the grid connections differed from the top-level circuits.")
    grid_connections: list[StructureGridConnection]
    unlinked_devices: list[StructureDevice]
    unlinked_power_sources: list[StructurePowerSource]

    @staticmethod
    def at(found: StructureAsOf, as_of: datetime) -> StructureAsOfDocument:
        """The structure as the store has it."""
        nodes, unlinked_devices, unlinked_sources = _hung(found, found.grid_connections)
        return StructureAsOfDocument(
            as_of=as_of,
            microgrid_id=found.microgrid_id,
            depot_id=found.depot_id,
            version=found.version,
            drifted=found.drifted,
            grid_connections=nodes,
            unlinked_devices=unlinked_devices,
            unlinked_power_sources=unlinked_sources,
        )


def _hung(
    record: StructureRecord | StructureAsOf, nodes: Iterable[NodeRecord]
) -> tuple[list[StructureGridConnection], list[StructureDevice], list[StructurePowerSource]]:
    """Hang circuits, devices and power sources where they belong; what is linked to no circuit comes after."""
    below: dict[UUID | None, list[CircuitRecord]] = defaultdict(list)
    for circuit in record.circuits:
        below[circuit.parent_id].append(circuit)
    linked_devices: dict[UUID | None, list[StructureDevice]] = defaultdict(list)
    for device in record.devices:
        linked_devices[device.circuit_id].append(StructureDevice.model_validate(device, from_attributes=True))
    sources: dict[UUID | None, list[StructurePowerSource]] = defaultdict(list)
    for source in record.power_sources:
        sources[source.circuit_id].append(StructurePowerSource.model_validate(source, from_attributes=True))

    def tree(circuit: CircuitRecord) -> StructureCircuit:
        extended = Extended(
            circuit,
            devices=linked_devices[circuit.circuit_id],
            power_sources=sources[circuit.circuit_id],
            circuits=[tree(child) for child in below[circuit.circuit_id]],
        )
        return StructureCircuit.model_validate(extended, from_attributes=True)

    by_id = {circuit.circuit_id: circuit for circuit in record.circuits}
    connections = [
        StructureGridConnection(
            node_id=node.node_id,
            circuit_id=node.circuit_id,
            name=node.name,
            position=node.position,
            circuit=tree(by_id[node.circuit_id]) if node.circuit_id in by_id else None,
        )
        for node in nodes
    ]
    return connections, linked_devices[None], sources[None]


class NodeChangeDocument(BaseModel):
    """One grid connection that a sync touched."""

    circuit_id: UUID
    name: str
    previous_name: str | None = Field(description="The name before, where it was renamed.")

    @staticmethod
    def of(changes: tuple[NodeChange, ...]) -> list[NodeChangeDocument]:
        """The changes of one kind."""
        return [NodeChangeDocument.model_validate(change, from_attributes=True) for change in changes]


class SyncCounts(BaseModel):
    """How many grid connections a sync touched, by what it did to them."""

    added: int = Field(description="New ones.")
    removed: int = Field(description="Those whose circuit is no longer at the top level.")
    renamed: int = Field(description="Those that have another name now.")
    moved: int = Field(description="Those whose place among the ones that stayed is another.")


class SyncResultDocument(BaseModel):
    """What a sync did: how much of each kind, and the first ten grid connections of each by name."""

    depot_id: UUID
    microgrid_id: UUID | None = Field(description="Null: the depot has no microgrid, for it never had a circuit.")
    outcome: SyncOutcome
    version_before: int | None
    version_after: int | None
    added: list[NodeChangeDocument]
    removed: list[NodeChangeDocument]
    renamed: list[NodeChangeDocument]
    moved: list[NodeChangeDocument]
    counts: SyncCounts = Field(description="How many there are of each kind, named or not.")
    summary: str = Field(description="The same in words.")

    @staticmethod
    def of(result: SyncResult) -> SyncResultDocument:
        """The result as the workflow gave it."""
        extended = Extended(result, counts=result.touched, summary=result.in_words())
        return SyncResultDocument.model_validate(extended, from_attributes=True)


@router.get(
    "/depots/{depot_id}/microgrid",
    response_model=Microgrid | MicrogridAsOf,
    responses=problem_responses(
        ProblemCode.DEPOT_NOT_FOUND, ProblemCode.MICROGRID_NOT_FOUND, ProblemCode.AS_OF_OUT_OF_RANGE
    ),
)
async def read_of_depot(depot_id: DepotId, engine: EngineDep, as_of: AsOf = None) -> Response:
    """Read the microgrid of a depot (COR-8.3)."""
    async with snapshot(engine) as connection:
        await read_depot(connection, depot_id)
        if as_of is not None:
            microgrid_id = await microgrid_of_depot_as_of(connection, depot_id, as_of)
            return await _microgrid_as_of(connection, microgrid_id, as_of)
        record = await read_microgrid(connection, depot_id=depot_id)
    return await _microgrid(record)


async def _microgrid_as_of(connection: AsyncConnection, microgrid_id: UUID, as_of: datetime) -> Response:
    found = await read_structure_as_of(connection, microgrid_id, as_of)
    return await large_document(len(found.grid_connections), lambda: MicrogridAsOf.at(found, as_of))


async def _microgrid(record: MicrogridRecord) -> Response:
    return await large_document(len(record.grid_connections), lambda: Microgrid.of(record))


@router.get(
    "/microgrids/{microgrid_id}",
    response_model=Microgrid | MicrogridAsOf,
    responses=problem_responses(ProblemCode.MICROGRID_NOT_FOUND, ProblemCode.AS_OF_OUT_OF_RANGE),
)
async def read(microgrid_id: MicrogridId, engine: EngineDep, as_of: AsOf = None) -> Response:
    """Read a microgrid by its own id."""
    async with snapshot(engine) as connection:
        if as_of is not None:
            return await _microgrid_as_of(connection, microgrid_id, as_of)
        record = await read_microgrid(connection, microgrid_id=microgrid_id)
    return await _microgrid(record)


@router.get(
    "/microgrids/{microgrid_id}/structure",
    response_model=Structure | StructureAsOfDocument,
    responses=problem_responses(ProblemCode.MICROGRID_NOT_FOUND, ProblemCode.AS_OF_OUT_OF_RANGE),
)
async def read_tree(microgrid_id: MicrogridId, engine: EngineDep, as_of: AsOf = None) -> Response:
    """Read the structure from the grid connections down, with devices and power sources."""
    async with snapshot(engine) as connection:
        if as_of is not None:
            found = await read_structure_as_of(connection, microgrid_id, as_of)
            return await large_document(len(found.circuits), lambda: StructureAsOfDocument.at(found, as_of))
        structure = await read_structure(connection, microgrid_id)
    return await large_document(len(structure.circuits), lambda: Structure.of(structure))


@router.post(
    "/depots/{depot_id}/microgrid/resync",
    responses=problem_responses(
        ProblemCode.DEPOT_NOT_FOUND,
        ProblemCode.DEPOT_RETIRED,
        ProblemCode.SYNC_TIMED_OUT,
        ProblemCode.SYNC_FAILED,
        ProblemCode.TEMPORAL_UNAVAILABLE,
    ),
)
async def resync_depot(
    depot_id: DepotId, actor: ActorDep, engine: EngineDep, client: ClientDep, settings: SettingsDep
) -> SyncResultDocument:
    """Make the microgrid follow the top-level circuits now, and tell what that changed (COR-8.9).

    A depot without a top-level circuit answers with the outcome `NO_TOP_LEVEL_CIRCUITS`.
    """
    async with engine.connect() as connection:
        if (await read_depot(connection, depot_id)).retired_at is not None:
            raise depot_retired(depot_id)
    origin = current_origin()
    request = SyncRequest(
        depot_id, actor.name, "RESYNC", origin.request_id or None, traceparent=origin.traceparent or None
    )
    timeout = timedelta(seconds=settings.sync_timeout_seconds)
    async with temporal_calls():
        # Whether Temporal is there is asked first: after the timeout nobody could tell that from a worker that is not.
        await client.service_client.check_health(timeout=CALL_WITHIN)
    async with temporal_calls(timeout + CALL_WITHIN):
        try:
            return SyncResultDocument.of(await resync(client, settings.task_queue, request, timeout=timeout))
        except TimeoutError as error:
            raise Problem(
                ProblemCode.SYNC_TIMED_OUT,
                "The sync was accepted but no worker has finished it yet. It runs as soon as one does.",
            ) from error
        except WorkflowUpdateFailedError as error:
            why = error.cause.message if isinstance(error.cause, FailureError) else str(error.cause)
            raise Problem(ProblemCode.SYNC_FAILED, f"The sync failed, and the next would fail, too. {why}") from error
