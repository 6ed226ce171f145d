"""A real MQTT broker for tests: Debian's mosquitto, with its state in a folder of the test."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt

from devtools.system_packages import find
from runtime.servers.processes import free_port
from tests.helpers.support import until

DEPLOYED = Path(__file__).parents[2] / "deploy" / "mqtt"


class Mosquitto:
    """A broker that can be stopped, killed and started again on the same port."""

    def __init__(self, folder: Path, *settings: str) -> None:
        program = find("mosquitto")
        assert program is not None, (
            "mosquitto is not installed: ./dev test installs it as root; apt-get install mosquitto"
        )
        self._command = [program, "--config-file", str(folder / "mosquitto.conf")]
        self.port = free_port()
        lines = [
            "per_listener_settings false",
            # As root it would become a user who may not write into the test's folder.
            "user root",
            "persistence true",
            f"persistence_location {folder}/",
            "max_queued_messages 0",
            f"listener {self.port} 127.0.0.1",
            *(settings or ("allow_anonymous true",)),
        ]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The broker's address, as the settings have it."""
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        await until(self._listens)

    async def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the broker ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it: by SIGTERM it stores what it holds, by SIGKILL it does not."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    @asynccontextmanager
    async def gateway(self, client_id: str = "gateway") -> AsyncGenerator[aiomqtt.Client]:
        """A client as a gateway in the field is one."""
        async with aiomqtt.Client(
            "127.0.0.1", self.port, identifier=client_id, protocol=aiomqtt.ProtocolVersion.V5
        ) as client:
            yield client


class DeployedMosquitto(Mosquitto):
    """The broker as the deployment starts it, but for the places of its container."""

    def __init__(self, folder: Path) -> None:
        self.kept, self.data, config = folder / "kept", folder / "data", folder / "config"
        for each in (self.kept, self.data, config):
            each.mkdir()
        delivered = (DEPLOYED / "mosquitto.conf").read_text().replace("/mosquitto/data/", f"{self.data}/")
        placed = [line for line in delivered.splitlines() if not line.startswith(("listener", "#", "persistence_loc"))]
        super().__init__(config, *(line for line in placed if line and not line.startswith("persistence ")))
        shutil.copy(DEPLOYED / "rules", config / "rules")
        places = {"MQTT_ACCOUNTS": self.kept, "MQTT_CONFIG": config, "MQTT_DATA": self.data, "MQTT_WORKER": "root"}
        given = [f"{name}={place}" for name, place in places.items()]
        self._command = ["env", *given, "/bin/sh", str(DEPLOYED / "start.sh")]
