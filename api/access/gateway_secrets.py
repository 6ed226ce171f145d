"""Secrets of a gateway: listed, created and revoked."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, status
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.bodies import StrictRoute
from api.base.dependencies import ActorDep, EngineDep
from api.base.problems import problem_responses
from api.base.types import GatewayId
from domain.access.gateway_secrets import (
    MOST_SECRETS,
    SALT_BYTES,
    SecretRecord,
    Slot,
    make_gateway_secret,
)
from domain.access.secrets import BITS
from domain.base.actor import Actor
from domain.base.problems import ProblemCode
from store.access.gateway_secrets import create_secret, delete_secret, list_secrets, read_secret
from store.base.database import transaction
from store.site.gateways import read_gateway

router = APIRouter(prefix="/api/gateways/{gateway_id}/secrets", tags=["gateways"], route_class=StrictRoute)

SecretId = Annotated[UUID, Path(description="The secret.")]


class GatewaySecret(BaseModel):
    """A secret of a gateway, as far as it can be read again."""

    secret_id: UUID = Field(description="The secret's id; it is no part of the secret.")
    gateway_id: UUID
    slot: Slot = Field(description="Which of the gateway's two.")
    mqtt_user: str = Field(description="The user name at the MQTT broker, whose password the secret is.")
    created_at: datetime
    created_by: str
    used_at: datetime | None = Field(
        description="When it last came over HTTP, to the minute; null: never. The broker does not say it of MQTT."
    )

    @staticmethod
    def of(record: SecretRecord) -> GatewaySecret:
        """The secret as the store has it."""
        return GatewaySecret.model_validate(record, from_attributes=True)


class CreatedGatewaySecret(GatewaySecret):
    """A secret that was just created."""

    secret: str = Field(description="The secret itself. It is shown here and never again.")


class GatewaySecrets(BaseModel):
    """The secrets of a gateway, at most two."""

    items: list[GatewaySecret] = Field(max_length=MOST_SECRETS)


@router.get("", responses=problem_responses(ProblemCode.GATEWAY_NOT_FOUND))
async def list_all(gateway_id: GatewayId, engine: EngineDep) -> GatewaySecrets:
    """List the secrets of a gateway."""
    async with engine.connect() as connection:
        await read_gateway(connection, gateway_id)
        return GatewaySecrets(items=[GatewaySecret.of(each) for each in await list_secrets(connection, [gateway_id])])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=problem_responses(ProblemCode.GATEWAY_NOT_FOUND, ProblemCode.TOO_MANY_GATEWAY_SECRETS),
)
async def create(gateway_id: GatewayId, actor: ActorDep, engine: EngineDep) -> CreatedGatewaySecret:
    """Create a secret of a gateway, which has two at most: so it goes over to a new one without a gap.

    An answer that was lost is not given again: revoke that secret, and create another.
    """
    record, text = await create_one(engine, actor, gateway_id)
    return CreatedGatewaySecret(**GatewaySecret.of(record).model_dump(), secret=text)


async def create_one(engine: AsyncEngine, actor: Actor, gateway_id: UUID) -> tuple[SecretRecord, str]:
    """Create a secret of a gateway; answers it and its text.

    Raises:
        Problem: ``GATEWAY_NOT_FOUND`` or ``TOO_MANY_GATEWAY_SECRETS``.

    """
    made = make_gateway_secret(gateway_id, secrets.token_bytes(BITS // 8), secrets.token_bytes(SALT_BYTES))
    async with transaction(engine, actor) as connection:
        return await create_secret(connection, actor, gateway_id, made), made.text


@router.get("/{secret_id}", responses=problem_responses(ProblemCode.GATEWAY_SECRET_NOT_FOUND))
async def read(gateway_id: GatewayId, secret_id: SecretId, engine: EngineDep) -> GatewaySecret:
    """Read what is known of one secret."""
    async with engine.connect() as connection:
        return GatewaySecret.of(await read_secret(connection, gateway_id, secret_id))


@router.delete(
    "/{secret_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(ProblemCode.GATEWAY_NOT_FOUND, ProblemCode.GATEWAY_SECRET_NOT_FOUND),
)
async def remove(gateway_id: GatewayId, secret_id: SecretId, actor: ActorDep, engine: EngineDep) -> None:
    """Revoke a secret: from now on nobody gets in with it."""
    async with transaction(engine, actor) as connection:
        await delete_secret(connection, actor, gateway_id, secret_id)
