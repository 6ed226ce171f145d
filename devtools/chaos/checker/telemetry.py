"""Packets and statuses: every acknowledged one is there, counts once, and what is shown is what all of them come to."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

import asyncpg

from devtools.chaos.checker.request_log import Operation, Outcome, RequestLog

_MILLISECONDS = "(extract(epoch FROM observed_at) * 1000)::bigint"


async def check_packets(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare the stored packets with those that were sent.

    The history has each packet as often as it came. So one that was sent again, because nobody knew, may be there
    again, and the broker may deliver one again; what it brought counts once all the same.
    """
    sent = log.of("PACKET")
    gateways = list({each.asked["gateway_id"] for each in sent})
    rows = await connection.fetch(
        f"SELECT gateway_id::text, {_MILLISECONDS} AS ms FROM packets WHERE gateway_id = ANY ($1::uuid[])",  # noqa: S608
        gateways,
    )
    stored = Counter((row["gateway_id"], row["ms"]) for row in rows)
    devices = list({each.asked["device_id"] for each in sent})
    rows = await connection.fetch(
        f"SELECT device_id::text, {_MILLISECONDS} AS ms FROM device_readings WHERE device_id = ANY ($1::uuid[])",  # noqa: S608
        devices,
    )
    read = {(row["device_id"], row["ms"]) for row in rows}
    findings: list[str] = []
    for each in sent:
        asked = each.asked
        found = stored.pop((asked["gateway_id"], asked["timestamp_ms"]), 0)
        least, most = _bounds(each)
        if not least <= found <= most:
            findings.append(f"{_packet(each)} is {each.outcome} and is stored {found} times, not {least} to {most:g}")
        if each.outcome is Outcome.ACKNOWLEDGED and (asked["device_id"], asked["timestamp_ms"]) not in read:
            findings.append(f"{_packet(each)} is acknowledged and gave no reading")
    findings += [f"packet {ms} of gateway {gateway} was sent by nobody" for gateway, ms in stored]
    return findings


def _bounds(packet: Operation) -> tuple[int, float]:
    """How often a packet may be stored."""
    acknowledged, unknown = packet.count(Outcome.ACKNOWLEDGED), packet.count(Outcome.UNKNOWN)
    if packet.asked["transport"] == "MQTT":
        # The broker delivers at least once.
        return min(acknowledged, 1), float("inf") if acknowledged + unknown else 0
    return acknowledged, acknowledged + unknown


def _packet(packet: Operation) -> str:
    asked = packet.asked
    return f"packet {asked['timestamp_ms']} of gateway {asked['gateway_id']} by {asked['transport']}"


async def check_references(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Find what should count once and does not: each reference of a provider, by microgrid and capability."""
    rows = await connection.fetch("""
        SELECT microgrid_id::text, capability, provider_event_ref, count(*) AS times,
               count(*) FILTER (WHERE effect NOT IN ('REPEATED', 'CONFLICTING')) AS counted,
               count(*) FILTER (WHERE effect = 'CONFLICTING') AS conflicting
        FROM capability_events GROUP BY microgrid_id, capability, provider_event_ref
    """)
    findings = [
        f"{row['provider_event_ref']} counted {row['counted']} times, and conflicted {row['conflicting']} times"
        for row in rows
        if row["counted"] != 1 or row["conflicting"]
    ]
    times = {(row["microgrid_id"], row["provider_event_ref"]): row["times"] for row in rows}
    for each in log.of("STATUS"):
        found = times.get((each.asked["microgrid_id"], each.asked["ref"]), 0)
        least, most = {Outcome.ACKNOWLEDGED: (1, 1), Outcome.UNKNOWN: (0, 1), Outcome.REFUSED: (0, 0)}[each.outcome]
        if not least <= found <= most:
            findings.append(f"status {each.asked['ref']} is {each.outcome} and is stored {found} times")
    return findings


async def check_latest(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare each latest status with what all events come to."""
    del log
    columns = "microgrid_id::text, capability, status, observed_at, received_at, provider_event_ref, tenure"
    events: dict[tuple[str, str], list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(f"SELECT {columns} FROM capability_events ORDER BY id"):  # noqa: S608
        events[row["microgrid_id"], row["capability"]].append(row)
    expected = {place: latest for place, given in events.items() if (latest := _fold(given)) is not None}
    rows = await connection.fetch(f"SELECT {columns} FROM capability_latest")  # noqa: S608
    shown = {(row["microgrid_id"], row["capability"]): row for row in rows}
    return [
        f"{place[1]} of microgrid {place[0]} is shown as {_told(shown.get(place))}, and should be"
        f" {_told(expected.get(place))}"
        for place in sorted(expected.keys() | shown.keys())
        if _told(shown.get(place)) != _told(expected.get(place))
    ]


def _fold(events: Iterable[asyncpg.Record]) -> asyncpg.Record | None:
    first: dict[str, asyncpg.Record] = {}
    for each in events:
        first.setdefault(each["provider_event_ref"], each)
    known = [each for each in first.values() if each["status"] is not None]
    return max(
        known,
        key=lambda each: (
            each["tenure"],
            min(each["observed_at"], each["received_at"]),
            each["observed_at"],
            each["provider_event_ref"],
        ),
        default=None,
    )


def _told(row: asyncpg.Record | None) -> tuple[str, str] | None:
    return None if row is None else (row["status"], row["provider_event_ref"])


async def check_capacity_events(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare each circuit's capacity with the last of its events, and find deadlines that nobody heeded."""
    del log
    rows = await connection.fetch("""
        SELECT coalesce(c.circuit_id, e.circuit_id)::text AS circuit_id, e.mode AS wanted_mode,
               (c.mode, c.reason, c.capacity_w, c.basis)::text AS found,
               (e.mode, e.reason, e.capacity_w, e.basis)::text AS wanted,
               c.deadline <= clock_timestamp() AS is_over, c.circuit_id IS NOT NULL AS follows
        FROM circuit_capacities AS c
        FULL JOIN (SELECT DISTINCT ON (circuit_id) * FROM capacity_events ORDER BY circuit_id, id DESC) AS e
            ON e.circuit_id = c.circuit_id
    """)
    findings: list[str] = []
    for row in rows:
        released = row["wanted_mode"] in (None, "RELEASED")
        if row["follows"] is released or (row["follows"] and row["found"] != row["wanted"]):
            findings.append(
                f"capacity of circuit {row['circuit_id']} is {row['found']}, its last event says {row['wanted']}"
            )
        if row["is_over"]:
            findings.append(f"the deadline of circuit {row['circuit_id']} has passed, and nobody heeded it")
    return findings


async def check_capacities(connection: asyncpg.Connection, log: RequestLog) -> list[str]:
    """Compare each circuit's capacity with what the stored packets come to, for the gateways of the traffic.

    Each of their packets has all three measurands of a capacity, so the one that was measured last decides.
    """
    devices = {each.asked["device_id"]: each.asked for each in log.of("PACKET")}
    findings: list[str] = []
    for device_id, asked in devices.items():
        state = await connection.fetchrow(
            """
            SELECT c.circuit_id::text, c.mode, c.reason, c.capacity_w, c.heartbeat_threshold_seconds AS threshold,
                   clock_timestamp() AS now
            FROM circuit_capacities AS c JOIN sensor_actions AS a ON a.id = c.sensor_action_id
            WHERE a.device_id = $1::uuid
            """,
            device_id,
        )
        packets = await connection.fetch(
            """
            SELECT p.observed_at, p.received_at, jsonb_object_agg(m.value ->> 'key', m.value -> 'value')::text AS said
            FROM packets AS p, jsonb_array_elements(p.document -> 'sensors') AS s,
                 jsonb_array_elements(s.value -> 'measurands') AS m
            WHERE p.gateway_id = $1::uuid AND s.value ->> 'sensor_id' = $2
            GROUP BY p.id, p.observed_at, p.received_at
            """,
            asked["gateway_id"],
            asked["sensor_id"],
        )
        if state is None:
            findings.append(f"device {device_id} sets no circuit's capacity")
        elif packets:
            found = (state["mode"], state["reason"], state["capacity_w"])
            wanted = _capacity(packets, state["threshold"], state["now"])
            if found != wanted:
                findings.append(f"capacity of circuit {state['circuit_id']} is {found}, its packets come to {wanted}")
    return findings


def _capacity(
    packets: Iterable[asyncpg.Record], threshold_seconds: float, now: datetime
) -> tuple[str, str | None, float]:
    # Of the same packet that came several times, the first time counts.
    first: dict[datetime, asyncpg.Record] = {}
    for each in packets:
        known = first.get(each["observed_at"])
        if known is None or each["received_at"] < known["received_at"]:
            first[each["observed_at"]] = each
    last = max(first.values(), key=lambda each: (min(each["observed_at"], each["received_at"]), each["observed_at"]))
    said = json.loads(last["said"])
    if said["HEARTBEAT_STATUS"] != "ok":
        return "FAIL_SAFE", {"error": "CONTROLLER_ERROR"}[said["HEARTBEAT_STATUS"]], said["FAIL_SAFE_CAPACITY"]
    if min(last["observed_at"], last["received_at"]) + timedelta(seconds=threshold_seconds) <= now:
        return "FAIL_SAFE", "NO_PACKET", said["FAIL_SAFE_CAPACITY"]
    return "CONTROLLER", None, said["AVAILABLE_CHARGING_CAPACITY"]
