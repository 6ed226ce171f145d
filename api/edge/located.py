"""Says in ``Location`` where to find what a request made or started."""

from __future__ import annotations

import json
from http import HTTPStatus

from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.edge.document import LOCATIONS, operation_id

_MADE = (HTTPStatus.CREATED, HTTPStatus.ACCEPTED)


class Located:
    """Adds the header to the answers of the operations in ``LOCATIONS``, from the ids in their bodies and paths."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and look at what was made."""
        held: list[Message] = []

        async def located(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _MADE and _template(scope):
                held.append(message)
                return
            if held:
                held.append(message)
                if message.get("more_body"):
                    return
                body = b"".join(each.get("body", b"") for each in held)
                known = {**scope.get("path_params", {}), **json.loads(body)}
                MutableHeaders(raw=held[0]["headers"])["location"] = _template(scope).format_map(known)
                for each in held:
                    await send(each)
                held.clear()
                return
            await send(message)

        await self._app(scope, receive, located if scope["type"] == "http" else send)


def _template(scope: Scope) -> str:
    route = scope.get("route")
    return LOCATIONS.get(operation_id(route), "") if isinstance(route, APIRoute) else ""
