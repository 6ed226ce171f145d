"""The relay: signals each depot's sync workflow that its circuits changed, as the outbox says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from domain.provisioning.outcomes import SyncRequest
from runtime.observing.traces import continuing
from runtime.supervision import supervised
from store.base.database import is_busy, is_unavailable
from store.base.notifications.listen import listen
from store.provisioning.outbox import CHANNEL, OutboxDepot, claim, forget
from workflows.launch import signal_sync

_log = structlog.get_logger("relay")

BATCH = 200
"""Rows claimed at once. A claim is one transaction that lasts as long as its signals take."""
SIGNALS_AT_ONCE = 16
POLL_EVERY = timedelta(seconds=5)
"""How long a lost notification can delay a sync."""
RPC_TIMEOUT = timedelta(seconds=10)
NAMED_REQUESTS = 20
"""Requests that the log line of a sync names, where a burst of them asked for it."""
_LONGEST_PAUSE = 5.0


class Relay:
    """Moves outbox rows to Temporal for as long as it runs; losing either side only makes it wait."""

    def __init__(self, engine: AsyncEngine, client: Client, task_queue: str) -> None:
        self._engine = engine
        self._client = client
        self._task_queue = task_queue
        self._rung = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        async with supervised("relay's listener", self._listen):
            pause = 0.1
            while True:
                self._rung.clear()
                try:
                    notified, left = await self.relay_once()
                except Exception as error:
                    if not (is_unavailable(error) or is_busy(error)):
                        raise
                    _log.warning("database away", error=str(error))
                    notified, left = 0, 1
                if left and not notified:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    continue
                pause = 0.1
                if not notified:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL_EVERY.total_seconds()):
                            await self._rung.wait()

    async def _listen(self) -> None:
        await listen(self._engine, CHANNEL, lambda _: self._rung.set(), self._rung.set)

    async def relay_once(self) -> tuple[int, int]:
        """Request the syncs of one batch of depots. Return how many were requested and how many could not be."""
        async with claim(self._engine, BATCH) as (connection, waiting):
            if not waiting:
                return 0, 0
            places = asyncio.Semaphore(SIGNALS_AT_ONCE)

            async def notify(depot: OutboxDepot) -> bool:
                async with places:
                    return await self._notify(depot)

            answers = await asyncio.gather(*(notify(depot) for depot in waiting))
            notified = [depot for depot, ok in zip(waiting, answers, strict=True) if ok]
            await forget(connection, notified)
        return len(notified), len(waiting) - len(notified)

    async def _notify(self, depot: OutboxDepot) -> bool:
        ids, traces = depot.request_ids, depot.traceparents
        traceparent = traces[-1] if traces else None
        request = SyncRequest(
            depot.depot_id,
            depot.requested_by,
            depot.reason,
            ids[-1] if ids else None,
            depot.changed_at,
            traceparent,
        )
        try:
            with continuing(traceparent, "relay", traces[-NAMED_REQUESTS:-1]):
                await signal_sync(self._client, self._task_queue, request, rpc_timeout=RPC_TIMEOUT)
        except (RPCError, RuntimeError, OSError) as error:
            # RuntimeError: the lazy client could not connect.
            _log.warning("sync not requested", depot_id=str(depot.depot_id), error=str(error))
            return False
        except Exception:  # noqa: BLE001 - the other depots of the batch must not wait for this one
            _log.exception("sync not requested", depot_id=str(depot.depot_id))
            return False
        # The one line that names each request of a burst: the sync itself knows the last one.
        _log.info("sync requested", depot_id=str(depot.depot_id), reason=depot.reason, **_named(ids))
        return True


def _named(ids: Sequence[str]) -> dict[str, Any]:
    """The requests that asked for a sync, for a log line; it has room for the last ones."""
    if not ids:
        return {}
    burst = {"request_ids": ids[-NAMED_REQUESTS:]} if len(ids) > 1 else {}
    return {"request_id": ids[-1], **burst}
