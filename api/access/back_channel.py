"""Where the provider says that somebody signed out there (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Form, Response

from api.access.provider import needs_provider
from api.base.dependencies import EngineDep, ProviderDep, SettingsDep
from runtime.openid import LEEWAY
from store.access.sessions import end_sessions_of

_log = structlog.get_logger("sign-in")

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs_provider)])


@router.post("/sign-out/back-channel", name="back_channel")
async def hear(
    settings: SettingsDep,
    engine: EngineDep,
    provider: ProviderDep,
    logout_token: Annotated[str, Form(max_length=20_000)],
) -> Response:
    """End the sessions that a logout token names. A repeated one ends nothing that began since."""
    notice = await provider.read_logout_token(logout_token)
    async with engine.begin() as connection:
        ended = await end_sessions_of(
            connection,
            settings.oidc_issuer,
            sub=notice.sub,
            sid=notice.sid,
            before=notice.issued_at + timedelta(seconds=LEEWAY),
        )
    _log.info("signed out at the provider", sessions=ended)
    return Response(status_code=200)
