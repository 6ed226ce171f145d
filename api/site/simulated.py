"""What a scenario run sent, in the place of a depot's devices: each answer that has it says so."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class SimulatedByRun(BaseModel):
    """A scenario run that sent something."""

    model_config = ConfigDict(from_attributes=True)

    run_id: UUID
    scenario: str


class SimulatedPeriod(BaseModel):
    """A time in which something that was measured is simulated."""

    model_config = ConfigDict(from_attributes=True)

    since: datetime = Field(description="The first of it.")
    until: datetime = Field(description="The last of it.")
    simulated_by: SimulatedByRun = Field(description="The scenario run that sent it.")


Simulated = Annotated[
    SimulatedByRun | None,
    Field(description="The scenario run that sent it, in the place of a device. Null: it is no simulated one."),
]
SimulatedPeriods = Annotated[
    list[SimulatedPeriod], Field(description="What of it scenario runs sent, in the place of a device, by run.")
]
