"""One chaos run, from the first process to the verdict."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from rich.console import Console
from rich.markup import escape
from temporalio.service import RPCError

from cli.client import Api
from cli.commands.up import Processes
from cli.console import make_console
from cli.errors import CommandFailedError
from devtools.chaos.caller import Caller
from devtools.chaos.checker.check import check
from devtools.chaos.checker.jobs import list_workflows
from devtools.chaos.checker.request_log import Outcome, read_log, summary
from devtools.chaos.editors import Editor, found_depots
from devtools.chaos.faults import Fault, inflict, plan
from devtools.chaos.jobs import export_readings, import_and_backfill, keep_running, run_undisturbed
from devtools.chaos.probes import Ability, Prober
from devtools.chaos.read_watch import ReadWatch
from devtools.chaos.report import NO_FAULT, Recovery, Report
from devtools.chaos.request_writer import RequestWriter
from devtools.chaos.senders import post_statuses, read_statuses, send_by_http, send_by_mqtt
from devtools.chaos.site import Site, make_site
from devtools.chaos.stack import Stack, running_stack

_SETTLES_WITHIN = 300.0
"""Seconds that the product gets to finish what it has begun, when nothing disturbs it any longer."""
_LOOK_EVERY = 2.0
_IMPATIENT, _PATIENT, _PROBING = 3.0, 60.0, 4.0
"""Seconds for which callers wait for an answer."""
_CANCELLED_WITHIN = 1.0
"""Seconds after which a task that still runs is cancelled again."""
_AWAY = (RPCError, RuntimeError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a look raises where a server is not there."""
_BACKFILLS_AT = (0.1, 0.6)
"""The shares of the time at which a fleet is imported and backfilled."""
_EXPORTS_AT = (0.2, 0.35, 0.5, 0.7, 0.85)
"""The shares of the time at which an export is asked for: as many as may be kept."""


def run_chaos(minutes: float, seed: int, processes: Processes, folder: Path | None) -> int:
    """Run, report, and answer 0 when everything holds, else 1.

    ``folder`` keeps the reports, the log of requests and the logs of the processes; None: a new one.

    Raises:
        CommandFailedError: something is in the folder already.

    """
    console = make_console()
    kept = Path(tempfile.mkdtemp(prefix="chaos-")) if folder is None else folder.absolute()
    kept.mkdir(parents=True, exist_ok=True)
    if any(kept.iterdir()):
        raise CommandFailedError(f"{kept} is not empty.")
    console.print(f"Seed {seed}, {minutes:g} minutes. Report and logs: {escape(str(kept))}", soft_wrap=True)
    report = asyncio.run(chaos(console, minutes, seed, processes, kept))
    report.write(kept)
    report.print(console)
    if report.holds:
        for servers in ("postgres", "temporal", "mosquitto"):
            shutil.rmtree(kept / servers, ignore_errors=True)
    console.print("[green]Everything holds.[/]" if report.holds else "[bold red]Something does not hold.[/]")
    return 0 if report.holds else 1


async def chaos(console: Console, minutes: float, seed: int, processes: Processes, folder: Path) -> Report:
    """Bring the product up, disturb it for some minutes, let it settle, and check everything."""
    with RequestWriter(folder / "requests.ndjson") as writer:
        async with AsyncExitStack() as opened:
            stack = await opened.enter_async_context(running_stack(folder, processes))

            async def caller(timeout: float, *, keeps_connections: bool = True) -> Caller:
                made = Caller(stack.api_url, writer, timeout=timeout, keeps_connections=keeps_connections)
                return await opened.enter_async_context(aclosing(made))

            probing = await caller(_PROBING, keeps_connections=False)
            callers = Callers(await caller(_IMPATIENT), await caller(_PATIENT), probing)
            async with Api(stack.api_url) as api:
                site = await make_site(api, writer)
            await run_undisturbed(callers.patient, site.simulated[0])
            return await ChaosRun(console, minutes, seed, processes, stack, site, callers).run()


async def end_all(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until all have ended.

    aiomqtt waits with ``asyncio.wait_for``, and Python 3.11's may lose a cancellation, so that once is not enough.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_CANCELLED_WITHIN)
    await asyncio.gather(*tasks, return_exceptions=True)


class Callers(NamedTuple):
    """Who sends requests: each waits differently long for an answer."""

    impatient: Caller
    """Gives up before the end of a longer fault, so that what it asked for may be done after that."""
    patient: Caller
    probing: Caller


class ChaosRun:
    """Traffic and faults on a product that is up."""

    def __init__(
        self,
        console: Console,
        minutes: float,
        seed: int,
        processes: Processes,
        stack: Stack,
        site: Site,
        callers: Callers,
    ) -> None:
        self._console = console
        self._minutes = minutes
        self._seed = seed
        self._processes = processes
        self._stack = stack
        self._site = site
        self._callers = callers
        self._writer = callers.patient.writer
        self._prober = Prober(stack, callers.probing, site)
        self._watch = ReadWatch(f"{stack.api_url}/api/depots/{site.probed}/microgrid")
        self._begun = time.monotonic()
        self._recoveries: list[Recovery] = []
        self._loads: list[float] = []

    async def run(self) -> Report:
        """Disturb, let everything settle, and check."""
        traffic = [asyncio.create_task(each) for each in self._traffic()]
        jobs = [asyncio.create_task(each) for each in self._jobs()]
        try:
            await self._disturb([*traffic, *jobs])
            await end_all(traffic)
            self._console.print("The traffic has ended. Waiting until everything has come to rest …")
            findings, seconds = await self._settle(jobs)
        finally:
            await end_all([*traffic, *jobs])
        requests = dict(summary(read_log(self._writer.path)))
        requests["READ"] = {each.value: sum(caller.reads[each] for caller in self._callers) for each in Outcome}
        codes = {" ".join(each): times for each, times in sorted(self._writer.codes.items())}
        return Report(
            self._seed,
            self._minutes,
            self._processes,
            sum(self._loads) / len(self._loads),
            self._recoveries,
            requests,
            codes,
            self._stack.ended_by_themselves,
            seconds,
            findings,
        )

    def _traffic(self) -> Iterable[Coroutine[Any, Any, None]]:
        yield self._watch.run()
        impatient, patient, _ = self._callers
        seed, site = self._seed, self._site
        for number, depot_id in enumerate(site.edited):
            yield Editor(impatient, depot_id, f"editor/{seed}/{number}").run()
        yield found_depots(impatient, f"depots/{seed}")
        for number, gateway in enumerate(site.gateways):
            # Each sends in both ways, so that packets overtake one another.
            yield send_by_http(impatient, gateway, f"http/{seed}/{number}")
            yield send_by_mqtt(self._stack.broker, self._writer, gateway, f"mqtt/{seed}/{number}")
            yield read_statuses(impatient, gateway)
        yield post_statuses(impatient, site.gateways[0], f"statuses/{seed}")
        for number, depot_id in enumerate(site.simulated):
            yield keep_running(patient, depot_id, f"runs/{seed}/{number}")

    def _jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Those who ask for jobs, and wait for their ends: one that they have paused goes on by them alone."""
        patient, seed = self._callers.patient, self._seed
        for number, share in enumerate(_BACKFILLS_AT):
            yield import_and_backfill(patient, 1000 * seed + number, share * self._minutes * 60, is_job=bool(number))
        for share in _EXPORTS_AT:
            yield export_readings(patient, share * self._minutes * 60)

    async def _disturb(self, traffic: Sequence[asyncio.Task[None]]) -> None:
        """Measure without a fault, then do one fault after the other, and wait after each until everything works."""
        self._tell(NO_FAULT, await self._prober.measure(time.monotonic()))
        for number, fault in enumerate(plan(self._seed, self._processes)):
            await asyncio.sleep(fault.rest)
            if time.monotonic() - self._begun > self._minutes * 60:
                return
            self._watch.take()
            self._tell(fault.name, await self._recover(fault, f"cut/{self._seed}/{number}"))
            for task in traffic:
                if task.done():
                    # None ends by itself, but for the imports and the exports.
                    task.result()

    async def _recover(self, fault: Fault, seed: str) -> dict[Ability, float | None]:
        """Do a fault, and measure: from its end, or from its beginning where others go on meanwhile."""
        begun = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            inflicting = group.create_task(inflict(self._stack, fault, seed, begun))
            if not fault.leaves_others:
                return await self._prober.measure(await inflicting)
            await begun.wait()
            return await self._prober.measure(time.monotonic())

    def _tell(self, fault: str, measured: dict[Ability, float | None]) -> None:
        reads = self._watch.take()
        self._recoveries.append(Recovery(fault, measured, reads))
        self._loads.append(os.getloadavg()[0])
        took = ", ".join(f"{name} {'never' if took is None else f'{took:.1f}'}" for name, took in measured.items())
        without = f"{reads.longest:.1f} s without a read, {reads.failed} failed"
        minutes, seconds = divmod(int(time.monotonic() - self._begun), 60)
        self._console.print(f"{minutes:2}:{seconds:02} {fault}: {took}; {without}", soft_wrap=True)

    async def _settle(self, jobs: Sequence[asyncio.Task[None]]) -> tuple[dict[str, list[str]], float]:
        """Wait until every rule holds, or long enough; answer what the last look found, and how long that took."""
        begun = time.monotonic()
        ended, _ = await asyncio.wait(jobs, timeout=_SETTLES_WITHIN)
        for each in ended:
            each.result()
        while True:
            try:
                workflows = await list_workflows(self._stack.temporal_address)
                log = read_log(self._writer.path)
                found = await check(self._stack.postgres.database_url, log, workflows)
            except _AWAY as error:
                found = {"the checker can look": [f"{type(error).__name__}: {error}"]}
            seconds = time.monotonic() - begun
            if not any(found.values()) or seconds > _SETTLES_WITHIN:
                return found, seconds
            await asyncio.sleep(_LOOK_EVERY)
