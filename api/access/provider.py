"""What there is only where a provider is configured, and what the API says of it."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.base.dependencies import SettingsDep
from api.base.problems import problem_responses
from domain.base.problems import ProblemCode


async def needs_provider(settings: SettingsDep) -> None:
    """Answer as if the route were not there, where nobody can sign in.

    Raises:
        HTTPException: 404.

    """
    if not settings.people_sign_in:
        raise HTTPException(404, "No OpenID provider is configured.")


router = APIRouter(tags=["sessions"], dependencies=[Depends(needs_provider)])


class ProtectedResource(BaseModel):
    """Whose access tokens the API takes (RFC 9728), and how the command line gets one."""

    resource: str = Field(description="The audience of access tokens for this API.")
    authorization_servers: list[str] = Field(description="The issuer of the one OpenID provider.")
    bearer_methods_supported: list[str] = Field(description="Where a token stands: in a header alone.")
    scopes_supported: list[str] = Field(description="The scopes that `./dev login` asks for.")
    device_client_id: str = Field(
        description="What the provider calls the command line, which signs in by the device flow; empty: nothing."
    )


@router.get("/.well-known/oauth-protected-resource/api", responses=problem_responses(ProblemCode.ROUTE_NOT_FOUND))
async def get_protected_resource(settings: SettingsDep) -> ProtectedResource:
    """Say whose access tokens the API takes. Without an OpenID provider there are none."""
    return ProtectedResource(
        resource=settings.api_audience,
        authorization_servers=[settings.oidc_issuer],
        bearer_methods_supported=["header"],
        scopes_supported=(settings.oidc_device_scopes or settings.oidc_scopes).split(),
        device_client_id=settings.oidc_device_client_id,
    )
