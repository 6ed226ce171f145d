"""Which scenario run brought something about, as people know it: by its scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Text, Uuid, column, select, table

_RUNS = table("scenario_runs", column("id", Uuid), column("scenario", Text))

SCENARIO_OF = "(SELECT scenario FROM scenario_runs WHERE id = {}) AS scenario"
"""The scenario of the run that a column names; NULL where it names none."""


@dataclass(frozen=True)
class SimulatedBy:
    """The scenario run that sent something."""

    run_id: UUID
    scenario: str

    @staticmethod
    def of(run_id: UUID | None, scenario: str | None) -> SimulatedBy | None:
        """The run as rows have it; None: what they say is no simulated one."""
        return None if run_id is None else SimulatedBy(run_id, scenario or "that is gone")


def scenario_of(run_id: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The same as ``SCENARIO_OF``, for a query that is built."""
    return select(_RUNS.c.scenario).where(_RUNS.c.id == run_id).scalar_subquery()
