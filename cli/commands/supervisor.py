"""Keeps processes alive: starts them, starts again those that end by themselves, and ends them in good order."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

from runtime.servers.processes import ManagedProcess, ProcessFailedError

_LOOK_EVERY = 0.1
_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before the first, second, … start of a process that ends again and again."""
_STEADY = 30.0
"""A process that lived for so many seconds begins with the first pause again."""


class Supervisor:
    """Has every process that one command started, in the order of their starts."""

    def __init__(self, report: Callable[[str], None], changed: Callable[[], None]) -> None:
        """Take what hears of every process that ended by itself, and what hears that process ids changed."""
        self._report = report
        self._changed = changed
        self._watches: dict[ManagedProcess, asyncio.Task[None]] = {}
        self.processes: list[ManagedProcess] = []

    async def start(self, process: ManagedProcess) -> None:
        """Start a process, wait until it does its work, and keep it alive from then on.

        Raises:
            ProcessFailedError: it did not come up.

        """
        self.processes.append(process)
        await self._bring_up(process)
        self._watches[process] = asyncio.create_task(self._watch(process))

    async def restart(self, process: ManagedProcess) -> None:
        """End a process in good order and start it again, for another environment.

        Raises:
            ProcessFailedError: it did not come up.

        """
        self._watches.pop(process).cancel()
        self.processes.remove(process)
        await asyncio.to_thread(process.stop)
        await self.start(process)

    async def run(self, process: ManagedProcess) -> None:
        """Run a process to its end.

        Raises:
            ProcessFailedError: it ended with something else than 0.

        """
        self.processes.append(process)
        await self._bring_up(process)
        await _ended(process)
        self.processes.remove(process)
        if process.exit_code != 0:
            raise ProcessFailedError(f"{process.name} failed. The end of {process.log_path}:\n{process.last_lines()}")

    async def stop(self) -> None:
        """End everything, the last started first. Nothing of it lives when this returns."""
        for watch in self._watches.values():
            watch.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        for process in reversed(self.processes):
            await asyncio.to_thread(process.stop)

    def kill(self) -> None:
        """End everything at once."""
        for process in reversed(self.processes):
            process.kill()

    async def _bring_up(self, process: ManagedProcess) -> None:
        while True:
            await asyncio.to_thread(process.prepare)
            # In this, the main thread: the process ends with the thread that launched it.
            process.launch()
            self._changed()
            try:
                await asyncio.to_thread(process.wait_until_ready)
            except ProcessFailedError:
                if process.running or not process.yield_port():
                    raise
            else:
                return

    async def _watch(self, process: ManagedProcess) -> None:
        failures = 0
        while True:
            begun = time.monotonic()
            await _ended(process)
            if time.monotonic() - begun > _STEADY:
                failures = 0
            self._report(f"{process.name} ended ({_how(process.exit_code)}); starting it again")
            while True:
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1
                try:
                    await self._bring_up(process)
                except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would start it
                    self._report(str(error))
                else:
                    self._report(f"{process.name} is back")
                    break


async def _ended(process: ManagedProcess) -> None:
    while process.running:  # noqa: ASYNC110 (no event that works everywhere signals the end of a process)
        await asyncio.sleep(_LOOK_EVERY)


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"
