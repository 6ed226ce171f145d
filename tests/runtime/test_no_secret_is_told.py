"""The real processes, with recognisable secrets in all settings: none is found in what they say, keep or start."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.base.dependencies import resources_of
from api.main import create_app
from runtime.secrets.files import secret_variables
from runtime.servers.embedded import EmbeddedPostgres
from runtime.servers.processes import free_port
from runtime.settings import Settings
from store.base.database import make_engine
from tests.helpers.deployed import ROOT
from tests.helpers.support import follows, make_depot, until

PASSWORD, OWNER_PASSWORD, WRONG_PASSWORD = (f"tell+no/body {who}" for who in ("app", "owner", "wrong"))
BROKER_PASSWORD = "tell+no/body broker"
CLIENT_SECRET = "tell+no/body provider"
METRICS_TOKEN = "tell+no/body.prometheus"
KEY = b"tell+no/body the key of payloads"
GUESSED = "tell+no/body.somebodys-token"
SECRETS = (
    PASSWORD,
    OWNER_PASSWORD,
    WRONG_PASSWORD,
    BROKER_PASSWORD,
    CLIENT_SECRET,
    METRICS_TOKEN,
    KEY.decode(),
    GUESSED,
)


def forms(secret: str) -> Iterator[str]:
    """How a secret may be written: as it is, in an address, in hexadecimal, and anywhere within something in Base64."""
    yield from (secret, quote(secret), quote(secret, safe=""), quote(secret, safe="").replace("%20", "+"))
    yield secret.encode().hex()
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + secret.encode()).decode().rstrip("=")
        # Its first and last characters depend on what stands beside it.
        inner = whole[(0, 2, 3)[shift] : -1]
        yield from (inner, inner.translate(str.maketrans("+/", "-_")))


def told(text: str) -> list[str]:
    """The secrets that a text holds, by their last words."""
    return [secret.split()[-1] for secret in SECRETS if any(form in text for form in forms(secret))]


def test_a_secret_is_found_in_every_form() -> None:
    for form in (KEY.decode(), quote(KEY), base64.b64encode(b"a:" + KEY + b"z").decode(), KEY.hex()):
        assert told(f"… {form} …") == ["payloads"]
    assert told("nothing of the kind") == []


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL whose roles have passwords."""
    with (
        tempfile.TemporaryDirectory(prefix="manage-tests-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as postgres,
    ):
        postgres.make_roles()

        async def close() -> None:
            connection = await asyncpg.connect(postgres.url_of("postgres"))
            for role, password in (("manage_app", PASSWORD), ("manage_owner", OWNER_PASSWORD)):
                await connection.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
            rules = postgres.data_folder / "pg_hba.conf"
            rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
            await connection.execute("SELECT pg_reload_conf()")
            await connection.close()

        asyncio.run(close())
        yield postgres


def address(server: EmbeddedPostgres, role: str, password: str) -> str:
    return server.url_of("manage", role).replace("@", f":{quote(password, safe='')}@", 1)


@asynccontextmanager
async def running(
    folder: Path, environment: Mapping[str, str], *command: str
) -> AsyncGenerator[tuple[psutil.Popen, Path]]:
    """A process of the product; at the end of the block it is asked to end."""
    log = folder / f"{uuid4()}.log"
    with log.open("wb") as out:
        process = psutil.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(psutil.TimeoutExpired):
            await asyncio.to_thread(process.wait, 40)
        if process.is_running():
            process.kill()
            process.wait()


def says(log: Path, words: str) -> bool:
    return words in log.read_text()


async def rows(url: str) -> str:
    """Everything that is in a database."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        found = [await connection.fetch(f"SELECT t::text FROM {table[0]} AS t") for table in tables]
        return "\n".join(row[0] for table in found for row in table)
    finally:
        await connection.close()


async def answers(api: httpx.AsyncClient) -> str:
    """What the API says where somebody brings a right secret, a wrong one, or none."""
    found: list[httpx.Response] = []
    for path in ("/healthz", "/readyz", "/metrics", "/sign-in", "/api/depots", "/openapi.json", "/docs", "/", "/none"):
        for token in (None, METRICS_TOKEN, GUESSED):
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            found.append(await api.get(path, headers=headers))
    assert found[7].status_code == 200, "the figures, with their token"
    found.append(await api.post("/api/depots", content=b"{", headers={"authorization": f"Bearer {GUESSED}"}))
    return "\n".join(f"{each.headers}{each.text}" for each in found)


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_secret_is_told(
    server: EmbeddedPostgres, client: Client, temporal_address: str, task_queue: str, tmp_path: Path, log_format: str
) -> None:
    port, closed = free_port(), free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MANAGE_", "TEMPORAL_"))}
    environment = clean | {
        "DATABASE_URL": address(server, "manage_app", PASSWORD),
        "MIGRATION_DATABASE_URL": address(server, "manage_owner", OWNER_PASSWORD),
        "MANAGE_MQTT_URL": f"mqtt://manage:{quote(BROKER_PASSWORD, safe='')}@127.0.0.1:{closed}",
        "MANAGE_OIDC_ISSUER": f"http://127.0.0.1:{closed}",
        "MANAGE_OIDC_CLIENT_ID": "depot",
        "MANAGE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "MANAGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MANAGE_METRICS_TOKEN": METRICS_TOKEN,
        "MANAGE_PAYLOAD_KEYS": f"k:{base64.b64encode(KEY).decode()}",
        "MANAGE_LOG_FORMAT": log_format,
        "MANAGE_METRICS_PORT": str(free_port()),
        "MANAGE_TASK_QUEUE": task_queue,
        "TEMPORAL_ADDRESS": temporal_address,
    }
    # A secret setting without a secret here would not be looked for.
    assert set(secret_variables(Settings).values()) <= set(environment)
    wrong = environment | {
        "DATABASE_URL": address(server, "manage_app", WRONG_PASSWORD),
        "MIGRATION_DATABASE_URL": address(server, "manage_owner", WRONG_PASSWORD),
        "TEMPORAL_ADDRESS": f"127.0.0.1:{closed}",
    }
    logs = tmp_path / "logs"
    logs.mkdir()
    serve = ("-m", "uvicorn", "--factory", "--port", str(port), "api.main:create_app")
    heard = ""

    # What cannot work says why.
    for given in (wrong, environment):
        done = subprocess.run(  # noqa: ASYNC221 (nothing else goes on)
            [sys.executable, "-m", "cli.migrate"], cwd=ROOT, env=given, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) == (given is environment)
        heard += done.stdout + done.stderr
    assert "password authentication failed" in heard
    async with (
        running(logs, wrong, *serve) as (_, api_log),
        running(logs, wrong, "worker.py") as (_, worker_log),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as api,
    ):

        async def tried() -> bool:
            return says(worker_log, "Temporal away") and says(api_log, "Uvicorn running on")

        await until(tried)
        heard += (await api.get("/readyz")).text

    # What works is silent about it.
    engine: AsyncEngine = make_engine(server.url_of("manage"))
    async with (
        running(logs, environment, *serve) as (api_process, api_log),
        running(logs, environment, "worker.py") as (worker_process, worker_log),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as api,
    ):
        depot_id = await make_depot(engine, f"Yard {log_format}")

        async def worked() -> bool:
            return says(api_log, "Uvicorn running on") and await follows(engine, depot_id)

        await until(worked)
        heard += await answers(api)
        for process in (api_process, worker_process):
            heard += "\n".join(" ".join(each.cmdline()) for each in (process, *process.children(recursive=True)))
    await engine.dispose()
    histories = [
        repr(event)
        async for run in client.list_workflows(f"TaskQueue = '{task_queue}'")
        for event in (await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()).events
    ]
    assert histories
    said = "".join(log.read_text() for log in sorted(logs.iterdir()))
    assert "127.0.0.1" in said
    for place, text in {
        "answers, commands, command lines": heard,
        "logs": said,
        "histories": "\n".join(histories),
        "database": await rows(server.url_of("manage")),
    }.items():
        assert told(text) == [], place


async def test_nothing_shows_a_secret_by_its_representation(database_url: str) -> None:
    settings = Settings(
        database_url=SecretStr(database_url.replace("postgres@", f"postgres:{quote(PASSWORD, safe='')}@", 1)),
        mqtt_url=SecretStr(f"mqtt://u:{quote(BROKER_PASSWORD, safe='')}@host"),
        oidc_issuer="https://login.example",
        oidc_client_id="depot",
        oidc_client_secret=SecretStr(CLIENT_SECRET),
        public_url="https://grid.example",
        metrics_token=SecretStr(METRICS_TOKEN),
        payload_keys=SecretStr(f"k:{base64.b64encode(KEY).decode()}"),
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        resources = resources_of(app)
        shown = [repr(resources), str(settings), repr(settings.keys_of_payloads), settings.model_dump_json()]
        for name in type(resources).__dataclass_fields__:
            part = getattr(resources, name)
            shown += [repr(part), str(part), repr(getattr(part, "__dict__", ""))]
        assert told("\n".join(shown)) == []
