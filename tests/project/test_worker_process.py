"""The worker as a process of its own: its log in the form of the console, its death, and the bounds it is given."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from activities.manage_api import ManageApi
from domain.provisioning.outcomes import SyncRequest
from relay import RPC_TIMEOUT
from runtime.log_lines import MAX_LINE
from runtime.workers.versions import this_version
from tests.helpers.live import NO_API, working
from tests.helpers.support import add_circuit, assert_follows, follows, make_depot, refuse_microgrid, until
from tests.helpers.worker_process import WorkerProcess
from worker import Resources, make_workers
from workflows.launch import signal_sync, sync_workflow_id

ROOT = Path(__file__).parent.parent.parent
_FAILED_SYNCS = text("SELECT count(*) FROM changes WHERE action = 'MICROGRID_SYNC_FAILED' AND depot_id = :depot")

_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def failed_syncs(engine: AsyncEngine, depot_id: UUID) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(_FAILED_SYNCS, {"depot": depot_id})).scalar_one()


@pytest.mark.usefixtures("client")
async def test_a_failure_that_is_final_is_one_small_record_and_holds_no_other_depot_up(
    engine: AsyncEngine, database_url: str, temporal_address: str, task_queue: str, tmp_path: Path
) -> None:
    odd = await make_depot(engine, "A", name="Odd")
    await refuse_microgrid(engine, odd)
    others = [await make_depot(engine, "A", name=f"Depot {number}") for number in range(5)]
    log = tmp_path / "worker.log"

    async def all_others_follow() -> bool:
        return all([await follows(engine, each) for each in others])

    with WorkerProcess(database_url, temporal_address, task_queue, log, MANAGE_LOG_FORMAT="console"):
        for failures in (1, 2):

            async def told(wanted: int = failures) -> bool:
                return await failed_syncs(engine, odd) >= wanted

            await until(told)
            await until(all_others_follow)
            for each in (odd, *others):
                await add_circuit(engine, each, f"Circuit {failures}")
        await until(all_others_follow)
        assert await failed_syncs(engine, odd) >= 2
    lines = log.read_text().splitlines()
    final = [line for line in lines if "step cannot succeed" in line]
    # One for each sync that was asked for: each is tried once.
    assert len(final) == await failed_syncs(engine, odd)
    for line in final:
        assert "Traceback (most recent call last):" in line
        assert "this depot is refused" in line
        assert f"microgrid-sync/{odd}" in line
        assert re.search(r"\battempt=1\b", line)
    assert not any(str(odd) in line and "attempt=2" in line for line in lines)
    assert max(map(len, lines)) < 2 * MAX_LINE
    # A table of local variables is drawn over many lines.
    assert not set("╭│╰") & set("".join(lines))


async def waits_for_a_lock(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return bool((await connection.execute(_WAITING)).scalar_one())


async def last_to_work_on(handle: WorkflowHandle[Any, Any]) -> str:
    """Who completed the workflow's last task."""
    history = await handle.fetch_history()
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    last = [each for each in history.events if each.event_type == done][-1]
    return last.workflow_task_completed_event_attributes.identity


async def test_a_sync_whose_worker_is_killed_is_finished_by_another(
    engine: AsyncEngine, client: Client, database_url: str, temporal_address: str, task_queue: str, tmp_path: Path
) -> None:
    depot_id = await make_depot(engine, "A", "B")
    worker = WorkerProcess(database_url, temporal_address, task_queue, tmp_path / "worker.log")
    try:
        async with engine.begin() as held:
            await held.execute(text("SELECT 1 FROM depots FOR UPDATE"))
            worker.start()
            await until(lambda: waits_for_a_lock(engine))
            async with working(client, engine, task_queue, version=this_version(task_queue)):
                worker.kill()
                worker.wait()
                await held.commit()
                handle = client.get_workflow_handle(sync_workflow_id(depot_id))
                await handle.result()
        microgrid = await assert_follows(engine, depot_id)
        assert microgrid.version == 1
        assert await last_to_work_on(handle) == client.service_client.config.identity
    finally:
        worker.stop()


def told_in_the_documentation(what: str) -> timedelta:
    """A bound as docs/performance.md has it."""
    rows = [line for line in (ROOT / "docs/performance.md").read_text().splitlines() if what in line]
    assert len(rows) == 1, rows
    return timedelta(seconds=float(rows[0].split("|")[-2].strip().removesuffix(" s")))


async def test_the_bounds_after_a_kill_are_those_of_the_documentation(
    engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    workers = make_workers(Resources(engine, client, ManageApi(NO_API), task_queue))
    assert {each.config(active_config=True).get("sticky_queue_schedule_to_start_timeout") for each in workers} == {
        told_in_the_documentation("sticky queue (`worker.py`)")
    }
    depot_id = await make_depot(engine, "A")
    await signal_sync(client, task_queue, SyncRequest(depot_id, "tester", "TEST"), rpc_timeout=RPC_TIMEOUT)
    history = await client.get_workflow_handle(sync_workflow_id(depot_id)).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    assert started.workflow_task_timeout.ToTimedelta() == told_in_the_documentation("`SYNC_TASK_TIMEOUT`")
    # The task that waits now has it, too.
    (scheduled,) = [each for each in history.events if each.HasField("workflow_task_scheduled_event_attributes")]
    timeout = scheduled.workflow_task_scheduled_event_attributes.start_to_close_timeout
    assert timeout.ToTimedelta() == started.workflow_task_timeout.ToTimedelta()
