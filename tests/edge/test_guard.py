"""Nothing is reached past the guard, no answer leaves without its headers, and no header breaks anything."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import IPv4Network
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge
from pydantic import SecretStr, ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.main import create_app
from domain.access.routes import PAGES, SIGNED_IN
from runtime.servers.processes import free_port
from runtime.settings import Settings
from tests.edge.answers import assert_dressed, calling
from tests.factories.sites import controller_site
from tests.helpers.live import http_client, serving
from tests.helpers.support import make_depot, until
from worker import _serving  # pyright: ignore[reportPrivateUsage]

METRICS_TOKEN = "tell-prometheus-alone.4711"
DEPOT = {"name": "Arrow Road", "timezone": "America/Toronto"}
EVERYWHERE = (
    "/", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/metrics", "/static/x/css/base.css", "/healthz/",
    "/static-offline-docs/swagger-ui.css", "/api/depots", "/api/depots/", "/api/telemetry/packets", "/no/such/page",
    f"/api/microgrids/{UUID(int=4)}/capability-status", "/live", "//", "/api/depots/import",
)  # fmt: skip
"""Pages, files, documentation, figures, redirects, the fast path, and what is not there."""


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_a_stranger_reaches_nothing(database_url: str, path: str) -> None:
    async with calling(create_app(Settings(database_url=SecretStr(database_url))), place="192.0.2.7") as stranger:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            answer = await stranger.request(method, path)
            assert answer.status_code == 403, (method, path)
            assert_dressed(answer)


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_nothing_is_reached_under_a_foreign_name(api: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        answer = await api.request(method, path, headers={"host": "evil.example"})
        assert answer.status_code == 403, (method, path)
        assert_dressed(answer)


@pytest.mark.parametrize(
    "host",
    [
        b"[zz]:1", b"[zz", b"[::1", b"::1]", b"[]", b"[::1]x", b"evil@127.0.0.1", b"a:b@localhost", b"localhost:",
        b"localhost:port", b"localhost:123456", b"localhost/", b"localhost?x", b"localhost#x", b"localhost\\x", b"",
        b" ", b"127.0.0.1 evil", b"127.0.0.1,evil", b"localhost.", b"\xff\xfe", b"%6cocalhost", b"http://localhost",
        b"[::ffff:127.0.0.1%25x]", b"localhost\t", b"2130706433", b"127.1",
        b"127.0.0.1:99999", b"localhost:65536", b"localhost:0",
    ],
)  # fmt: skip
async def test_a_host_that_is_no_host_is_refused(api: httpx.AsyncClient, host: bytes) -> None:
    for accept in ("text/html", "*/*"):
        for path in ("/", "/api/depots", "/api/telemetry/packets", "/docs", "/api/depots/"):
            answer = await api.get(path, headers=[(b"host", host), (b"accept", accept.encode())])
            assert answer.status_code == 403, path
    assert code(await api.post("/api/depots", json=DEPOT, headers=[(b"host", host)])) == (403, "ACCESS_REFUSED")


async def test_a_host_is_named_once(api: httpx.AsyncClient) -> None:
    twice = [(b"host", b"localhost"), (b"host", b"evil.example")]
    assert code(await api.get("/api/depots", headers=twice)) == (403, "ACCESS_REFUSED")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "127.0.0.1:65535", "[::1]", "[::1]:80"])
async def test_this_machine_goes_by_its_names(api: httpx.AsyncClient, host: str) -> None:
    assert (await api.get("/api/depots", headers={"host": host})).status_code == 200
    own = {"host": host, "origin": f"http://{host}"}
    assert (await api.post("/api/depots", json=DEPOT, headers=own)).status_code == 201


@pytest.mark.parametrize(
    "origin",
    [
        b"http://[zz", b"http://[zz]:1", b"http://", b"", b"null", b"localhost", b"http://localhost@evil.example",
        b"http://localhost/", b"http://localhost:9999", b"\xff",
        b"http://localhost, http://evil.example", b"//localhost/",
    ],
)  # fmt: skip
async def test_an_origin_that_is_none_of_ours_changes_nothing(api: httpx.AsyncClient, origin: bytes) -> None:
    for method, path in (("POST", "/api/depots"), ("POST", "/api/telemetry/packets"), ("POST", "/depots/new")):
        answer = await api.request(method, path, json=DEPOT, headers=[(b"origin", origin)])
        assert code(answer) == (403, "CROSS_SITE_REFUSED"), path
    both = [(b"origin", b"http://localhost"), (b"origin", origin)]
    assert code(await api.post("/api/depots", json=DEPOT, headers=both)) == (403, "CROSS_SITE_REFUSED")
    assert (await api.get("/api/depots", headers=[(b"origin", origin)])).json()["items"] == []


_STRANGE = (b"", b"http://[zz", b"[zz]:1", b"\xff\xfe\x80", b'=;,"', b'for="[zz"', b"a" * 4000, b"-1", b"bytes=9-1,x")
_READ = (
    "referer", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "accept", "accept-encoding",
    "accept-language", "content-type", "cookie", "range", "if-range", "if-modified-since", "if-none-match", "if-match",
    "last-event-id", "hx-current-url", "hx-request", "hx-target", "sec-fetch-site", "expect", "authorization", "te",
    "content-encoding", "traceparent", "user-agent", "x-http-method-override", "upgrade-insecure-requests", "prefer",
)  # fmt: skip


async def test_no_header_is_an_unexpected_error(engine: AsyncEngine, database_url: str) -> None:
    depot_id = await make_depot(engine, "Feed")
    site = await controller_site(engine)
    reads = (f"/depots/{depot_id}/devices/new", "/static-offline-docs/swagger-ui.css")
    writes = ("/api/telemetry/packets", f"/depots/{site.depot_id}/gateways")
    async with (
        serving(Settings(database_url=SecretStr(database_url))) as url,
        http_client(url) as caller,
    ):
        for header, value in product(_READ, _STRANGE):
            given = [(header.encode(), value)]
            for method, path in (*(("GET", path) for path in reads), *(("POST", path) for path in writes)):
                content = b"name=a" if method == "POST" else None
                answer = await caller.request(method, path, content=content, headers=given)
                assert answer.status_code < 500, (path, header, value)
                assert_dressed(answer)


async def test_probes_are_answered_from_anywhere_by_any_name(database_url: str) -> None:
    async with calling(create_app(Settings(database_url=SecretStr(database_url))), place="192.0.2.7") as stranger:
        for path in ("/healthz", "/readyz"):
            for method in ("GET", "HEAD"):
                answer = await stranger.request(method, path, headers={"host": "10.2.3.4:8000"})
                assert answer.status_code == 200
                assert_dressed(answer)
            assert (await stranger.post(path)).status_code == 405
            assert (await stranger.get(path, headers={"host": "[zz"})).status_code == 403


async def test_the_figures_are_read_from_the_networks_that_may(database_url: str) -> None:
    settings = Settings(database_url=SecretStr(database_url), metrics_networks=[IPv4Network("192.0.2.0/24")])
    async with calling(create_app(settings), place="192.0.2.7") as prometheus:
        assert (await prometheus.get("/metrics", headers={"host": "manage-api:8000"})).status_code == 200
        assert code(await prometheus.get("/api/depots")) == (403, "ACCESS_REFUSED")
        assert code(await prometheus.get("/metrics/")) == (403, "ACCESS_REFUSED")
    async with calling(create_app(settings), place="198.51.100.7") as stranger:
        assert code(await stranger.get("/metrics")) == (403, "ACCESS_REFUSED")


@pytest.mark.parametrize("provider", [False, True])
async def test_the_figures_are_read_with_the_token(database_url: str, provider: bool) -> None:
    others: dict[str, Any] = {
        "oidc_issuer": "https://login.example",
        "oidc_client_id": "depot",
        "oidc_client_secret": SecretStr("hush"),
        "public_url": "https://grid.example",
    }
    settings = Settings(
        database_url=SecretStr(database_url), metrics_token=SecretStr(METRICS_TOKEN), **(others if provider else {})
    )
    async with calling(create_app(settings), place="192.0.2.7") as prometheus:
        sent = {"host": "manage-api:8000", "authorization": f"Bearer {METRICS_TOKEN}"}
        assert (await prometheus.get("/metrics", headers=sent)).status_code == 200
        small = sent | {"authorization": f"bearer {METRICS_TOKEN}"}
        assert (await prometheus.get("/metrics", headers=small)).status_code == 200
        # And nothing else with it.
        for path in ("/api/depots", "/metrics/", "/api/journal", "/docs"):
            assert (await prometheus.get(path, headers=sent)).status_code in (401, 403), path
        assert (await prometheus.post("/metrics", headers=sent)).status_code == 405
        for wrong in (f"Bearer {METRICS_TOKEN}x", f"Basic {METRICS_TOKEN}", METRICS_TOKEN, "Bearer ", "Bearer ü"):
            answer = await prometheus.get("/metrics", headers=[(b"authorization", wrong.encode("latin-1"))])
            assert answer.status_code in (401, 403), wrong
            assert METRICS_TOKEN not in answer.text
        twice = [("authorization", f"Bearer {METRICS_TOKEN}")] * 2
        assert (await prometheus.get("/metrics", headers=twice)).status_code in (401, 403)
    # No token is nobody's.
    async with calling(create_app(Settings(database_url=SecretStr(database_url))), place="192.0.2.7") as stranger:
        assert code(await stranger.get("/metrics", headers={"authorization": "Bearer "})) == (403, "ACCESS_REFUSED")


@pytest.mark.parametrize(("token", "status"), [("", 200), (METRICS_TOKEN, 401)])
async def test_the_worker_asks_for_the_token_where_there_is_one(token: str, status: int) -> None:
    registry = CollectorRegistry()
    Gauge("figure_of_the_worker", "What is seen", registry=registry).set(1)
    port = free_port()
    async with (
        _serving(Settings(metrics_port=port, metrics_token=SecretStr(token)), registry),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as prometheus,
    ):

        async def there() -> bool:
            with suppress(httpx.TransportError):
                return bool(await prometheus.get("/metrics"))
            return False

        await until(there)
        for headers in ({}, {"authorization": "Bearer wrong"}):
            answer = await prometheus.get("/metrics", headers=headers)
            assert answer.status_code == status
            assert ("figure_of_the_worker" in answer.text) == (status == 200)
        answer = await prometheus.get("/metrics", headers={"authorization": f"Bearer {token}"} if token else {})
        assert "figure_of_the_worker" in answer.text


@pytest.mark.parametrize("token", ["short", "with space in it for sure", "with-ümlaut-and-more"])
def test_a_token_that_no_header_can_have_is_refused(token: str) -> None:
    with pytest.raises(ValidationError, match="at least 16 characters") as refused:
        Settings(metrics_token=SecretStr(token))
    assert token not in str(refused.value)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200), ("GET", "/docs", 200), ("GET", "/openapi.json", 200), ("GET", "/metrics", 200),
        ("GET", "/static-offline-docs/swagger-ui.css", 200), ("POST", "/static-offline-docs/swagger-ui.css", 405),
        ("GET", "/api/depots/", 307), ("GET", "/no/such/page", 404), ("GET", "/api/nothing", 404),
        ("PUT", "/api/depots", 405), ("POST", "/api/depots", 422), ("GET", "/broken", 500), ("HEAD", "/broken", 500),
        ("POST", "/api/telemetry/packets", 400),
    ],
)  # fmt: skip
async def test_every_answer_has_the_headers(
    database_url: str, method: str, path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAGES, "broken", SIGNED_IN)
    app = create_app(Settings(database_url=SecretStr(database_url)))

    @app.get("/broken", include_in_schema=False)
    async def broken() -> None:
        raise TypeError("a bug")

    async with calling(app) as caller:
        for accept in ("*/*", "text/html"):
            answer = await caller.request(method, path, headers={"accept": accept})
            assert answer.status_code == status
            assert_dressed(answer)


async def test_head_says_what_get_would(engine: AsyncEngine, database_url: str) -> None:
    depot_id = await make_depot(engine, "Feed")
    site = await controller_site(engine)
    settings = Settings(database_url=SecretStr(database_url))
    known = {"depot_id": depot_id, "microgrid_id": site.microgrid_id, "gateway_id": site.gateway_id}
    paths = [
        path.format(**known)
        for path, methods in create_app(settings).openapi()["paths"].items()
        if "get" in methods
        and not path.endswith("/events")
        and all(part.strip("{}") in known for part in path.split("/") if "{" in part)
    ]
    assert len(paths) > 15
    paths += ["/", "/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css", f"/depots/{depot_id}/devices"]
    paths += ["/no/such/page", "/api/depots/"]
    streams = ["/live?topic=fleet", f"/api/microgrids/{site.microgrid_id}/events"]
    async with serving(settings) as url, http_client(url) as caller:
        for path in paths:
            got, told = await caller.get(path), await caller.head(path)
            assert told.status_code == got.status_code, path
            assert told.content == b""
            assert set(got.headers) - {"transfer-encoding"} == set(told.headers) - {"transfer-encoding"}, path
            assert told.headers["content-type" if got.content else "location"]
        for path in streams:
            told = await caller.head(path)
            assert (told.status_code, told.content) == (200, b""), path
            assert told.headers["content-type"].startswith("text/event-stream")
        # A path that takes no GET takes no HEAD either.
        assert (await caller.head("/api/depots/import")).status_code == 405


async def test_a_stream_that_was_asked_by_head_is_not_kept(engine: AsyncEngine, database_url: str) -> None:
    site = await controller_site(engine)
    app = create_app(Settings(database_url=SecretStr(database_url)))
    async with calling(app) as caller:
        path = f"/api/microgrids/{site.microgrid_id}/events"
        # The first one also starts what looks after all streams of the process.
        assert (await caller.head(path)).status_code == 200
        before = asyncio.all_tasks()
        assert (await caller.head(path)).status_code == 200
        assert {each.get_name(): each for each in asyncio.all_tasks() - before} == {}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/depots", {"GET", "HEAD", "POST"}),
        ("OPTIONS", "/api/depots", {"GET", "HEAD", "POST"}),
        ("POST", "/api/circuits/{}", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("PUT", "/api/gateways/{}", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("DELETE", "/api/telemetry/packets", {"GET", "HEAD", "POST"}),
        ("PUT", "/api/depots/{}/circuits", {"GET", "HEAD", "POST"}),
        ("GET", "/api/depots/import", {"POST"}),
        ("HEAD", "/api/depots/import", {"POST"}),
        ("OPTIONS", "/api/depots/import", {"POST"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
        ("POST", "/docs", {"GET", "HEAD"}),
        ("POST", "/openapi.json", {"GET", "HEAD"}),
        ("POST", "/static-offline-docs/swagger-ui.css", {"GET", "HEAD"}),
        ("DELETE", "/depots/new", {"GET", "HEAD", "POST"}),
    ],
)
async def test_allow_names_every_method_of_the_path(
    api: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await api.request(method, path.format(uuid4()))
    assert answer.status_code == 405
    assert {each.strip() for each in answer.headers["allow"].split(",")} == allowed
