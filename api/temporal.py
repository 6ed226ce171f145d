"""Calls to Temporal from routes, and links to its UI."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from domain.problems import Problem, ProblemCode
from runtime.settings import Settings

_AWAY = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.UNKNOWN,
    RPCStatusCode.RESOURCE_EXHAUSTED,
)


_SIGNAL_WITHIN = timedelta(seconds=10)


def _unavailable(error: Exception) -> Problem:
    problem = Problem(
        ProblemCode.TEMPORAL_UNAVAILABLE, "Temporal cannot be reached, so this cannot be started now. Try again."
    )
    problem.__cause__ = error
    return problem


@asynccontextmanager
async def temporal_calls() -> AsyncGenerator[None]:
    """Turn a Temporal that is away into a problem; other errors pass.

    Raises:
        Problem: ``TEMPORAL_UNAVAILABLE``.

    """
    try:
        yield
    except RPCError as error:
        if error.status in _AWAY:
            raise _unavailable(error) from error
        raise
    except RuntimeError as error:
        # A lazy client that could not connect says so in this way.
        if "connect" in str(error).lower():
            raise _unavailable(error) from error
        raise


async def tell(handle: WorkflowHandle[Any, Any], signal: Any) -> bool:
    """Send a workflow a signal; False: it has ended, or is not known.

    Raises:
        Problem: ``TEMPORAL_UNAVAILABLE``.

    """
    try:
        async with temporal_calls():
            await handle.signal(signal, rpc_timeout=_SIGNAL_WITHIN)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


def workflow_url(settings: Settings, client: Client, workflow_id: str) -> str | None:
    """Link to a workflow in Temporal's UI, where the settings say where that is."""
    if not settings.temporal_ui_url:
        return None
    base = settings.temporal_ui_url.rstrip("/")
    return f"{base}/namespaces/{quote(client.namespace)}/workflows/{quote(workflow_id, safe='')}"
