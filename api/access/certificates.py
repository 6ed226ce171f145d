"""Client certificates that a reverse proxy has checked: the proxy names them in a header, and is believed where it is
named.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import unquote_to_bytes
from uuid import UUID

from starlette.types import ASGIApp, Receive, Scope, Send

from api.base.dependencies import Resources
from domain.access.principals import Principal
from domain.base.problems import Problem, ProblemCode

_SHOWN = "manage.certificate"


@dataclass(frozen=True)
class _Shown:
    """What a request has in the header."""

    values: tuple[bytes, ...]
    by_proxy: bool
    """Whether one of the named proxies sent it, and not somebody who writes the header themselves."""


class ClientCertificates:
    """Notes the certificate that comes with a request, and who says so.

    It stands before all others: once a proxy's forwarded headers are believed, its own address is no longer known.
    """

    def __init__(self, app: ASGIApp, *, header: str, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        """Take the header's name, and the networks of the proxies."""
        self._app = app
        self._header = header.lower().encode()
        self._networks = tuple(networks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            values = tuple(value for name, value in scope["headers"] if name == self._header and value)
            if values:
                scope[_SHOWN] = _Shown(values, self._is_proxy(scope.get("client")))
        await self._app(scope, receive, send)

    def _is_proxy(self, client: tuple[str, int] | None) -> bool:
        try:
            return client is not None and any(ip_address(client[0]) in network for network in self._networks)
        except ValueError:
            return False


def has_certificate(scope: Scope) -> bool:
    """Whether a request says that it came with a certificate, rightly or wrongly."""
    return _SHOWN in scope


async def gateway_by_certificate(scope: Scope, resources: Resources) -> Principal:
    """Say which gateway a request's certificate is of.

    Raises:
        Problem: ``CERTIFICATE_REFUSED``.

    """
    shown: _Shown = scope[_SHOWN]
    if not shown.by_proxy or len(shown.values) != 1:
        raise Problem(
            ProblemCode.CERTIFICATE_REFUSED, "No proxy that is named here says that it checked a certificate."
        )
    read = read_certificate(shown.values[0])
    found = None
    if read is not None and datetime.now(UTC) < read.valid_until:
        found = await resources.gateways.find_by_id(read.gateway_id)
    if found is None:
        raise Problem(ProblemCode.CERTIFICATE_REFUSED, "The certificate is none of a gateway, or no longer valid.")
    return found


@dataclass(frozen=True)
class Certificate:
    """What counts of a certificate."""

    gateway_id: UUID
    valid_until: datetime


# A gateway sends the same one with every request.
@lru_cache(maxsize=4096)
def read_certificate(value: bytes) -> Certificate | None:
    """Read a certificate as nginx writes it (PEM, percent-encoded) or as RFC 9440 has it (``:base64:``).

    None: it is none of a gateway, whose id is the subject's one common name.
    """
    from cryptography import x509

    try:
        if value.startswith(b":"):
            certificate = x509.load_der_x509_certificate(base64.b64decode(value.strip(b":"), validate=True))
        else:
            certificate = x509.load_pem_x509_certificate(unquote_to_bytes(value))
        (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        gateway_id = UUID(str(name.value))
    except (ValueError, binascii.Error):
        return None
    # In any other spelling it might be another's to somebody.
    return Certificate(gateway_id, certificate.not_valid_after_utc) if str(gateway_id) == name.value else None
