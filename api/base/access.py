"""Who acts: the one place that decides whether a request is let in, and as whom."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from starlette.types import Scope

from domain.access.principals import LOCAL_PRINCIPAL, DepotScope, Grant, Principal, PrincipalKind
from domain.access.roles import Role
from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from runtime.secrets.bearer import bears
from runtime.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN = frozenset({"/healthz", "/readyz"})
"""What probes ask, from anywhere and by any name; it says nothing of a depot."""
_METRICS = "/metrics"
TEMPORAL_CODEC = "/api/temporal/codec/"
"""What Temporal's UI and command line ask to decrypt payloads."""
_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z_.-]+))(?::(?P<port>[0-9]{1,5}))?")
"""A ``Host`` header as RFC 9110 has it, without the escapes that no host of ours has."""
_PORTS = range(1, 65_536)
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})
_ACTOR = "manage.actor"
_PRINCIPAL = "manage.principal"
_DEPOTS = "manage.depots"
_PROOF = "manage.proof"
_BACKGROUND = "manage.background"
_REFUSED_AT = "manage.refused_at"

_PROMETHEUS = Principal(PrincipalKind.LOCAL, "metrics", Actor("metrics-network"), (Grant(Role.VIEWER),))
"""Who reads the figures from a network that may, or with the token of the settings."""

Network = IPv4Network | IPv6Network


def admit(scope: Scope, settings: Settings) -> bool:
    """Let a request in, and say whether it must still prove who makes it.

    Without a provider the caller's place is the proof: only the machine itself (or the networks that the
    settings name) acts, as the local administrator. A browser is such a caller too, so a page of another
    origin must not be able to use it, neither directly nor under a host name of its own. With a provider
    nobody's place proves anything.

    Raises:
        Problem: ``ACCESS_REFUSED`` or ``CROSS_SITE_REFUSED``.

    """
    hosts, origins, sites = _headers(scope)
    host = hosts[0] if len(hosts) == 1 else ""
    name = _host_name(host)
    path = scope["path"]
    if path in _OPEN or (path == _METRICS and _is_prometheus(scope, settings)):
        if name is None:
            raise Problem(ProblemCode.ACCESS_REFUSED, "The Host header names no host.")
        if path == _METRICS:
            note_principal(scope, _PROMETHEUS)
        return False
    if not (settings.people_sign_in or settings.proxy_networks) and _is_forwarded(scope):
        raise Problem(
            ProblemCode.ACCESS_REFUSED,
            "A proxy speaks for somebody here. Name its network in MANAGE_PROXY_NETWORKS, and let people sign in.",
        )
    if not settings.people_sign_in and not _is_in(scope, settings.local_networks):
        raise Problem(
            ProblemCode.ACCESS_REFUSED,
            "Only callers on this machine, or on a network named in MANAGE_LOCAL_NETWORKS, may act here.",
        )
    if name not in _allowed((*settings.allowed_hosts, settings.public_host)):
        raise Problem(ProblemCode.ACCESS_REFUSED, "This host name is not one of MANAGE_ALLOWED_HOSTS.")
    if scope["method"] not in SAFE_METHODS:
        foreign = any(_is_foreign(origin, host, settings) for origin in origins)
        foreign |= not {"cross-site", "same-site"}.isdisjoint(sites)
        if foreign and not (path.startswith(TEMPORAL_CODEC) and origins == [settings.temporal_ui_origin]):
            raise Problem(ProblemCode.CROSS_SITE_REFUSED, "A page of another origin may not change anything here.")
    if settings.people_sign_in:
        return True
    note_principal(scope, LOCAL_PRINCIPAL)
    return False


def note_principal(scope: Scope, principal: Principal) -> None:
    """Note who makes a request, for its route."""
    scope[_PRINCIPAL] = principal
    scope[_ACTOR] = principal.actor


def principal_of(scope: Scope) -> Principal | None:
    """Who makes a request; None: nobody who is known, at what is open to anybody."""
    return scope.get(_PRINCIPAL)


def note_proof(scope: Scope, prove: Callable[[], Awaitable[Principal]]) -> None:
    """Note how it can be asked again who makes a request that goes on for long."""
    scope[_PROOF] = prove


async def prove_again(scope: Scope) -> Principal:
    """Say who makes a request by what holds now, rather than when it came.

    Raises:
        Problem: it proves nobody any more.

    """
    prove: Callable[[], Awaitable[Principal]] | None = scope.get(_PROOF)
    return scope[_PRINCIPAL] if prove is None else await prove()


def note_background(scope: Scope) -> None:
    """Note that a request goes on by itself, with nobody at it."""
    scope[_BACKGROUND] = True


def is_background(scope: Scope) -> bool:
    """Whether a request goes on by itself."""
    return scope.get(_BACKGROUND, False)


def note_depots(scope: Scope, depots: DepotScope) -> None:
    """Note at which depots a request's route is permitted."""
    scope[_DEPOTS] = depots


def note_refused_at(scope: Scope, depot_id: UUID) -> None:
    """Note the depot at which a request was refused."""
    scope[_REFUSED_AT] = depot_id


def refused_at(scope: Scope) -> UUID | None:
    """The depot at which a request was refused; None: at no single one."""
    return scope.get(_REFUSED_AT)


async def current_principal(request: Request) -> Principal:
    """Say who makes this request, with what was granted."""
    return request.scope[_PRINCIPAL]


async def current_depots(request: Request) -> DepotScope:
    """Say at which depots this request's route is permitted to who makes it: a list is narrowed to them."""
    return request.scope[_DEPOTS]


async def current_actor(request: Request) -> Actor:
    """Say who makes this request, which the guard has let in."""
    return request.scope[_ACTOR]


def _is_foreign(origin: str, host: str, settings: Settings) -> bool:
    """Whether a page of this origin is another's. With a provider pages are at one address alone."""
    if settings.people_sign_in:
        return origin.lower() != settings.public_url.lower()
    return origin.partition("://")[2].lower() != host.lower()


def _is_prometheus(scope: Scope, settings: Settings) -> bool:
    """Whether the figures are asked for from a network that may read them, or with the token that proves it."""
    if _is_in(scope, settings.metrics_networks):
        return True
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    return len(given) == 1 and bears(given[0], settings.metrics_token)


def _headers(scope: Scope) -> tuple[list[str], list[str], list[str]]:
    """The values of ``Host``, ``Origin`` and ``Sec-Fetch-Site``; more than one of a kind is nobody's mistake."""
    hosts: list[str] = []
    origins: list[str] = []
    sites: list[str] = []
    for key, value in scope["headers"]:
        if key == b"host":
            hosts.append(value.decode("latin-1"))
        elif key == b"origin":
            origins.append(value.decode("latin-1"))
        elif key == b"sec-fetch-site":
            sites.append(value.decode("latin-1"))
    return hosts, origins, sites


def _is_forwarded(scope: Scope) -> bool:
    """Whether a proxy says that it speaks for somebody else; where nobody named it, its place is no proof."""
    return any(name in _FORWARDED for name, _ in scope["headers"])


def _is_in(scope: Scope, networks: list[Network]) -> bool:
    client = scope.get("client")
    address = None if client is None else _address(client[0])
    return address is not None and any(address in network for network in networks)


# The same few callers make all the requests.
@lru_cache(maxsize=1024)
def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _host_name(host: str) -> str | None:
    found = _HOST.fullmatch(host)
    if found is None or int(found["port"] or _PORTS[0]) not in _PORTS:
        return None
    return (found["address"] or found["name"]).lower()


@lru_cache(maxsize=16)
def _allowed(hosts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(host.lower() for host in hosts)


ActorDep = Annotated[Actor, Depends(current_actor)]
"""The current actor, as a route's parameter."""
PrincipalDep = Annotated[Principal, Depends(current_principal)]
"""Who makes the request, as a route's parameter."""
ScopeDep = Annotated[DepotScope, Depends(current_depots)]
"""The depots to which a route narrows its lists, as its parameter."""
