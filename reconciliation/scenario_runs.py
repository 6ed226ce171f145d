"""The end of a scenario run: its evidence closed, whoever ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.base.actor import Actor
from domain.base.job_endings import Act
from domain.base.jobs import JobState
from domain.simulation.scenario_runs import SCENARIO_RUN, EndedRun, RunOutcome, ScenarioRunProgress, ScenarioRunRequest
from reconciliation.reconcile import Jobs, ended_from_outside
from reconciliation.workflow_descriptions import WorkflowDescription
from sim_scenarios.evidence.evidence import line, result_record, sha256_of
from store.base.changes import record_change
from store.simulation.run_steps import read_lines
from store.simulation.scenario_runs import RunRecord, end_run, list_runs, read_run, set_run_state
from store.simulation.tables import scenario_runs


def close_evidence(head: str, steps: Sequence[str]) -> tuple[str, RunOutcome, bytes]:
    """Make the last line of a run's evidence, without its end; answer it, the outcome, and all of the evidence."""
    result = result_record(json.loads(head), (json.loads(step) for step in steps))
    last = line(result).decode().rstrip("\n")
    return last, RunOutcome(result["outcome"]), "".join(f"{each}\n" for each in (head, *steps, last)).encode()


async def close_run(
    connection: AsyncConnection,
    actor: Actor,
    run: ScenarioRunRequest | RunRecord,
    state: JobState,
    failure: str | None = None,
    *,
    sha256: str | None = None,
) -> RunRecord:
    """Close a run's evidence and note how the run ended; the first end stands. Answers the run as it is then.

    Args:
        connection: In the transaction of whoever ends it.
        actor: Whoever that is.
        run: The run.
        state: How it ended. Where evidence lacks, it is FAILED, whatever this says.
        failure: Why.
        sha256: Of the evidence as its workflow closed it; None: the workflow has not.

    Raises:
        Problem: ``RUN_NOT_FOUND``.

    """
    # Held until the end is noted: a try that is still under way writes nothing after it.
    head, steps, _ = await read_lines(connection, run.run_id, hold=True)
    last, outcome, evidence = await asyncio.to_thread(close_evidence, head, steps)
    digest = sha256_of(evidence)
    lacks = state is JobState.COMPLETED and outcome is RunOutcome.INCOMPLETE
    if lacks or sha256 not in (None, digest):
        state = JobState.FAILED
        failure = (
            f"This database holds the evidence of {len(steps)} of {run.steps_total} steps, fewer than were sent: "
            "it was restored from an earlier backup."
        )
    first = await end_run(connection, run, state, outcome, result_record=last, sha256=digest, failure=failure)
    if first:
        await record_change(
            connection,
            actor,
            SCENARIO_RUN.event(state),
            depot_id=run.depot_id,
            subject_id=run.run_id,
            detail={"scenario": run.scenario, "outcome": outcome, "evidence_sha256": digest},
        )
    return await read_run(connection, run.run_id)


async def _end(connection: AsyncConnection, run: RunRecord, act: Act, workflow: WorkflowDescription[EndedRun]) -> None:
    if act is Act.END_AS_IT_SAYS and workflow.result is not None:
        result = workflow.result
        await close_run(connection, SCENARIO_RUN.monitor, run, result.state, sha256=result.sha256)
    else:
        await close_run(connection, SCENARIO_RUN.monitor, run, *ended_from_outside(act, workflow))


async def _set_state(connection: AsyncConnection, run: RunRecord, state: JobState) -> bool:
    return await set_run_state(connection, run, state, only_from=run.state)


SCENARIO_RUNS = Jobs(
    kind=SCENARIO_RUN,
    table=scenario_runs,
    result_type=EndedRun,
    progress_type=ScenarioRunProgress,
    read=read_run,
    list=list_runs,
    set_state=_set_state,
    end=_end,
)
