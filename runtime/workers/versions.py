"""The versions of the worker (Temporal's Worker Deployments): which this code is, how it becomes the current one."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache

import structlog
from prometheus_client import CollectorRegistry, Gauge
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import TaskQueueType, WorkerDeploymentVersionStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from runtime.observing.metrics import NAMESPACE
from runtime.version import PROJECT, version
from runtime.workers.known import UNVERSIONED, KnownVersion, KnownVersions, may_take_over
from runtime.workers.queues import Work, queue_of

_log = structlog.get_logger("version")

CODE = ("activities", "domain", "reconciliation", "runtime", "sim_scenarios", "store", "telemetry", "workflows")
"""The folders of all that the worker may run."""
_PROGRAMS = ("relay.py", "worker.py")
_STATUS = "WORKER_DEPLOYMENT_VERSION_STATUS_"
_WITHIN = timedelta(seconds=10)
_LOOK_EVERY = 10.0
_FIRST_PAUSE = 0.1
"""Seconds: Temporal does not know a worker that has just started, and work waits meanwhile."""


@cache
def build_id() -> str:
    """Name this code as Temporal is told: the product's version, and a digest of all that the worker may run."""
    digest = hashlib.sha256()
    files = [PROJECT / name for name in _PROGRAMS]
    files += [each for folder in CODE for each in (PROJECT / folder).rglob("*.py")]
    for each in sorted(files):
        digest.update(f"{each.relative_to(PROJECT)}\0".encode() + each.read_bytes() + b"\0")
    return f"{version()}-{digest.hexdigest()[:12]}"


def deployment_of(task_queue: str) -> str:
    """Name the product among what Temporal has workers of, by its task queue. Such a name has no dot and no colon."""
    return task_queue.replace(".", "-").replace(":", "-")


def this_version(task_queue: str) -> WorkerDeploymentVersion:
    """Name the version that this code is."""
    return WorkerDeploymentVersion(deployment_of(task_queue), build_id())


def as_version(one: WorkerDeploymentVersion) -> WorkerDeploymentConfig:
    """Have a worker be of a version. Workflows go on with the current one (docs/decisions/0053-worker-versions.md)."""
    return WorkerDeploymentConfig(
        one, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE
    )


async def read_versions(client: Client, deployment: str) -> KnownVersions:
    """Ask Temporal which versions it knows; none before the first worker with a version has come.

    Raises:
        RPCError, RuntimeError: Temporal cannot be reached, or refuses.

    """
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
    try:
        answer = await client.workflow_service.describe_worker_deployment(request, timeout=_WITHIN)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return KnownVersions(UNVERSIONED, ())
        raise
    info = answer.worker_deployment_info
    found = sorted(map(_known, info.version_summaries), key=lambda each: each.since, reverse=True)
    return KnownVersions(info.routing_config.current_deployment_version.build_id, tuple(found))


def _known(summary: WorkerDeploymentInfo.WorkerDeploymentVersionSummary) -> KnownVersion:
    state = WorkerDeploymentVersionStatus.Name(summary.status).removeprefix(_STATUS)
    is_current = state == "CURRENT"
    since = summary.current_since_time if is_current else summary.create_time
    return KnownVersion(
        summary.deployment_version.build_id,
        state,
        since.ToDatetime(UTC),
        is_current or summary.HasField("last_current_time"),
    )


async def make_current(client: Client, deployment: str, chosen: str) -> None:
    """Have the version with this build id take what comes, and go on with what runs. Again, it changes nothing.

    ``UNVERSIONED``: workers without a version do.

    Raises:
        RPCError: it is not known, or its workers do not serve every queue in use; or Temporal cannot be reached.

    """
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=deployment, build_id=chosen, identity=client.identity
    )
    await client.workflow_service.set_worker_deployment_current_version(request, timeout=_WITHIN)


async def asked_at(client: Client, task_queue: str, chosen: str) -> datetime | None:
    """When a worker of this build id last asked for what comes on a queue; None: not within what Temporal remembers.

    Raises:
        RPCError, RuntimeError: Temporal cannot be reached, or refuses.

    """
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    answer = await client.workflow_service.describe_task_queue(request, timeout=_WITHIN)
    asked = [each.last_access_time for each in answer.pollers if each.deployment_options.build_id == chosen]
    return max((each.ToDatetime(UTC) for each in asked), default=None)


class Takeover:
    """Makes the version of this process the current one when its time has come, and says whether it is."""

    def __init__(
        self, client: Client, task_queue: str, build: str, registry: CollectorRegistry | None, *, takes_over: bool
    ) -> None:
        """``takes_over``: whether this process may make its version the current one, or only looks whether it is."""
        self._client = client
        self._queue = queue_of(task_queue, Work.SYNCS)
        self._deployment = deployment_of(task_queue)
        self._build = build
        self._takes_over = takes_over
        self._said: str | None = None
        # The current version, where Temporal knew no worker of it when this looked last, and since when it has not.
        self._unheard: tuple[str, datetime] | None = None
        self._is_current = Gauge(
            "worker_version_current",
            "1: this process is of the version of the worker that Temporal gives what comes",
            namespace=NAMESPACE,
            registry=registry,
        )

    async def run(self) -> None:
        """Look until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            settled = False
            try:
                settled = await self.look()
            except (RPCError, RuntimeError) as error:
                # Where a queue in use is not served yet, Temporal refuses, and says which.
                self._say("version not settled yet", error=str(error))
            await asyncio.sleep(_LOOK_EVERY if settled else pause)
            pause = _FIRST_PAUSE if settled else min(2 * pause, _LOOK_EVERY)

    async def look(self) -> bool:
        """Look once, and take over where that is due; False: it is to be looked at again soon."""
        unheard, self._unheard = self._unheard, None
        known = await read_versions(self._client, self._deployment)
        self._is_current.set(known.current == self._build)
        if known.current == self._build:
            self._say("version is current")
            return True
        mine = known.find(self._build)
        if mine is None:
            return False
        asked = await asked_at(self._client, self._queue, known.current) if mine.was_current else None
        now = datetime.now(UTC)
        if mine.was_current and asked is None:
            self._unheard = unheard if unheard is not None and unheard[0] == known.current else (known.current, now)
        if not self._takes_over or not may_take_over(mine, asked, self._unheard and self._unheard[1], now):
            self._say("version waits", current=known.current)
            return self._unheard is None
        await make_current(self._client, self._deployment, self._build)
        return False

    def _say(self, what: str, **more: str) -> None:
        """Log what changed since it was said last."""
        if what != self._said:
            self._said = what
            _log.info(what, build_id=self._build, **more)
