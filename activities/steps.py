"""What is around every step: whose log lines they are, and which of its errors are worth another try.

Workflows retry a step until it succeeds, because components that are down come back. A step that cannot succeed must
not be retried: it is reported to Temporal as final, by the one rule that is here.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any

import structlog
from asyncpg import InterfaceError, PostgresError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from structlog.contextvars import bind_contextvars
from temporalio import activity, workflow
from temporalio.exceptions import (
    ApplicationError,
    ApplicationErrorCategory,
    FailureError,
    is_cancelled_exception,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from activities.manage_api import RefusedError, UnavailableError, UnclearError
from domain.base.problems import Problem
from sim_scenarios.runs.run_plan import OtherScenarioError
from store.base.database import is_busy, is_unavailable
from store.simulation.run_steps import StepTakenOverError

_log = structlog.get_logger("steps")

UNCLEAR_TRIES = 10
"""Tries of a step that fails in a way that may pass or may not: with the pauses of the workflows about a minute."""
_MAX_WORDS = 300
_MAX_REPORTED = 4_000
"""The most characters of an error that are reported to Temporal; a history holds only a few megabytes."""
_AWAY = (OSError, PoolTimeoutError)
_PASSING_CALLS = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.ABORTED,
    }
)
"""What Temporal, or the way to it, answers where it will answer otherwise later."""
_PERMANENT = ("22", "54")
"""SQLSTATE classes: a value that cannot be stored, and a limit of the program."""
_PASSING = ("08", "25006", "40", "53", "55", "57", "58", "XX")
"""SQLSTATE classes: a lost connection, a standby, a lost race, no room, something in use, an operator, the system."""


class Steps(Interceptor):
    """The worker's interceptor of activities and workflows: each logs a line when it ends."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 (the base's name)
        """Put a step's surroundings around it."""
        return _Step(next)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 (the base's name)
    ) -> type[WorkflowInboundInterceptor]:
        """Put a workflow's surroundings around it."""
        return _Run


class _Step(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 (the base's name)
        """Run the step."""
        info = activity.info()
        # Each step has a task of its own, so nothing has to be taken back: what Temporal's worker says about the end of
        # the step is said in the same task and has the ids, too.
        bind_contextvars(
            workflow_id=info.workflow_id,
            workflow_run_id=info.workflow_run_id,
            workflow_type=info.workflow_type,
            activity_type=info.activity_type,
            activity_id=info.activity_id,
            attempt=info.attempt,
            **_ids_of(input.args),
        )
        begun = time.monotonic()
        try:
            result = await super().execute_activity(input)
        except Exception as error:
            if worth_another_try(error, info.attempt):
                if not is_away(error):
                    raise
                words = in_words(error)
                _log.warning("step waits for what is away", reason=words)
                # Where it was raised says nothing about something that is away, so Temporal's worker need not log it.
                raise ApplicationError(
                    words, type=type(error).__name__, category=ApplicationErrorCategory.BENIGN
                ) from error
            _log.error("step cannot succeed", exc_info=error)
            words = in_words(error)
            raise ApplicationError(
                words,
                type=type(error).__name__,
                non_retryable=True,
                # It was logged above, so Temporal's worker need not log it again.
                category=ApplicationErrorCategory.BENIGN,
            ) from (error if len(str(error)) < _MAX_REPORTED else None)
        # The line of the workflow says the same of its local steps.
        say = _log.debug if info.is_local else _log.info
        say("step done", seconds=round(time.monotonic() - begun, 3))
        return result


class _Run(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002 (the base's name)
        """Run the workflow; say once, and not again in a replay, how it ended."""
        try:
            result = await super().execute_workflow(input)
        except workflow.ContinueAsNewError:
            raise
        except (asyncio.CancelledError, FailureError) as error:
            words = "workflow cancelled" if is_cancelled_exception(error) else f"workflow failed: {error}"
            workflow.logger.warning(words, extra=_ids_of(input.args))
            raise
        workflow.logger.info(
            "workflow completed after %.3f s",
            workflow.time() - workflow.info().start_time.timestamp(),
            extra=_ids_of(input.args),
        )
        return result


def is_away(error: Exception) -> bool:
    """Say whether a step failed because the API or the database does not answer, as happens and passes."""
    return not isinstance(error, FailureError) and (isinstance(error, UnavailableError) or is_unavailable(error))


def worth_another_try(error: Exception, attempt: int) -> bool:
    """Say whether a step that failed may succeed when it is tried again.

    Components that are down come back, so a step waits for them for as long as it takes. Bad data, a refusal and a bug
    are permanent. What may be either is given some tries.

    Args:
        error: Why the step failed.
        attempt: The number of the try that failed, from 1.

    """
    if isinstance(error, FailureError):
        # Temporal's own: it says itself whether it is final.
        return True
    if isinstance(error, UnclearError):
        return attempt < UNCLEAR_TRIES
    # A try that hung on another worker went on after all: the next one begins behind what it did.
    if isinstance(error, (UnavailableError, StepTakenOverError)):
        return True
    if isinstance(error, (DBAPIError, InterfaceError, PostgresError)):
        return _database_may_change_its_mind(error, attempt)
    if isinstance(error, _AWAY) or is_unavailable(error):
        return True
    if isinstance(error, RPCError):
        return error.status in _PASSING_CALLS or attempt < UNCLEAR_TRIES
    # A process that is ending says so by RuntimeError, and so does much else.
    return isinstance(error, (RuntimeError, MemoryError)) and attempt < UNCLEAR_TRIES


def _database_may_change_its_mind(error: Exception, attempt: int) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = str(getattr(cause, "sqlstate", None) or "")
    if code.startswith(_PERMANENT):
        return False
    if code.startswith(_PASSING) or is_unavailable(error) or is_busy(error):
        return True
    return attempt < UNCLEAR_TRIES


def in_words(error: Exception) -> str:
    """Say in a line, for an operator, why a step cannot succeed. The log has the rest."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = str(cause).strip().split("\n", 1)[0]
    # The driver's errors come with the name of their class in front.
    said = re.sub(r"^<class '[^']*'>: ", "", said)[:_MAX_WORDS]
    if isinstance(error, (RefusedError, UnavailableError, UnclearError, OtherScenarioError, Problem)):
        return said
    name = type(cause).__name__
    return f"{name}: {said}" if said else name


def _ids_of(given: Sequence[Any]) -> dict[str, str]:
    """The depot that a step is for, and the API's request that it goes back to, where there are such.

    What it is given says so, or the run that it is of.
    """
    ids: dict[str, str] = {}
    for each in given:
        for request in (each, getattr(each, "run", None)):
            for name in ("depot_id", "request_id"):
                if (found := getattr(request, name, None)) is not None:
                    ids.setdefault(name, str(found))
    return ids
