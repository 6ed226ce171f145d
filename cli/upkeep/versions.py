"""`./dev versions`: the versions of the worker that Temporal knows, and which of them takes what comes."""

from __future__ import annotations

import asyncio

from rich.markup import escape
from temporalio.client import Client
from temporalio.service import RPCError

from cli.console import make_console
from cli.errors import CommandFailedError
from cli.upkeep.temporal import connect_to_temporal
from runtime.settings import load_settings
from runtime.workers.known import UNVERSIONED, KnownVersion, KnownVersions
from runtime.workers.versions import deployment_of, make_current, read_versions

_UNVERSIONED_WORD = "unversioned"


def run_versions(current: str | None) -> int:
    """Print the versions, after one was made the current one where one is named.

    Raises:
        CommandFailedError: Temporal is not there, or refused.

    """
    return asyncio.run(_versions(current))


async def _versions(current: str | None) -> int:
    deployment = deployment_of(load_settings().task_queue)
    console = make_console()
    try:
        client = await connect_to_temporal()
        if current is not None:
            await make_current(client, deployment, UNVERSIONED if current == _UNVERSIONED_WORD else current)
        known = await read_versions(client, deployment)
        running = [await _running(client, deployment, each) for each in known.versions]
    except (RPCError, RuntimeError) as error:
        raise CommandFailedError(f"Temporal refuses: {error}") from error
    for line in _lines(known, running):
        console.print(escape(line), soft_wrap=True)
    return 0


async def _running(client: Client, deployment: str, version: KnownVersion) -> int:
    """Count the workflows that run and were last worked on by a version."""
    query = f"ExecutionStatus = 'Running' AND TemporalWorkerDeploymentVersion = '{deployment}:{version.build_id}'"
    return (await client.count_workflows(query)).count


def _lines(known: KnownVersions, running: list[int]) -> list[str]:
    lines = [
        f"{each.state:<8}  {each.build_id}  since {each.since:%Y-%m-%d %H:%M:%S} UTC, {count:,} workflows run"
        for each, count in zip(known.versions, running, strict=True)
    ]
    if known.current == UNVERSIONED:
        lines.append("Workers without a version take what comes.")
    return lines
