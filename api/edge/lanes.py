"""Fast lanes: the few routes that are called thousands of times a second, past the framework's routing.

For such a route the framework's own work (trying the routes in turn, solving dependencies, a model of the answer)
takes longer than the route does. A lane calls the same function, for the same actor, with the same refusals. The
route stays declared as any other: for its documentation, and for what a lane does not know.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.base.problems import answer_error


@dataclass(frozen=True)
class Lane:
    """A method and the paths of one route."""

    method: str
    path: re.Pattern[str]
    """Matches the whole path, and only where the route would take its parameters."""
    endpoint: Callable[[Request, dict[str, str]], Awaitable[Response]]
    """Is given the request and what the groups of the path matched."""


class FastLanes:
    """Answers what one of the lanes matches, and passes on everything else."""

    def __init__(self, app: ASGIApp, *, lanes: Sequence[Lane]) -> None:
        self._app = app
        self._lanes = lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http":
            for lane in self._lanes:
                if lane.method == scope["method"] and (found := lane.path.fullmatch(scope["path"])):
                    await _answer(lane, found.groupdict(), scope, receive, send)
                    return
        await self._app(scope, receive, send)


async def _answer(lane: Lane, parameters: dict[str, str], scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive, send)
    try:
        response = await lane.endpoint(request, parameters)
    except Exception as error:  # noqa: BLE001 - every error has its answer
        response = await answer_error(request, error)
    await response(scope, receive, send)
