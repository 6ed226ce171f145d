"""What was measured at one time and came at another: both, and when it counts as measured."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field, computed_field

from domain.base.clocks import ahead, effective_at


class Stamped(BaseModel):
    """Something with the stamp of whoever measured it, whose clock may be wrong."""

    observed_at: datetime = Field(description="When it was measured, as its stamp says.")
    received_at: datetime = Field(description="When it came.")

    @computed_field(
        description="When it counts as measured, for order and for age: `observed_at`, or `received_at` where that is "
        "earlier."
    )
    @property
    def effective_at(self) -> datetime:
        """When it counts as measured."""
        return effective_at(self.observed_at, self.received_at)

    @computed_field(description="How far the clock that stamped it runs ahead, at least; 0 where nothing shows that.")
    @property
    def clock_ahead_seconds(self) -> float:
        """How far `observed_at` lies after `received_at`, in seconds."""
        return ahead(self.observed_at, self.received_at).total_seconds()
