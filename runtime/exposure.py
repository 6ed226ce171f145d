"""Whether the API may be reached from elsewhere: without a provider, whoever reaches it is an administrator."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from runtime.settings import Settings, is_loopback

HOW = (
    "Set MANAGE_OIDC_ISSUER, MANAGE_OIDC_CLIENT_ID, MANAGE_OIDC_CLIENT_SECRET and MANAGE_PUBLIC_URL, so that people "
    "sign in; or listen on 127.0.0.1 (docs/operations.md)."
)


def exposure_fault(settings: Settings, hosts: Iterable[str]) -> str | None:
    """Say why the API may not be served at these addresses; None: it may."""
    if settings.people_sign_in:
        return None
    open_ones = sorted({host for host in hosts if not is_loopback(host)})
    if not open_ones:
        return None
    return f"Without an OpenID provider the API listens on this machine's loopback alone, not on {open_ones[0]}. {HOW}"


def listening_hosts() -> list[str]:
    """Find the addresses that this process's server listens on, or is about to.

    uvicorn does not pass it to the application that it creates. Started by its command, it has the host in the
    command's own parameters, from wherever they were read. A server with several processes has bound its address before
    it makes the application.
    """
    import click

    context = click.get_current_context(silent=True)
    if context is not None and "host" in context.params:
        # A socket that is a file is reached by this machine alone.
        bound = context.params.get("fd") is not None or context.params.get("uds") is not None
        return _bound() if bound else [str(context.params["host"])]
    return _bound()


def _bound() -> list[str]:
    """The addresses of this process's own sockets that wait for callers, or soon will."""
    found: list[str] = []
    for each in list(Path("/dev/fd").iterdir()):
        # A copy, so that what is opened here can be closed; some are no sockets, and one was the folder itself.
        with suppress(OSError), socket.socket(fileno=os.dup(int(each.name))) as copy:
            if copy.family in (socket.AF_INET, socket.AF_INET6) and copy.type == socket.SOCK_STREAM:
                host, port = copy.getsockname()[:2]
                if port and not _is_connected(copy):
                    found.append(host)
    return found


def _is_connected(found: socket.socket) -> bool:
    try:
        found.getpeername()
    except OSError:
        return False
    return True
