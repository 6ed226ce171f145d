"""The routes of the modules, each made once in a process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, params
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from api.edge.document import operation_id


def routes_of(
    routers: Iterable[APIRouter],
    *,
    dependencies: Sequence[params.Depends],
    responses: Mapping[int | str, dict[str, Any]] | None = None,
) -> tuple[BaseRoute, ...]:
    """Make the routes of these routers, with ``dependencies`` before each and ``responses`` told of each.

    For ``app.router.routes``. FastAPI's ``include_router`` keeps a router within the application instead: each
    application then makes all its routes anew with its first request, and each request is matched twice, once to find
    the router and once to find the route.
    """
    made = APIRouter(
        dependencies=dependencies, responses={**(responses or {})}, generate_unique_id_function=operation_id
    )
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                _add(made, route)
            else:
                made.routes.append(route)
    return tuple(made.routes)


def _add(router: APIRouter, route: APIRoute) -> None:
    router.add_api_route(
        route.path,
        route.endpoint,
        response_model=route.response_model,
        status_code=route.status_code,
        tags=route.tags,
        dependencies=route.dependencies,
        summary=route.summary,
        description=route.description,
        response_description=route.response_description,
        responses=route.responses,
        deprecated=route.deprecated,
        methods=route.methods,
        operation_id=route.operation_id,
        response_model_include=route.response_model_include,
        response_model_exclude=route.response_model_exclude,
        response_model_by_alias=route.response_model_by_alias,
        response_model_exclude_unset=route.response_model_exclude_unset,
        response_model_exclude_defaults=route.response_model_exclude_defaults,
        response_model_exclude_none=route.response_model_exclude_none,
        include_in_schema=route.include_in_schema,
        response_class=route.response_class,
        name=route.name,
        route_class_override=type(route),
        callbacks=route.callbacks,
        openapi_extra=route.openapi_extra,
    )
