"""The fast path: the few routes that are called thousands of times a second bypass the framework's routing.

For such a route the framework's own work (trying the routes in turn, solving dependencies, a model of the answer)
takes longer than the route does. A fast route calls the same function, for the same actor, with the same refusals. The
route stays declared as any other: for its documentation, and for requests that the fast path does not match.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.authorization import authorize
from api.base.metrics import TEMPLATE
from api.base.problems import answer_error
from domain.access.routes import OPERATIONS


@dataclass(frozen=True)
class FastRoute:
    """A method and the paths of one route."""

    method: str
    operation: str
    """The route's operation id, by which it is known who may use it."""
    template: str
    """The route's path as it is declared."""
    path: re.Pattern[str]
    """Matches the whole path, and only where the route would take its parameters."""
    endpoint: Callable[[Request, dict[str, str]], Awaitable[Response]]
    """Is given the request and what the groups of the path matched."""


class FastPathMiddleware:
    """Answers what one of the fast routes matches, and passes on everything else."""

    def __init__(self, app: ASGIApp, *, fast_routes: Sequence[FastRoute]) -> None:
        self._app = app
        self._routes = fast_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http":
            for route in self._routes:
                # What a query asks for is the framework's to read.
                if scope["query_string"] or route.method != scope["method"]:
                    continue
                if found := route.path.fullmatch(scope["path"]):
                    scope[TEMPLATE] = route.template
                    await _answer(route, found.groupdict(), scope, receive, send)
                    return
        await self._app(scope, receive, send)


async def _answer(route: FastRoute, parameters: dict[str, str], scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive, send)
    try:
        await authorize(request, OPERATIONS[route.operation], parameters)
        response = await route.endpoint(request, parameters)
    except Exception as error:  # noqa: BLE001 - every error has its answer
        response = await answer_error(request, error)
    await response(scope, receive, send)
