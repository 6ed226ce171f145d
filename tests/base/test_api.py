"""The HTTP facade: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.limits import MAX_BODY_BYTES
from api.main import create_app
from domain.base.problems import ProblemCode
from runtime.settings import Settings
from runtime.version import version
from store.base.database import transaction
from store.provisioning.microgrids import reconcile_microgrid
from store.site.tables import devices, gateways, power_sources
from tests.helpers.answers import problem
from tests.helpers.support import ACTOR, circuits_of, make_depot, microgrid_of

DEPOT = {"name": "Arrow Road", "timezone": "America/Toronto"}


async def test_a_depot_is_created_with_its_tree(api: httpx.AsyncClient) -> None:
    body = DEPOT | {
        "circuits": [
            {"name": " Feed 1 ", "rated_power_w": 1e6, "children": [{"name": "Board", "children": [{"name": "Bay"}]}]},
            {"name": "Feed 2"},
        ]
    }
    made = await api.post("/api/depots", json=body)
    assert made.status_code == 201
    depot = made.json()
    assert depot["provisioning"] == {"state": "PENDING", "code": None, "message": None}
    assert depot["created_by"] == depot["updated_by"] == "local-administrator"
    assert UUID(depot["depot_id"]).version == 7
    tree = (await api.get(f"/api/depots/{depot['depot_id']}/circuits")).json()
    assert tree["next_cursor"] is None
    assert [(c["name"], c["position"], c["rated_power_w"]) for c in tree["items"]] == [
        ("Feed 1", 0, 1e6), ("Board", 0, None), ("Bay", 0, None), ("Feed 2", 1, None),
    ]  # fmt: skip
    assert tree["items"][1]["parent_id"] == tree["items"][0]["circuit_id"]
    assert (await api.get(f"/api/depots/{depot['depot_id']}")).json() == depot


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (DEPOT | {"name": "   "}, "INVALID_NAME"),
        (DEPOT | {"name": "x" * 201}, "INVALID_NAME"),
        (DEPOT | {"name": "a\u0000b"}, "INVALID_NAME"),
        (DEPOT | {"name": "a\nb"}, "INVALID_NAME"),
        (DEPOT | {"name": 5}, "INVALID_REQUEST"),
        (DEPOT | {"timezone": "Mars/Olympus"}, "INVALID_TIMEZONE"),
        (DEPOT | {"timezone": "../../etc/passwd"}, "INVALID_TIMEZONE"),
        ({"name": "Arrow"}, "INVALID_REQUEST"),
        (DEPOT | {"circuit": []}, "INVALID_REQUEST"),
        (DEPOT | {"circuits": [{"name": "", "children": []}]}, "INVALID_NAME"),
        (DEPOT | {"circuits": [{"name": "Feed", "rated_power_w": -1}]}, "INVALID_REQUEST"),
        (DEPOT | {"circuits": [{"name": "Feed", "rated_power_w": 1e300}]}, "INVALID_REQUEST"),
        (DEPOT | {"circuits": "Feed"}, "INVALID_REQUEST"),
        ([], "INVALID_REQUEST"),
    ],
)
async def test_a_wrong_depot_is_refused_whole(api: httpx.AsyncClient, body: Any, code: str) -> None:
    assert problem(await api.post("/api/depots", json=body)) == (422, code)
    assert (await api.get("/api/depots")).json()["items"] == []


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"\xff\xfe",
        b'{"name": "A", "timezone": "UTC", "circuits": ' + b"[" * 100_000,
        b'{"name": "A", "timezone": "UTC", "circuits": [{"name": "A", "rated_power_w": NaN}]}',
        b'{"name": "\\ud800", "timezone": "UTC"}',
    ],
)
async def test_broken_json_is_a_problem(api: httpx.AsyncClient, content: bytes) -> None:
    answer = await api.post("/api/depots", content=content, headers={"content-type": "application/json"})
    status, code = problem(answer)
    assert status in (400, 422)
    assert code in ("INVALID_REQUEST", "INVALID_NAME")


async def test_a_tree_too_deep_is_refused(api: httpx.AsyncClient) -> None:
    circuit: dict[str, Any] = {"name": "bottom"}
    for _ in range(40):
        circuit = {"name": "level", "children": [circuit]}
    assert problem(await api.post("/api/depots", json=DEPOT | {"circuits": [circuit]})) == (
        422, "CIRCUIT_TREE_TOO_DEEP",
    )  # fmt: skip


async def test_a_body_too_large_is_refused_before_it_is_read(api: httpx.AsyncClient) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(100):
            yield b"x" * MAX_BODY_BYTES

    answer = await api.post("/api/depots", content=endless(), headers={"content-type": "application/json"})
    assert problem(answer) == (413, "BODY_TOO_LARGE")


async def test_a_wrong_field_is_named(api: httpx.AsyncClient) -> None:
    body = DEPOT | {"circuits": [{"name": "A"}, {"name": "B", "rated_power_w": "a lot"}]}
    document = (await api.post("/api/depots", json=body)).json()
    assert [each["field"] for each in document["errors"]] == ["circuits.1.rated_power_w"]


async def test_depots_are_listed_by_name_in_pages(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    for name in ("Zürich", "Arrow", "Malvern", "Arrow"):
        await make_depot(engine, name=name)
    seen: list[str] = []
    parameters: dict[str, str | int] = {"limit": 3}
    while True:
        page = (await api.get("/api/depots", params=parameters)).json()
        seen += [each["name"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert seen == ["Arrow", "Arrow", "Malvern", "Zürich"]
    found = (await api.get("/api/depots", params={"search": "ARR"})).json()
    assert [each["name"] for each in found["items"]] == ["Arrow", "Arrow"]
    literal = (await api.get("/api/depots", params={"search": "%"})).json()
    assert literal["items"] == []
    pending = (await api.get("/api/depots", params={"provisioning": "PENDING"})).json()
    assert len(pending["items"]) == 4
    assert (await api.get("/api/depots", params={"provisioning": "FAILED"})).json()["items"] == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"cursor": "not a cursor"},
        {"cursor": "W10"},
        {"cursor": "WyJcdTAwMDAiLCAiMDE5MGE1ZDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAwIl0"},
        {"cursor": "é"},
    ],
)
async def test_a_cursor_of_another_making_is_refused(api: httpx.AsyncClient, parameters: dict[str, str]) -> None:
    assert problem(await api.get("/api/depots", params=parameters)) == (422, "INVALID_CURSOR")


@pytest.mark.parametrize(
    "parameters", [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"search": "\u0000"}, {"provisioning": "x"}]
)
async def test_wrong_parameters_are_refused(api: httpx.AsyncClient, parameters: dict[str, Any]) -> None:
    assert problem(await api.get("/api/depots", params=parameters)) == (422, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/depots/{}", "DEPOT_NOT_FOUND"),
        ("GET", "/api/depots/{}/circuits", "DEPOT_NOT_FOUND"),
        ("POST", "/api/depots/{}/circuits", "DEPOT_NOT_FOUND"),
        ("GET", "/api/depots/{}/microgrid", "DEPOT_NOT_FOUND"),
        ("POST", "/api/depots/{}/microgrid/resync", "DEPOT_NOT_FOUND"),
        ("GET", "/api/microgrids/{}", "MICROGRID_NOT_FOUND"),
        ("GET", "/api/microgrids/{}/structure", "MICROGRID_NOT_FOUND"),
        ("PATCH", "/api/circuits/{}", "CIRCUIT_NOT_FOUND"),
        ("DELETE", "/api/circuits/{}", "CIRCUIT_NOT_FOUND"),
        ("GET", "/api/backfills/{}", "BACKFILL_NOT_FOUND"),
        ("GET", "/api/backfills/{}/outcomes", "BACKFILL_NOT_FOUND"),
        ("GET", "/api/nothing/{}", "ROUTE_NOT_FOUND"),
    ],
)
async def test_what_is_not_there_is_not_found(api: httpx.AsyncClient, method: str, path: str, code: str) -> None:
    body = {"name": "A"} if method in ("POST", "PATCH") and "circuits" in path else None
    assert problem(await api.request(method, path.format(uuid4()), json=body)) == (404, code)


async def test_a_wrong_method_says_which_are_right(api: httpx.AsyncClient) -> None:
    answer = await api.put("/api/depots")
    assert problem(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"]


async def test_circuits_are_added_moved_renamed_and_deleted(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine, "A", "B")
    base = f"/api/depots/{depot_id}/circuits"

    async def order() -> list[tuple[str, int]]:
        return [(each["name"], each["position"]) for each in (await api.get(base)).json()["items"]]

    made = await api.post(base, json={"name": "C", "position": 1, "rated_power_w": 250_000})
    assert made.status_code == 201
    assert await order() == [("A", 0), ("C", 1), ("B", 2)]
    path = f"/api/circuits/{made.json()['circuit_id']}"
    assert (await api.patch(path, json={"position": 99})).json()["position"] == 2
    assert (await api.patch(path, json={"name": "C2"})).json()["name"] == "C2"
    unchanged = (await api.patch(path, json={})).json()
    assert (unchanged["name"], unchanged["rated_power_w"]) == ("C2", 250_000)
    assert (await api.patch(path, json={"rated_power_w": None})).json()["rated_power_w"] is None
    top = (await circuits_of(engine, depot_id))[0].circuit_id
    assert (await api.patch(path, json={"parent_id": str(top)})).json()["parent_id"] == str(top)
    assert await order() == [("A", 0), ("C2", 0), ("B", 1)]
    assert problem(await api.delete(f"/api/circuits/{top}")) == (409, "CIRCUIT_HAS_CHILDREN")
    assert (await api.delete(f"/api/circuits/{top}?cascade=true")).status_code == 204
    assert await order() == [("B", 0)]


async def test_wrong_circuit_changes_are_refused(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    here, there = await make_depot(engine, "A"), await make_depot(engine, "B")
    (one,), (foreign,) = await circuits_of(engine, here), await circuits_of(engine, there)
    path = f"/api/circuits/{one.circuit_id}"
    for body, expected in (
        ({"parent_id": str(one.circuit_id)}, (409, "CIRCUIT_CYCLE")),
        ({"parent_id": str(foreign.circuit_id)}, (422, "PARENT_NOT_FOUND")),
        ({"parent_id": str(uuid4())}, (422, "PARENT_NOT_FOUND")),
        ({"name": " "}, (422, "INVALID_NAME")),
        ({"name": None}, (422, "INVALID_REQUEST")),
        ({"position": -1}, (422, "INVALID_REQUEST")),
        ({"position": 2**31}, (422, "INVALID_REQUEST")),
        ({"nam": "typo"}, (422, "INVALID_REQUEST")),
    ):
        assert problem(await api.patch(path, json=body)) == expected, body
    assert await circuits_of(engine, here) == [one]


@pytest.mark.acceptance("COR-8.3")
async def test_the_structure_hangs_everything_where_it_belongs(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    depot_id = await make_depot(engine, "Feed")
    (feed,) = await circuits_of(engine, depot_id)
    base = f"/api/depots/{depot_id}/circuits"
    board = (await api.post(base, json={"name": "Board", "parent_id": str(feed.circuit_id)})).json()["circuit_id"]
    made = {"depot_id": depot_id, "created_by": "t", "updated_by": "t"}
    async with transaction(engine, ACTOR) as connection:
        gateway = (
            await connection.execute(insert(gateways).values(name="Gateway", **made).returning(gateways.c.id))
        ).scalar_one()
        for name, circuit in (("Controller", board), ("Loose", None)):
            await connection.execute(
                insert(devices).values(gateway_id=gateway, sensor_id=name, name=name, circuit_id=circuit, **made)
            )
        for name, circuit in (("Battery", feed.circuit_id), ("Solar", None)):
            await connection.execute(
                insert(power_sources).values(kind=name.upper(), name=name, circuit_id=circuit, **made)
            )
        await reconcile_microgrid(connection, ACTOR, depot_id)
    microgrid = await microgrid_of(engine, depot_id)
    found = (await api.get(f"/api/microgrids/{microgrid.microgrid_id}/structure")).json()
    (node,) = found["grid_connections"]
    assert (node["name"], node["circuit"]["name"]) == ("Feed", "Feed")
    assert [source["name"] for source in node["circuit"]["power_sources"]] == ["Battery"]
    (below,) = node["circuit"]["circuits"]
    assert [(device["name"], device["gateway_name"]) for device in below["devices"]] == [("Controller", "Gateway")]
    assert [device["name"] for device in found["unlinked_devices"]] == ["Loose"]
    assert [source["name"] for source in found["unlinked_power_sources"]] == ["Solar"]
    assert found["drifted"] is False
    # A deleted circuit leaves its devices and power sources behind, and drift until the sync has run.
    assert (await api.delete(f"/api/circuits/{feed.circuit_id}?cascade=true")).status_code == 204
    found = (await api.get(f"/api/microgrids/{microgrid.microgrid_id}/structure")).json()
    assert found["drifted"] is True
    assert found["grid_connections"][0]["circuit"] is None
    assert {device["name"] for device in found["unlinked_devices"]} == {"Controller", "Loose"}


async def test_backfills_are_listed_newest_first(api: httpx.AsyncClient) -> None:
    made = [(await api.post("/api/backfills", json={"dry_run": True})).json()["backfill_id"] for _ in range(3)]
    first = (await api.get("/api/backfills", params={"limit": 2})).json()
    second = (await api.get("/api/backfills", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [each["backfill_id"] for each in (*first["items"], *second["items"])] == made[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("body", [{"page_size": 0}, {"page_size": 20_001}, {"dry_run": "perhaps"}, {"pages": 1}])
async def test_wrong_backfills_are_refused(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert problem(await api.post("/api/backfills", json=body)) == (422, "INVALID_REQUEST")


@asynccontextmanager
async def calling(settings: Settings, *, host: str = "127.0.0.1") -> AsyncGenerator[httpx.AsyncClient]:
    """An API with other settings, or called from elsewhere."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(host, 4711))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller,
    ):
        yield caller


async def test_only_the_machine_itself_acts(database_url: str) -> None:
    settings = Settings(database_url=SecretStr(database_url))
    async with calling(settings, host="192.0.2.7") as stranger:
        assert problem(await stranger.get("/api/depots")) == (403, "ACCESS_REFUSED")
        assert problem(await stranger.post("/api/depots", json=DEPOT)) == (403, "ACCESS_REFUSED")
        assert (await stranger.get("/healthz")).json() == {"status": "OK", "version": version(), "instance_id": None}
    async with calling(settings, host="::1") as itself:
        assert (await itself.get("/api/depots")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_a_page_of_another_origin_changes_nothing(api: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert problem(await api.post("/api/depots", json=DEPOT, headers=headers)) == (403, "CROSS_SITE_REFUSED")
    assert (await api.get("/api/depots")).json()["items"] == []
    own = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert (await api.post("/api/depots", json=DEPOT, headers=own)).status_code == 201


async def test_a_foreign_host_name_is_refused(api: httpx.AsyncClient) -> None:
    assert problem(await api.get("/api/depots", headers={"host": "evil.example"})) == (403, "ACCESS_REFUSED")


async def test_every_route_but_health_takes_the_actor(database_url: str) -> None:
    settings = Settings(database_url=SecretStr(database_url))
    document = create_app(settings).openapi()
    async with calling(settings, host="192.0.2.7") as stranger:
        paths = [
            (method, path)
            for path, methods in document["paths"].items()
            for method in methods
            if path.startswith("/api")
        ]
        assert len(paths) >= 16
        for method, path in paths:
            there = re.sub(r"\{\w+\}", str(uuid4()), path)
            assert problem(await stranger.request(method, there, json={})) == (403, "ACCESS_REFUSED"), (method, path)


async def test_without_the_database_every_answer_says_so(database_url: str) -> None:
    async with calling(Settings(database_url=SecretStr("postgresql:///gone?host=/nowhere"))) as caller:
        assert problem(await caller.get("/api/depots")) == (503, "DATABASE_UNAVAILABLE")
        answer = await caller.post("/api/depots", json=DEPOT)
        assert problem(answer) == (503, "DATABASE_UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"
        ready = await caller.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "UNAVAILABLE")
        assert (await caller.get("/healthz")).status_code == 200


async def test_a_connection_cut_by_the_server_heals(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/depots")).status_code == 200
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert (await api.get("/api/depots")).status_code == 200


async def test_without_temporal_changes_are_kept_and_starts_are_refused(
    database_url: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    async with calling(Settings(database_url=SecretStr(database_url))) as caller:
        made = await caller.post("/api/depots", json=DEPOT | {"circuits": [{"name": "A"}]})
        assert made.status_code == 201
        assert problem(await caller.post("/api/backfills", json={})) == (503, "TEMPORAL_UNAVAILABLE")
        assert (await caller.get("/api/backfills")).json()["items"] == []
        resync = await caller.post(f"/api/depots/{made.json()['depot_id']}/microgrid/resync")
        assert problem(resync) == (503, "TEMPORAL_UNAVAILABLE")
        ready = await caller.get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["temporal"]) == (200, "DEGRADED", "AWAY")
        assert ready.json()["outbox_rows"] > 0


async def test_without_a_worker_resync_times_out_with_a_promise(
    engine: AsyncEngine, api: httpx.AsyncClient, database_url: str, task_queue: str
) -> None:
    depot_id = await make_depot(engine, "A")
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue, sync_timeout_seconds=0.5)
    async with calling(settings) as caller:
        answer = await caller.post(f"/api/depots/{depot_id}/microgrid/resync")
    assert problem(answer) == (504, "SYNC_TIMED_OUT")


async def test_the_figures_for_prometheus(engine: AsyncEngine, api: httpx.AsyncClient) -> None:
    await make_depot(engine, "A")
    found = (await api.get("/metrics")).text
    assert 'manage_depots{freshness="NONE",provisioning="PENDING"} 1.0' in found
    assert "manage_outbox_rows 2.0" in found


async def test_the_docs_need_no_internet(api: httpx.AsyncClient) -> None:
    page = await api.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    script = await api.get("/static-offline-docs/swagger-ui-bundle.js")
    assert script.status_code == 200


async def test_every_operation_declares_its_refusals_as_problems(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    assert "HTTPValidationError" not in str(document)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not path.startswith("/api"):
                continue
            refusals = {status: each for status, each in operation["responses"].items() if status >= "400"}
            assert {"403", "422", "500", "503"} <= set(refusals), (method, path)
            for each in refusals.values():
                assert list(each["content"]) == ["application/problem+json"], (method, path)


async def test_what_is_large_is_compressed_for_whoever_takes_it(api: httpx.AsyncClient) -> None:
    plain = await api.get("/openapi.json", headers={"accept-encoding": "identity"})
    packed = await api.get("/openapi.json", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 4
    assert packed.json() == plain.json()


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip;q=0, identity", False),
        ("gzip; Q=0.000, *", False),
        ("*;q=0", False),
        ("br, *;q=0, identity;q=0.5", False),
        ("gzip;q=nan", False),
        ("gzip;q=", False),
        ("not-gzip-at-all", False),
        ("", False),
        ("identity;q=0, gzip;q=0.001", True),
        ("*;q=0, gzip", True),
        ("br;q=1, x-gzip ; q=1.0", True),
    ],
)
async def test_nobody_gets_compressed_what_they_refuse(
    api: httpx.AsyncClient, accepted: str, is_compressed: bool
) -> None:
    answer = await api.get("/static-offline-docs/swagger-ui.css", headers={"accept-encoding": accepted})
    assert answer.status_code == 200
    assert ("content-encoding" in answer.headers) is is_compressed
    assert answer.headers["vary"].lower() == "accept-encoding"


async def test_the_place_of_no_file_is_no_other_place(api: httpx.AsyncClient) -> None:
    for path in ("/static/nothing", "/static/nothing/", "/static/nothing/css", "/static//"):
        assert (await api.get(path)).status_code == 404


async def test_the_type_of_a_problem_leads_to_its_words(api: httpx.AsyncClient) -> None:
    refused = (await api.get("/api/cursors")).json()
    address, _, anchor = refused["type"].partition("#")
    page = await api.get(address)
    assert page.status_code == 200
    assert page.text.count(f'id="{anchor}"') == 1
    assert page.text.count('class="problem-entry"') == len(ProblemCode)
