"""No answer of any route leaves without its headers, whoever asks and whatever comes of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from starlette.types import Message
from temporalio.client import Client

from api.main import create_app
from runtime.settings import Settings
from tests.access.routes import STREAMS, all_routes
from tests.edge.answers import assert_dressed, calling

PROVIDER: dict[str, Any] = {
    "oidc_issuer": "https://login.example",
    "oidc_client_id": "depot",
    "oidc_client_secret": SecretStr("hush"),
    "public_url": "https://localhost",
}


@pytest.mark.parametrize("signing_in", [False, True])
async def test_every_route_answers_with_the_headers(database_url: str, client: Client, signing_in: bool) -> None:
    settings = Settings(database_url=SecretStr(database_url), **(PROVIDER if signing_in else {}))
    seen: set[int] = set()
    async with calling(create_app(settings)) as caller:
        for route in all_routes():
            path = route.path
            for name in route.parameters:
                path = path.replace(f"{{{name}}}", str(UUID(int=7))).replace(f"{{{name}:uuid}}", str(UUID(int=7)))
            # Of a stream the beginning is enough.
            methods = {"HEAD" if route.name in STREAMS else route.method, "TRACE"}
            for method in sorted(methods | ({"HEAD"} if route.method == "GET" else set())):
                answer = await caller.request(method, path)
                seen.add(answer.status_code)
                assert_dressed(answer)
                assert answer.headers["cache-control"], (method, path)
                if signing_in:
                    assert answer.headers["strict-transport-security"], (method, path)
                    assert answer.status_code in (401, 404, 405, 503) or route.access.permission is None, (method, path)
    assert {401, 405} <= seen if signing_in else {200, 404, 405, 422} <= seen


async def test_a_websocket_is_never_opened(database_url: str) -> None:
    app = create_app(Settings(database_url=SecretStr(database_url)))
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    for path in ("/live", "/api/depots", "/", "/docs", "/none"):
        sent.clear()
        scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "root_path": "", "scheme": "ws"}
        scope |= {"query_string": b"", "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 4711)}
        await app(scope | {"subprotocols": [], "state": {}}, receive, send)
        assert [each["type"] for each in sent] == ["websocket.close"], path
