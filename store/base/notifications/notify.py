"""Telling whoever watches a depot that something of it changed, once the transaction has committed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL = "microgrid_events"
"""The channel. A payload is ``<depot_id> KIND KIND``, several of them joined by ``;``; the depot ``*`` is any."""

MAX_PAYLOAD_BYTES = 7_900
"""PostgreSQL takes less than 8,000."""


class ChangeKind(StrEnum):
    """What of a depot changed."""

    STRUCTURE = "STRUCTURE"
    """The microgrid's grid connections; a trigger on ``microgrids`` sends this one."""
    STATUS = "STATUS"
    """The status of a capability, or how old it may be."""
    PACKET = "PACKET"
    """A packet of one of the depot's gateways came."""
    POWER_SOURCE = "POWER_SOURCE"
    """A reading of a power source."""

    CONFIGURATION = "CONFIGURATION"
    """Circuits, gateways, devices, power sources or sensor actions."""
    CAPACITY = "CAPACITY"
    """What holds for the capacity of a circuit."""
    REMEDIATION = "REMEDIATION"
    """A remediation was opened or closed."""
    SCENARIO = "SCENARIO"
    """A scenario run of the depot began, went on or ended."""


_NOTIFY = text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) AS notifications (payload)")


def payloads(changes: Mapping[UUID, Collection[str]]) -> Iterator[str]:
    """Write changes as payloads, as few as hold them; a depot without a kind is left out."""
    payload = ""
    for depot_id, kinds in changes.items():
        if not kinds:
            continue
        entry = f"{depot_id} {' '.join(sorted(set(kinds)))}"
        if payload and len(payload) + 1 + len(entry) > MAX_PAYLOAD_BYTES:
            yield payload
            payload = entry
        else:
            payload = f"{payload};{entry}" if payload else entry
    if payload:
        yield payload


async def tell_processes(connection: AsyncConnection, channel: str, texts: list[str]) -> None:
    """Send each of these texts, of at most ``MAX_PAYLOAD_BYTES``, on a channel when the transaction commits."""
    await connection.execute(_NOTIFY, {"channel": channel, "payloads": texts})


async def notify(connection: AsyncConnection, changes: Mapping[UUID, Collection[str]]) -> None:
    """Notify which depots changed in which respect; nothing is sent if the transaction is rolled back."""
    texts = list(payloads(changes))
    if texts:
        await connection.execute(_NOTIFY, {"channel": CHANNEL, "payloads": texts})


def read_payload(payload: str) -> Iterator[tuple[UUID | None, set[str]]]:
    """Read a payload back: which depot, None for any, changed in which respects."""
    for entry in payload.split(";"):
        depot, *kinds = entry.split(" ")
        yield (None if depot == "*" else UUID(depot)), set(kinds)
