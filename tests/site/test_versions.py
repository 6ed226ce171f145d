"""Versions of what people edit: an answer's ETag, If-Match, and what a conflict tells, the same for every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.main import create_app
from runtime.settings import Settings
from store.site.tables import microgrids
from tests.factories.equipped_depots import CAPACITY, STATE, add_action, made, make_equipped_depot, problem
from tests.helpers.journal import journal

ACTOR = "local-administrator"


@dataclass(frozen=True)
class Kind:
    """A kind of thing that is edited: two changes of different fields of it."""

    name: str
    one: dict[str, Any]
    other: dict[str, Any]
    told: dict[str, list[Any]]
    """How a conflict tells of the first."""


KINDS = (
    Kind("circuit", {"name": "Intake"}, {"rated_power_w": 5000}, {"name": ["Feed 1", "Intake"]}),
    Kind("gateway", {"name": "Cabinet"}, {"site_model_name": "BBA-1"}, {"name": ["Gateway", "Cabinet"]}),
    Kind("device", {"name": "Meter"}, {"sensor_id": "three"}, {"name": ["Device one", "Meter"]}),
    Kind("power source", {"name": "Panels"}, {"kind": "BATTERY"}, {"name": ["Roof", "Panels"]}),
    Kind(
        "sensor action",
        {"heartbeat_threshold_seconds": 60},
        {"fail_safe_capacity_w": 1000},
        {"heartbeat_threshold_seconds": [120, 60]},
    ),
    Kind("binding", {"enabled": False}, {"capabilities": ["DER"]}, {"enabled": [True, False]}),
)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@dataclass(frozen=True)
class Thing:
    """One of them."""

    path: str
    subject_id: str
    shown: dict[str, Any]
    etag: str
    readable: bool = True
    """Whether it has an address of its own to read it at."""

    @property
    def deletion(self) -> str:
        """Where it is deleted, with all that hangs on it."""
        return f"{self.path}?cascade=true"


async def make(engine: AsyncEngine, api: httpx.AsyncClient, kind: str) -> Thing:
    equipped = await make_equipped_depot(engine, api)
    if kind == "circuit":
        path = f"/api/circuits/{equipped.circuits[0]}"
        shown = (await api.patch(path, json={})).json()
        return Thing(path, equipped.circuits[0], shown, f'"{shown["version"]}"', readable=False)
    if kind == "sensor action":
        subject = (await add_action(api, equipped.devices[1], CAPACITY))["sensor_action_id"]
        path = f"/api/sensor-actions/{subject}"
    elif kind == "binding":
        async with engine.begin() as connection:
            await connection.execute(
                insert(microgrids).values(depot_id=UUID(equipped.depot_id), created_by=ACTOR, updated_by=ACTOR)
            )
        subject = (await add_action(api, equipped.devices[1], STATE))["sensor_action_id"]
        path = f"/api/controller-bindings/{subject}"
    elif kind == "power source":
        body = {"depot_id": equipped.depot_id, "kind": "SOLAR", "name": "Roof", "circuit_id": equipped.circuits[0]}
        subject = (await made(await api.post("/api/power-sources", json=body)))["power_source_id"]
        path = f"/api/power-sources/{subject}"
    else:
        subject = equipped.gateway_id if kind == "gateway" else equipped.devices[0]
        path = f"/api/{kind}s/{subject}"
    answer = await api.get(path)
    return Thing(path, subject, answer.json(), answer.headers["etag"])


@every_kind
async def test_a_version_is_the_etag_and_moves_with_what_is_changed(
    engine: AsyncEngine, api: httpx.AsyncClient, kind: Kind
) -> None:
    thing = await make(engine, api, kind.name)
    assert (thing.shown["version"], thing.etag) == (1, '"1"')
    changed = await api.patch(thing.path, json=kind.one, headers={"If-Match": thing.etag})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["version"], changed.headers["etag"]) == (2, '"2"')
    # What changes nothing makes no version, and no entry.
    entries = len(await journal(engine, thing.subject_id))
    same = await api.patch(thing.path, json=kind.one, headers={"If-Match": '"2"'})
    assert (same.json()["version"], same.headers["etag"]) == (2, '"2"')
    assert (await api.patch(thing.path, json={})).json()["version"] == 2
    assert len(await journal(engine, thing.subject_id)) == entries
    if thing.readable:
        assert (await api.get(thing.path)).headers["etag"] == '"2"'


@every_kind
async def test_a_stale_version_is_refused_and_told_field_by_field(
    engine: AsyncEngine, api: httpx.AsyncClient, kind: Kind
) -> None:
    thing = await make(engine, api, kind.name)
    first = await api.patch(thing.path, json=kind.one)
    assert first.status_code == 200, first.text
    for stale in (thing.etag, f'"0", {thing.etag}', f'{thing.etag},W/"2"'):
        answer = await api.patch(thing.path, json=kind.other, headers={"If-Match": stale})
        assert problem(answer) == (412, "VERSION_CONFLICT")
        context = answer.json()["context"]
        assert context["current"]["version"] == 2
        (change,) = context["changes"]
        assert (change["actor"], change["fields"]) == (ACTOR, kind.told)
        assert change["at"]
        assert (await api.delete(thing.deletion, headers={"If-Match": stale})).status_code == 412
    # The version that holds, any version, and none at all go through.
    for fresh, body in (('"1", "2"', kind.other), ("*", kind.one), (None, {})):
        answer = await api.patch(thing.path, json=body, headers={} if fresh is None else {"If-Match": fresh})
        assert answer.status_code == 200, answer.text
    assert (await api.delete(thing.deletion, headers={"If-Match": answer.headers["etag"]})).status_code == 204


@every_kind
async def test_of_two_at_once_one_is_told_and_nothing_is_undone(
    engine: AsyncEngine, api: httpx.AsyncClient, kind: Kind
) -> None:
    thing = await make(engine, api, kind.name)
    given = {"If-Match": thing.etag}
    answers = await asyncio.gather(
        *(api.patch(thing.path, json=body, headers=given) for body in (kind.one, kind.other))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    # Without a version both go through, and each changes only what it names.
    thing = await make(engine, api, kind.name)
    await asyncio.gather(*(api.patch(thing.path, json=body) for body in (kind.one, kind.other)))
    shown = (await api.patch(thing.path, json={})).json()
    assert shown["version"] == 3
    for name, value in (kind.one | kind.other).items():
        if name == "capabilities":
            assert [each["capability"] for each in shown[name]] == value
        else:
            assert shown[name] == value
    changed = [entry for entry in await journal(engine, thing.subject_id) if entry[0].endswith("_CHANGED")]
    assert [entry[1] for entry in changed] == [ACTOR, ACTOR]


@every_kind
async def test_what_is_gone_is_not_there_whatever_its_version(
    engine: AsyncEngine, api: httpx.AsyncClient, kind: Kind
) -> None:
    thing = await make(engine, api, kind.name)
    assert (await api.delete(thing.deletion)).status_code == 204
    answer = await api.patch(thing.path, json=kind.one, headers={"If-Match": thing.etag})
    assert answer.status_code == 404
    assert (await api.delete(thing.path, headers={"If-Match": thing.etag})).status_code == 404


@pytest.mark.parametrize("tag", ["1", "abc", '"1', '"1" "2"', "", ",", "'1'"])
async def test_what_is_no_entity_tag_is_refused(engine: AsyncEngine, api: httpx.AsyncClient, tag: str) -> None:
    equipped = await make_equipped_depot(engine, api)
    path = f"/api/gateways/{equipped.gateway_id}"
    answer = await api.patch(path, json={"name": "Other"}, headers={"If-Match": tag})
    assert problem(answer) == (422, "INVALID_REQUEST")
    assert answer.json()["errors"][0]["field"] == "If-Match"


@pytest.mark.parametrize("tag", ['W/"1"', '"abc"', '""', '"-1"', '"99999999999999999999"', '"01x"', '"7"'])
async def test_a_tag_that_no_answer_had_matches_nothing(engine: AsyncEngine, api: httpx.AsyncClient, tag: str) -> None:
    equipped = await make_equipped_depot(engine, api)
    answer = await api.delete(f"/api/gateways/{equipped.gateway_id}?cascade=true", headers={"If-Match": tag})
    assert problem(answer) == (412, "VERSION_CONFLICT")
    assert answer.json()["context"]["changes"] == []


async def test_a_version_in_the_body_is_told_as_before(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    thing = await make(engine, api, "sensor action")
    await api.patch(thing.path, json={"heartbeat_threshold_seconds": 60})
    answer = await api.patch(thing.path, json={"fail_safe_capacity_w": 1, "version": 1})
    assert problem(answer) == (409, "VERSION_CONFLICT")
    answer = await api.patch(thing.path, json={"fail_safe_capacity_w": 1, "version": 1}, headers={"If-Match": "*"})
    assert problem(answer) == (409, "VERSION_CONFLICT")


async def test_a_circuit_has_no_new_version_where_its_place_moves_with_its_siblings(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    equipped = await make_equipped_depot(engine, api)
    first, second = (f"/api/circuits/{each}" for each in equipped.circuits)
    moved = (await api.patch(second, json={"position": 0})).json()
    assert (moved["position"], moved["version"]) == (0, 2)
    pushed = (await api.patch(first, json={})).json()
    assert (pushed["position"], pushed["version"]) == (1, 1)
    assert (await journal(engine, equipped.circuits[1]))[-1][2] == {"position": [1, 0]}
    both = (await api.patch(second, json={"name": "Intake", "parent_id": equipped.circuits[0]})).json()
    assert both["version"] == 3
    assert (await journal(engine, equipped.circuits[1]))[-1][2] == {
        "name": ["Feed 2", "Intake"],
        "parent_id": [None, equipped.circuits[0]],
    }


async def test_what_loses_its_circuit_has_a_new_version_and_its_journal_says_who(
    engine: AsyncEngine, api: httpx.AsyncClient
) -> None:
    equipped = await make_equipped_depot(engine, api)
    first = equipped.circuits[0]
    body = {"depot_id": equipped.depot_id, "kind": "SOLAR", "name": "Roof", "circuit_id": first}
    source_id = (await made(await api.post("/api/power-sources", json=body)))["power_source_id"]
    assert (await api.delete(f"/api/circuits/{first}")).status_code == 204
    for path, noun in (
        (f"/api/devices/{equipped.devices[0]}", "DEVICE"),
        (f"/api/power-sources/{source_id}", "POWER_SOURCE"),
    ):
        shown = (await api.get(path)).json()
        assert (shown["circuit_id"], shown["version"]) == (None, 2)
        answer = await api.patch(path, json={"name": "Other"}, headers={"If-Match": '"1"'})
        (change,) = answer.json()["context"]["changes"]
        assert (change["actor"], change["fields"]) == (ACTOR, {"circuit_id": [first, None]})
        assert (await journal(engine, path.rpartition("/")[2]))[-1][0] == f"{noun}_CHANGED"


async def test_rows_count_their_versions_whoever_changes_them(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    equipped = await make_equipped_depot(engine, api)
    action = await add_action(api, equipped.devices[1], STATE)
    for table, subject, column in (
        ("circuits", equipped.circuits[0], "name"),
        ("gateways", equipped.gateway_id, "site_model_name"),
        ("devices", equipped.devices[0], "controller"),
    ):
        async with engine.begin() as connection:
            change = text(f"UPDATE {table} SET {column} = 'x' WHERE id = :id RETURNING version")
            assert (await connection.execute(change, {"id": subject})).scalar_one() == 2
            again = text(f"UPDATE {table} SET updated_at = now() WHERE id = :id RETURNING version")
            assert (await connection.execute(again, {"id": subject})).scalar_one() == 2
    async with engine.begin() as connection:
        # The release before counts this one itself.
        change = text("UPDATE sensor_actions SET enabled = false, version = 2 WHERE id = :id RETURNING version")
        assert (await connection.execute(change, {"id": action["sensor_action_id"]})).scalar_one() == 2


def parts_of(document: dict[str, Any], schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all that it refers to."""
    if isinstance(schema, list):
        for each in schema:
            yield from parts_of(document, each)
    elif isinstance(schema, dict):
        yield schema
        for name, each in schema.items():
            if name == "$ref":
                yield from parts_of(document, document["components"]["schemas"][each.rpartition("/")[2]])
            else:
                yield from parts_of(document, each)


def test_no_body_of_a_change_has_a_default() -> None:
    document = create_app(Settings(database_url=SecretStr("postgresql://none"))).openapi()
    bodies = [item["patch"]["requestBody"] for item in document["paths"].values() if "patch" in item]
    assert len(bodies) >= len(KINDS)
    for body in bodies:
        schema = body["content"]["application/json"]["schema"]
        assert all("default" not in part for part in parts_of(document, schema)), schema


ABSENT_NULL_VALUE = [
    ("circuit", "rated_power_w", 5000.0, None),
    ("circuit", "name", "Intake", "refused"),
    ("gateway", "site_model_name", "BBA-1", None),
    ("gateway", "output_translation", {"a": 1}, None),
    ("gateway", "name", "Cabinet", "refused"),
    ("device", "controller", "bba-1", None),
    ("device", "sensor_id", "three", "refused"),
    ("device", "gateway_id", "no", "refused"),
    ("power source", "circuit_id", None, None),
    ("power source", "kind", "BATTERY", "refused"),
    ("sensor action", "fail_safe_capacity_w", 1000.0, None),
    ("sensor action", "enabled", False, "refused"),
    ("sensor action", "measurands", STATE["measurands"], "refused"),
    ("binding", "enabled", False, "refused"),
    ("binding", "device_id", "no", "refused"),
]


@pytest.mark.parametrize(("kind", "name", "value", "null"), ABSENT_NULL_VALUE)
async def test_absent_null_and_a_value_are_three_things(
    engine: AsyncEngine, api: httpx.AsyncClient, kind: str, name: str, value: Any, null: str | None
) -> None:
    thing = await make(engine, api, kind)
    if null is None:
        given = await api.patch(thing.path, json={name: value})
        assert given.json()[name] == value
        assert (await api.patch(thing.path, json={})).json()[name] == value
        assert (await api.patch(thing.path, json={name: None})).json()[name] is None
    else:
        answer = await api.patch(thing.path, json={name: None})
        assert answer.status_code == 422
        assert (await api.patch(thing.path, json={})).json()["version"] == 1
