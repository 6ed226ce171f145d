"""Depots with one of everything that a path can name, and an application whose callers say who they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Scope

from api.base.dependencies import Resources
from api.main import create_app
from domain.access.principals import Grant, Principal, PrincipalKind
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from runtime.settings import Settings
from store.base.database import transaction
from tests.factories.sites import add_power_source, controller_site
from tests.helpers.support import ACTOR

WHO = "x-who"
"""The header that says in whose name a test asks."""

_REMEDIATION = text("""
    INSERT INTO remediations (depot_id, gateway_id, device_id, sensor_action_id, action, code, candidates, opened_at,
                              last_seen_at, times)
    VALUES (:depot_id, :gateway_id, :device_id, :sensor_action_id, 'UPDATE_POWER_SOURCE_STATE', 'NO_POWER_SOURCE',
            '{}', now(), now(), 1)
    RETURNING id
""")
_RUN = text("""
    INSERT INTO scenario_runs (scenario, title, document, digest, depot_id, seed, time_scale, bindings, targets,
                               warnings, run_record, state, outcome, steps_total, requested_by, finished_at)
    VALUES ('quick-look', 'Quick look', '', repeat('0', 64), :depot_id, 1, 0, '{}',
            '{"microgrid_id": null, "circuit_id": null, "power_source_id": null, "device_ids": []}', '[]', :head,
            'COMPLETED', 'PASSED', 0, 'test', now())
    RETURNING id
""")


def person(*grants: Grant, subject: str = "https://id.example#ann") -> Principal:
    """Somebody with these grants."""
    return Principal(PrincipalKind.PERSON, subject, Actor("ann@example.org"), grants)


async def depot_with_everything(engine: AsyncEngine, name: str) -> dict[str, UUID]:
    """Make a depot that has one of everything; its ids by what the parameters of paths are called."""
    site = await controller_site(engine)
    (sensor_action_id,) = site.actions.values()
    assert site.microgrid_id is not None
    found = {
        "depot_id": site.depot_id,
        "circuit_id": site.circuit_ids[0],
        "microgrid_id": site.microgrid_id,
        "gateway_id": site.gateway_id,
        "device_id": next(iter(site.devices.values())),
        "power_source_id": await add_power_source(engine, site),
        "sensor_action_id": sensor_action_id,
        "binding_id": sensor_action_id,
    }
    async with transaction(engine, ACTOR) as connection:
        rename = "UPDATE depots SET name = :name WHERE id = :depot_id"
        await connection.execute(text(rename), {"name": name, "depot_id": site.depot_id})
        found["remediation_id"] = (await connection.execute(_REMEDIATION, found)).scalar_one()
        for which in ("run_id", "other_id"):
            head = '{"record":"run","steps":0}'
            run = await connection.execute(_RUN, {"depot_id": site.depot_id, "head": head})
            found[which] = run.scalar_one()
    return found


def missing() -> dict[str, UUID]:
    """Ids of nothing, by what the parameters of paths are called."""
    names = (
        "depot_id", "circuit_id", "microgrid_id", "gateway_id", "device_id", "power_source_id", "sensor_action_id",
        "binding_id", "remediation_id", "run_id", "other_id",
    )  # fmt: skip
    return {name: uuid4() for name in names}


def read_only(database_url: str) -> str:
    """The same database, of which nothing is changed."""
    more = {"default_transaction_read_only": "on"}
    return make_url(database_url).update_query_dict(more).render_as_string(hide_password=False)


def by_header(principals: Mapping[str, Principal]) -> Callable[[Scope, Resources], Awaitable[Principal]]:
    """Take whoever calls for the principal that the header ``WHO`` names."""

    async def authenticate(scope: Scope, _: Resources) -> Principal:
        who = dict(scope["headers"]).get(WHO.encode(), b"").decode()
        if who not in principals:
            raise Problem(ProblemCode.ACCESS_REFUSED, "Nobody.")
        return principals[who]

    return authenticate


@asynccontextmanager
async def asked_as(database_url: str, principals: Mapping[str, Principal]) -> AsyncGenerator[httpx.AsyncClient]:
    """Call an application, in the name of one of these principals that the header ``WHO`` names."""
    settings = Settings(database_url=SecretStr(database_url), sync_timeout_seconds=1)
    application = create_app(settings, authenticate=by_header(principals))
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller,
    ):
        yield caller


PROVIDER: dict[str, Any] = {
    "oidc_issuer": "https://id.example",
    "oidc_client_id": "manage",
    "oidc_client_secret": SecretStr("secret"),
    "public_url": "https://grid.example",
}
"""A provider that is never asked: what proves who calls is something else."""
NO_PROVIDER: dict[str, Any] = dict.fromkeys(PROVIDER, "")


@asynccontextmanager
async def asked_with_proof(
    database_url: str, address: str = "192.0.2.7", **other: Any
) -> AsyncGenerator[httpx.AsyncClient]:
    """Call an application from an address, as it is deployed with these settings; there is a provider, unless they say
    otherwise.
    """
    settings = Settings(database_url=SecretStr(database_url), **{**PROVIDER, **other})
    application = create_app(settings)
    transport = httpx.ASGITransport(application, client=(address, 40_000))
    base_url = settings.public_url or "http://localhost"
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url=base_url) as caller,
    ):
        yield caller


_JSON = ("application/json", "application/problem+json")


def told(answer: httpx.Response) -> tuple[int, str | None]:
    """Status and code of an answer; no code where it is none of the product's refusals."""
    body: Any = answer.json() if answer.headers.get("content-type") in _JSON else None
    return answer.status_code, body.get("code") if isinstance(body, dict) else None
