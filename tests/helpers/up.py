"""A running `./dev up`, as a person has it in a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from cli.place import Place, Running

ROOT = Path(__file__).resolve().parent.parent.parent
TIMEOUT = 120
"""Seconds, which only end a broken test."""


class Up:
    """A running `./dev up`, read line by line."""

    def __init__(self, folder: Path, *args: str, host: str = "127.0.0.1", **settings: str) -> None:
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MANAGE_", "TEMPORAL_")) and name != "DATABASE_URL"
        } | {"MANAGE_DATA_DIR": str(folder), "MANAGE_API_HOST": host, **settings}
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "cli", "up", *args],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.printed = ""
        self.children: list[psutil.Process] = []

    def until(self, words: str) -> str:
        """Read what it prints until ``words`` come; answer all of it."""
        assert self.process.stdout is not None
        guard = threading.Timer(TIMEOUT, self.process.kill)
        guard.start()
        for line in self.process.stdout:
            self.printed += line
            if words in line:
                break
        guard.cancel()
        assert words in self.printed, self.printed
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        return self.printed

    def command(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run another command beside it."""
        return subprocess.run(
            [sys.executable, "-m", "cli", *args],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )

    def interrupt(self) -> int:
        """Press Ctrl-C; answer the exit code when nothing of it lives any more."""
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=TIMEOUT)
        self.printed += rest
        _, alive = psutil.wait_procs(self.children, timeout=0)
        assert alive == []
        return self.process.returncode

    def kill(self) -> None:
        """End it without ceremony, for a test that failed."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def running(folder: Path) -> Running:
    """What an `up` says of itself."""
    found = Place(folder).running()
    assert found is not None
    return found
