"""From bytes to results: a body is read, checked against the packet contract, and ingested."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.base.actor import Actor
from domain.base.problems import Problem, ProblemCode
from domain.base.strict_json import MAX_STORED_LENGTH, BrokenJsonError, JsonCode, read_json, stored_length
from domain.base.violations import Violation
from domain.monitoring.packets import InvalidPacket, check_timestamp, in_one_form, parse_packet
from store.base.off_loop import off_loop
from store.monitoring.telemetry import ReceivedPacket, TakenPacket
from telemetry.ingest import PacketIngest

MAX_PACKETS = 500
"""Packets in one array: what one transaction takes."""
_LONG = 20_000
"""Characters of a packet from which on its numbers are looked at: ``1e308,`` comes to 309 digits, so a shorter packet
cannot be too long. Nearly all are shorter."""
_TEXT_OF_AN_ITEM = 300
"""Characters of a body whose reading is about the work of one item of a list."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_BROKEN = "The packet breaks the contract; `errors` says where."


@dataclass(frozen=True)
class RefusedPacket:
    """A packet that was not taken, and why. Nothing of it is stored."""

    code: ProblemCode
    detail: str
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True)
class IngestResult:
    """What became of a body."""

    is_array: bool
    results: Sequence[TakenPacket | RefusedPacket]
    """One for each packet, in its order."""


def _of_any_gateway(_gateway_id: UUID) -> bool:
    return True


@dataclass(frozen=True)
class ReadBody:
    """A body that was read and checked; nothing of it is taken yet."""

    is_array: bool
    packets: Sequence[ReceivedPacket | RefusedPacket]
    """Each packet, in its order."""


async def ingest_packets(ingest: PacketIngest, body: ReadBody) -> IngestResult:
    """Ingest the valid packets of a body, and count those that are refused.

    Raises:
        Problem: ``TOO_MANY_PACKETS``: too many wait already.

    """
    return IngestResult(body.is_array, await _through(ingest, body.packets))


async def read_in(
    raw: bytes,
    actor: Actor,
    now: datetime,
    may_send: Callable[[UUID], bool] = _of_any_gateway,
    scenario_run_id: UUID | None = None,
) -> ReadBody:
    """Read as ``read_body`` does; a large body in a thread, so that nobody else waits for it.

    Raises:
        Problem: as of ``read_body``.

    """
    return await off_loop(len(raw) // _TEXT_OF_AN_ITEM, read_body, raw, actor, now, may_send, scenario_run_id)


def read_body(
    raw: bytes,
    actor: Actor,
    now: datetime,
    may_send: Callable[[UUID], bool] = _of_any_gateway,
    scenario_run_id: UUID | None = None,
) -> ReadBody:
    """Read one packet or an array of them. The largest bodies take the better part of a second.

    One bad packet in an array does not stop the others. ``may_send`` says of which gateways the sender may bring
    packets; those of others are refused with ``FOREIGN_GATEWAY``. ``scenario_run_id`` is the run that sends them; None:
    they are no simulated ones.

    Raises:
        Problem: ``INVALID_JSON``: nothing in the body can be read. ``INVALID_PACKET``: an empty array.
            ``BODY_TOO_LARGE``: more than ``MAX_PACKETS``.

    """
    try:
        document, text, is_plain, item_texts = read_json(raw)
    except BrokenJsonError as error:
        raise Problem(ProblemCode.INVALID_JSON, error.reason) from None
    if not isinstance(document, list):
        text = text if is_plain else None
        document = document if is_plain else in_one_form(document)
        alone = read_packet(document, actor, now, text, scenario_run_id)
        return ReadBody(is_array=False, packets=[_of_sender(alone, may_send)])
    if not document:
        raise Problem(ProblemCode.INVALID_PACKET, "The array has no packet.")
    if len(document) > MAX_PACKETS:
        raise Problem(ProblemCode.BODY_TOO_LARGE, f"An array has at most {MAX_PACKETS} packets.")
    # What is in its one form is stored as it was written.
    if is_plain and item_texts:
        packets = zip(document, item_texts, strict=True)
    else:
        packets = ((in_one_form(each), None) for each in document)
    read = (read_packet(each, actor, now, written, scenario_run_id) for each, written in packets)
    return ReadBody(is_array=True, packets=[_of_sender(each, may_send) for each in read])


def _of_sender(
    read: ReceivedPacket | RefusedPacket, may_send: Callable[[UUID], bool]
) -> ReceivedPacket | RefusedPacket:
    if isinstance(read, RefusedPacket) or may_send(read.packet.device_id):
        return read
    return RefusedPacket(
        ProblemCode.FOREIGN_GATEWAY,
        "The packet's device_id is no gateway whose packets this sender may send.",
    )


def read_packet(
    document: Any, actor: Actor, now: datetime, raw: str | None = None, scenario_run_id: UUID | None = None
) -> ReceivedPacket | RefusedPacket:
    """Check one decoded packet. ``raw`` is its text, where there is one that says the same."""
    parsed = parse_packet(document)
    if isinstance(parsed, InvalidPacket):
        return RefusedPacket(ProblemCode.INVALID_PACKET, _BROKEN, parsed.violations)
    violation = check_timestamp(parsed.observed_at, now)
    if violation is not None:
        # The two codes of a time that is too far off are problems under the same names.
        return RefusedPacket(ProblemCode(violation.code), violation.reason, (violation,))
    text = raw if raw is not None else _ENCODER.encode(document)
    if len(text) > _LONG and stored_length(text) > MAX_STORED_LENGTH:
        reason = f"A packet has at most {MAX_STORED_LENGTH:,} characters when its numbers are written out."
        return RefusedPacket(ProblemCode.INVALID_PACKET, _BROKEN, (Violation("", JsonCode.DOCUMENT_TOO_LONG, reason),))
    return ReceivedPacket(parsed, text, actor.name, scenario_run_id)


async def _through(
    ingest: PacketIngest, read: Sequence[ReceivedPacket | RefusedPacket]
) -> list[TakenPacket | RefusedPacket]:
    taken = iter(await ingest.submit([each for each in read if isinstance(each, ReceivedPacket)]))
    results: list[TakenPacket | RefusedPacket] = []
    for each in read:
        result = each if isinstance(each, RefusedPacket) else next(taken)
        results.append(RefusedPacket(result.code, result.detail) if isinstance(result, Problem) else result)
    for each in results:
        if isinstance(each, RefusedPacket):
            ingest.metrics.refused.labels(each.code).inc()
    return results
