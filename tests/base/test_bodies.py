"""JSON bodies are read as packets are: what is stored is what was judged, and nothing is taken for something else."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from api.main import create_app
from runtime.settings import Settings
from tests.factories.sites import add_device, make_site
from tests.helpers.support import make_depot

JSON = {"content-type": "application/json"}
DEPOT = '"name": "A", "timezone": "UTC"'


def routes_with_json() -> list[tuple[str, str]]:
    """Method and path of everything that takes a JSON body."""
    document = create_app(Settings(database_url=SecretStr("postgresql://a@b/c"))).openapi()
    return [
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


def faults(answer: httpx.Response) -> list[tuple[str, str | None]]:
    return [(each["field"], each["code"]) for each in answer.json()["errors"]]


async def send(api: httpx.AsyncClient, content: str | bytes, path: str = "/api/depots", method: str = "post") -> Any:
    return await api.request(method, path, content=content, headers=JSON)


async def test_every_body_is_read_strictly(api: httpx.AsyncClient) -> None:
    routes = routes_with_json()
    assert len(routes) > 15
    for method, path in routes:
        address = re.sub(r"\{\w+\}", str(uuid4()), path)
        answer = await send(api, '{"a": 1, "a": 1}', address, method)
        assert (answer.status_code, [code for _, code in faults(answer)][:1]) == (422, ["REPEATED_KEY"]), path
        assert len(set(faults(answer))) == len(faults(answer)), path


async def test_a_file_is_no_text_of_a_form(api: httpx.AsyncClient) -> None:
    paths = ("/depots/new", "/depots/views", "/backfills", "/scenarios", "/exports/new/readings")
    for path in paths:
        answer = await api.post(path, data={"timezone": "UTC", "mode": "real"}, files={"name": ("a", b"x")})
        assert (answer.status_code, "Too many files" in answer.text) == (422, True), path
    assert (await api.get("/api/depots")).json()["items"] == []
    assert (await api.get("/api/backfills")).json()["items"] == []


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ('{"name": "B", %s}', "body"),
        ('{%s, "circuits": [{"name": "A"}, {"name": "B", "name": "C"}]}', "circuits.1"),
        ('{%s, "circuits": [{"name": "A", "children": [{"name": "B", "name": "B"}]}]}', "circuits.0.children.0"),
    ],
)
async def test_a_key_is_given_once(api: httpx.AsyncClient, content: str, field: str) -> None:
    answer = await send(api, content % DEPOT)
    assert answer.status_code == 422
    assert faults(answer) == [(field, "REPEATED_KEY")]
    assert (await api.get("/api/depots")).json()["items"] == []


async def test_thresholds_are_given_once_each(api: httpx.AsyncClient) -> None:
    path = f"/api/microgrids/{uuid4()}/freshness-thresholds"
    answer = await send(api, '{"thresholds": {"DER": 60, "DER": 70}}', path, "patch")
    assert faults(answer) == [("thresholds", "REPEATED_KEY")]


@pytest.mark.parametrize("number", ["1e-400", "-1e-20000", "0e99999999999", "1e400", "NaN", "-Infinity", "7" * 16_500])
async def test_a_number_that_no_double_holds_is_never_another_one(
    engine: AsyncEngine, api: httpx.AsyncClient, number: str
) -> None:
    circuit = f'{{{DEPOT}, "circuits": [{{"name": "A", "rated_power_w": {number}}}]}}'
    answer = await send(api, circuit)
    assert (answer.status_code, [field for field, _ in faults(answer)]) == (422, ["circuits.0.rated_power_w"])
    action = '"action": "UPDATE_CIRCUIT_CAPACITY", "measurands": ["HEARTBEAT_STATUS", "AVAILABLE_CHARGING_CAPACITY"]'
    path = f"/api/devices/{await add_device(engine, await make_site(engine))}/sensor-actions"
    for setting in ("fail_safe_capacity_w", "heartbeat_threshold_seconds"):
        answer = await send(api, f'{{{action}, "{setting}": {number}}}', path)
        assert (answer.status_code, [field for field, _ in faults(answer)]) == (422, [setting])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "line 1, column 2"),
        ('{"name": "A",\n oops}', "line 2, column 2"),
        (b'{"name": "\xff"}', "Byte 10 is not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        ("\ufeff{}", "Not JSON"),
        ("[" * 100_000, "levels deep"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_is_no_json_is_told_where(api: httpx.AsyncClient, content: str | bytes, words: str) -> None:
    answer = await send(api, content)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    (error,) = answer.json()["errors"]
    assert error["field"] == "body"
    assert words in error["detail"]


async def test_an_exact_whole_number_stays_exact(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine)
    held = f'{{"depot_id": "{depot_id}", "name": "G", "output_translation": {{"id": 12345678901234567890123}}}}'
    made = (await send(api, held, "/api/gateways")).raise_for_status()
    assert made.json()["output_translation"] == {"id": 12345678901234567890123}
    again = await api.get(f"/api/gateways/{made.json()['gateway_id']}")
    assert again.json()["output_translation"] == {"id": 12345678901234567890123}
