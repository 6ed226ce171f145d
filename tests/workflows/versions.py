"""Workers of versions that tests make up."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker

from runtime.workers.versions import as_version, deployment_of, read_versions
from tests.helpers.support import patiently, until


@workflow.defn(name="Idle", sandboxed=False)
class Idle:
    """Something to serve."""

    @workflow.run
    async def run(self) -> str:
        """End."""
        return "ended"


@asynccontextmanager
async def serving_version(client: Client, task_queue: str, build: str) -> AsyncGenerator[None]:
    """A worker of this version, which Temporal knows."""
    deployment = deployment_of(task_queue)
    one = as_version(WorkerDeploymentVersion(deployment, build))
    async with Worker(client, task_queue=task_queue, workflows=[Idle], deployment_config=one):

        async def is_known() -> bool:
            return (await patiently(lambda: read_versions(client, deployment))).find(build) is not None

        await until(is_known)
        yield
