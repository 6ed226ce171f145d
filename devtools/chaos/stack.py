"""The product that faults are done to: servers of its own, each part a process that can be killed and paused."""

from __future__ import annotations

import asyncio
import os
import urllib.request
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from signal import Signals
from typing import NamedTuple

import psutil

from cli.commands.services import ApiProgram, Program, SharingApi, api_url, bind
from cli.commands.up import Processes
from devtools.chaos.broker import Broker
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal, without_temporal
from runtime.servers.processes import ManagedProcess, free_port
from store.migrate import upgrade

API, WORKER = "API", "worker"
"""The parts of which there may be several."""
_HOST = "127.0.0.1"
_LOOK_EVERY = 0.1
_IS_CURRENT = b"\nmanage_worker_version_current 1.0\n"
"""What a worker's figures say once it works."""
_ANSWERS_WITHIN = 2.0
"""Seconds within which a worker tells its figures."""


def names_of(kind: str, processes: Processes) -> list[str]:
    """What the processes of a kind are called: ``worker``, or ``worker 1``, ``worker 2``, …"""
    many = {API: processes.apis, WORKER: processes.workers}.get(kind, 1)
    return [kind] if many == 1 else [f"{kind} {number}" for number in range(1, many + 1)]


class WorkerProgram(Program):
    """A worker, which is ready when it says that it works."""

    def __init__(self, name: str, log_path: Path, environment: Mapping[str, str]) -> None:
        self._port = free_port()
        super().__init__(name, ["worker.py"], log_path, {**environment, "MANAGE_METRICS_PORT": str(self._port)})

    def is_ready(self) -> bool:
        """Ask its figures."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(OSError):
            return _IS_CURRENT in opener.open(f"http://{_HOST}:{self._port}/metrics", timeout=_ANSWERS_WITHIN).read()
        return False


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

    def pause(self) -> None:
        """Keep it and all that it started from doing anything."""
        self.is_away = True
        self.signal(Signals.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        self.signal(Signals.SIGCONT)
        self.is_away = False

    async def is_ready(self) -> bool:
        """Whether no fault has taken it away, and it does its work."""
        return not self.is_away and await asyncio.to_thread(self.process.is_ready)

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
    """What faults are done to: ``worker`` or ``worker 1``, …, ``API`` or ``API 1``, …, ``Temporal``, ``PostgreSQL``."""
    api_url: str
    temporal_address: str
    broker: Broker
    postgres: EmbeddedPostgres
    ended_by_themselves: list[str]
    """The parts that ended although nobody took them away, each time."""

    async def is_whole(self) -> bool:
        """Whether every part does its work."""
        return all(await asyncio.gather(*(part.is_ready() for part in self.parts.values())))


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
async def running_stack(folder: Path, processes: Processes) -> AsyncGenerator[Stack]:
    """Run the product on a folder of its own while the block runs, with the roles of a real deployment."""
    logs = folder / "logs"
    logs.mkdir()
    postgres = EmbeddedPostgres(folder / "postgres", log_path=logs / "postgres.log")
    temporal = EmbeddedTemporal(folder / "temporal", log_path=logs / "temporal.log")
    broker = Broker(folder / "mosquitto", log_path=logs / "mosquitto.log")
    begun: list[ManagedProcess] = []
    opened = ExitStack()

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
        environment = without_temporal(os.environ) | {
            "DATABASE_URL": postgres.application_url,
            "TEMPORAL_ADDRESS": temporal.address,
            "MANAGE_MQTT_URL": broker.url,
            # Else it would make up for a sync that was lost.
            "MANAGE_DRIFT_REPAIR": "false",
            "PYTHONUNBUFFERED": "1",
        }
        apis, url = _make_apis(processes, logs, environment, opened)
        environment["MANAGE_API_URL"] = url
        workers = [
            WorkerProgram(name, logs / f"{name.replace(' ', '-')}.log", environment)
            for name in names_of(WORKER, processes)
        ]
        for process in (*workers, *apis):
            await begin(process)
        parts = {process.name: Part(process) for process in (*workers, *apis)}
        parts |= {"Temporal": Part(temporal), "PostgreSQL": Part(postgres)}
        stack = Stack(parts, url, temporal.address, broker, postgres, [])
        keeper = asyncio.create_task(_keep(stack))
        try:
            yield stack
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
    finally:
        for process in reversed(begun):
            await asyncio.to_thread(process.stop)
        opened.close()


def _make_apis(
    processes: Processes, logs: Path, environment: Mapping[str, str], opened: ExitStack
) -> tuple[Sequence[Program], str]:
    """Make the API's processes as `./dev up` does; answer them, and their one address."""
    if processes.apis == 1:
        one = ApiProgram(_HOST, free_port(), logs / "api.log", environment)
        return [one], one.url
    shared = opened.enter_context(bind(_HOST, free_port()))
    numbers = range(1, processes.apis + 1)
    several = [SharingApi(number, shared, logs / f"api-{number}.log", environment) for number in numbers]
    for each in several:
        opened.callback(each.close)
    return several, api_url(*shared.getsockname()[:2])
