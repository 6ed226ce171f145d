"""The product's own worker as a process of its own, which can be killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from runtime.servers.processes import ManagedProcess

ROOT = Path(__file__).parent.parent.parent


class WorkerProcess(ManagedProcess):
    """``worker.py`` on a database, a Temporal and a task queue of the test's."""

    code = ROOT
    """Where the program is; another release's is elsewhere."""

    def __init__(self, database_url: str, temporal_address: str, task_queue: str, log: Path, **settings: str) -> None:
        super().__init__("worker", log)
        self._environment = settings | {
            "DATABASE_URL": database_url, "TEMPORAL_ADDRESS": temporal_address, "MANAGE_TASK_QUEUE": task_queue,
            "MANAGE_METRICS_PORT": settings.get("MANAGE_METRICS_PORT", "0"),
        }  # fmt: skip

    def command(self) -> list[str]:
        """The program."""
        return [sys.executable, "worker.py"]

    def folder(self) -> Path:
        """Where it is."""
        return self.code

    def environment(self) -> Mapping[str, str]:
        """What it is told."""
        return os.environ | self._environment
