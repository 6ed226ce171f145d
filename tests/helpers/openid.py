"""A real OpenID provider beside a test, and a browser without a window: cookies, redirects, forms."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import SecretStr

from cli.commands.openid import CLIENT_ID, DemoProvider
from runtime.servers.processes import free_port
from runtime.settings import Settings
from tests.helpers.live import serving

SESSION = "__Host-manage-session"
CSRF = "__Host-manage-csrf"
BROWSER = "__Host-manage-sign-in"


@asynccontextmanager
async def signing_in(
    database_url: str,
    folder: Path,
    *,
    people: Sequence[dict[str, object]] = (),
    clients: Sequence[dict[str, object]] = (),
    **settings: Any,
) -> AsyncGenerator[tuple[str, DemoProvider]]:
    """Serve the product with a provider beside it while the block runs; answers the product's address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    provider_port = free_port(but=frozenset({port}))
    provider = DemoProvider(
        folder, port=provider_port, public_url=url, log_path=folder / "openid.log", people=people, clients=clients
    )  # fmt: skip
    with provider:
        async with serving(provider_settings(provider, database_url, url, **settings), port=port) as served:
            yield served, provider


def provider_settings(provider: DemoProvider, database_url: str, url: str, **settings: Any) -> Settings:
    """The product's settings with this provider."""
    given: dict[str, Any] = {"administrators": ["group:demo-administrator"]} | settings
    return Settings(
        database_url=SecretStr(database_url),
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=SecretStr(provider.client_secret),
        oidc_scopes="openid profile email groups",
        public_url=url,
        **given,
    )


class Surfer:
    """A browser without a window. It keeps cookies by host as browsers do on loopback, where `Secure` ones pass too."""

    def __init__(self) -> None:
        self.jar: dict[str, dict[str, str]] = {}
        self.visited: list[str] = []
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)

    async def __aenter__(self) -> Surfer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    def cookies(self, url: str) -> dict[str, str]:
        """The cookies of a host."""
        return self.jar.setdefault(urlsplit(url).hostname or "", {})

    async def send(self, method: str, url: str, **given: Any) -> httpx.Response:
        """Send one request; follow nothing."""
        jar = self.cookies(url)
        headers = {"accept": "text/html"} | given.pop("headers", {})
        if jar:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        answer = await self._client.request(method, url, headers=headers, **given)
        for each in answer.headers.get_list("set-cookie"):
            name, _, value = each.split(";")[0].partition("=")
            if not value or "expires=thu, 01 jan 1970" in each.lower() or "max-age=0" in each.lower():
                jar.pop(name, None)
            else:
                jar[name] = value
        self.visited.append(url)
        return answer

    async def get(self, url: str, *, until: str = "", **given: Any) -> httpx.Response:
        """Open an address and follow redirects, but not to one that holds ``until``."""
        return await self.follow(await self.send("GET", url, **given), until=until)

    async def follow(self, answer: httpx.Response, *, until: str = "") -> httpx.Response:
        """Follow redirects."""
        while answer.is_redirect:
            there = urljoin(str(answer.url), answer.headers["location"])
            if until and until in there:
                return answer
            answer = await self.send("GET", there)
        return answer

    async def sign_in(self, url: str, login: str, *, until: str = "") -> httpx.Response:
        """Open an address of the product, be sent to the provider, sign in there and come back."""
        form = await self.get(url)
        if "Demo provider" not in form.text:
            return form
        answer = await self.send("POST", str(form.url), data={"login": login, "password": login})
        return await self.follow(answer, until=until)

    async def change(self, method: str, url: str, **given: Any) -> httpx.Response:
        """Change something as the product's own pages do: with the token, and from their origin."""
        parts = urlsplit(url)
        headers = {"x-csrf-token": self.cookies(url).get(CSRF, ""), "origin": f"{parts.scheme}://{parts.netloc}"}
        return await self.send(method, url, headers=headers | given.pop("headers", {}), **given)

    async def sign_out_at_provider(self, address: str) -> httpx.Response:
        """Say yes where the provider asks whether to sign out."""
        form = await self.get(address)
        found = re.search(r'action="([^"]+)".*?name="xsrf" value="([^"]+)"', form.text, re.DOTALL)
        assert found is not None, form.text
        answer = await self.send("POST", found[1], data={"xsrf": found[2], "logout": "yes"})
        return await self.follow(answer)
