"""What held for the capacity of a circuit at a moment: what the product showed, and what is known of it today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.problems import Problem, ProblemCode
from domain.site.circuit_capacity import CapacityBasis, FailSafeReason
from store.base.simulated import SCENARIO_OF, SimulatedBy
from store.history.rows_as_of import REPLACED, check_as_of, rows_as_of
from store.site.capacities import RELEASED, CapacityEvent


@dataclass(frozen=True)
class CapacityAsOf:
    """The capacity of one circuit at a moment."""

    circuit_id: UUID
    depot_id: UUID
    name: str
    """Of then, like the rating."""
    rated_power_w: float | None
    shown: CapacityEvent | None
    """None: the circuit followed no controller."""
    known: CapacityEvent | None
    """What is known today of that moment; None: it followed none."""


# A deadline that has passed counts from its moment on, whether or not anybody had noticed it by then.
_SHOWN = f"""
    SELECT id, at, received_at, mode, reason, capacity_w, basis, scenario_run_id,
           {SCENARIO_OF.format("scenario_run_id")} FROM capacity_events
    WHERE circuit_id = c.id AND (received_at <= :as_of OR (reason = 'NO_PACKET' AND at <= :as_of))
    ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - constants
_KNOWN = f"""
    SELECT id, at, received_at, mode, reason, capacity_w, basis, scenario_run_id,
           {SCENARIO_OF.format("scenario_run_id")} FROM capacity_events
    WHERE circuit_id = c.id AND at <= :as_of ORDER BY at DESC, id DESC LIMIT 1
"""  # noqa: S608 - constants
_OF_DEPOT = f"""
    WITH {REPLACED} SELECT c.id AS circuit_id, c.depot_id, c.name, c.rated_power_w, s.*, k.*
    FROM {rows_as_of("circuits")} AS c LEFT JOIN LATERAL ({_SHOWN}) AS s ON true
    LEFT JOIN LATERAL ({_KNOWN}) AS k ON true
"""  # noqa: S608 - constants
_CIRCUIT = text(f"{_OF_DEPOT} WHERE c.id = :circuit_id")
_CIRCUITS = text(f"{_OF_DEPOT} WHERE s.id IS NOT NULL OR k.id IS NOT NULL ORDER BY c.name, c.id")
_DEPOT = text("""
    SELECT depot_id FROM circuits WHERE id = :circuit_id
    UNION ALL SELECT depot_id FROM replaced_rows WHERE source = 'circuits' AND row_key = :row_key
    LIMIT 1
""")


async def read_capacity_as_of(connection: AsyncConnection, circuit_id: UUID, as_of: datetime) -> CapacityAsOf:
    """Read what held for a circuit's capacity at a moment.

    Raises:
        Problem: ``AS_OF_OUT_OF_RANGE`` or ``CIRCUIT_NOT_FOUND``.

    """
    await check_as_of(connection, as_of, structure=True)
    given: dict[str, Any] = {"circuit_id": circuit_id, "as_of": as_of}
    depot_id = (await connection.execute(_DEPOT, given | {"row_key": str(circuit_id)})).scalar()
    found = (await connection.execute(_CIRCUIT, given | {"depot_id": depot_id})).one_or_none()
    if found is None:
        raise Problem(ProblemCode.CIRCUIT_NOT_FOUND, f"There was no circuit {circuit_id} at that moment.")
    return _capacity(found)


async def list_capacities_as_of(connection: AsyncConnection, depot_id: UUID, as_of: datetime) -> list[CapacityAsOf]:
    """Read what held for each circuit of a depot that had ever followed a controller, by name.

    Raises:
        Problem: ``AS_OF_OUT_OF_RANGE``.

    """
    await check_as_of(connection, as_of, structure=True)
    rows = await connection.execute(_CIRCUITS, {"depot_id": depot_id, "as_of": as_of})
    return [_capacity(row) for row in rows]


def _capacity(row: Sequence[Any]) -> CapacityAsOf:
    circuit_id, depot_id, name, rated_power_w, *events = row
    half = len(events) // 2
    return CapacityAsOf(circuit_id, depot_id, name, rated_power_w, _event(events[:half]), _event(events[half:]))


def _event(row: Sequence[Any]) -> CapacityEvent | None:
    event_id, at, received_at, mode, reason, capacity_w, basis, run_id, scenario = row
    if event_id is None or mode == RELEASED:
        return None
    return CapacityEvent(
        event_id,
        at,
        received_at,
        mode,
        None if reason is None else FailSafeReason(reason),
        capacity_w,
        None if basis is None else CapacityBasis(basis),
        SimulatedBy.of(run_id, scenario),
    )
