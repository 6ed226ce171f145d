"""Who acts: the one place that every route takes its actor from."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from domain.actor import LOCAL_ADMINISTRATOR, Actor
from domain.problems import Problem, ProblemCode
from runtime.settings import Settings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def current_actor(request: Request) -> Actor:
    """Say who makes this request.

    Without tokens the caller's place is the proof: only the machine itself (or the networks that the
    settings name) acts, as the local administrator. A browser is such a caller too, so a page of another
    origin must not be able to use it, neither directly nor under a host name of its own.

    Raises:
        Problem: ``ACCESS_REFUSED`` or ``CROSS_SITE_REFUSED``.

    """
    settings: Settings = request.app.state.settings
    if not _is_local(request, settings):
        raise Problem(
            ProblemCode.ACCESS_REFUSED,
            "Only callers on this machine, or on a network named in MANAGE_LOCAL_NETWORKS, may act here.",
        )
    host = request.headers.get("host", "")
    if _host_name(host) not in settings.allowed_hosts:
        raise Problem(ProblemCode.ACCESS_REFUSED, "This host name is not one of MANAGE_ALLOWED_HOSTS.")
    if request.method not in _SAFE_METHODS:
        origin = request.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != host
        if foreign or request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise Problem(ProblemCode.CROSS_SITE_REFUSED, "A page of another origin may not change anything here.")
    return LOCAL_ADMINISTRATOR


def _is_local(request: Request, settings: Settings) -> bool:
    if request.client is None:
        return False
    address = _address(request.client.host)
    return address is not None and any(address in network for network in settings.local_networks)


# The same few callers make all the requests.
@lru_cache(maxsize=1024)
def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _host_name(host: str) -> str | None:
    return urlsplit(f"//{host}").hostname


ActorDep = Annotated[Actor, Depends(current_actor)]
"""The current actor, as a route's parameter."""
