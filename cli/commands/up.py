"""`./dev up`: brings the whole product up on this machine and keeps it up until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape

from cli.client import Api
from cli.commands.openid import PORT as PROVIDER_PORT
from cli.commands.openid import DemoProvider, grant_demo_roles, print_people
from cli.commands.services import (
    ApiProgram,
    Program,
    SharingApi,
    address_of,
    api_url,
    bind,
    child_environment,
    choose_port,
    end_leftovers,
    identity,
)
from cli.commands.supervisor import Supervisor
from cli.console import make_console
from cli.demo.fleet import keep_playing
from cli.demo.intake import demonstrate, has_depots, run_demo_scenario
from cli.errors import CommandFailedError
from cli.files import check_readable
from cli.place import DEMO_FLEET, Place, Running, announce, home, running_places, withdraw
from cli.upkeep.temporal import temporal_is_configured
from domain.base.actor import LOCAL_ADMINISTRATOR
from runtime.exposure import exposure_fault
from runtime.servers.embedded import TEMPORAL_PORT, TEMPORAL_UI_PORT, EmbeddedPostgres, EmbeddedTemporal
from runtime.servers.processes import ManagedProcess, ProcessFailedError, free_port
from runtime.settings import Settings


@dataclass(frozen=True)
class Processes:
    """How many there are of each."""

    apis: int = 1
    workers: int = 1


ONE_OF_EACH = Processes()


def run_up(
    settings: Settings,
    fleet: Path | None,
    port: int | None,
    *,
    ephemeral: bool,
    demo: bool,
    sign_in: bool = False,
    processes: Processes = ONE_OF_EACH,
) -> int:
    """Bring everything up and keep it up until Ctrl-C; 0 when all ended in good order.

    ``fleet`` is imported and backfilled; without one, ``demo`` does so with the small fleet where there is none. With
    ``sign_in`` a demo provider runs beside the product, and people sign in. Several API ``processes`` share an address.

    Raises:
        CommandFailedError: the arguments contradict each other, or another `up` runs here.

    """
    if fleet is not None and not demo:
        raise CommandFailedError("--fleet and --no-demo contradict each other.")
    if sign_in and settings.people_sign_in:
        raise CommandFailedError("--sign-in brings a provider of its own, and MANAGE_OIDC_ISSUER names another.")
    if (fault := exposure_fault(settings, [settings.api_host])) is not None:
        raise CommandFailedError(fault)
    if fleet is not None:
        check_readable(fleet)
    place = Place(Path(tempfile.mkdtemp(prefix="manage-"))) if ephemeral else home()
    place.take()
    note = announce(place) if ephemeral else None
    try:
        return asyncio.run(Up(settings, place, fleet, port, processes, demo=demo, sign_in=sign_in).run())
    finally:
        place.leave()
        if note is not None:
            shutil.rmtree(place.folder, ignore_errors=True)
            withdraw(note)


class Up:
    """One run of `./dev up`."""

    def __init__(
        self,
        settings: Settings,
        place: Place,
        fleet: Path | None,
        port: int | None,
        processes: Processes,
        *,
        demo: bool,
        sign_in: bool,
    ) -> None:
        self.settings = settings
        self.place = place
        self.fleet = fleet
        self.named_port = port
        self.processes = processes
        self.demo = demo
        self.sign_in = sign_in
        self._environment: dict[str, str] = {}
        self.console: Console = make_console()
        self.supervisor = Supervisor(self._warn, self._describe)
        self._stopping = asyncio.Event()
        self._killed = False
        self._postgres: EmbeddedPostgres | None = None
        self._temporal: EmbeddedTemporal | None = None
        self._apis: Sequence[ApiProgram] | Sequence[SharingApi] = ()
        self._shared: socket.socket | None = None
        """Where several API processes wait for callers."""

    async def run(self) -> int:
        """Bring everything up, stay until told to stop, and end everything."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        work = asyncio.create_task(self._work())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                await stop
        except (CommandFailedError, ProcessFailedError) as error:
            self.console.print(f"[bold red]Failed.[/] {escape(str(error))}", soft_wrap=True)
            return 1
        finally:
            work.cancel()
            stop.cancel()
            await self._stop(work)
        return 130 if self._killed else 0

    async def _work(self) -> None:
        await self._bring_up()
        async with Api(self._api_url) as api:
            try:
                if self.fleet is not None:
                    await demonstrate(api, self.fleet, self.place.report, self.console)
                elif self.demo and not await has_depots(api):
                    await demonstrate(api, DEMO_FLEET, self.place.report, self.console, allow_simulation=True)
                    await self._run_demo_scenario(api)
            except CommandFailedError as error:
                self._warn(f"{error}\nThe fleet may be there in part only. Repeating it creates no duplicates.")
            if self.sign_in:
                await self._let_people_sign_in()
            await self._greet(api)
            if self.demo and self.fleet is None and not self.sign_in:
                await keep_playing(api, self._database_url(), LOCAL_ADMINISTRATOR, self._warn)

    def _database_url(self) -> str:
        return self._postgres.application_url if self._postgres else self.settings.database_url.get_secret_value()

    async def _run_demo_scenario(self, api: Api) -> None:
        try:
            await run_demo_scenario(api, self.console)
        except CommandFailedError as error:
            self._warn(f"{error}\nNo scenario was run; everything else is there.")

    @property
    def _api_url(self) -> str:
        """The one address of the API, however many processes are behind it."""
        if self._shared is not None:
            return api_url(*self._shared.getsockname()[:2])
        return self._apis[0].url

    async def _let_people_sign_in(self) -> None:
        """From here on, whoever comes has to sign in; the fleet is there already."""
        port = free_port(PROVIDER_PORT, but=frozenset({self._api_port}))
        provider = DemoProvider(
            self.place.folder, port=port, public_url=self._api_url, log_path=self.place.logs / "openid.log"
        )  # fmt: skip
        await self._start(provider, "OpenID provider")
        async with self._step("one demo person a role"):
            await grant_demo_roles(self._database_url())
        self._environment |= provider.settings()
        async with self._step("API, with signing in"):
            for api in self._apis:
                await self.supervisor.restart(api)

    async def _bring_up(self) -> None:
        end_leftovers(self.place.left_behind())
        port = choose_port(self.settings, self.named_port)
        data, logs = self.place.folder, self.place.logs
        self.console.print(f"Data and logs: {escape(self.place.shown)}", soft_wrap=True)
        if not self.settings.database_url:
            self._postgres = EmbeddedPostgres(data / "postgres", log_path=logs / "postgres.log")
        if not temporal_is_configured():
            self._temporal = EmbeddedTemporal(
                data / "temporal", port=TEMPORAL_PORT, ui_port=TEMPORAL_UI_PORT, log_path=logs / "temporal.log"
            )
        environment = self._environment = child_environment(self._postgres, self._temporal, "")
        self._make_apis(port)

        await self._start(self._postgres, "PostgreSQL", "DATABASE_URL" if self.settings.database_url else "")
        async with self._step("migrated"):
            migrating = environment
            if self._postgres is not None:
                await asyncio.to_thread(self._postgres.make_roles)
                migrating = environment | {"MIGRATION_DATABASE_URL": self._postgres.owner_url}
            await self.supervisor.run(Program("The migration", ["-m", "cli.migrate"], logs / "migrate.log", migrating))
        await self._start(self._temporal, "Temporal", "its own configuration")
        if self._temporal is not None:
            environment |= address_of(self._temporal)
        for api in self._apis:
            await self._start(api, api.name)
        environment["MANAGE_API_URL"] = self._api_url
        if self._temporal is not None and self._temporal.port != TEMPORAL_PORT:
            self._note(f"Port {TEMPORAL_PORT} is taken, so Temporal is on {self._temporal.address}.")
        await self._start_workers()
        if self.named_port is None and self._api_port != self.settings.api_port:
            self._note(f"Port {self.settings.api_port} is taken, so the API is on port {self._api_port}.")

    def _make_apis(self, port: int) -> None:
        host, logs, many = self.settings.api_host, self.place.logs, self.processes.apis
        if many == 1:
            movable = self.named_port in (None, 0)
            self._apis = [ApiProgram(host, port, logs / "api.log", self._environment, movable=movable)]
            return
        self._shared = bind(host, port)
        self._apis = [
            SharingApi(number, self._shared, logs / f"api-{number}.log", self._environment)
            for number in range(1, many + 1)
        ]

    async def _start_workers(self) -> None:
        many, wanted = self.processes.workers, self.settings.metrics_port
        taken: set[int] = set()
        for number in range(1, many + 1):
            name = "worker" if many == 1 else f"worker {number}"
            environment, port = dict(self._environment), 0
            if wanted:
                # Each serves its own figures. Another `up` of this machine may do so there.
                port = free_port(wanted + number - 1, host=self.settings.metrics_host, but=frozenset(taken))
                taken.add(port)
                environment["MANAGE_METRICS_PORT"] = str(port)
            log = self.place.logs / f"{name.replace(' ', '-')}.log"
            await self._start(Program(name, ["worker.py"], log, environment), name)
            if port != wanted:
                why = f"Port {wanted} is taken, so the worker's metrics" if many == 1 else f"The metrics of {name}"
                self._note(f"{why} are on {port}.")

    @property
    def _api_port(self) -> int:
        port = urlsplit(self._api_url).port
        assert port is not None
        return port

    async def _start(self, process: ManagedProcess | None, name: str, elsewhere: str = "") -> None:
        if process is None:
            self.console.print(f"  [green]✓[/] {name}  [dim]elsewhere, as {elsewhere} says[/]")
            return
        async with self._step(name):
            await self.supervisor.start(process)

    @asynccontextmanager
    async def _step(self, name: str) -> AsyncGenerator[None]:
        begun = time.monotonic()
        yield
        self.console.print(f"  [green]✓[/] {name}  [dim]{time.monotonic() - begun:.1f} s[/]")

    async def _greet(self, api: Api) -> None:
        rows = {"API": f"{api.url}/docs"}
        if self.sign_in or await api.exists("/"):
            rows = {"Pages": f"{api.url}/", **rows}
        ui = self._temporal.ui_url if self._temporal else self.settings.temporal_ui_url
        if ui:
            rows["Temporal"] = ui
        if self._shared is not None:
            rows |= {process.name: f"{process.url}/metrics" for process in self._apis}
        self.console.print("\n[bold]Running.[/] Ctrl-C stops everything.")
        for name, address in rows.items():
            self.console.print(f"  {name:<9} {address}", soft_wrap=True)
        if self.sign_in:
            print_people(self.console)
            return
        # Where another `up` of this project runs, commands must name the one that is meant.
        named = f" --api {api.url}" if len(running_places()) > 1 else ""
        self.console.print("\nTry in another terminal:")
        for command in ("scenario run --all", "backfill --dry-run", "resync DEPOT", "import FILE"):
            self.console.print(f"  ./dev {command}{named}", soft_wrap=True)

    async def _stop(self, work: asyncio.Task[None]) -> None:
        if self.supervisor.processes:
            self.console.print("Stopping …")
        with suppress(asyncio.CancelledError, Exception):
            await work
        await self.supervisor.stop()
        if self._shared is not None:
            self._shared.close()
        for each in self._apis:
            if isinstance(each, SharingApi):
                each.close()

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._killed = True
            self.supervisor.kill()
        self._stopping.set()

    def _describe(self) -> None:
        if not self._apis:
            return
        self.place.describe(
            Running(
                pid=os.getpid(),
                api_url=self._api_url,
                instance_id=self._environment.get("MANAGE_INSTANCE_ID", ""),
                temporal_address=self._temporal.address if self._temporal else "",
                temporal_ui_url=self._temporal.ui_url if self._temporal else self.settings.temporal_ui_url,
                database_url=self._postgres.application_url if self._postgres else "",
                processes={process.name: identity(process) for process in self.supervisor.processes},
            )
        )

    def _warn(self, text: str) -> None:
        self.console.print(f"[yellow]![/] {escape(text)}", soft_wrap=True)

    def _note(self, text: str) -> None:
        self.console.print(f"  [dim]{escape(text)}[/]", soft_wrap=True)
