"""Where the provider says that somebody signed out there (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Form, Request, Response

from api.access.authentication import host_of
from api.access.provider import needs_provider
from api.base.dependencies import EngineDep, FailedProofsDep, ProviderDep, SettingsDep
from api.base.kept.failed_proofs import LOGOUT
from domain.access.secrets import digest_of
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from runtime.openid import LEEWAY
from store.access.sessions import end_sessions_of
from store.base.changes import record_change
from store.base.database import transaction

_log = structlog.get_logger("sign-in")

_PROVIDER = Actor("openid-provider")

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs_provider)])


@router.post("/sign-out/back-channel", name="back_channel")
async def hear(
    request: Request,
    settings: SettingsDep,
    engine: EngineDep,
    provider: ProviderDep,
    attempts: FailedProofsDep,
    logout_token: Annotated[str, Form(max_length=20_000)],
) -> Response:
    """End the sessions that a logout token names. A repeated one ends nothing that began since."""
    host, digest = host_of(request.scope), digest_of(logout_token)
    async with attempts.looking_at(LOGOUT, host, digest):
        try:
            notice = await provider.read_logout_token(logout_token)
        except Problem as problem:
            if problem.code is ProblemCode.SIGN_IN_REFUSED:
                await attempts.note_wrong(LOGOUT, host, digest)
            raise
        attempts.note_sender(LOGOUT, host, "")
    async with transaction(engine, _PROVIDER) as connection:
        ended = await end_sessions_of(
            connection,
            settings.oidc_issuer,
            sub=notice.sub,
            sid=notice.sid,
            before=notice.issued_at + timedelta(seconds=LEEWAY),
        )
        for person_id, identity in ended:
            await record_change(
                connection, identity.actor, "SIGNED_OUT", subject_id=person_id, detail={"where": "provider"}
            )
    _log.info("signed out at the provider", sessions=len(ended))
    return Response(status_code=200)
