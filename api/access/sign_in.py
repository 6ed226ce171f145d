"""Signing in by the authorization code flow, with PKCE, ``state`` and ``nonce``; and the session that begins then."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse

from api.access.authentication import host_of, session_of
from api.access.cookies import BROWSER, CSRF, SESSION, read_cookie, set_cookie
from api.base.dependencies import Resources
from api.base.kept.failed_proofs import SIGN_IN
from domain.access.people import read_identity
from domain.access.secrets import BITS, SecretKind, digest_of, make_secret
from domain.access.sessions import SIGN_IN_TIME, return_address
from domain.base.problems import Problem, ProblemCode
from store.access.people import keep_person
from store.access.sessions import SignIn, begin_sign_in, end_session, open_session, take_sign_in
from store.base.changes import record_change
from store.base.database import transaction

_log = structlog.get_logger("sign-in")

_BYTES = BITS // 8
_LONGEST = 4096
"""Of what comes back from the provider in an address."""


@dataclass(frozen=True)
class Returned:
    """What the provider sends people back with."""

    state: str
    code: str
    error: str
    issuer: str

    @staticmethod
    def of(request: Request) -> Returned:
        """Read it from an address; whatever is there twice, or far too long, counts as missing."""

        def one(name: str) -> str:
            found = request.query_params.getlist(name)
            return found[0] if len(found) == 1 and len(found[0]) <= _LONGEST else ""

        return Returned(one("state"), one("code"), one("error"), one("iss"))


async def begin(request: Request, resources: Resources, return_to: str | None) -> RedirectResponse:
    """Send somebody to the provider; afterwards they go on at ``return_to``, if that is a page of the product.

    Raises:
        Problem: ``TOO_MANY_SIGN_INS``, ``PROVIDER_UNAVAILABLE``.

    """
    await resources.sign_in_starts.count(host_of(request.scope))
    state, nonce, verifier = (secrets.token_urlsafe(_BYTES) for _ in range(3))
    # Several sign-ins may be under way in one browser, each in a tab of its own.
    known = read_cookie(request.scope["headers"], BROWSER)
    browser = known if known and len(known) == len(state) else secrets.token_urlsafe(_BYTES)
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    address = await resources.provider.authorization_address(state=state, nonce=nonce, challenge=challenge)
    async with resources.engine.begin() as connection:
        sign_in = SignIn(nonce, verifier, return_address(return_to))
        await begin_sign_in(connection, digest_of(state), digest_of(browser), sign_in)
    response = RedirectResponse(address, 303)
    set_cookie(response, BROWSER, browser, seconds=round(SIGN_IN_TIME.total_seconds()))
    return response


async def finish(request: Request, resources: Resources) -> RedirectResponse:
    """Take somebody back from the provider, and begin their session: a new one, whatever the browser had before.

    Raises:
        Problem: ``SIGN_IN_REFUSED``, ``TOO_MANY_FAILED_PROOFS``, ``PROVIDER_UNAVAILABLE``.

    """
    host, digest = host_of(request.scope), digest_of(Returned.of(request).state)
    async with resources.failed_proofs.looking_at(SIGN_IN, host, digest):
        try:
            return await _finish(request, resources)
        except Problem as problem:
            if problem.code is ProblemCode.SIGN_IN_REFUSED:
                await resources.failed_proofs.note_wrong(SIGN_IN, host, digest)
            _log.warning("sign-in refused", code=problem.code, reason=problem.detail)
            raise


async def _finish(request: Request, resources: Resources) -> RedirectResponse:
    settings, returned = resources.settings, Returned.of(request)
    browser = read_cookie(request.scope["headers"], BROWSER)
    async with resources.engine.begin() as connection:
        found = None
        if returned.state and browser:
            found = await take_sign_in(connection, digest_of(returned.state), digest_of(browser))
    if found is None:
        raise Problem(
            ProblemCode.SIGN_IN_REFUSED,
            "This sign-in is not under way in this browser: it took too long, was used before, or began elsewhere.",
        )
    if returned.error or not returned.code:
        cancelled = returned.error == "access_denied"
        told = "Signing in was cancelled at the provider." if cancelled else "The provider did not sign you in."
        raise Problem(ProblemCode.SIGN_IN_REFUSED, told)
    if returned.issuer and returned.issuer != settings.oidc_issuer:
        raise Problem(ProblemCode.SIGN_IN_REFUSED, "The answer is another provider's.")
    signed_in = await resources.provider.redeem(returned.code, verifier=found.verifier, nonce=found.nonce)
    try:
        identity = read_identity(settings.oidc_issuer, signed_in.claims, settings.oidc_groups_claim)
    except ValueError as error:
        raise Problem(ProblemCode.SIGN_IN_REFUSED, str(error)) from error
    secret, csrf_token = make_secret(SecretKind.SESSION, secrets.token_bytes(_BYTES)), secrets.token_urlsafe(_BYTES)
    lasts = timedelta(hours=settings.session_hours)
    async with transaction(resources.engine, identity.actor) as connection:
        if before := read_cookie(request.scope["headers"], SESSION):
            await end_session(connection, digest_of(before))
        person_id = await keep_person(connection, identity)
        await open_session(
            connection,
            digest_of(secret),
            person_id,
            csrf_token=csrf_token,
            provider_sid=signed_in.sid,
            id_token=signed_in.id_token,
            lasts=lasts,
            idle=timedelta(minutes=settings.session_idle_minutes),
        )
        await record_change(connection, identity.actor, "SIGNED_IN", subject_id=person_id)
    _log.info("signed in", actor=identity.actor.name)
    # The address with the code in it is left at once.
    response = RedirectResponse(found.return_to, 303)
    set_cookie(response, SESSION, secret, seconds=round(lasts.total_seconds()))
    set_cookie(response, CSRF, csrf_token, seconds=round(lasts.total_seconds()))
    return response


async def sign_out(request: Request, resources: Resources) -> str | None:
    """End the session of a request here; answers where it ends at the provider, if it does not end here alone.

    From there the provider sends people back to the page that says that they are signed out.
    """
    secret, session = read_cookie(request.scope["headers"], SESSION), session_of(request.scope)
    if secret is None or session is None:
        return None
    actor = session.identity.actor
    async with transaction(resources.engine, actor) as connection:
        id_token = await end_session(connection, digest_of(secret))
        if id_token is not None:
            await record_change(connection, actor, "SIGNED_OUT", subject_id=session.person_id)
    if id_token is None:
        return None
    done = f"{resources.settings.public_url}/sign-out/done"
    return await resources.provider.sign_out_address(id_token=id_token, return_to=done)
