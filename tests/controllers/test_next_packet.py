"""The live test of a controller binding over HTTP: the next packet of its device, and what it updates or would."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories.equipped_depots import CAPACITY, add_action, problem
from tests.factories.next_packets import ask, path_of, send
from tests.factories.sites import CONTROLLER, controller_site, milliseconds, packet

NOBODY = "00000000-0000-7000-8000-000000000000"


def measured(answer: dict[str, Any] | None) -> list[tuple[str, str, str | None]]:
    assert answer is not None
    return [(each["measurand"], each["outcome"], each["code"]) for each in answer["measurands"]]


async def test_the_next_packet_is_shown_with_what_each_sensor_action_did(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site = await controller_site(engine)
    await add_action(api, str(site.devices[CONTROLLER]), CAPACITY)
    at = milliseconds()
    await send(api, packet(site, at - 2000, LIMIT_PEAK_SHAVING="false"))
    begun = await ask(api, site)
    assert begun["packet"] is None
    assert (begun["enabled"], begun["device_id"]) == (True, str(site.devices[CONTROLLER]))
    values: dict[str, Any] = {"LIMIT_PEAK_SHAVING": "true", "LIMIT_DER_EXPORT": "TRUE", "SOC": 50, "X_OWN": 1}
    first, _ = await send(api, packet(site, at - 1000, **values), packet(site, at, LIMIT_PEAK_SHAVING="false"))
    found = (await ask(api, site, after=begun["after"]))["packet"]
    assert found["packet_id"] == first
    # However often one asks, it is the same.
    assert (await ask(api, site, after=begun["after"]))["packet"] == found
    assert [(each["key"], each["value"], each["standard"], each["unreadable"]) for each in found["measurands"]] == [
        ("LIMIT_PEAK_SHAVING", "true", True, None),
        ("LIMIT_DER_EXPORT", "TRUE", True, "UNKNOWN_TEXT"),
        ("SOC", 50, True, None),
        ("X_OWN", 1, False, None),
    ]
    did = {each["action"]: each for each in found["actions"]}
    assert measured(did["UPDATE_MICROGRID_STATE"]) == [
        ("LIMIT_PEAK_SHAVING", "APPLIED", None),
        ("LIMIT_DER_EXPORT", "IGNORED", "UNKNOWN_TEXT"),
    ]
    assert did["UPDATE_CIRCUIT_CAPACITY"]["code"] == "NO_MEASURAND"
    assert found["if_enabled"] is None


async def test_a_disabled_binding_says_what_it_would_update_and_updates_nothing(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site = await controller_site(engine)
    at = milliseconds()
    await send(api, packet(site, at - 2000, LIMIT_PEAK_SHAVING="false", LIMIT_DER_EXPORT="false"))
    assert (await api.post(f"{path_of(site)}/disable")).is_success
    status_path = f"/api/microgrids/{site.microgrid_id}/capability-status"
    before = (await api.get(f"{status_path}/history")).json()
    begun = await ask(api, site)
    values: dict[str, Any] = {"LIMIT_PEAK_SHAVING": "true", "LIMIT_DER_EXPORT": None}
    await send(api, packet(site, at - 1000, **values))
    found = (await ask(api, site, after=begun["after"]))["packet"]
    assert [(each["outcome"], each["code"]) for each in found["actions"]] == [("IGNORED", "DISABLED")]
    assert measured(found["if_enabled"]) == [
        ("LIMIT_PEAK_SHAVING", "APPLIED", None),
        ("LIMIT_DER_EXPORT", "IGNORED", "UNAVAILABLE"),
    ]
    # A packet that is older than what is shown would not be shown either.
    late = await ask(api, site)
    await send(api, packet(site, at - 3000, LIMIT_PEAK_SHAVING="true"))
    found = (await ask(api, site, after=late["after"]))["packet"]
    assert measured(found["if_enabled"]) == [("LIMIT_PEAK_SHAVING", "IGNORED", "LATE")]
    assert (await api.get(f"{status_path}/history")).json() == before
    # What holds stays what it was: it did not act when the packet came.
    assert (await api.post(f"{path_of(site)}/enable")).is_success
    again = await ask(api, site, after=begun["after"])
    assert again["enabled"]
    assert again["packet"]["if_enabled"] is not None


async def test_one_waits_for_the_packet_and_hears_what_came_instead(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    site = await controller_site(engine)
    begun = await ask(api, site)
    await send(api, packet(site, None, "mgc-l", LIMIT_PEAK_SHAVING="true"))
    found = await ask(api, site, after=begun["after"])
    assert (found["packet"], found["packets_without_device"], found["sensors_seen"]) == (None, 1, ["mgc-l"])
    # Long enough that only the packet can end it; many waits in a row, and none is lost between them.

    async def wait() -> dict[str, Any]:
        while True:
            answer = await ask(api, site, after=begun["after"], wait_seconds=1)
            if answer["packet"] is not None:
                return answer

    waiting = asyncio.create_task(wait())
    (sent,) = await send(api, packet(site, None, LIMIT_PEAK_SHAVING="true"))
    assert (await waiting)["packet"]["packet_id"] == sent


async def test_a_moment_is_checked_and_an_unknown_binding_is_told(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    site = await controller_site(engine)
    unknown = await api.get(f"/api/controller-bindings/{NOBODY}/next-packet")
    assert problem(unknown) == (404, "BINDING_NOT_FOUND")
    path = f"{path_of(site)}/next-packet"
    for parameters in (
        {"after": "9999-12-31T23:59:59-05:00"},
        {"after": "2026-01-01T00:00:00"},
        {"wait_seconds": 11},
    ):
        assert problem(await api.get(path, params=parameters)) == (422, "INVALID_REQUEST")
    too_early = await api.get(path, params={"after": "0001-01-01T00:00:00Z"})
    assert too_early.status_code == 422
    for after in ("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert (await ask(api, site, after=after))["packet"] is None
    # Within an hour, that is; what came long after is not the next one.
    await send(api, packet(site, None, LIMIT_PEAK_SHAVING="true"))
    assert (await ask(api, site, after=(datetime.now(UTC) - timedelta(minutes=1)).isoformat()))["packet"] is not None
    assert (await ask(api, site, after=(datetime.now(UTC) - timedelta(hours=2)).isoformat()))["packet"] is None
