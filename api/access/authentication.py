"""Who makes a request, by the proof that it carries, in the order of decision 0025."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.types import Scope

from api.access.browser.form_tokens import CSRF_HEADER, is_form_token
from api.access.certificates import gateway_by_certificate, has_certificate
from api.access.cookies import SESSION, read_cookie
from api.base.access import SAFE_METHODS, is_background
from api.base.dependencies import Resources
from api.base.kept.failed_proofs import ACCESS_TOKEN, BEARER, WORKER
from domain.access.api_tokens import token_actor, token_subject
from domain.access.people import Identity, is_program, read_identity
from domain.access.principals import WORKER_PRINCIPAL, Grant, Principal, PrincipalKind
from domain.access.roles import Role
from domain.access.secrets import SecretKind, digest_of
from domain.base.problems import Problem, ProblemCode
from runtime.settings import Settings
from store.access.api_tokens import find_token
from store.access.api_tokens import note_use as note_token_use
from store.access.grants import read_grants
from store.access.sessions import Session, find_session, note_use
from store.access.worker_tokens import is_worker_token

_SESSION = "manage.session"
_AUTHORIZATION = b"authorization"
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +(?P<token>[A-Za-z0-9._~+/-]{1,8000}=*)")
"""RFC 6750; the longest is an access token of the provider."""
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
BACKGROUND_HEADER = b"x-manage-background"
"""Says that a page asks by itself, and nobody at it: that keeps no session alive."""
PERSON_HEADER = b"x-manage-person"
"""Says whose page sends a change: the id of the person who opened it, whoever is signed in in the browser by now."""
_PUBLIC = frozenset(
    {
        "/sign-in",
        "/sign-in/callback",
        "/sign-out/done",
        "/sign-out/back-channel",
        "/.well-known/oauth-protected-resource/api",
    }
)
"""What is answered to anybody, because nobody is known there yet or any more."""
_PUBLIC_FOLDER = "/static/"


def is_public(path: str) -> bool:
    """Whether anybody is answered at this path."""
    return path in _PUBLIC or path.startswith(_PUBLIC_FOLDER)


def has_token(scope: Scope) -> bool:
    """Whether a request proves who makes it by a token, right or wrong; then no other proof counts."""
    # Asked of every packet: a loop costs half of a generator.
    for name, _ in scope["headers"]:  # noqa: SIM110
        if name == _AUTHORIZATION:
            return True
    return False


async def authenticate(scope: Scope, resources: Resources) -> Principal:
    """Say who makes a request.

    Raises:
        Problem: ``SIGN_IN_REQUIRED``, ``TOKEN_REFUSED``, ``CROSS_SITE_REFUSED`` where the session's own pages did
            not send a change, or ``OTHER_PERSON_SIGNED_IN`` where the page that did is another person's.

    """
    if has_token(scope):
        return await _of_bearer(scope, resources)
    secret = read_cookie(scope["headers"], SESSION)
    if secret is None and has_certificate(scope):
        return await gateway_by_certificate(scope, resources)
    if secret is None:
        raise Problem(ProblemCode.SIGN_IN_REQUIRED, "You are not signed in.")
    return await _of_session(scope, resources, secret, dict(scope["headers"]))


async def _of_bearer(scope: Scope, resources: Resources) -> Principal:
    """Say who sent a token. It is in one header: which of two counts, somebody between might read differently."""
    given = [value for name, value in scope["headers"] if name == _AUTHORIZATION]
    found = _BEARER.fullmatch(given[0].decode("latin-1")) if len(given) == 1 else None
    if found is None:
        raise Problem(ProblemCode.TOKEN_REFUSED, "A token comes once, as `Authorization: Bearer TOKEN`.")
    token = found["token"]
    host, digest, attempts = host_of(scope), digest_of(token), resources.failed_proofs
    prove, kind = _OWN.get(token.partition("_")[0], (None, BEARER if _JWT.fullmatch(token) is None else ACCESS_TOKEN))
    issuer = resources.settings.oidc_issuer
    async with attempts.looking_at(kind, host, digest, lambda: _claimed(issuer, token)):
        if prove is None:
            principal = await _of_access_token(resources, token)
        else:
            # What the product made and was wrong never becomes right.
            principal = None if await attempts.was_wrong(host, digest) else await prove(resources, token)
        if principal is not None:
            attempts.note_right(digest)
            if kind == ACCESS_TOKEN:
                attempts.note_sender(kind, host, principal.subject)
        else:
            await attempts.note_wrong(kind, host, digest)
            raise Problem(ProblemCode.TOKEN_REFUSED, "This token is not valid here.")
    return principal


def host_of(scope: Scope) -> str:
    """The address that a request comes from, after the proxies that are believed."""
    client = scope.get("client")
    return client[0] if client else ""


async def _of_gateway(resources: Resources, token: str) -> Principal | None:
    return await resources.gateways.find(token)


async def _of_worker(resources: Resources, token: str) -> Principal | None:
    async with resources.engine.connect() as connection:
        return WORKER_PRINCIPAL if await is_worker_token(connection, digest_of(token)) else None


async def _of_api_token(resources: Resources, token: str) -> Principal | None:
    async with resources.engine.connect() as connection:
        found = await find_token(connection, digest_of(token))
        # The local administrator's are for the machine itself: where people sign in, each token has its person.
        if found is None or (found.owner is None and resources.settings.people_sign_in):
            return None
        subject = token_subject(found.token_id)
        granted = await read_grants(connection, PrincipalKind.PROGRAM, subject, ())
        bounds = await _bounds(connection, found.owner, resources.settings)
        if found.is_use_stale:
            await note_token_use(connection, found.token_id)
            await connection.commit()
    return Principal(PrincipalKind.PROGRAM, subject, token_actor(found.name, found.token_id), granted, bounds=bounds)


async def _bounds(connection: AsyncConnection, owner: Identity | None, settings: Settings) -> tuple[Grant, ...] | None:
    """What the owner of a token may now. Nothing bounds the local administrator."""
    if owner is None:
        return None
    granted = await read_grants(connection, PrincipalKind.PERSON, owner.subject, owner.groups)
    return (*granted, *_named(owner, settings))


async def _of_access_token(resources: Resources, token: str) -> Principal | None:
    """A person or a program, by a token that the provider made. A person may what they may in a session."""
    settings = resources.settings
    # What does not even look like one costs the provider no question.
    if not settings.people_sign_in or _JWT.fullmatch(token) is None:
        return None
    try:
        claims = await resources.provider.read_access_token(token)
        identity = read_identity(settings.oidc_issuer, claims, settings.oidc_groups_claim)
    except ValueError:
        return None
    except Problem as problem:
        if problem.code is ProblemCode.PROVIDER_UNAVAILABLE:
            raise
        return None
    of_program = is_program(claims)
    kind, groups = (PrincipalKind.PROGRAM, ()) if of_program else (PrincipalKind.PERSON, identity.groups)
    async with resources.engine.connect() as connection:
        granted = await read_grants(connection, kind, identity.subject, groups)
    named = () if of_program else _named(identity, settings)
    return Principal(kind, identity.subject, identity.actor, (*granted, *named))


_OWN: dict[str, tuple[Callable[[Resources, str], Awaitable[Principal | None]], str]] = {
    SecretKind.API_TOKEN: (_of_api_token, BEARER),
    SecretKind.GATEWAY: (_of_gateway, BEARER),
    SecretKind.WORKER: (_of_worker, WORKER),
}
"""How a token of the product proves who sent it, by what it begins with, and as what a wrong one counts."""


def _claimed(issuer: str, token: str) -> str:
    """Who made a request, as its token says, which nobody has checked yet."""
    try:
        payload = token.split(".")[1]
        sub = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    # A text of JSON may have halves of characters, which nothing else can have.
    return f"{issuer}#{sub}".encode(errors="replace").decode()


async def _of_session(scope: Scope, resources: Resources, secret: str, headers: dict[bytes, bytes]) -> Principal:
    settings = resources.settings
    idle = timedelta(minutes=settings.session_idle_minutes)
    async with resources.engine.connect() as connection:
        session = await find_session(connection, digest_of(secret), idle=idle)
        if session is None:
            raise Problem(ProblemCode.SIGN_IN_REQUIRED, "Your session has ended. Sign in again to go on.")
        if scope["method"] not in SAFE_METHODS:
            sent = headers.get(CSRF_HEADER)
            if not (
                is_form_token(scope, session.csrf_token)
                if sent is None
                else hmac.compare_digest(sent, session.csrf_token.encode())
            ):
                raise Problem(
                    ProblemCode.CROSS_SITE_REFUSED,
                    "A change with a session comes from the product's own pages, with the token that they have.",
                )
            # The token is in a cookie, which all tabs share: it follows whoever signs in. Whose the page is does not.
            opened_by = headers.get(PERSON_HEADER)
            if opened_by is not None and opened_by != str(session.person_id).encode():
                raise Problem(
                    ProblemCode.OTHER_PERSON_SIGNED_IN,
                    f"You are signed in as {session.identity.name} now, and this page is another person's. "
                    "Nothing was changed.",
                )
        identity = session.identity
        granted = await read_grants(connection, PrincipalKind.PERSON, identity.subject, identity.groups)
        if session.is_use_stale and not _is_background(scope, headers):
            await note_use(connection, session.session_id)
            await connection.commit()
    scope[_SESSION] = session
    return Principal(PrincipalKind.PERSON, identity.subject, identity.actor, (*granted, *_named(identity, settings)))


def session_of(scope: Scope) -> Session | None:
    """The session of a request; None: it has another proof, or none."""
    return scope.get(_SESSION)


def _named(identity: Identity, settings: Settings) -> tuple[Grant, ...]:
    """What the settings grant, so that there is a first administrator."""
    return (Grant(Role.ADMINISTRATOR),) if identity.is_named(settings.administrators) else ()


def _is_background(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    return scope["path"] == "/live" or is_background(scope) or BACKGROUND_HEADER in headers
