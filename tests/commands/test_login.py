"""`./dev login` and `./dev logout`: the command line signs in as a person, at a real OpenID provider."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from cli.commands.openid import DEVICE_CLIENT_ID
from cli.place import ROOT
from cli.provider import Provider, ProviderRefusedError, Waiting
from runtime.settings import Settings
from tests.helpers.commands import run
from tests.helpers.live import serving
from tests.helpers.openid import Surfer, signing_in

REPORTED = re.compile(r"Open (?P<address>\S+) and enter the code\s+(?P<code>\S+)\s")
ISSUER = "https://provider.example"


async def called(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(run, *arguments, **environment)


async def confirm(surfer: Surfer, address: str, code: str, login: str, *, refuse: bool = False) -> str:
    """Enter the code at the provider, and say that it is one's own; answers what one is told at the end."""
    asked = await surfer.get(address)
    shown = await surfer.send("POST", address, data={"user_code": code, "xsrf": _hidden(asked.text, "xsrf")})
    assert code in shown.text
    form = {"user_code": code, "xsrf": _hidden(shown.text, "xsrf")} | (
        {"abort": "yes"} if refuse else {"confirm": "yes"}
    )
    answer = await surfer.follow(await surfer.send("POST", address, data=form))
    if 'name="password"' in answer.text:
        sent = await surfer.send("POST", str(answer.url), data={"login": login, "password": login})
        answer = await surfer.follow(sent)
    return answer.text


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None, page
    return html.unescape(found[1])


@asynccontextmanager
async def logging_in(url: str, home: Path) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str, str]]:
    """Run `./dev login` while the block runs; answers it with the address and the code that it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MANAGE_")}
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-m", "devtools", "login", "--api", url, cwd=ROOT,
        env=environment | {"XDG_CONFIG_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert command.stdout is not None
    try:
        told = ""
        while (found := REPORTED.search(told)) is None:
            line = (await command.stdout.readline()).decode()
            assert line, told
            told += line
        yield command, found["address"], found["code"]
    finally:
        if command.returncode is None:
            command.kill()
            await command.wait()


async def logged_in(url: str, home: Path, login: str) -> None:
    async with logging_in(url, home) as (command, address, code), Surfer() as surfer:
        assert "Go on in the command line" in await confirm(surfer, address, code, login)
        told, _ = await command.communicate()
        assert (command.returncode, f"Logged in at {url}" in told.decode()) == (0, True), told


@pytest.mark.usefixtures("engine")
async def test_somebody_logs_in_works_and_logs_out(database_url: str, tmp_path: Path) -> None:
    home, fleet = tmp_path / "configuration", tmp_path / "fleet.ndjson"
    fleet.write_text((await called("fleet", "1")).stdout)
    work = ("import", str(fleet))
    given = {"XDG_CONFIG_HOME": str(home)}
    async with signing_in(database_url, tmp_path, oidc_device_client_id=DEVICE_CLIENT_ID) as (url, _):
        given["MANAGE_API_URL"] = url
        before = await called(*work, **given)
        assert (before.returncode, f"./dev login --api {url}" in before.stderr) == (1, True)

        await logged_in(url, home, "administrator")
        (file,) = (home / "depot-microgrid" / "logins").glob("*.json")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert (await called(*work, **given)).returncode == 0
        first = json.loads(file.read_text())

        # When the access token has ended, the next command has another one made: each refresh token is good once.
        file.write_text(json.dumps(first | {"expires_at": time.time() - 1}))
        assert (await called(*work, **given)).returncode == 0
        second = json.loads(file.read_text())
        assert second["expires_at"] > time.time()
        assert {second[name] != first[name] for name in ("access_token", "refresh_token")} == {True}

        # What MANAGE_TOKEN holds counts before the login.
        refused = await called(*work, **given, MANAGE_TOKEN="mgt_" + "A" * 43)
        assert (refused.returncode, "MANAGE_TOKEN holds" in refused.stderr) == (1, True)

        out = await called("logout", **given)
        assert (out.returncode, out.stdout) == (0, f"Logged out at {url}.\n")
        assert not file.exists()
        assert (await called(*work, **given)).returncode == 1
        assert "There was no login" in (await called("logout", **given)).stdout

        # The refresh token has ended at the provider as well, and a login with it is forgotten.
        file.write_text(json.dumps(second | {"expires_at": time.time() - 1}))
        ended = await called(*work, **given)
        assert (ended.returncode, "has ended. Log in again" in ended.stderr) == (1, True)
        assert not file.exists()
        for each in (before, refused, out, ended):
            assert second["access_token"] not in each.stdout + each.stderr


@pytest.mark.usefixtures("engine")
async def test_a_login_may_what_its_person_may(database_url: str, tmp_path: Path) -> None:
    home = tmp_path / "configuration"
    async with signing_in(database_url, tmp_path, oidc_device_client_id=DEVICE_CLIENT_ID) as (url, provider):
        await logged_in(url, home, "viewer")
        given = {"XDG_CONFIG_HOME": str(home), "MANAGE_API_URL": url}
        refused = await called("backfill", "--dry-run", **given)
        assert (refused.returncode, "NOT_PERMITTED" in refused.stderr) == (1, True)
        # Where the provider is away, it is said what does not answer; the login stays.
        (file,) = (home / "depot-microgrid" / "logins").glob("*.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | {"expires_at": time.time() - 1}))
        provider.stop()
        away = await called("backfill", "--dry-run", **given)
        assert (away.returncode, f"{provider.issuer} does not answer" in away.stderr) == (1, True)
        out = await called("logout", **given)
        assert (out.returncode, "was not revoked" in out.stdout, file.exists()) == (0, True, False)


async def test_whoever_refuses_the_code_is_not_logged_in(database_url: str, tmp_path: Path) -> None:
    home = tmp_path / "configuration"
    async with signing_in(database_url, tmp_path, oidc_device_client_id=DEVICE_CLIENT_ID) as (url, _):
        async with logging_in(url, home) as (command, address, code), Surfer() as surfer:
            assert "was refused" in await confirm(surfer, address, code, "viewer", refuse=True)
            told, _ = await command.communicate()
        assert (command.returncode, b"denied at the provider" in told) == (1, True)
        assert not list(home.rglob("*.json"))


async def test_where_nobody_logs_in_it_is_said_why(database_url: str, tmp_path: Path) -> None:
    given = {"XDG_CONFIG_HOME": str(tmp_path / "configuration")}
    async with signing_in(database_url, tmp_path) as (url, _):
        answer = await called("login", "--api", url, **given)
        assert (answer.returncode, "MANAGE_OIDC_DEVICE_CLIENT_ID is not set" in answer.stderr) == (1, True)
    async with signing_in(database_url, tmp_path, oidc_device_client_id="depot-microgrid") as (url, _):
        answer = await called("login", "--api", url, **given)
        assert (answer.returncode, "public one there" in answer.stderr) == (1, True)
    async with signing_in(
        database_url, tmp_path, oidc_device_client_id=DEVICE_CLIENT_ID, oidc_audience="https://other.example/api"
    ) as (url, _):
        answer = await called("login", "--api", url, **given)
        assert (answer.returncode, "that is another API" in answer.stderr) == (1, True)
    async with serving(Settings(database_url=SecretStr(database_url))) as url:
        answer = await called("login", "--api", url, **given)
        assert (answer.returncode, "Nobody signs in" in answer.stderr) == (1, True)
    answer = await called("login", "--api", "http://manage.example", **given)
    assert (answer.returncode, "Name the API by https" in answer.stderr) == (1, True)


class Scripted:
    """A provider that answers the token endpoint as it is told, which a real one does only when it is busy or slow."""

    def __init__(self, *answers: tuple[int, dict[str, Any]] | None, **metadata: str) -> None:
        self.answers = list(answers)
        self.metadata = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"} | metadata
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/.well-known/"):
            return httpx.Response(200, json=self.metadata)
        assert parse_qs(request.content.decode())["client_id"] == ["cli"]
        answer = self.answers.pop(0)
        if answer is None:
            raise httpx.ReadTimeout("slow")
        return httpx.Response(answer[0], json=answer[1])

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def wait(self, *, expires_in: float = 600) -> str:
        begun = Waiting("device", "CODE", f"{ISSUER}/device", "", expires_in, 5)
        async with Provider(ISSUER, "cli", transport=httpx.MockTransport(self)) as provider:
            return (await provider.wait(begun, "", pause=self.pause, clock=lambda: self.now)).access_token


PENDING = (400, {"error": "authorization_pending"})


async def test_a_provider_is_asked_as_often_as_it_wants() -> None:
    slower = (400, {"error": "slow_down"})
    scripted = Scripted(PENDING, slower, PENDING, None, PENDING, (200, {"access_token": "a", "expires_in": 60}))
    assert await scripted.wait() == "a"
    assert scripted.pauses == [5, 5, 10, 10, 20, 20]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("access_denied", "denied at the provider"),
        ("expired_token", "The code expired"),
        ("invalid_grant", "answered 400 invalid_grant"),
        ("unauthorized_client", "may use the device flow"),
    ],
)
async def test_refusals_are_told_apart(error: str, told: str) -> None:
    with pytest.raises(ProviderRefusedError, match=told) as caught:
        await Scripted(PENDING, (400, {"error": error})).wait()
    assert caught.value.code == error


async def test_a_code_is_not_waited_for_beyond_its_time() -> None:
    scripted = Scripted(PENDING, PENDING)
    with pytest.raises(ProviderRefusedError, match="The code expired"):
        await scripted.wait(expires_in=12)
    assert scripted.pauses == [5, 5]


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({}, "has no device flow"),
        ({"device_authorization_endpoint": "http://provider.example/device"}, "is no https address"),
        ({"issuer": "https://other.example"}, "calls itself another provider"),
    ],
)
async def test_a_provider_without_the_device_flow_is_told(metadata: dict[str, str], told: str) -> None:
    async with Provider(ISSUER, "cli", transport=httpx.MockTransport(Scripted(**metadata))) as provider:
        with pytest.raises(Exception, match=told):
            await provider.begin("openid", "")
