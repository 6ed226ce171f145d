"""Who makes a request, where a provider is configured: the proof that it carries, in the order of decision 0025."""

from __future__ import annotations

import hmac
from datetime import timedelta

from starlette.types import Scope

from api.access.certificates import gateway_by_certificate, has_certificate
from api.access.cookies import SESSION, read_cookie
from api.base.access import SAFE_METHODS
from api.base.dependencies import Resources
from domain.access.principals import Grant, Principal, PrincipalKind
from domain.access.roles import Role
from domain.access.secrets import digest_of
from domain.base.problems import Problem, ProblemCode
from runtime.settings import Settings
from store.access.grants import read_grants
from store.access.sessions import Session, find_session, note_use

_SESSION = "manage.session"
CSRF_HEADER = b"x-csrf-token"
BACKGROUND_HEADER = b"x-manage-background"
"""Says that a page asks by itself, and nobody at it: that keeps no session alive."""
_PUBLIC = frozenset({"/sign-in", "/sign-in/callback", "/sign-out/done", "/sign-out/back-channel"})
"""What is answered to anybody, because nobody is known there yet or any more."""
_PUBLIC_FOLDER = "/static/"


def is_public(path: str) -> bool:
    """Whether anybody is answered at this path."""
    return path in _PUBLIC or path.startswith(_PUBLIC_FOLDER)


async def authenticate(scope: Scope, resources: Resources) -> Principal:
    """Say who makes a request.

    Raises:
        Problem: ``SIGN_IN_REQUIRED``, or ``CROSS_SITE_REFUSED`` where the session's own pages did not send a change.

    """
    headers = dict[bytes, bytes](scope["headers"])
    if b"authorization" in headers:
        raise Problem(ProblemCode.SIGN_IN_REQUIRED, "There are no such tokens here.")
    secret = read_cookie(scope["headers"], SESSION)
    if secret is None and has_certificate(scope):
        return await gateway_by_certificate(scope, resources)
    if secret is None:
        raise Problem(ProblemCode.SIGN_IN_REQUIRED, "You are not signed in.")
    return await _of_session(scope, resources, secret, headers)


async def _of_session(scope: Scope, resources: Resources, secret: str, headers: dict[bytes, bytes]) -> Principal:
    settings = resources.settings
    idle = timedelta(minutes=settings.session_idle_minutes)
    async with resources.engine.connect() as connection:
        session = await find_session(connection, digest_of(secret), idle=idle)
        if session is None:
            raise Problem(ProblemCode.SIGN_IN_REQUIRED, "Your session has ended. Sign in again to go on.")
        if scope["method"] not in SAFE_METHODS:
            sent = headers.get(CSRF_HEADER, b"")
            if not hmac.compare_digest(sent, session.csrf_token.encode()):
                raise Problem(
                    ProblemCode.CROSS_SITE_REFUSED,
                    "A change with a session comes from the product's own pages, with the token that they have.",
                )
        identity = session.identity
        granted = await read_grants(connection, PrincipalKind.PERSON, identity.subject, identity.groups)
        if session.is_use_stale and not _is_background(scope, headers):
            await note_use(connection, session.session_id)
            await connection.commit()
    scope[_SESSION] = session
    return Principal(PrincipalKind.PERSON, identity.subject, identity.actor, (*granted, *_named(session, settings)))


def session_of(scope: Scope) -> Session | None:
    """The session of a request; None: it has another proof, or none."""
    return scope.get(_SESSION)


def _named(session: Session, settings: Settings) -> tuple[Grant, ...]:
    """What the settings grant, so that there is a first administrator."""
    return (Grant(Role.ADMINISTRATOR),) if session.identity.is_named(settings.administrators) else ()


def _is_background(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    return scope["path"] == "/live" or BACKGROUND_HEADER in headers
