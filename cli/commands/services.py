"""What `./dev up` runs besides the embedded servers: the migration, the worker, the API."""

from __future__ import annotations

import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil

from cli.errors import CommandFailedError
from cli.place import ROOT, Running
from runtime.servers.bounded_http import HTTP
from runtime.servers.embedded import EmbeddedPostgres, EmbeddedTemporal, without_temporal
from runtime.servers.processes import ManagedProcess, free_port
from runtime.servers.serve import GRACE
from runtime.settings import Settings

_BACKLOG = 2048
"""Connections that may wait at a shared socket, as many as at uvicorn's own."""


class Program(ManagedProcess):
    """One of our own processes."""

    def __init__(self, name: str, arguments: list[str], log_path: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name, log_path)
        self._arguments = arguments
        self._environment = environment

    def command(self) -> list[str]:
        """The same Python as this one's."""
        return [sys.executable, *self._arguments]

    def environment(self) -> Mapping[str, str]:
        """What says where everything is."""
        return self._environment

    def folder(self) -> Path:
        """The project's folder."""
        return ROOT


class ApiProgram(Program):
    """The API, which is ready when its database answers."""

    timeout = 10.0

    def __init__(
        self, host: str, port: int, log_path: Path, environment: Mapping[str, str], *, movable: bool = False
    ) -> None:
        """Name the port. Where it is ``movable``, another one is as good until the API is ready."""
        self.host = host
        self.port = port
        self._movable = movable
        arguments = ["-m", "uvicorn", "api.main:create_app", "--factory"]
        arguments += ["--http", HTTP, "--no-access-log", "--timeout-graceful-shutdown", str(GRACE)]
        super().__init__("API", arguments, log_path, environment)

    @property
    def url(self) -> str:
        """Where this machine finds it."""
        return api_url(self.host, self.port)

    def command(self) -> list[str]:
        """The server on its port."""
        return [*super().command(), "--host", self.host, "--port", str(self.port)]

    def yield_port(self) -> bool:
        """Give up a port that another process took since it was chosen, unless it was announced already."""
        taken = self._movable and free_port(self.port, host=self.host) != self.port
        if taken:
            self.port = free_port(0, host=self.host)
        return taken

    def is_ready(self) -> bool:
        """Ask the API itself, and not another one that answers at its address."""
        if not self.listens_on(self.port):
            return False
        ready = _is_ready(self.url)
        self._movable = self._movable and not ready
        return ready


class SharingApi(Program):
    """One of several API processes behind one address.

    It also listens on a port of its own, where it alone answers: with its figures, and whether it is ready.
    """

    timeout = ApiProgram.timeout

    def __init__(self, number: int, shared: socket.socket, log_path: Path, environment: Mapping[str, str]) -> None:
        """Take the socket that all of them share, and bind another for this one on the same host."""
        host, port = shared.getsockname()[:2]
        self._own = bind(host, free_port(port + number, host=host))
        self._sockets = (shared, self._own)
        super().__init__(f"API {number}", ["-m", "runtime.servers.serve"], log_path, environment)

    @property
    def url(self) -> str:
        """Where this machine finds this process, and no other."""
        return api_url(*self._own.getsockname()[:2])

    def command(self) -> list[str]:
        """The server on its sockets."""
        return [*super().command(), *(str(each.fileno()) for each in self._sockets)]

    def sockets(self) -> Sequence[socket.socket]:
        """The shared one and its own."""
        return self._sockets

    def close(self) -> None:
        """Give up its own port; the shared socket is whoever's that bound it."""
        self._own.close()

    def is_ready(self) -> bool:
        """Ask this process."""
        return _is_ready(self.url)


def bind(host: str, port: int) -> socket.socket:
    """Bind and listen; connections wait until some process accepts them.

    Raises:
        OSError: somebody else has the port.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError, urllib.error.URLError):
        return opener.open(f"{url}/readyz", timeout=5).status == 200
    return False


def api_url(host: str, port: int) -> str:
    """Where this machine finds an API that listens on ``host``."""
    reached = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 (read, not bound)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def choose_port(settings: Settings, named: int | None) -> int:
    """The port for the API: ``named``, which must be free; else the usual one, or any where that is taken.

    Raises:
        CommandFailedError: ``named`` is taken.

    """
    port = free_port(settings.api_port if named is None else named, host=settings.api_host)
    if named and port != named:
        raise CommandFailedError(f"Port {named} is taken. Name another one, or 0 for any.")
    return port


def child_environment(
    postgres: EmbeddedPostgres | None, temporal: EmbeddedTemporal | None, api_address: str
) -> dict[str, str]:
    """The environment for worker and API; what is not embedded stays as this process's environment says."""
    environment = dict(os.environ)
    if postgres is not None:
        environment["DATABASE_URL"] = postgres.application_url
        for name in ("MIGRATION_DATABASE_URL", "MIGRATION_DATABASE_URL_FILE"):
            environment.pop(name, None)
    if temporal is not None:
        environment = without_temporal(environment) | address_of(temporal)
    environment["MANAGE_API_URL"] = api_address
    environment["MANAGE_INSTANCE_ID"] = uuid4().hex
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def address_of(temporal: EmbeddedTemporal) -> dict[str, str]:
    """The environment that says where an embedded Temporal is."""
    return {"TEMPORAL_ADDRESS": temporal.address, "MANAGE_TEMPORAL_UI_URL": temporal.ui_url}


def end_leftovers(left: Running | None) -> None:
    """End what an `up` that was killed left running. Only processes that are certainly its own are touched."""
    for pid, created in (left.processes if left else {}).values():
        with suppress(psutil.Error):
            process = psutil.Process(int(pid))
            if process.create_time() == created:
                process.send_signal(signal.SIGKILL)
                process.wait(10)


def identity(process: ManagedProcess) -> list[float]:
    """A running process's id and creation time, which no later process has both."""
    with suppress(psutil.Error):
        if process.pid is not None:
            return [process.pid, psutil.Process(process.pid).create_time()]
    return [0, 0]
