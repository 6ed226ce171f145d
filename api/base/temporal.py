"""Calls to Temporal from routes, and links to its UI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import structlog
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from domain.base.problems import Problem, ProblemCode
from runtime.secrets.payloads import UnreadablePayloadError
from runtime.settings import Settings

_log = structlog.get_logger("temporal")

CALL_WITHIN = timedelta(seconds=10)
"""How long a caller waits for Temporal to take something, connecting and tries included."""

_REFUSALS = {
    RPCStatusCode.UNAUTHENTICATED: "Temporal does not accept the credentials of this installation",
    RPCStatusCode.PERMISSION_DENIED: "Temporal does not let this installation do that",
    RPCStatusCode.NOT_FOUND: "Temporal does not know what this installation asks for: its namespace may be missing",
    RPCStatusCode.UNIMPLEMENTED: "This version of Temporal cannot do that",
    RPCStatusCode.INVALID_ARGUMENT: "Temporal does not take what this installation sent",
    RPCStatusCode.OUT_OF_RANGE: "Temporal does not take what this installation sent",
    RPCStatusCode.FAILED_PRECONDITION: "Temporal cannot do that in its present state",
    RPCStatusCode.ALREADY_EXISTS: "Temporal has another one of that name",
    RPCStatusCode.INTERNAL: "Temporal failed",
    RPCStatusCode.DATA_LOSS: "Temporal failed",
}
"""What Temporal answers although it can be reached. Any other status says that it cannot, or not now."""


@asynccontextmanager
async def temporal_calls(within: timedelta = CALL_WITHIN) -> AsyncGenerator[None]:
    """Turn whatever Temporal refuses, and a Temporal that does not answer in time, into a problem.

    Raises:
        Problem: ``TEMPORAL_UNAVAILABLE``.

    """
    try:
        async with asyncio.timeout(within.total_seconds()):
            yield
    except RPCError as error:
        words = _REFUSALS.get(error.status)
        if words is None:
            raise _unavailable() from error
        _log.error("Temporal refused", status=error.status.name, error=error.message)
        raise Problem(ProblemCode.TEMPORAL_UNAVAILABLE, f"{words}. The log has its answer.") from error
    except TimeoutError as error:
        raise _unavailable() from error
    except UnreadablePayloadError as error:
        _log.error("a payload cannot be read", reason=str(error))
        raise Problem(
            ProblemCode.TEMPORAL_UNAVAILABLE, "Temporal's answer is encrypted with a key that the API does not have."
        ) from error
    except RuntimeError as error:
        # A lazy client that could not connect says so in this way.
        if "connect" in str(error).lower():
            raise _unavailable() from error
        raise


def _unavailable() -> Problem:
    return Problem(
        ProblemCode.TEMPORAL_UNAVAILABLE, "Temporal cannot be reached, so this cannot be started now. Try again."
    )


async def send_signal(handle: WorkflowHandle[Any, Any], signal: Any) -> bool:
    """Send a workflow a signal; False: it has ended, or is not known.

    Raises:
        Problem: ``TEMPORAL_UNAVAILABLE``.

    """
    async with temporal_calls():
        try:
            await handle.signal(signal, rpc_timeout=CALL_WITHIN)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower():
                return False
            raise
    return True


def workflow_url(settings: Settings, client: Client, workflow_id: str) -> str | None:
    """Link to a workflow in Temporal's UI, where the settings say where that is."""
    if not settings.temporal_ui_url:
        return None
    base = settings.temporal_ui_url.rstrip("/")
    return f"{base}/namespaces/{quote(client.namespace)}/workflows/{quote(workflow_id, safe='')}"
