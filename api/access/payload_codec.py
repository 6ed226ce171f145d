"""The codec of Temporal's payloads for Temporal's UI and command line, which show what they cannot decrypt themselves.

It speaks Temporal's protocol of remote codecs: ``POST …/decode`` and ``POST …/encode`` with payloads as protobuf's JSON
has them.
"""

from __future__ import annotations

import base64
from typing import Annotated

import structlog
from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from temporalio.api.common.v1 import Payload

from api.base.access import TEMPORAL_CODEC
from api.base.bodies import StrictRoute, once_each
from api.base.dependencies import ActorDep, ClientDep
from api.base.problems import problem_responses
from domain.base.problems import Problem, ProblemCode
from runtime.secrets.payloads import UnreadablePayloadError, is_encrypted

_log = structlog.get_logger("codec")

router = APIRouter(prefix=TEMPORAL_CODEC.rstrip("/"), tags=["temporal"], route_class=StrictRoute)


def _check_base64(given: str) -> str:
    base64.b64decode(given, validate=True)
    return given


Base64Text = Annotated[str, AfterValidator(_check_base64)]


class PayloadDocument(BaseModel):
    """A payload of Temporal's."""

    metadata: Annotated[dict[str, Base64Text], BeforeValidator(once_each)] = Field(
        default_factory=dict, description="What the data is; values in Base64."
    )
    data: Base64Text = Field(default="", description="The content, in Base64.")


class PayloadsDocument(BaseModel):
    """Payloads of Temporal's."""

    payloads: list[Annotated[PayloadDocument, BeforeValidator(once_each)]] = Field(
        default_factory=list[PayloadDocument], description="In their order."
    )


Given = Annotated[PayloadsDocument, BeforeValidator(once_each)]
"""The body. Keys that are not known here are Temporal's of another version, and are left out."""


@router.post("/decode", responses=problem_responses(ProblemCode.PAYLOAD_UNREADABLE))
async def decode_payloads(actor: ActorDep, client: ClientDep, given: Given) -> PayloadsDocument:
    """Decrypt payloads of Temporal; those that are not encrypted stay as they are."""
    payloads = [_payload(each) for each in given.payloads]
    encrypted = sum(is_encrypted(each) for each in payloads)
    codec = client.data_converter.payload_codec
    try:
        if codec is not None:
            payloads = await codec.decode(payloads)
        elif encrypted:
            raise UnreadablePayloadError("There is no key here: MANAGE_PAYLOAD_KEYS is empty.")
    except UnreadablePayloadError as error:
        raise Problem(ProblemCode.PAYLOAD_UNREADABLE, str(error)) from error
    if encrypted:
        _log.info("payloads decrypted", actor=actor.name, payloads=encrypted)
    return _document(payloads)


@router.post("/encode")
async def encode_payloads(client: ClientDep, given: Given) -> PayloadsDocument:
    """Encrypt payloads for Temporal; where no key is configured they stay as they are."""
    payloads = [_payload(each) for each in given.payloads]
    codec = client.data_converter.payload_codec
    return _document(payloads if codec is None else await codec.encode(payloads))


def _payload(given: PayloadDocument) -> Payload:
    metadata = {name: base64.b64decode(value) for name, value in given.metadata.items()}
    return Payload(metadata=metadata, data=base64.b64decode(given.data))


def _document(payloads: list[Payload]) -> PayloadsDocument:
    return PayloadsDocument(
        payloads=[
            PayloadDocument(
                metadata={name: base64.b64encode(value).decode() for name, value in each.metadata.items()},
                data=base64.b64encode(each.data).decode(),
            )
            for each in payloads
        ]
    )
