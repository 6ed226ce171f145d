"""The dialogs of the Devices tab that list the secrets of a gateway, create one and revoke one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access import gateway_secrets as service
from api.access.gateway_secrets import SecretId
from api.base.dependencies import ActorDep, EngineDep, SettingsDep
from api.base.types import DepotId, GatewayId
from api.site import depots, gateways
from api.ui.access.sending import packet_address, topics_for
from api.ui.base.rendering import render
from api.ui.site.devices import show_changed
from api.ui.site.site_forms import gone
from domain.access.gateway_secrets import MOST_SECRETS
from domain.base.problems import Problem, ProblemCode

router = APIRouter(prefix="/depots/{depot_id}/gateways/{gateway_id}/secrets", include_in_schema=False)

_TEMPLATE = "gateway_secret_dialogs.html"


async def _read(engine: AsyncEngine, depot_id: UUID, gateway_id: UUID) -> dict[str, Any]:
    """Read a gateway and its secrets.

    Raises:
        Problem: ``DEPOT_NOT_FOUND`` or ``GATEWAY_NOT_FOUND``.

    """
    gateway = await gateways.read(gateway_id, engine)
    if gateway.depot_id != depot_id:
        raise Problem(ProblemCode.GATEWAY_NOT_FOUND, f"There is no gateway {gateway_id} in this depot.")
    found = await service.list_all(gateway_id, engine)
    return {
        "depot": await depots.read(depot_id, engine),
        "gateway": gateway,
        "secrets": found.items,
        "has_room": len(found.items) < MOST_SECRETS,
    }


@router.get("", name="gateway_secrets")
async def show(request: Request, depot_id: DepotId, gateway_id: GatewayId, engine: EngineDep) -> Response:
    """The dialog with the secrets that a gateway has."""
    return render(request, _TEMPLATE, await _read(engine, depot_id, gateway_id), block="secrets")


@router.post("", name="gateway_secret_create")
async def create(
    request: Request,
    depot_id: DepotId,
    gateway_id: GatewayId,
    actor: ActorDep,
    engine: EngineDep,
    settings: SettingsDep,
) -> Response:
    """Create a secret, and show it this once, with what is to be set on the gateway."""
    try:
        gateway = (await _read(engine, depot_id, gateway_id))["gateway"]
        made = await service.create(gateway_id, actor, engine)
    except Problem as problem:
        if problem.code is not ProblemCode.TOO_MANY_GATEWAY_SECRETS:
            return gone(request, problem)
        # Somebody else was quicker.
        return render(request, _TEMPLATE, await _read(engine, depot_id, gateway_id), block="secrets", status=409)
    topics = topics_for(settings)
    context = {
        "gateway": gateway,
        "made": made,
        "address": packet_address(request, settings),
        "packets": topics.packets_of(str(gateway_id)),
        "answers": topics.answers_of(str(gateway_id)),
    }
    return render(request, _TEMPLATE, context, block="created")


@router.get("/{secret_id}/revoke", name="gateway_secret_ask")
async def ask(
    request: Request, depot_id: DepotId, gateway_id: GatewayId, secret_id: SecretId, engine: EngineDep
) -> Response:
    """The dialog that asks before a secret is revoked."""
    context = await _read(engine, depot_id, gateway_id)
    return render(
        request, _TEMPLATE, {**context, "secret": await service.read(gateway_id, secret_id, engine)}, block="revoke"
    )


@router.post("/{secret_id}/revoke", name="gateway_secret_revoke")
async def revoke(
    request: Request, depot_id: DepotId, gateway_id: GatewayId, secret_id: SecretId, actor: ActorDep, engine: EngineDep
) -> Response:
    """Revoke a secret."""
    try:
        await _read(engine, depot_id, gateway_id)
        await service.remove(gateway_id, secret_id, actor, engine)
    except Problem as problem:
        return gone(request, problem)
    return await show_changed(request, engine, depot_id)
