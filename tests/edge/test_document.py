"""Everything that outside tools make a client of is in the OpenAPI document, for every route there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr

from api.edge.document import LOCATIONS, operation_id, operations
from api.main import create_app
from api.ui.provisioning import circuits as circuit_pages
from domain.site.sensor_actions import SensorActionKind
from runtime.settings import Settings

VERBS = (
    "create", "list", "get", "update", "delete", "import", "resync", "validate", "enable", "disable", "send", "record",
    "stream", "resolve", "start", "pause", "resume", "cancel", "compare", "decode", "encode", "export", "download",
    "check", "shut", "retire", "restore",
)  # fmt: skip
WITH_EXAMPLES = ("DepotCreate", "CircuitCreate", "GatewayCreate", "DeviceCreate", "PowerSourceCreate", "Packet")


def make_document() -> dict[str, Any]:
    return create_app(Settings(database_url=SecretStr("postgresql:///none"))).openapi()


DOCUMENT = make_document()
OPERATIONS = {each["operationId"]: each for each in operations(DOCUMENT)}


def every_property(part: Any, where: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of every schema, with its place."""
    if isinstance(part, list):
        for place, each in enumerate(part):
            yield from every_property(each, f"{where}/{place}")
    elif isinstance(part, dict):
        found = part.get("properties")
        if isinstance(found, dict):
            yield from ((f"{where}/{name}", schema) for name, schema in found.items())
        for key, each in part.items():
            if key not in ("example", "examples", "default", "enum", "const"):
                yield from every_property(each, f"{where}/{key}")


def test_servers_and_tags_are_declared() -> None:
    assert DOCUMENT["servers"]
    declared = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    assert declared == {tag for each in OPERATIONS.values() for tag in each["tags"]}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_reads_well_in_a_client(name: str) -> None:
    operation = OPERATIONS[name]
    assert re.fullmatch(rf"({'|'.join(VERBS)})(_[a-z]+)+", name), (
        "a verb and what it is done to: see api/edge/document.py"
    )
    assert operation["summary"]
    assert operation["description"]
    for parameter in operation.get("parameters", ()):
        assert parameter.get("description"), f"{parameter['name']}: say what it is, or add it to api/edge/glossary.py"
    body = operation.get("requestBody")
    for media, content in body["content"].items() if body else ():
        assert content["schema"].get("type") == "string" or "$ref" in content["schema"], media
    for status in ("201", "202"):
        if status in operation["responses"]:
            assert "Location" in operation["responses"][status]["headers"], "say where in api.edge.document.LOCATIONS"
            wanted = set(re.findall(r"{(\w+)}", LOCATIONS[name]))
            answer = operation["responses"][status]["content"]["application/json"]["schema"]["$ref"]
            has = DOCUMENT["components"]["schemas"][answer.rpartition("/")[2]]["properties"]
            assert wanted <= has.keys() | {each["name"] for each in operation.get("parameters", ())}


def test_every_operation_has_one_name() -> None:
    assert len(OPERATIONS) == sum(1 for _ in operations(DOCUMENT))
    assert set(LOCATIONS) <= set(OPERATIONS)


def test_every_location_is_one_that_can_be_read() -> None:
    readable = {re.sub(r"{\w+}", "{}", path) for path, item in DOCUMENT["paths"].items() if "get" in item}
    assert {re.sub(r"{\w+}", "{}", path) for path in LOCATIONS.values()} <= readable


def test_every_property_says_what_it_means() -> None:
    silent = [where for where, schema in every_property(DOCUMENT) if not schema.get("description")]
    assert silent == [], "say what it is with Field(description=…), or add the name to api/edge/glossary.py"


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_main_bodies_have_examples(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    assert "examples" in schema or any("examples" in each for each in schema["properties"].values())


def test_no_schema_holds_itself_without_an_end_or_asks_what_few_tools_know() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert not re.search(r"\\ud[89a-f]", repr(schemas), re.IGNORECASE)
    for name, schema in schemas.items():
        assert schema["title"] == name
        alternatives = schema.get("anyOf", ()) if "properties" not in schema else ()
        assert all(each.get("$ref", "").rpartition("/")[2] != name for each in alternatives)
        assert "PacketAnything" not in repr(schema)


def test_a_page_is_not_taken_for_an_operation_of_its_name() -> None:
    names = {operation_id(route) for route in circuit_pages.router.routes if isinstance(route, APIRoute)}
    assert not names & set(LOCATIONS)


async def test_where_something_was_made_is_told(api: httpx.AsyncClient) -> None:
    depot = await api.post("/api/depots", json={"name": "A", "timezone": "Etc/UTC", "circuits": [{"name": "F"}]})
    depot_id = depot.json()["depot_id"]
    circuit = await api.post(f"/api/depots/{depot_id}/circuits", json={"name": "G"})
    gateway = await api.post("/api/gateways", json={"depot_id": depot_id, "name": "Gateway"})
    device = await api.post(
        "/api/devices", json={"gateway_id": gateway.json()["gateway_id"], "sensor_id": "s", "name": "Meter"}
    )
    action = await api.post(
        f"/api/devices/{device.json()['device_id']}/sensor-actions",
        json={"action": SensorActionKind.UPDATE_MICROGRID_STATE, "measurands": ["LIMIT_PEAK_SHAVING"]},
    )
    source = await api.post("/api/power-sources", json={"depot_id": depot_id, "kind": "SOLAR", "name": "Roof"})
    backfill = await api.post("/api/backfills", json={})
    again = await api.post(f"{backfill.headers['location']}/pause")
    for made in (depot, circuit, gateway, device, action, source, backfill, again):
        assert made.status_code in (201, 202), made.text
        found = await api.get(made.headers["location"])
        assert found.status_code == 200, found.text
        assert found.json().items() & {k: v for k, v in made.json().items() if k.endswith("_id")}.items()
    refused = await api.post("/api/depots", json={"name": ""})
    assert "location" not in refused.headers
