"""Processes that this one starts, watches and ends."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from runtime.modes import private_file

_PARENT_DEATH = Path(__file__).with_name("parent_death.py")
_LARGEST_LOG = 10_000_000
_LOOK_EVERY = 0.02
READY_WITHIN = 120.0
"""Seconds that a process gets to become ready: PostgreSQL may have to recover first."""
_PORTS = range(15_000, 32_768)
"""Ports for servers without one of their own. Linux gives connections those from 32,768 on, others higher ones."""
_PORTS_TRIED = 50


class ProcessFailedError(Exception):
    """A process did not start, or ended before it was ready. The message says where its log is and how it ends."""


class ManagedProcess(ABC):
    """One process with a log file, that can be started again and again on the same place.

    It runs in a session of its own, so Ctrl-C in the terminal reaches only its parent, which then ends it in
    good order. On Linux it also ends when its parent is killed. That is tied to the thread that calls
    ``launch``, so the main thread should.
    """

    stop_signal = signal.SIGTERM
    """Asks the process to end in good order."""
    kill_signal = signal.SIGKILL
    """Ends it at once."""
    orphan_signal = signal.SIGKILL
    """What it gets when its parent is gone."""
    timeout = 15.0
    """Seconds that it gets to end in good order before it is killed."""

    def __init__(self, name: str, log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    def environment(self) -> Mapping[str, str]:
        """The environment that the process gets."""
        return os.environ

    def folder(self) -> Path | None:
        """The folder that the process starts in; None: this one's own."""
        return None

    def user(self) -> tuple[int, int] | None:
        """The user and group that the process runs as; None: the same as this one."""
        return None

    def sockets(self) -> Sequence[socket.socket]:
        """Sockets that stay with this process and that the started one inherits, under the same descriptors."""
        return ()

    def prepare(self) -> None:  # noqa: B027 (most processes need nothing)
        """Do what must be done before each launch. May take its time and run in any thread."""

    def is_ready(self) -> bool:
        """Say whether the process does its work yet. Asked again and again, in any thread."""
        return True

    def yield_port(self) -> bool:
        """Say whether a launch that ended before it was ready is worth another one, and choose the place for it."""
        return False

    def listens_on(self, port: int) -> bool:
        """Whether it is this process that takes connections on ``port``, and not another one of the machine."""
        try:
            process = psutil.Process(self.pid)
            return any(
                found.status == psutil.CONN_LISTEN and found.laddr.port == port
                for one in (process, *process.children(recursive=True))
                for found in one.net_connections("tcp")
            )
        except psutil.Error:
            return False

    @property
    def pid(self) -> int | None:
        """The process id of the last launch."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the last launch ended: an exit code, or a signal's negative number; None while it lives."""
        return None if self._process is None else self._process.poll()

    def launch(self) -> None:
        """Start the process without waiting for it. One that runs already is left alone."""
        if self.running:
            return
        self._move_large_log()
        uid, gid = self.user() or (-1, -1)
        wrapper = [sys.executable, "-I", "-S", str(_PARENT_DEATH), str(os.getpid()), str(int(self.orphan_signal))]
        with open(self.log_path, "ab", opener=private_file) as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own commands, no shell)
                [*wrapper, str(uid), str(gid), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                cwd=self.folder(),
                start_new_session=True,
                pass_fds=[each.fileno() for each in self.sockets()],
            )

    def wait_until_ready(self, seconds: float = READY_WITHIN) -> None:
        """Wait until the process does its work.

        Raises:
            ProcessFailedError: it ended, or took too long.

        """
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if not self.running:
                raise ProcessFailedError(self._failure(f"ended before it was ready (exit code {self.exit_code})"))
            if time.monotonic() > deadline:
                raise ProcessFailedError(self._failure(f"was not ready after {seconds:.0f} seconds"))
            time.sleep(_LOOK_EVERY)

    def start(self) -> Self:
        """Start the process and wait until it does its work.

        Raises:
            ProcessFailedError: it did not come up. Nothing of it is left running.

        """
        while True:
            self.prepare()
            self.launch()
            try:
                self.wait_until_ready()
            except ProcessFailedError:
                if self.running or not self.yield_port():
                    self.stop()
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return self

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait until the process ends; answer as ``exit_code``, None when it still lives after ``seconds``."""
        if self._process is None:
            return None
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def stop(self) -> None:
        """End the process in good order, or by force when it takes too long. It is gone when this returns."""
        if self._process is None:
            return
        self._send(self.stop_signal)
        if self.wait(self.timeout) is None:
            self._send(signal.SIGKILL)
            self._process.wait()

    def kill(self) -> None:
        """End the process at once, without waiting for it."""
        self._send(self.kill_signal)

    def last_lines(self, count: int = 12) -> str:
        """The end of the log."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - 20_000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _failure(self, what: str) -> str:
        return f"{self.name} {what}. The end of {self.log_path}:\n{self.last_lines()}"

    def _move_large_log(self) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > _LARGEST_LOG:
            self.log_path.replace(self.log_path.with_name(self.log_path.name + ".1"))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port(wanted: int = 0, *, host: str = "127.0.0.1", but: frozenset[int] = frozenset()) -> int:
    """Answer ``wanted`` where nothing listens on it and it is not in ``but``; else a port that is free now.

    It is none that the system gives to a connection, which would keep a server that was ended from coming back.
    """
    for port in (wanted, *random.sample(_PORTS, _PORTS_TRIED)):
        if port == 0 or port in but:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # Connections of an earlier server that are still closing do not count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((host, port))
                return port
    raise OSError(f"no free port on {host}")


def executable(name: str) -> str:
    """The path of a program that came with the locked packages.

    Raises:
        FileNotFoundError: it is not installed.

    """
    found = Path(sys.executable).parent / name
    if not found.exists():
        raise FileNotFoundError(f"{name} is not installed beside {sys.executable}: run ./dev, which installs it")
    return str(found)
