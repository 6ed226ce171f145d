"""Nothing is served to others without a provider, and nobody's word about whom they speak for is taken unasked."""

from __future__ import annotations

import os
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from api.main import create_app
from runtime.exposure import exposure_fault
from runtime.servers.processes import free_port
from runtime.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
PROVIDER: dict[str, Any] = {
    "oidc_issuer": "https://id.example",
    "oidc_client_id": "manage",
    "oidc_client_secret": SecretStr("secret"),
    "public_url": "https://grid.example",
}


def made(other: dict[str, Any]) -> Settings:
    """Settings with a provider, and others."""
    return Settings(**(PROVIDER | other))


NAMES = ("MANAGE_OIDC_ISSUER", "MANAGE_OIDC_CLIENT_ID", "MANAGE_OIDC_CLIENT_SECRET", "MANAGE_PUBLIC_URL")


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["--host", "0.0.0.0"], {}), (["--host", "::"], {}), ([], {"UVICORN_HOST": "0.0.0.0"})],
)
def test_it_does_not_start_for_others_without_a_provider(arguments: list[str], environment: dict[str, str]) -> None:
    left = {name: value for name, value in os.environ.items() if not name.startswith("MANAGE_")}
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app", "--port", str(free_port()), *arguments],
        cwd=ROOT,
        env=left | {"DATABASE_URL": "postgresql:///nothing"} | environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 2
    for name in NAMES:
        assert name in done.stdout + done.stderr


def test_what_is_this_machine_alone() -> None:
    alone = Settings()
    for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost"):
        assert exposure_fault(alone, [host]) is None
    for host in ("0.0.0.0", "::", "", "192.0.2.7", "grid.example", "localhost.example"):
        assert exposure_fault(alone, ["127.0.0.1", host]) is not None
        assert exposure_fault(Settings(**PROVIDER), [host]) is None


@pytest.mark.parametrize("left_out", sorted(PROVIDER))
def test_a_provider_needs_all_its_settings(left_out: str) -> None:
    with pytest.raises(ValidationError, match=f"MANAGE_{left_out.upper()}"):
        Settings(**{name: value for name, value in PROVIDER.items() if name != left_out})


@pytest.mark.parametrize(
    "wrong",
    [
        {"public_url": "http://grid.example"}, {"public_url": "https://grid.example/manage"}, {"public_url": "grid"},
        {"oidc_issuer": "http://id.example"}, {"oidc_issuer": "https://a:b@id.example"}, {"oidc_scopes": "profile"},
        {"public_url": "http://127.0.0.1.evil.example"}, {"oidc_issuer": "https://id.example/?x=1"},
    ],
)  # fmt: skip
def test_wrong_addresses_of_a_provider_are_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**(PROVIDER | wrong))


def test_a_public_address_is_written_as_browsers_write_it() -> None:

    for given in ("https://grid.example/", "https://grid.example:443", "https://grid.example:443/"):
        assert made({"public_url": given}).public_url == "https://grid.example"
    assert made({"public_url": "https://grid.example:8443"}).public_url.endswith(":8443")


async def answer_to(settings: Settings, place: str, headers: dict[str, str], path: str = "/metrics") -> httpx.Response:
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(place, 4711))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller,
    ):
        return await caller.get(path, headers=headers)


async def test_a_proxy_is_believed_where_it_is_named(database_url: str) -> None:
    settings = Settings(
        database_url=SecretStr(database_url),
        metrics_networks=[IPv4Network("192.0.2.0/24")],
        proxy_networks=[IPv4Network("10.1.0.0/16")],
    )
    prometheus = {"x-forwarded-for": "192.0.2.9"}
    assert (await answer_to(settings, "10.1.2.3", prometheus)).status_code == 200
    # What came before the proxy is the caller's own word; what comes from elsewhere is nobody's.
    assert (await answer_to(settings, "10.1.2.3", {"x-forwarded-for": "192.0.2.9, 203.0.113.5"})).status_code == 403
    assert (await answer_to(settings, "198.51.100.7", prometheus)).status_code == 403
    assert (await answer_to(settings, "198.51.100.7", {"forwarded": "for=192.0.2.9"})).status_code == 403
    # A proxy on this machine that nobody named makes nobody an administrator.
    alone = Settings(database_url=SecretStr(database_url))
    for header in ("x-forwarded-for", "forwarded", "x-real-ip"):
        answer = await answer_to(alone, "127.0.0.1", {header: "127.0.0.1"}, "/api/depots")
        assert (answer.status_code, answer.json()["code"]) == (403, "ACCESS_REFUSED")
    # A caller behind the proxy is not the machine that the proxy runs on.
    near = settings.model_copy(update={"proxy_networks": [IPv4Network("127.0.0.0/8")]})
    assert (await answer_to(near, "127.0.0.1", {"x-forwarded-for": "203.0.113.5"}, "/api/depots")).status_code == 403
    assert (await answer_to(near, "127.0.0.1", {}, "/api/depots")).status_code == 200


async def test_browsers_are_told_to_come_by_https(database_url: str) -> None:
    settings = Settings(database_url=SecretStr(database_url), **PROVIDER)
    for host, status in (("grid.example", 401), ("evil.example", 403)):
        answer = await answer_to(settings, "192.0.2.7", {"host": host}, "/api/depots")
        assert answer.status_code == status
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["cache-control"] == "no-store"
    local = await answer_to(Settings(database_url=SecretStr(database_url)), "127.0.0.1", {}, "/api/depots")
    assert local.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in local.headers
