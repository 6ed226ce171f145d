"""What a deletion takes along, and the consent to exactly that; the same for everything that takes something along."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.site.deletions import Affected, Deletion, DeletionEffect, SubjectKind
from store.base.database import snapshot
from store.site.deletions import read_deletion
from store.site.power_sources import read_power_source
from store.site.resolutions import list_rerouted

Consent = Annotated[
    str | None,
    Query(
        max_length=100,
        description="The `consent` of the deletion that was looked at. Where it would take along something else by "
        "now, it is refused as `DELETION_CHANGED`. Left out: whatever goes with it.",
    ),
]


class AffectedDocument(BaseModel):
    """One thing that a deletion affects."""

    kind: SubjectKind
    id: UUID = Field(description="Its id, as its kind names it.")
    name: str
    effect: DeletionEffect = Field(
        description="`UNLINKED`: it stays, without its circuit. `STOPPED`: a sensor action that stays and is stopped, "
        "because the circuit that it updated is gone. `REROUTED`: it stays, and writes to another power "
        "source or is stopped."
    )


class DeletionDocument(BaseModel):
    """What a deletion would take along now. Nothing was deleted."""

    consent: str = Field(description="Give it back with the deletion: it holds for exactly this.")
    affected: list[AffectedDocument] = Field(description="What is deleted itself comes first.")

    @staticmethod
    def of(deletion: Deletion) -> DeletionDocument:
        """Make the document of a deletion."""
        affected = [
            AffectedDocument(kind=each.kind, id=each.subject_id, name=each.name, effect=each.effect)
            for each in deletion.affected
        ]
        return DeletionDocument(consent=deletion.consent, affected=affected)


async def preview_deletion(engine: AsyncEngine, kind: SubjectKind, subject_id: UUID) -> Deletion:
    """Read what deleting something would take along now.

    Raises:
        Problem: ``…_NOT_FOUND`` of the kind.

    """
    async with snapshot(engine) as connection:
        rerouted: list[Affected] = []
        if kind is SubjectKind.POWER_SOURCE:
            depot_id = (await read_power_source(connection, subject_id)).depot_id
            rerouted = await list_rerouted(connection, depot_id, subject_id)
        return await read_deletion(connection, kind, subject_id, rerouted)
