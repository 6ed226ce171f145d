"""An MQTT broker as a process of its own: the system's mosquitto."""

from __future__ import annotations

import socket
from pathlib import Path

from cli.errors import CommandFailedError
from devtools.system_packages import ensure
from runtime.servers.processes import ManagedProcess, free_port

_HOST = "127.0.0.1"


class Broker(ManagedProcess):
    """A broker that anybody on this machine may use, and that keeps what it holds in its folder."""

    def __init__(self, folder: Path, *, log_path: Path) -> None:
        super().__init__("mosquitto", log_path)
        program = ensure("mosquitto", package="mosquitto")
        if program is None:
            raise CommandFailedError("Packets come over MQTT, too, and mosquitto is missing.")
        self._program = program
        self._folder = folder
        self.port = free_port()

    @property
    def url(self) -> str:
        """The broker's address, as the settings have it."""
        return f"mqtt://{_HOST}:{self.port}"

    def prepare(self) -> None:
        """Write its configuration."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        lines = [
            # As root it would become a user who may not write into the folder.
            "user root",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {self._folder}/",
            "max_queued_messages 0",
            f"listener {self.port} {_HOST}",
        ]
        (self._folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def command(self) -> list[str]:
        """The broker itself."""
        return [self._program, "--config-file", str(self._folder / "mosquitto.conf")]

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        try:
            socket.create_connection((_HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return self.listens_on(self.port)
