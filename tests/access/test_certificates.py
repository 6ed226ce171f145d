"""Client certificates that a proxy has checked: a gateway's proof through the named proxy, and nobody's otherwise."""

from __future__ import annotations

import base64
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.certificates import read_certificate
from runtime.settings import Settings
from store.base.database import transaction
from store.site.gateways import delete_gateway
from tests.access.sites import NO_PROVIDER, asked_with_proof, told
from tests.factories.packets import PATH
from tests.factories.sites import controller_site, packet
from tests.helpers.support import ACTOR, until

PROXY, ELSEWHERE = "10.9.0.1", "10.8.0.1"
HEADER = "X-Client-Certificate"
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(*names: str, valid: timedelta = timedelta(days=1), organization: str = "") -> x509.Certificate:
    """A certificate with these common names; whoever signed it, it was the proxy's to check."""
    attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in names]
    if organization:
        attributes.append(x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization))
    subject = x509.Name(attributes)
    until_then = datetime.now(UTC) + valid
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until_then - timedelta(days=30))
        .not_valid_after(until_then)
        .sign(KEY, hashes.SHA256())
    )


def as_nginx(made: x509.Certificate) -> str:
    """As nginx's ``$ssl_client_escaped_cert`` has it."""
    return quote(made.public_bytes(Encoding.PEM).decode(), safe="")


def as_rfc9440(made: x509.Certificate) -> str:
    return f":{base64.b64encode(made.public_bytes(Encoding.DER)).decode()}:"


def asked_from(database_url: str, address: str, **other: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """Call an application that believes the proxy, from an address."""
    given: dict[str, Any] = {
        "client_certificate_header": HEADER,
        "client_certificate_networks": ["10.9.0.0/24"],
        "proxy_networks": ["10.9.0.0/24", "10.8.0.0/24"],
    }
    return asked_with_proof(database_url, address, **{**given, **other})


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("write", [as_nginx, as_rfc9440])
async def test_a_gateway_sends_its_packets_with_a_certificate(
    engine: AsyncEngine, database_url: str, write: Any
) -> None:
    own, foreign = await controller_site(engine), await controller_site(engine)
    headers = {HEADER: write(certificate(str(own.gateway_id), organization="Depots, Inc., CN=somebody"))}
    mine, theirs = (packet(site, LIMIT_PEAK_SHAVING="true") for site in (own, foreign))
    async with asked_from(database_url, PROXY) as caller:
        assert (await caller.post(PATH, json=mine, headers=headers)).status_code == 200
        assert told(await caller.post(PATH, json=theirs, headers=headers)) == (403, "FOREIGN_GATEWAY")
        items = (await caller.post(PATH, json=[theirs, mine], headers=headers)).json()["items"]
        assert [each["status"] for each in items] == ["REFUSED", "ACCEPTED"]
        for path in ("/api/depots", f"/api/gateways/{own.gateway_id}", "/metrics", "/docs"):
            assert (await caller.get(path, headers=headers)).status_code in (403, 404), path
        async with transaction(engine, ACTOR) as connection:
            await delete_gateway(connection, ACTOR, own.gateway_id, cascade=True)

        async def is_refused() -> bool:
            return told(await caller.post(PATH, json=mine, headers=headers)) == (401, "CERTIFICATE_REFUSED")

        await until(is_refused)


@pytest.mark.usefixtures("client")
async def test_the_header_from_anybody_else_proves_nothing(engine: AsyncEngine, database_url: str) -> None:
    site = await controller_site(engine)
    body, shown = packet(site, LIMIT_PEAK_SHAVING="true"), as_nginx(certificate(str(site.gateway_id)))
    refused = (401, "CERTIFICATE_REFUSED")
    async with asked_from(database_url, ELSEWHERE) as caller:
        # Also for a proxy that may say whom it speaks for, but not who that is.
        for more in ({}, {"x-forwarded-for": PROXY}):
            assert told(await caller.post(PATH, json=body, headers={HEADER: shown, **more})) == refused
    async with asked_from(database_url, PROXY) as caller:
        # The proxy's own address counts, whomever it speaks for.
        more = {"x-forwarded-for": ELSEWHERE}
        assert (await caller.post(PATH, json=body, headers={HEADER: shown, **more})).status_code == 200
        two = [(HEADER, shown), (HEADER, shown)]
        assert told(await caller.post(PATH, json=body, headers=two)) == refused
        assert told(await caller.post(PATH, json=body, headers={HEADER: ""})) == (401, "SIGN_IN_REQUIRED")
        # A token decides first, and a wrong one does not fall through to the certificate.
        wrong = {HEADER: shown, "authorization": "Bearer mgg_wrong"}
        assert told(await caller.post(PATH, json=body, headers=wrong)) == (401, "TOKEN_REFUSED")
    # Without a provider a wrong proof does not fall through to the place.
    async with asked_from(database_url, "127.0.0.1", **NO_PROVIDER, proxy_networks=[]) as caller:
        assert told(await caller.post(PATH, json=body, headers={HEADER: shown})) == refused
        assert (await caller.post(PATH, json=body)).status_code == 200


@pytest.mark.usefixtures("client")
async def test_only_a_gateways_own_certificate_is_one(engine: AsyncEngine, database_url: str) -> None:
    site = await controller_site(engine)
    own = str(site.gateway_id)
    wrong = [
        certificate(own, valid=timedelta(seconds=-1)), certificate(own, own), certificate(), certificate("gateway"),
        certificate(own.upper()), certificate(f"{{{own}}}"), certificate(own.replace("-", "")),
        certificate(str(uuid4())), certificate("x", organization=f"x,CN={own}"),
    ]  # fmt: skip
    texts = ["garbage", ":garbage:", "::", f"CN={own}", own, "%00", *map(as_nginx, wrong), *map(as_rfc9440, wrong)]
    body = packet(site, LIMIT_PEAK_SHAVING="true")
    async with asked_from(database_url, PROXY) as caller:
        for text in texts:
            answer = await caller.post(PATH, json=body, headers={HEADER: text})
            assert told(answer) == (401, "CERTIFICATE_REFUSED"), text


def test_both_ways_of_writing_say_the_same() -> None:
    made = certificate(str(UUID(int=7)))
    read = read_certificate(as_nginx(made).encode())
    assert read is not None
    assert read == read_certificate(as_rfc9440(made).encode())
    assert read.gateway_id == UUID(int=7)


@pytest.mark.parametrize("left_out", ["client_certificate_header", "client_certificate_networks"])
def test_the_header_is_named_with_whose_it_is(left_out: str) -> None:
    given: dict[str, Any] = {"client_certificate_header": HEADER, "client_certificate_networks": ["10.9.0.0/24"]}
    with pytest.raises(ValidationError, match="MANAGE_CLIENT_CERTIFICATE_NETWORKS"):
        Settings(**{name: value for name, value in given.items() if name != left_out})
