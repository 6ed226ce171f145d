"""What a deletion would take along at this moment, and whether that is still what somebody agreed to."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.problems import Problem, ProblemCode
from domain.site.deletions import Affected, Deletion, DeletionEffect, SubjectKind
from domain.site.sensor_actions import SENSOR_ACTIONS, SensorActionKind

# Each lists what is deleted itself first, then what goes along: kind, id, name, effect, version of what is deleted.
_AFFECTED = {
    SubjectKind.CIRCUIT: text("""
        WITH RECURSIVE below AS (
            SELECT id, name, version, CAST(ARRAY[] AS integer[]) AS path FROM circuits WHERE id = :id
            UNION ALL
            SELECT c.id, c.name, c.version, b.path || c.position
            FROM circuits AS c JOIN below AS b ON c.parent_id = b.id
        )
        SELECT kind, id, name, effect, version FROM (
            SELECT 'CIRCUIT' AS kind, id, name, 'DELETED' AS effect, version, 1 AS part, path FROM below
            UNION ALL SELECT 'DEVICE', d.id, d.name, 'UNLINKED', NULL, 2, NULL
            FROM devices AS d JOIN below AS b ON b.id = d.circuit_id
            UNION ALL SELECT 'POWER_SOURCE', p.id, p.name, 'UNLINKED', NULL, 3, NULL
            FROM power_sources AS p JOIN below AS b ON b.id = p.circuit_id
            -- What updates the circuit has nothing to update any more; what found its power source by the circuit looks
            -- for another one.
            UNION ALL SELECT 'SENSOR_ACTION', a.id, d.name || ', ' || a.action,
                   CASE a.action WHEN 'UPDATE_CIRCUIT_CAPACITY' THEN 'STOPPED' ELSE 'REROUTED' END, NULL, 4, NULL
            FROM devices AS d JOIN below AS b ON b.id = d.circuit_id
            JOIN sensor_actions AS a ON a.device_id = d.id AND a.enabled
            WHERE a.action = 'UPDATE_CIRCUIT_CAPACITY' OR a.action <> 'UPDATE_MICROGRID_STATE'
                  AND EXISTS (SELECT FROM power_sources WHERE circuit_id = d.circuit_id)
        ) AS affected
        ORDER BY part, path, name, id
    """),
    SubjectKind.GATEWAY: text("""
        SELECT kind, id, name, effect, version FROM (
            SELECT 'GATEWAY' AS kind, id, name, 'DELETED' AS effect, version, 1 AS part FROM gateways WHERE id = :id
            UNION ALL SELECT 'DEVICE', id, name, 'DELETED', version, 2 FROM devices WHERE gateway_id = :id
            UNION ALL SELECT 'SENSOR_ACTION', a.id, a.action, 'DELETED', a.version, 3
            FROM sensor_actions AS a JOIN devices AS d ON d.id = a.device_id WHERE d.gateway_id = :id
        ) AS affected
        ORDER BY part, id
    """),
    SubjectKind.DEVICE: text("""
        SELECT kind, id, name, effect, version FROM (
            SELECT 'DEVICE' AS kind, id, name, 'DELETED' AS effect, version, 1 AS part FROM devices WHERE id = :id
            UNION ALL SELECT 'SENSOR_ACTION', id, action, 'DELETED', version, 2
            FROM sensor_actions WHERE device_id = :id
        ) AS affected
        ORDER BY part, name
    """),
    SubjectKind.POWER_SOURCE: text("""
        SELECT 'POWER_SOURCE' AS kind, id, name, 'DELETED' AS effect, version FROM power_sources WHERE id = :id
    """),
    SubjectKind.SENSOR_ACTION: text("""
        SELECT 'SENSOR_ACTION' AS kind, id, action AS name, 'DELETED' AS effect, version
        FROM sensor_actions WHERE id = :id
    """),
}


async def read_deletion(
    connection: AsyncConnection, kind: SubjectKind, subject_id: UUID, rerouted: Iterable[Affected] = ()
) -> Deletion:
    """Say what deleting something would take along now; ``rerouted`` is what else ``store.site.resolutions`` knows.

    Raises:
        Problem: ``…_NOT_FOUND`` of the kind.

    """
    rows = (await connection.execute(_AFFECTED[kind], {"id": subject_id})).all()
    if not rows:
        noun = kind.lower().replace("_", " ")
        raise Problem(ProblemCode(f"{kind}_NOT_FOUND"), f"There is no {noun} {subject_id}.")
    affected = [
        Affected(SubjectKind(row.kind), row.id, _name(row.kind, row.name), DeletionEffect(row.effect), row.version)
        for row in rows
    ]
    return Deletion((*affected, *rerouted))


def _name(kind: str, name: str) -> str:
    if kind != SubjectKind.SENSOR_ACTION:
        return name
    # Of an action that stays, the device stands before it.
    device, separator, action = name.rpartition(", ")
    return f"{device}{separator}{SENSOR_ACTIONS[SensorActionKind(action)].title}"


async def check_consent(
    connection: AsyncConnection,
    kind: SubjectKind,
    subject_id: UUID,
    consent: str | None,
    rerouted: Iterable[Affected] = (),
) -> None:
    """Refuse a deletion that takes something else along than what was agreed to; None asks for no such check.

    To be called under the depot's lock.

    Raises:
        Problem: ``DELETION_CHANGED``, with what it would take along now.

    """
    if consent is None:
        return
    now = await read_deletion(connection, kind, subject_id, rerouted)
    if now.consent != consent:
        raise Problem(
            ProblemCode.DELETION_CHANGED,
            "What goes with this deletion has changed since it was agreed to. Nothing was deleted. "
            "Look at what would go now, then agree to that.",
            "consent",
            context={
                "consent": now.consent,
                "affected": [
                    {"kind": each.kind, "id": each.subject_id, "name": each.name, "effect": each.effect}
                    for each in now.affected
                ],
            },
        )
