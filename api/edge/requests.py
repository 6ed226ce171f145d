"""Each request has an id, which its log lines and its answer carry, and at most one error of it is logged."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import cast

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars
from uuid_utils import uuid7

from api.base.metrics import ApiMetrics
from domain.base.problems import GoneMeanwhileError
from runtime.logs import end_is_told
from runtime.observing.traces import current_traceparent, kept_trace_id, name_request
from store.base.origin import Origin, coming_from

_log = structlog.get_logger("api")

_HEADER = b"x-request-id"
_GIVEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_DEPOT = re.compile(r"/depots/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/|$)")

_Handler = Callable[[Request, Exception], Awaitable[Response]]


class Requests:
    """Names each request, by what ``X-Request-ID`` says or anew, counts it, and answers for errors that nothing else
    did.
    """

    def __init__(self, app: ASGIApp, *, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with an id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given(scope) or str(uuid7())
        header = (_HEADER, request_id.encode())
        ids = {"request_id": request_id}
        if trace_id := kept_trace_id():
            ids["trace_id"] = trace_id
        if found := _DEPOT.search(scope["path"]):
            ids["depot_id"] = found[1]
        started = False
        begun = time.monotonic()

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                template = self._metrics.observe_request(scope, message["status"], time.monotonic() - begun)
                name_request(scope, template)
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        client = scope.get("client")
        origin = Origin(request_id, client[0] if client else "", current_traceparent)
        with bound_contextvars(**ids), coming_from(origin):
            try:
                await self._app(scope, receive, answer)
            except Exception as error:  # noqa: BLE001 - the server would log it a second time
                if started:
                    # Nothing can be said to the caller any more; the server sees that the answer is not whole and ends
                    # the connection.
                    end_is_told.set(True)
                    if isinstance(error, GoneMeanwhileError):
                        _log.info("answer ended early", path=scope["path"], gone=str(error))
                    else:
                        _log.error("answer broken off", path=scope["path"], exc_info=error)
                    return
                handler = cast("_Handler", scope["app"].exception_handlers[Exception])
                response = await handler(Request(scope), error)
                await response(scope, receive, answer)


def _given(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER and _GIVEN.fullmatch(value):
            return value.decode()
    return None
