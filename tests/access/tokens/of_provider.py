"""Access tokens of the provider, as a program and a person get them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from cli.commands.openid import DemoProvider
from tests.helpers.openid import Surfer

BACK = "http://127.0.0.1:9/back"
VERIFIER = "v" * 43
CLIENTS: tuple[dict[str, object], ...] = (
    {
        "client_id": "job", "client_secret": "j" * 32, "grant_types": ["client_credentials"], "redirect_uris": [],
        "response_types": [],
    },
    {
        "client_id": "desk", "token_endpoint_auth_method": "none",
        "redirect_uris": [BACK],
    },
)  # fmt: skip
VIEWER: dict[str, object] = {
    "login": "viewer", "password": "viewer",
    "claims": {"name": "Vera", "email": "v@depot.example", "email_verified": True, "groups": ["watch"]},
}  # fmt: skip


async def of_program(client: httpx.AsyncClient, provider: DemoProvider, resource: str) -> str:
    """A token by client credentials."""
    form = {"grant_type": "client_credentials", "resource": resource}
    answer = await client.post(f"{provider.issuer}/token", data=form, auth=("job", "j" * 32))
    return answer.raise_for_status().json()["access_token"]


async def of_person(provider: DemoProvider, login: str, resource: str) -> dict[str, Any]:
    """What the provider answers when somebody signs in to another program than the product."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    asked = {
        "client_id": "desk", "response_type": "code", "redirect_uri": BACK, "scope": "openid profile email groups",
        "code_challenge": challenge, "code_challenge_method": "S256", "resource": resource,
    }  # fmt: skip
    async with Surfer() as surfer:
        back = await surfer.sign_in(f"{provider.issuer}/auth?{urlencode(asked)}", login, until=BACK)
        code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
        form = {
            "grant_type": "authorization_code", "client_id": "desk", "code": code, "redirect_uri": BACK,
            "code_verifier": VERIFIER, "resource": resource,
        }  # fmt: skip
        answer = await surfer.send("POST", f"{provider.issuer}/token", data=form)
        return answer.raise_for_status().json()
