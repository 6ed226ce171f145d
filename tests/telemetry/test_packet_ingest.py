"""Packet ingest over HTTP: what it takes, what it answers, what it refuses, and that nothing is half-written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.limits import MAX_BODY_BYTES
from domain.monitoring.packets import MAX_SENSORS
from store.base.database import transaction
from store.monitoring.tables import capability_events, capability_latest, packets
from store.provisioning.microgrids import reconcile_microgrid
from telemetry.intake import MAX_PACKETS
from tests.factories.packets import PATH, latest, send
from tests.factories.sites import (
    CONTROLLER,
    add_action,
    add_device,
    controller_site,
    make_site,
    milliseconds,
    packet,
)
from tests.helpers.answers import problem
from tests.helpers.support import ACTOR, until


async def stored(engine: AsyncEngine) -> tuple[int, int, int]:
    """How many packets, events and latest statuses there are."""
    async with engine.connect() as connection:
        counts = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (packets, capability_events, capability_latest)
        ]
    return counts[0], counts[1], counts[2]


@pytest.mark.acceptance("COR-9.8")
@pytest.mark.acceptance("COR-9.9")
@pytest.mark.acceptance("COR-9.10")
@pytest.mark.acceptance("COR-9.11")
async def test_a_packet_becomes_the_status_of_the_whole_microgrid(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    sent = milliseconds()
    (item,) = await send(api, packet(site, sent, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    assert (item["index"], item["status"], item["problem"], item["unknown_sensors"]) == (0, "ACCEPTED", None, [])
    (action,) = item["actions"]
    assert action == {
        "sensor_id": CONTROLLER,
        "device_id": str(site.devices[CONTROLLER]),
        "sensor_action_id": str(site.actions[CONTROLLER, "UPDATE_MICROGRID_STATE"]),
        "action": "UPDATE_MICROGRID_STATE",
        "outcome": "APPLIED",
        "code": None,
        "measurands": [
            {"measurand": "LIMIT_PEAK_SHAVING", "outcome": "APPLIED", "code": None},
            {"measurand": "LIMIT_DER_EXPORT", "outcome": "APPLIED", "code": None},
        ],
        "rule": None,
        "target_id": str(site.microgrid_id),
    }
    shown = await latest(api, site)
    assert [(name, each["status"], each["freshness"]) for name, each in shown.items()] == [
        ("PEAK_SHAVING", "ON", "FRESH"),
        ("DER", "OFF", "FRESH"),
    ]
    for each in shown.values():
        assert milliseconds(datetime.fromisoformat(each["observed_at"])) == sent
        assert each["source_device_id"] == each["owner_device_id"] == str(site.devices[CONTROLLER])
        assert 0 <= each["age_seconds"] < 300
    history = (await api.get(f"/api/microgrids/{site.microgrid_id}/capability-status/history")).json()
    assert history["next_cursor"] is None
    # The latest is a record of the history, the very one.
    assert {each["event_id"] for each in shown.values()} == {each["event_id"] for each in history["items"]}
    assert [(each["capability"], each["status"], each["effect"]) for each in history["items"]] == [
        ("DER", "OFF", "SHOWN"),
        ("PEAK_SHAVING", "ON", "SHOWN"),
    ]


async def test_the_stored_packet_keeps_what_the_contract_does_not_know(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    await add_device(engine, site, "meter-1")
    sent: dict[str, Any] = packet(site, LIMIT_PEAK_SHAVING="true", SOMETHING_ELSE="kept", TARIFF=4.25)
    sent["vendor"] = {"rack": [1, 2, {"deep": None}], "ünïcode": "ö"}
    sent["sensors"][0]["calibrated"] = "2026-01-01"
    sent["sensors"].append({"sensor_id": "meter-9", "measurands": [{"key": "CURRENT", "value": 3, "unit": "A"}]})
    (item,) = await send(api, sent)
    assert item["unknown_sensors"] == ["meter-9"]
    page = (await api.get(PATH, params={"gateway_id": str(site.gateway_id)})).json()
    (found,) = page["items"]
    assert found["document"] == sent
    assert found["packet_id"] == item["packet_id"]
    assert found["actions"] == item["actions"]


async def test_an_item_of_an_array_is_stored_as_it_was_written(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    sent = [packet(site, milliseconds() - n, LIMIT_PEAK_SHAVING="true") for n in (1, 0)]
    written = [json.dumps(each)[:-1] + ',\t"tariff": 1.50}' for each in sent]
    answer = await api.post(PATH, content=f" [ {written[0]}\n,{written[1]} ]\n")
    assert [each["status"] for each in answer.json()["items"]] == ["ACCEPTED", "ACCEPTED"]
    query = text("SELECT document ->> 'tariff', document - 'tariff' FROM packets ORDER BY observed_at")
    async with engine.connect() as connection:
        assert (await connection.execute(query)).all() == [("1.50", each) for each in sent]


async def test_an_array_with_a_number_of_thousands_of_digits_is_answered_item_by_item(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    good, bad = (json.dumps(packet(site, milliseconds() - n, LIMIT_PEAK_SHAVING="true")) for n in (1, 0))
    answer = await api.post(PATH, content=f'[{good},{bad[:-1]},"serial":{"9" * 5_000}}}]')
    items = answer.json()["items"]
    assert [each["status"] for each in items] == ["ACCEPTED", "REFUSED"]
    assert [each["code"] for each in items[1]["problem"]["errors"]] == ["NUMBER_TOO_LONG"]


async def test_the_packets_of_a_gateway_are_paged(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    base = milliseconds()
    await send(api, [packet(site, base - place // 2, LIMIT_DER_EXPORT="true") for place in range(7)])
    seen: list[str] = []
    cursor = None
    while True:
        parameters = {"gateway_id": str(site.gateway_id), "limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(PATH, params=parameters)).json()
        seen += [each["packet_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7


async def test_one_bad_packet_does_not_stop_the_others(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    good = packet(site, LIMIT_PEAK_SHAVING="true")
    bad = [
        packet(site, LIMIT_PEAK_SHAVING="true") | {"timestamp": "now"},
        packet(site, LIMIT_PEAK_SHAVING="true") | {"device_id": str(uuid4())},
        packet(site, milliseconds() + 3_600_000, LIMIT_PEAK_SHAVING="true"),
        packet(site, milliseconds() - 8 * 86_400_000, LIMIT_PEAK_SHAVING="true"),
        17,
    ]
    items = await send(api, [bad[0], good, *bad[1:]])
    assert [item["status"] for item in items] == ["REFUSED", "ACCEPTED", *["REFUSED"] * 4]
    assert [item["index"] for item in items] == list(range(6))
    assert [item["problem"] and item["problem"]["code"] for item in items] == [
        "INVALID_PACKET", None, "UNKNOWN_DEVICE", "TIMESTAMP_IN_FUTURE", "TIMESTAMP_TOO_OLD", "INVALID_PACKET",
    ]  # fmt: skip
    assert items[0]["problem"]["errors"] == [
        {
            "field": "timestamp",
            "code": "WRONG_TYPE",
            "detail": "Must be an integer, milliseconds since the Unix epoch.",
        }
    ]
    assert await stored(engine) == (1, 1, 1)


REPEATED = '{"device_id":"00000000-0000-7000-8000-000000000000","timestamp":1,"timestamp":2,"sensors":[]}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{", (400, "INVALID_JSON")),
        ("", (400, "INVALID_JSON")),
        ("[1,", (400, "INVALID_JSON")),
        ('"\\ud800"', (422, "INVALID_PACKET")),
        (b"\xff\xfe", (400, "INVALID_JSON")),
        ("[" * 100_000, (400, "INVALID_JSON")),
        ("[" * 40 + "]" * 40, (200, None)),
        ("[]", (422, "INVALID_PACKET")),
        ("null", (422, "INVALID_PACKET")),
        ("NaN", (422, "INVALID_PACKET")),
        (REPEATED, (422, "INVALID_PACKET")),
        ("[" + ",".join(["1"] * (MAX_PACKETS + 1)) + "]", (413, "BODY_TOO_LARGE")),
        ("1" * (MAX_BODY_BYTES + 1), (413, "BODY_TOO_LARGE")),
        ("9" * 5000, (422, "INVALID_PACKET")),
    ],
)
async def test_what_is_no_packet_is_refused(
    api: httpx.AsyncClient, engine: AsyncEngine, body: str | bytes, expected: tuple[int, str | None]
) -> None:
    answer = await api.post(PATH, content=body, headers={"Content-Type": "application/json"})
    if expected[1] is None:
        # An array whose one item is no packet: the answer is per packet.
        assert answer.status_code == 200
        assert [item["status"] for item in answer.json()["items"]] == ["REFUSED"]
    else:
        assert problem(answer) == expected
    assert await stored(engine) == (0, 0, 0)


async def test_the_contract_is_held_to_on_every_level(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)

    async def refused(document: Any) -> set[tuple[str, str]]:
        answer = await api.post(PATH, content=document if isinstance(document, str) else json.dumps(document))
        assert problem(answer) == (422, "INVALID_PACKET")
        return {(error["field"], error["code"]) for error in answer.json()["errors"]}

    nan = packet(site, LIMIT_PEAK_SHAVING="true")
    nan["sensors"][0]["measurands"][0]["value"] = float("nan")
    assert await refused(nan) == {("sensors.0.measurands.0.value", "NUMBER_NOT_FINITE")}
    boolean = packet(site, LIMIT_PEAK_SHAVING="true")
    boolean["sensors"][0]["measurands"][0]["value"] = True
    assert await refused(boolean) == {("sensors.0.measurands.0.value", "WRONG_TYPE")}
    many = packet(site) | {"sensors": [{"sensor_id": str(n), "measurands": []} for n in range(MAX_SENSORS + 1)]}
    assert await refused(many) == {("sensors", "TOO_MANY")}
    twice = json.dumps(packet(site, LIMIT_PEAK_SHAVING="true")).replace('"unit": null', '"unit": null, "unit": null')
    assert await refused(twice) == {("sensors.0.measurands.0", "REPEATED_KEY")}
    assert await stored(engine) == (0, 0, 0)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (timedelta(minutes=10), (422, "TIMESTAMP_IN_FUTURE")),
        (timedelta(days=-8), (422, "TIMESTAMP_TOO_OLD")),
    ],
)
async def test_a_time_too_far_off_is_refused(
    api: httpx.AsyncClient, engine: AsyncEngine, offset: timedelta, expected: tuple[int, str]
) -> None:
    site = await controller_site(engine)
    moment = datetime.now(UTC) + offset
    answer = await api.post(PATH, json=packet(site, milliseconds(moment), LIMIT_PEAK_SHAVING="true"))
    assert problem(answer) == expected
    body = {
        "capability": "DER", "value": True, "observed_at": moment.isoformat(), "provider_event_ref": "one",
    }  # fmt: skip
    answer = await api.post(f"/api/microgrids/{site.microgrid_id}/capability-status", json=body)
    assert problem(answer) == expected
    assert await stored(engine) == (0, 0, 0)


async def test_a_device_that_nobody_knows_is_refused(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine)
    unknown = packet(site) | {"device_id": str(uuid4())}
    assert problem(await api.post(PATH, json=unknown)) == (404, "UNKNOWN_DEVICE")
    assert await stored(engine) == (0, 0, 0)
    # A depot's id is no gateway's.
    assert problem(await api.post(PATH, json=packet(site) | {"device_id": str(site.depot_id)})) == (
        404,
        "UNKNOWN_DEVICE",
    )


async def test_a_gateway_without_sensor_actions_is_stored_and_acted_on_by_nothing(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await make_site(engine)
    await add_device(engine, site)
    (item,) = await send(api, packet(site, LIMIT_PEAK_SHAVING="true"))
    assert (item["actions"], item["unknown_sensors"]) == ([], [])
    assert await stored(engine) == (1, 0, 0)


@pytest.mark.acceptance("COR-9.12")
async def test_a_packet_that_is_sent_again_changes_nothing_that_is_shown(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    sent = packet(site, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="true")
    await send(api, sent)
    before = await latest(api, site)
    for _ in range(2):
        (item,) = await send(api, sent)
        assert [each["code"] for each in item["actions"][0]["measurands"]] == ["REPEATED", "REPEATED"]
        assert item["actions"][0]["outcome"] == "IGNORED"
    # The same reference with another content is recorded as what it is and never shown.
    other = packet(site, sent["timestamp"], LIMIT_PEAK_SHAVING="false", LIMIT_DER_EXPORT="false")
    (item,) = await send(api, other)
    assert [each["code"] for each in item["actions"][0]["measurands"]] == ["CONFLICTING", "CONFLICTING"]
    after = await latest(api, site)
    for name, each in before.items():
        assert after[name] | {"age_seconds": 0} == each | {"age_seconds": 0}
    assert await stored(engine) == (4, 8, 2)


async def test_late_null_and_unreadable_values(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    now = milliseconds()
    await send(api, packet(site, now - 1000, LIMIT_PEAK_SHAVING="true"))
    cases: list[tuple[dict[str, Any], str | None]] = [
        (packet(site, now - 5000, LIMIT_PEAK_SHAVING="false"), "LATE"),
        (packet(site, now, LIMIT_PEAK_SHAVING=None), "UNAVAILABLE"),
        (packet(site, now + 1, LIMIT_PEAK_SHAVING="True"), "UNKNOWN_TEXT"),
        (packet(site, now + 2, LIMIT_PEAK_SHAVING=1), "WRONG_VALUE_KIND"),
        (packet(site, now + 3, SOC=50), "NO_MEASURAND"),
    ]
    for sent, code in cases:
        (item,) = await send(api, sent)
        (action,) = item["actions"]
        assert (action["outcome"], action["code"]) == ("IGNORED", code)
    shown = await latest(api, site)
    assert shown["PEAK_SHAVING"]["status"] == "ON"
    assert milliseconds(datetime.fromisoformat(shown["PEAK_SHAVING"]["observed_at"])) == now - 1000
    history = (await api.get(f"/api/microgrids/{site.microgrid_id}/capability-status/history")).json()["items"]
    assert [(each["status"], each["effect"]) for each in history] == [
        (None, "UNAVAILABLE"), ("OFF", "LATE"), ("ON", "SHOWN"),
    ]  # fmt: skip


async def test_a_depot_without_a_microgrid_gives_a_remediation_that_heals(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await make_site(engine, provisioned=False)
    await add_device(engine, site)
    await add_action(engine, site, "UPDATE_MICROGRID_STATE", "LIMIT_PEAK_SHAVING")
    (item,) = await send(api, packet(site, LIMIT_PEAK_SHAVING="true"))
    assert (item["actions"][0]["outcome"], item["actions"][0]["code"]) == ("REMEDIATION", "MICROGRID_NOT_PROVISIONED")
    assert await stored(engine) == (1, 0, 0)
    async with transaction(engine, ACTOR) as connection:
        await reconcile_microgrid(connection, ACTOR, site.depot_id)
    (item,) = await send(api, packet(site, LIMIT_PEAK_SHAVING="true"))
    assert item["actions"][0]["outcome"] == "APPLIED"


async def test_a_disabled_action_does_nothing(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine)
    await add_device(engine, site)
    await add_action(engine, site, "UPDATE_MICROGRID_STATE", "LIMIT_PEAK_SHAVING", enabled=False)
    (item,) = await send(api, packet(site, LIMIT_PEAK_SHAVING="true"))
    assert (item["actions"][0]["outcome"], item["actions"][0]["code"]) == ("IGNORED", "DISABLED")
    assert await stored(engine) == (1, 0, 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"value": "yes"}, (422, "INVALID_CAPABILITY_VALUE")),
        ({"value": 1}, (422, "INVALID_CAPABILITY_VALUE")),
        ({"value": "True"}, (422, "INVALID_CAPABILITY_VALUE")),
        ({"provider_event_ref": ""}, (422, "INVALID_EVENT_REF")),
        ({"provider_event_ref": "x" * 301}, (422, "INVALID_EVENT_REF")),
        ({"provider_event_ref": "a\u0000"}, (422, "INVALID_EVENT_REF")),
        ({"observed_at": "2026-01-01T00:00:00"}, (422, "INVALID_REQUEST")),
        ({"capability": "BATTERY"}, (422, "INVALID_REQUEST")),
        ({"source_device_id": str(uuid4())}, (422, "DEVICE_NOT_IN_DEPOT")),
        ({"more": 1}, (422, "INVALID_REQUEST")),
    ],
)
async def test_the_canonical_path_refuses_what_it_cannot_take(
    api: httpx.AsyncClient, engine: AsyncEngine, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    site = await controller_site(engine)
    good = {
        "capability": "DER",
        "value": None,
        "observed_at": datetime.now(UTC).isoformat(),
        "provider_event_ref": "ref-1",
    }
    answer = await api.post(f"/api/microgrids/{site.microgrid_id}/capability-status", json=good | change)
    assert problem(answer) == expected
    assert await stored(engine) == (0, 0, 0)


@pytest.mark.acceptance("COR-9.11")
@pytest.mark.parametrize(("value", "status"), [(True, "ON"), ("true", "ON"), (False, "OFF"), ("false", "OFF")])
async def test_the_canonical_path_takes_booleans(
    api: httpx.AsyncClient, engine: AsyncEngine, value: object, status: str
) -> None:
    site = await controller_site(engine)
    body = {
        "capability": "DER",
        "value": value,
        "observed_at": datetime.now(UTC).isoformat(),
        "provider_event_ref": "ref-1",
        "source_device_id": str(site.devices[CONTROLLER]),
    }
    path = f"/api/microgrids/{site.microgrid_id}/capability-status"
    made = await api.post(path, json=body)
    assert made.status_code == 201
    assert (made.json()["status"], made.json()["effect"]) == (status, "SHOWN")
    assert (await latest(api, site))["DER"]["status"] == status
    again = await api.post(path, json=body)
    assert (again.status_code, again.json()["effect"]) == (201, "REPEATED")
    assert (await latest(api, site))["DER"]["event_id"] == made.json()["event_id"]


@pytest.mark.acceptance("COR-9.15")
async def test_a_microgrid_that_cannot_be_resolved_is_not_found(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    nowhere = uuid4()
    body = {
        "capability": "DER", "value": True, "observed_at": datetime.now(UTC).isoformat(), "provider_event_ref": "one",
    }  # fmt: skip
    answers = [
        await api.get(f"/api/microgrids/{nowhere}/capability-status"),
        await api.get(f"/api/microgrids/{nowhere}/capability-status/history"),
        await api.post(f"/api/microgrids/{nowhere}/capability-status", json=body),
        await api.get(f"/api/microgrids/{nowhere}/events"),
        await api.get(f"/api/microgrids/{nowhere}/structure"),
        await api.patch(f"/api/microgrids/{nowhere}/freshness-thresholds", json={"thresholds": {"DER": 5}}),
    ]
    assert {problem(answer) for answer in answers} == {(404, "MICROGRID_NOT_FOUND")}
    site = await make_site(engine, provisioned=False)
    assert problem(await api.get(f"/api/depots/{site.depot_id}/microgrid")) == (404, "MICROGRID_NOT_FOUND")
    assert problem(await api.get(f"/api/depots/{nowhere}/microgrid")) == (404, "DEPOT_NOT_FOUND")


async def test_freshness_follows_the_threshold(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    await send(api, packet(site, milliseconds() - 60_000, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="true"))
    assert {each["freshness"] for each in (await latest(api, site)).values()} == {"FRESH"}
    path = f"/api/microgrids/{site.microgrid_id}/freshness-thresholds"
    changed = (await api.patch(path, json={"thresholds": {"DER": 30}})).json()["items"]
    assert [(each["capability"], each["freshness"], each["threshold_seconds"]) for each in changed] == [
        ("PEAK_SHAVING", "FRESH", 300), ("DER", "STALE", 30),
    ]  # fmt: skip
    stale = changed[1]
    observed = datetime.fromisoformat(stale["observed_at"])
    assert datetime.fromisoformat(stale["stale_at"]) == observed + timedelta(seconds=30)
    back = (await api.patch(path, json={"thresholds": {"DER": None}})).json()["items"]
    assert [each["freshness"] for each in back] == ["FRESH", "FRESH"]
    assert problem(await api.patch(path, json={"thresholds": {"DER": 0}})) == (422, "INVALID_REQUEST")


async def test_before_any_status_there_is_an_honest_nothing(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await make_site(engine)
    for name, each in (await latest(api, site)).items():
        assert name in {"PEAK_SHAVING", "DER"}
        assert {key: value for key, value in each.items() if value is not None} == {
            "capability": name,
            "threshold_seconds": 300.0,
        }


async def test_what_a_packet_reads_does_not_grow_with_the_history(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    # The ingest plans its statements once, while the tables may be empty; such a plan must not read the whole of them.
    site = await controller_site(engine)
    await add_action(engine, site, "UPDATE_POWER_SOURCE_STATE", "SOC")
    base = milliseconds() - 1000
    count = 300
    for place in range(count):
        await send(api, packet(site, base + place, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="true", SOC=50.0))
    query = text("""
        SELECT sum(i.idx_scan) AS looks, sum(i.idx_tup_read) AS read, sum(DISTINCT t.seq_tup_read) AS scanned
        FROM pg_stat_user_indexes AS i JOIN pg_stat_user_tables AS t USING (relid)
        WHERE i.relname LIKE 'capability_events%'
    """)

    async def figures() -> Any:
        async with engine.connect() as connection:
            return (await connection.execute(query)).one()

    # A connection tells its figures a second later or so.
    async def all_told() -> bool:
        return (await figures()).looks >= 2 * count

    await until(all_told)
    found = await figures()
    assert found.read <= 2 * count
    assert found.scanned == 0
