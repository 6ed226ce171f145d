"""What a scenario run is asked, how far it is, and how it ended (COR-40)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from domain.base.jobs import JobKind, JobState
from domain.base.problems import ProblemCode

MAX_TIME_SCALE = 1.0
"""In real time; slower than that proves nothing more."""
REPORTED_LATELY = timedelta(days=1)
"""A depot with a device that really reported within so long is in operation: a run on it has to be confirmed."""
MAX_SEED = 2**53 - 1
"""What every JSON reader keeps exactly."""

SCENARIO_RUN = JobKind(
    name="SCENARIO",
    noun="scenario run",
    not_found=ProblemCode.RUN_NOT_FOUND,
    not_running=ProblemCode.RUN_NOT_RUNNING,
)


class RunOutcome(StrEnum):
    """What a run proved."""

    PASSED = "PASSED"
    """Every step was sent, and every expectation passed."""
    FAILED = "FAILED"
    """Every step was sent, and an expectation failed."""
    INCOMPLETE = "INCOMPLETE"
    """Not every step was sent: the run was cancelled or broke off."""


@dataclass(frozen=True)
class RunTargets:
    """Where to look for what a run brings about: ids of the depot's own things."""

    microgrid_id: UUID | None = None
    circuit_id: UUID | None = None
    """The circuit that follows the controller."""
    power_source_id: UUID | None = None
    """The power source that the controller's sensor updates."""
    device_ids: tuple[UUID, ...] = ()
    """The devices that the run speaks for, whose remediations count."""


@dataclass(frozen=True)
class ScenarioRunRequest:
    """What the workflow receives about its run; everything else is stored."""

    run_id: UUID
    depot_id: UUID
    scenario: str
    steps_total: int
    time_scale: float
    """Real seconds a virtual second: 0 for as fast as possible, 1 for real time."""
    requested_by: str


@dataclass(frozen=True)
class PlayRequest:
    """Asks for the next steps of a run."""

    run: ScenarioRunRequest
    next_step: int
    """The workflow's view. Steps that have their record are never executed again, whatever it says."""


@dataclass(frozen=True)
class ExecutedSteps:
    """How far a run is after some of its steps."""

    next_step: int
    passed: int
    failed: int
    due_ms: int | None = None
    """The real time, in milliseconds since the epoch, before which the next step must not be sent; None: at once."""


@dataclass(frozen=True)
class RunStateRequest:
    """A run that is paused, goes on, or has ended."""

    run: ScenarioRunRequest
    state: JobState
    failure: str | None = None


@dataclass(frozen=True)
class EndedRun:
    """How a run ended."""

    state: JobState
    outcome: RunOutcome
    sha256: str
    """Of the evidence."""


@dataclass(frozen=True)
class ScenarioRunProgress:
    """How far a run is: what its query answers and what continue-as-new carries on."""

    next_step: int = 0
    passed: int = 0
    failed: int = 0
    due_ms: int | None = None
    paused: bool = False


@dataclass(frozen=True)
class ScenarioRunInput:
    """The workflow's one argument."""

    request: ScenarioRunRequest
    progress: ScenarioRunProgress = field(default_factory=ScenarioRunProgress)
    plays_a_run: int = 500
    """After so many activities the workflow continues as new, so that its history stays short."""
