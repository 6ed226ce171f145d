"""A real Prometheus for tests: Debian's, with the rules of the deployment and its state in a folder of the test."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from devtools.system_packages import find
from runtime.servers.processes import free_port
from tests.helpers.deployed import ROOT
from tests.helpers.live import http_client
from tests.helpers.support import until

RULES = ROOT / "deploy/prometheus/alerts.yml"


def program(name: str) -> str:
    """Where a program of Prometheus is."""
    found = find(name)
    assert found is not None, f"{name} is not installed: ./dev test installs it as root; apt-get install prometheus"
    return found


def remember(folder: Path, name: str, value: float, moments: range) -> None:
    """Have the Prometheus of this folder remember that a metric had a value at these moments, in seconds."""
    lines = [f"# TYPE {name} gauge", *(f"{name} {value} {moment}" for moment in moments), "# EOF"]
    past = folder / "past.txt"
    past.write_text("\n".join(lines) + "\n")
    command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(past), str(folder / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """One that runs."""

    def __init__(self, caller: httpx.AsyncClient) -> None:
        self._caller = caller

    async def _asked(self, path: str) -> list[dict[str, Any]]:
        answer = await self._caller.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        return data["alerts"] if path == "alerts" else data["activeTargets"]

    async def alerts(self) -> set[str]:
        """The alerts whose expression holds, whether for long enough or not."""
        found = await self._asked("alerts")
        return {each["labels"]["alertname"] for each in found}

    async def has_read_all(self) -> bool:
        """Whether each process was read."""
        found = await self._asked("targets")
        return bool(found) and all(each["health"] == "up" for each in found)


@asynccontextmanager
async def prometheus(folder: Path, processes: Mapping[str, str]) -> AsyncGenerator[Prometheus]:
    """Run it while the block runs. ``processes``: where each job's process is, as host and port."""
    port = free_port()
    scraped = [{"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in processes.items()]
    # JSON is YAML.
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": scraped,
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config))
    command = [
        program("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    log = (folder / "prometheus.log").open("wb")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: ASYNC220 - it starts at once
    log.close()
    try:
        async with http_client(f"http://127.0.0.1:{port}") as caller:

            async def is_ready() -> bool:
                assert process.poll() is None, (folder / "prometheus.log").read_text()
                try:
                    return (await caller.get("/-/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_ready)
            yield Prometheus(caller)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
