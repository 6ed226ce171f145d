"""Who changed what of a depot's bindings, as the journal of their sensor actions has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.controllers.controller_bindings import MEASURAND_OF
from domain.monitoring.capabilities import Capability


@dataclass(frozen=True)
class BindingChange:
    """One change of a binding, as the journal has it."""

    change_id: int
    at: datetime
    actor: str
    what: str
    """``CREATED``, ``CHANGED`` or ``DELETED``."""
    binding_id: UUID
    device_id: UUID | None
    """The binding's device as it is now; None: it, or the binding, is gone."""
    device_name: str | None
    fields: dict[str, list[Any]]
    """Before and after by field: ``device_id``, ``capabilities``, ``enabled``."""


_HISTORY = text("""
    SELECT c.id, c.at, c.actor, c.action, c.subject_id, c.detail, d.id AS device_id, d.name AS device_name
    FROM changes AS c
    LEFT JOIN sensor_actions AS a ON a.id = c.subject_id
    LEFT JOIN devices AS d ON d.id = a.device_id
    WHERE c.depot_id = :depot_id
      AND c.action IN ('SENSOR_ACTION_CREATED', 'SENSOR_ACTION_CHANGED', 'SENSOR_ACTION_DELETED')
      AND (CAST(:binding_id AS uuid) IS NULL OR c.subject_id = :binding_id)
      AND (CAST(:before AS bigint) IS NULL OR c.id < :before)
      AND (a.action = 'UPDATE_MICROGRID_STATE' OR a.id IS NULL AND c.subject_id IN (
          SELECT g.subject_id FROM changes AS g
          WHERE g.depot_id = :depot_id AND g.action = 'SENSOR_ACTION_DELETED'
            AND g.detail -> 'action' ->> 0 = 'UPDATE_MICROGRID_STATE'))
    ORDER BY c.id DESC
    LIMIT :limit
""")


async def binding_history(
    connection: AsyncConnection,
    depot_id: UUID,
    *,
    binding_id: UUID | None = None,
    before: int | None = None,
    limit: int,
) -> list[BindingChange]:
    """List who changed what of a depot's bindings and when, the last first; also of those that are gone."""
    given = {"depot_id": depot_id, "binding_id": binding_id, "before": before, "limit": limit}
    return [
        BindingChange(
            row.id,
            row.at,
            row.actor,
            row.action.removeprefix("SENSOR_ACTION_"),
            row.subject_id,
            row.device_id,
            row.device_name,
            seen_from_microgrid(row.detail),
        )
        for row in await connection.execute(_HISTORY, given)
    ]


def seen_from_microgrid(fields: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Name the fields of a sensor action's change as a binding has them: capabilities instead of measurands."""
    named: dict[str, list[Any]] = {}
    for name, source in (("device_id", "device_id"), ("capabilities", "measurands"), ("enabled", "enabled")):
        if source in fields:
            values = fields[source]
            named[name] = [None if v is None else _capabilities(v) for v in values] if name != source else [*values]
    return named


def _capabilities(keys: Sequence[str]) -> list[Capability]:
    return [capability for capability in Capability if MEASURAND_OF[capability] in keys]
