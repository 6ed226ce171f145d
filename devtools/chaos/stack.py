"""The product that faults are done to: servers of its own, each part a process that can be killed and paused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import Signals
from typing import NamedTuple

import psutil

from cli.commands.services import ApiProgram, Program
from devtools.chaos.broker import Broker
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal, without_temporal
from runtime.servers.processes import ManagedProcess, free_port
from store.migrate import upgrade

_LOOK_EVERY = 0.1


class Part:
    """One part of the product, which is to run unless a fault says otherwise."""

    def __init__(self, process: ManagedProcess) -> None:
        self.process = process
        self.is_away = False
        """Whether a fault has taken it away, so that nobody else starts it."""

    async def start(self) -> None:
        """Start it, without waiting until it works."""
        await asyncio.to_thread(self.process.prepare)
        # Here, because the process ends with the thread that starts it.
        self.process.launch()
        self.is_away = False

    async def kill(self) -> None:
        """End it with all that it started, at once (SIGKILL)."""
        self.is_away = True
        self.signal(Signals.SIGKILL)
        await asyncio.to_thread(self.process.wait)

    async def stop(self) -> None:
        """End it in good order."""
        self.is_away = True
        await asyncio.to_thread(self.process.stop)

    def signal(self, number: Signals) -> None:
        """Send a signal to the process and all that it started, the process first, so that it starts nothing more."""
        with suppress(psutil.Error):
            process = psutil.Process(self.process.pid)
            process.send_signal(number) if number is not Signals.SIGKILL else process.suspend()
            for each in process.children(recursive=True):
                with suppress(psutil.Error):
                    each.send_signal(number)
            if number is Signals.SIGKILL:
                process.send_signal(number)


class Stack(NamedTuple):
    """The product while it runs."""

    parts: dict[str, Part]
    """What faults are done to: ``worker``, ``API``, ``Temporal``, ``PostgreSQL``."""
    api_url: str
    temporal_address: str
    broker: Broker
    postgres: EmbeddedPostgres
    ended_by_themselves: list[str]
    """The parts that ended although nobody took them away, each time."""


async def _keep(stack: Stack) -> None:
    """Start what ended by itself again, as `./dev up` and Compose do."""
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        for name, part in stack.parts.items():
            if not part.is_away and not part.process.running:
                stack.ended_by_themselves.append(name)
                await asyncio.to_thread(part.process.prepare)
                if not part.is_away:
                    part.process.launch()


@asynccontextmanager
async def running_stack(folder: Path) -> AsyncGenerator[Stack]:
    """Run the product on a folder of its own while the block runs, with the roles of a real deployment."""
    logs = folder / "logs"
    logs.mkdir()
    postgres = EmbeddedPostgres(folder / "postgres", log_path=logs / "postgres.log")
    temporal = EmbeddedTemporal(folder / "temporal", log_path=logs / "temporal.log")
    broker = Broker(folder / "mosquitto", log_path=logs / "mosquitto.log")
    begun: list[ManagedProcess] = []

    async def begin(process: ManagedProcess) -> None:
        begun.append(process)
        await asyncio.to_thread(process.prepare)
        process.launch()
        await asyncio.to_thread(process.wait_until_ready)

    try:
        for server in (postgres, temporal, broker):
            await begin(server)
        await asyncio.to_thread(postgres.make_roles)
        await asyncio.to_thread(upgrade, postgres.owner_url)
        port = free_port()
        environment = without_temporal(os.environ) | {
            "DATABASE_URL": postgres.application_url,
            "TEMPORAL_ADDRESS": temporal.address,
            "MANAGE_API_URL": f"http://127.0.0.1:{port}",
            "MANAGE_MQTT_URL": broker.url,
            "MANAGE_METRICS_PORT": "0",
            # Else it would make up for a sync that was lost.
            "MANAGE_DRIFT_REPAIR": "false",
            "PYTHONUNBUFFERED": "1",
        }
        api = ApiProgram("127.0.0.1", port, logs / "api.log", environment)
        worker = Program("worker", ["worker.py"], logs / "worker.log", environment)
        await begin(worker)
        await begin(api)
        parts = {"worker": worker, "API": api, "Temporal": temporal, "PostgreSQL": postgres}
        stack = Stack(
            {name: Part(process) for name, process in parts.items()}, api.url, temporal.address, broker, postgres, []
        )
        keeper = asyncio.create_task(_keep(stack))
        try:
            yield stack
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
    finally:
        for process in reversed(begun):
            await asyncio.to_thread(process.stop)
