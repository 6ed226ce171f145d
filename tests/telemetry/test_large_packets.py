"""Packets as large as they may be, many of them, and sent again: each list and each search stays in proportion."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base.strict_json import MAX_STORED_LENGTH, stored_length
from telemetry.intake import ReadBody, read_body
from tests.factories.equipped_depots import add_gateway, make_depot, problem
from tests.factories.next_packets import ask, path_of, send
from tests.factories.sites import CONTROLLER, controller_site, milliseconds, packet

PACKETS = "/api/telemetry/packets"


async def pages(api: httpx.AsyncClient, gateway_id: object) -> list[list[dict[str, Any]]]:
    """All pages of a gateway's packets."""
    found: list[list[dict[str, Any]]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await api.get(PACKETS, params={"gateway_id": str(gateway_id), "limit": "50", **cursor})
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["items"])
        if answer.json()["next_cursor"] is None:
            return found
        cursor = {"cursor": answer.json()["next_cursor"]}


async def test_large_packets_that_come_again_are_listed(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    # As many readings as fit, under one unknown key, which may be there again and again.
    reading = {"key": "X", "value": 1, "unit": None}
    large: dict[str, Any] = {
        "device_id": str(site.gateway_id),
        "timestamp": milliseconds(),
        "sensors": [{"sensor_id": f"s{n}", "measurands": [reading] * 250} for n in range(80)],
    }
    first, second, *_ = [(await send(api, large))[0] for _ in range(4)]
    other = json.loads(json.dumps(large))
    other["sensors"][79]["measurands"][249]["value"] = 2
    (conflicting,) = await send(api, other)
    found = await pages(api, site.gateway_id)
    assert len(found) > 1
    told = {each["packet_id"]: (each["repeat"], each["repeat_of"]) for page in found for each in page}
    assert len(told) == 5
    assert told[first] == (None, None)
    assert told[second] == ("REPEATED", first)
    assert told[conflicting] == ("CONFLICTING", first)


async def test_small_packets_are_one_page(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    site = await controller_site(engine)
    at = milliseconds()
    await send(api, *[packet(site, at - n, LIMIT_PEAK_SHAVING="true") for n in range(50)])
    assert [len(page) for page in await pages(api, site.gateway_id)] == [50]


@pytest.mark.parametrize("number", ["1e308", "-1E+308", "1e-307"])
@pytest.mark.parametrize("array", [False, True])
async def test_numbers_that_are_long_when_written_out_do_not_make_a_packet_larger_than_it_may_be(
    api: httpx.AsyncClient, engine: AsyncEngine, number: str, *, array: bool
) -> None:
    site = await controller_site(engine)

    async def post(count: int, text: str = "") -> httpx.Response:
        raw = json.dumps(packet(site, None, LIMIT_PEAK_SHAVING="true") | {"rows": "ROWS", "note": text})
        raw = raw.replace('"ROWS"', f"[{','.join([number] * count)}]")
        return await api.post(PACKETS, content=f"[{raw}]" if array else raw)

    answer = await post(7_000)
    refused = answer.json()["items"][0]["problem"] if array else answer.json()
    assert refused["code"] == "INVALID_PACKET"
    assert [(each["field"], each["code"]) for each in refused["errors"]] == [("body", "DOCUMENT_TOO_LONG")]
    assert await pages(api, site.gateway_id) == [[]]
    # A text is no number, whatever it holds.
    for count, text in ((6_000, ""), (0, f"{number} " * 7_000)):
        assert (await post(count, text)).status_code == 200
    (found,) = await pages(api, site.gateway_id)
    assert len(json.dumps(found)) < MAX_STORED_LENGTH


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("[1, 2]", 6),
        ("[1e3]", 5 + 3),
        ('["1e300", "\\"1e300", 1E-300]', 28 + 300),
        ('{"1e300": 1.5e+10}', 18 + 10),
        ("[true, false]", 13),
    ],
)
def test_a_number_counts_as_long_as_it_is_when_it_is_written_out(text: str, length: int) -> None:
    assert stored_length(text) == length


async def test_an_output_translation_is_as_short_as_what_it_is_for(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    depot_id = str(await make_depot(engine))
    gateway = await add_gateway(api, depot_id)
    path = f"/api/gateways/{gateway['gateway_id']}"
    for rows in ("[" + "1e308," * 60 + "1]", json.dumps(["x" * 20_000])):
        content = f'{{"depot_id": "{depot_id}", "name": "Gateway", "output_translation": {{"a": {rows}}}}}'
        refused = await api.post("/api/gateways", content=content, headers={"content-type": "application/json"})
        assert problem(refused) == (422, "INVALID_OUTPUT_TRANSLATION")
        change = f'{{"output_translation": {{"a": {rows}}}}}'
        refused = await api.patch(path, content=change, headers={"content-type": "application/json"})
        assert problem(refused) == (422, "INVALID_OUTPUT_TRANSLATION")
    assert (await api.get(path)).json()["output_translation"] is None
    assert (await api.patch(path, json={"output_translation": {"a": "x" * 16_000}})).status_code == 200


async def test_the_next_packet_is_found_behind_any_number_without_the_device(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    at = milliseconds()
    begun = await ask(api, site)
    await send(api, *[packet(site, at - n, f"other-{n % 3}", LIMIT_PEAK_SHAVING="true") for n in range(500)])
    await send(api, packet(site, at, "other-9", LIMIT_PEAK_SHAVING="true"))
    waiting = await ask(api, site, after=begun["after"])
    assert (waiting["packet"], waiting["packets_without_device"]) == (None, 501)
    assert waiting["sensors_seen"] == ["other-0", "other-1", "other-2"]
    (sent,) = await send(api, packet(site, at, CONTROLLER, LIMIT_PEAK_SHAVING="true"))
    assert (await api.post(f"{path_of(site)}/disable")).is_success
    found = await ask(api, site, after=begun["after"])
    assert (found["packet"]["packet_id"], found["packets_without_device"]) == (sent, 501)
    await send(api, packet(site, at, CONTROLLER, LIMIT_PEAK_SHAVING="false"))
    assert (await ask(api, site, after=begun["after"]))["packet"]["packet_id"] == sent


async def test_a_large_body_is_read_while_others_are_answered(
    api: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await controller_site(engine)
    places: list[bool] = []

    def read(*given: Any) -> ReadBody:
        places.append(threading.current_thread() is threading.main_thread())
        return read_body(*given)

    monkeypatch.setattr("telemetry.intake.read_body", read)
    sent = packet(site, None, LIMIT_PEAK_SHAVING="true")
    for body in (sent, sent | {"rows": [1] * 100_000}, [sent | {"rows": [1] * 100_000}]):
        answer = await api.post(PACKETS, json=body)
        assert [each["status"] for each in answer.json()["items"]] == ["ACCEPTED"]
    assert places == [True, False, False]
