"""Which methods a path takes: HEAD wherever GET is taken, and the whole of ``Allow`` where a method is not."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class HeadLikeGet:
    """Answers HEAD as GET is answered, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        endless = asyncio.Event()
        ended = False

        async def head_alone(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                await send(message)
                if not any(name == b"content-length" for name, _ in message["headers"]):
                    # A stream: nobody reads how it goes on.
                    endless.set()
            elif not message.get("more_body", False) and not ended:
                ended = True
                await send({"type": "http.response.body"})

        answering = asyncio.ensure_future(self._app({**scope, "method": "GET"}, receive, head_alone))
        waiting = asyncio.create_task(endless.wait())
        try:
            await asyncio.wait({answering, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                answering.cancel()
                await asyncio.wait({answering})
                if not ended:
                    await send({"type": "http.response.body"})
            else:
                await answering
        finally:
            waiting.cancel()
            answering.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


def allowed_methods(request: Request) -> str:
    """List the methods that the path of ``request`` takes, as ``Allow`` does."""
    app: FastAPI = request.app
    scope = request.scope
    place = {
        "type": "http",
        "app": app,
        "path": scope["path"],
        "root_path": scope.get("app_root_path", scope.get("root_path", "")),
        "headers": scope["headers"],
        "path_params": {},
    }
    found = [method for method in _METHODS if _is_served(app, {**place, "method": method})]
    return ", ".join(["HEAD", *found] if "GET" in found else found)


def _is_served(app: FastAPI, scope: Scope) -> bool:
    for route in app.router.routes:
        if route.matches(dict(scope))[0] is Match.FULL:
            # Only files are mounted.
            return not isinstance(route, Mount) or scope["method"] == "GET"
    return False
