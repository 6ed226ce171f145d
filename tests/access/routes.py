"""All routes of the application, with what they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import SecretStr

from api.access.authorization import access_of
from api.edge.document import operation_id
from api.main import create_app
from domain.access.routes import Access
from runtime.settings import Settings

STREAMS = {"stream_microgrid_events", "live"}
"""They answer for as long as somebody reads."""


@dataclass(frozen=True)
class RouteOf:
    """A route of the application."""

    method: str
    path: str
    name: str
    """Its operation id, or the name of a page."""
    is_api: bool
    access: Access
    parameters: frozenset[str]
    """Of its path."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@cache
def all_routes() -> tuple[RouteOf, ...]:
    """Every route that is the framework's: all but files beside ``/docs``."""
    app = create_app(Settings(database_url=SecretStr("postgresql://nobody@localhost/nothing")))
    found: list[RouteOf] = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            access = access_of(route, operation_id)
            is_api = not route.endpoint.__module__.startswith(("api.ui.", "fastapi"))
            name = operation_id(route) if is_api else route.name
            parameters = frozenset(route.param_convertors)
            found += [
                RouteOf(method, str(context.path), name, is_api, access, parameters)
                for method in sorted(context.methods or ())
            ]
    return tuple(found)
