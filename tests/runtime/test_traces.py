"""Traces: one from the click, or the packet, to the row; and nothing of them where nobody asks for any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Message, Receive, Scope, Send
from temporalio.client import Client

from cli.commands.services import ApiProgram
from cli.place import ROOT
from runtime.observing.open_telemetry import TracedRequests, WhatATraceLedTo, kept_below
from runtime.observing.statements import StatementTracers
from runtime.observing.traces import TRACEPARENT, are_wanted, continuing, current_traceparent
from runtime.servers.processes import free_port
from tests.factories.sites import controller_site, milliseconds, packet
from tests.helpers.answers import HTMX
from tests.helpers.live import http_client
from tests.helpers.mosquitto import Mosquitto
from tests.helpers.otlp import ReceivedSpan, Receiver, receiving
from tests.helpers.support import follows, make_depot, synced, until
from tests.helpers.worker_process import WorkerProcess
from workflows.launch import sync_workflow_id

SECRET = "what-nobody-may-read"
LONGEST = 1000
"""Characters of a text of a span."""
LONG = 60.0
"""Seconds that nothing takes."""


def trace_of(number: int) -> tuple[str, str]:
    """A trace that somebody else began: its id, and what hands it on."""
    trace_id = f"{number:032x}"
    return trace_id, f"00-{trace_id}-{number:016x}-01"


@dataclass
class Traced:
    """The product in processes of its own, which send their traces to a receiver."""

    api: httpx.AsyncClient
    received: Receiver
    log: Path
    broker: Mosquitto

    async def spans(self, trace_id: str, *names: str) -> list[ReceivedSpan]:
        """The spans of a trace, once it has spans of these names."""

        async def complete() -> list[ReceivedSpan] | None:
            found = self.received.of(trace_id)
            return found if set(names) <= {each.name for each in found} else None

        return await until(complete)


@asynccontextmanager
async def traced(
    database_url: str, temporal_address: str, task_queue: str, folder: Path, **settings: str
) -> AsyncGenerator[Traced]:
    broker = Mosquitto(folder)
    await broker.start()
    with receiving() as received:
        # What is received is looked at while it runs, so it is sent often.
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.address, "OTEL_BSP_SCHEDULE_DELAY": "100"} | settings
        environment = os.environ | given | {
            "DATABASE_URL": database_url, "TEMPORAL_ADDRESS": temporal_address, "MANAGE_TASK_QUEUE": task_queue,
            "MANAGE_LOG_FORMAT": "json",
        }  # fmt: skip
        log = folder / "api.log"
        api = ApiProgram("127.0.0.1", free_port(0), log, environment)
        worker = WorkerProcess(
            database_url, temporal_address, task_queue, folder / "worker.log", MANAGE_MQTT_URL=broker.url, **given
        )
        try:
            api.start()
            worker.launch()
            async with http_client(api.url) as caller:
                yield Traced(caller, received, log, broker)
        finally:
            worker.stop()
            api.stop()
            broker.stop()


def assert_whole(spans: list[ReceivedSpan], first_parent: str) -> None:
    """Each span hangs on another one of the trace, but for the first, which hangs on the caller's."""
    known = {each.span_id for each in spans}
    assert [each.parent_id for each in spans if each.parent_id not in known] == [first_parent], spans


async def test_a_change_is_one_trace_from_its_request_to_the_rows_of_the_microgrid(
    engine: AsyncEngine, client: Client, database_url: str, temporal_address: str, task_queue: str, tmp_path: Path
) -> None:
    depot_id = await make_depot(engine, "A")
    async with traced(database_url, temporal_address, task_queue, tmp_path) as product:
        await synced(engine, depot_id)
        # While the depot's sync still runs, it is that of the trace that began it which takes the change.
        await client.get_workflow_handle(sync_workflow_id(depot_id)).result()
        trace_id, traceparent = trace_of(0xC0FFEE)
        route = f"/api/depots/{depot_id}/circuits"
        made = await product.api.post(route, json={"name": "B"}, headers={"traceparent": traceparent})
        assert made.status_code == 201, made.text
        await synced(engine, depot_id)
        names = (
            "POST /api/depots/{depot_id}/circuits", "relay", "SignalWithStartWorkflow:MicrogridSync",
            "RunActivity:reconcile_depot", "reconcile",
        )  # fmt: skip
        spans = await product.spans(trace_id, *names)
        found = await product.spans(trace_id, *names, "INSERT")
        stored = [each for each in found if "microgrid_nodes" in each.attributes.get("db.statement", "")]
        assert {each.service for each in stored} == {"manage-worker"}
        told = [text for each in found for text in each.attributes.values()]
        assert max(map(len, told)) <= LONGEST
        assert {each.service for each in found} == {"manage-api", "manage-worker"}
        assert {each.attributes.get("http.route") for each in spans} >= {"/api/depots/{depot_id}/circuits"}

        async def whole() -> bool:
            known = {each.span_id for each in product.received.of(trace_id)}
            return len([each for each in product.received.of(trace_id) if each.parent_id not in known]) == 1

        await until(whole)
        assert_whole(product.received.of(trace_id), traceparent.split("-")[2])

        # So is a click on a page.
        clicked_id, clicked = trace_of(0xC11C)
        headers = {**HTMX, "traceparent": clicked}
        page = await product.api.post(f"/depots/{depot_id}/circuits", data={"name": "C"}, headers=headers)
        assert page.status_code == 200, page.text
        await synced(engine, depot_id)

        async def is_told_to_the_rows() -> bool:
            told = await product.spans(clicked_id, "POST /depots/{depot_id}/circuits", "relay", "reconcile", "INSERT")
            return any("microgrid_nodes" in each.attributes.get("db.statement", "") for each in told)

        await until(is_told_to_the_rows)

        # What a request asks for is told to nobody.
        other_id, other = trace_of(0xBAD)
        await product.api.get("/depots", params={"search": SECRET}, headers={"traceparent": other})
        shown = await product.spans(other_id, "GET /depots")
        assert not [each for each in shown if SECRET in json.dumps(each.attributes)]

        # Looks whether the database lives, at the outbox and at health lead to no trace of their own.
        await product.api.get("/healthz")
        firsts = {each.name for each in product.received.spans if not each.parent_id}
        assert not firsts & {"SELECT", "SET", "BEGIN;", "GET /healthz"}, firsts
        assert not {each.name for each in product.received.spans} & {"BEGIN;", "ROLLBACK;"}


@pytest.mark.parametrize(
    ("name", "kind", "alone", "within"),
    [
        ("GET /api/depots", SpanKind.SERVER, True, True),
        ("relay", SpanKind.INTERNAL, True, True),
        ("StartWorkflow:Backfill", SpanKind.CLIENT, False, True),
        # The watch over capacities, which a schedule has started, makes such a step each second.
        ("RunActivity:pass_due_deadlines", SpanKind.SERVER, False, True),
    ],
)
def test_what_no_trace_led_to_is_left_out(name: str, kind: SpanKind, alone: bool, within: bool) -> None:
    sampler = WhatATraceLedTo(ALWAYS_ON)
    parent = SpanContext(1, 1, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    context = set_span_in_context(NonRecordingSpan(parent), Context())
    for given, wanted in ((Context(), alone), (context, within)):
        decision = sampler.should_sample(given, 1, name, kind).decision
        assert decision == (Decision.RECORD_AND_SAMPLE if wanted else Decision.DROP)


@pytest.mark.parametrize(
    ("sampler", "given", "kept"),
    [
        (ALWAYS_OFF, b"", False),
        (ALWAYS_ON, b"", True),
        # Who began the trace has decided, unless the sampler asks nobody.
        (ParentBased(ALWAYS_OFF), b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", True),
        (ParentBased(ALWAYS_ON), b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00", False),
        (ALWAYS_OFF, b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", False),
        (ALWAYS_ON, b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00", True),
        # It hands no trace on, so the request begins one.
        (ParentBased(ALWAYS_OFF), b"00-" + b"0" * 32 + b"-" + b"b" * 16 + b"-01", False),
        (ParentBased(ALWAYS_ON), b"\xff" * 5000, True),
        (ParentBased(TraceIdRatioBased(0)), b"", False),
        (ParentBased(TraceIdRatioBased(1)), b"", True),
        (ParentBased(TraceIdRatioBased(0)), b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", True),
        (ParentBased(TraceIdRatioBased(1)), b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00", False),
    ],
)
async def test_a_request_is_traced_or_handed_on_as_one_that_is_not(sampler: Sampler, given: bytes, kept: bool) -> None:
    told = InMemorySpanExporter()
    provider = TracerProvider(sampler=WhatATraceLedTo(sampler))
    provider.add_span_processor(SimpleSpanProcessor(told))
    seen: list[SpanContext] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(get_current_span().get_span_context())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing(*_: object) -> Message:
        return {"type": "http.disconnect"}

    scope = {
        "type": "http", "method": "GET", "path": "/api/depots", "query_string": b"",
        "headers": [(b"traceparent", given)] if given else [],
        "scheme": "http", "server": ("127.0.0.1", 80), "http_version": "1.1",
    }  # fmt: skip
    await TracedRequests(app, sampler=sampler, tracer_provider=provider)(scope, nothing, nothing)
    assert [each.is_valid for each in seen] == [True]
    assert seen[0].trace_flags.sampled is kept
    assert (seen[0].trace_id == int("a" * 32, 16)) is (b"a" in given)
    assert [each.context and each.context.trace_id for each in told.get_finished_spans()] == (
        [seen[0].trace_id] if kept else []
    )
    assert not get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("share", [0, 1e-9, 0.01, 0.5, 1])
def test_a_share_of_the_traces_is_kept_as_the_sampler_keeps_it(share: float) -> None:
    for sampler in (TraceIdRatioBased(share), ParentBased(TraceIdRatioBased(share))):
        bound = kept_below(sampler)
        assert bound is not None
        limit = TraceIdRatioBased.TRACE_ID_LIMIT
        edges = [each for each in (0, bound - 1, bound, bound + 1, limit) if 0 <= each <= limit]
        for trace_id in (high << 64 | low for high in (0, 7) for low in edges):
            asked = sampler.should_sample(None, trace_id, "GET", SpanKind.SERVER).decision
            assert (asked is not Decision.DROP) is (trace_id & limit < bound)


@pytest.mark.parametrize(
    "sampler",
    [ALWAYS_ON, ParentBased(ALWAYS_OFF), ParentBased(ALWAYS_ON, remote_parent_sampled=TraceIdRatioBased(0.5))],
)
def test_a_sampler_that_keeps_no_share_is_asked(sampler: Sampler) -> None:
    assert kept_below(sampler) is None


async def test_a_trace_that_is_not_kept_is_handed_on_by_the_same_ids_whenever_it_is_asked() -> None:
    seen: list[SpanContext] = []

    async def app(*_: object) -> None:
        seen.extend(get_current_span().get_span_context() for _ in range(2))

    async def nothing(*_: object) -> Message:
        return {"type": "http.disconnect"}

    traced = TracedRequests(app, sampler=ALWAYS_OFF)
    for _ in range(2):
        await traced({"type": "http", "method": "GET", "path": "/", "headers": []}, nothing, nothing)
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    assert len({each.trace_id for each in seen}) == len({each.span_id for each in seen}) == 2
    assert not any(each.trace_flags.sampled for each in seen)


class _Told(SpanProcessor):
    """Keeps the spans that it is given."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it."""
        self.spans.append(span)


@pytest.mark.parametrize(
    ("statement", "longest", "told"),
    [
        ("SELECT 1", 1000, "SELECT 1"),
        ("SELECT " + "x" * 2000, 1000, "SELECT " + "x" * 993),
        ("SELECT " + "x" * 2000, None, "SELECT " + "x" * 2000),
        ("SELECT 'é𝄞'", 9, "SELECT 'é"),
        ("", 1000, ""),
    ],
)
def test_a_statement_is_told_as_a_step_of_what_is_told(statement: str, longest: int | None, told: str) -> None:
    kept = _Told()
    tracer = StatementTracers(kept, Resource({}), longest).get_tracer("driver", "1")
    given = {"db.system": "postgresql", "db.user": "manage", "net.peer.port": 5432, "db.statement": statement}
    with TracerProvider().get_tracer("x").start_as_current_span("take packets") as parent:
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, attributes=given) as span:
            assert span.is_recording()
            assert get_current_span() is parent
        assert kept.spans[0].attributes == {"db.system": "postgresql", "db.statement": told}
        assert kept.spans[0].parent == parent.get_span_context()
        assert kept.spans[0].context is not None
        assert kept.spans[0].context.trace_id == parent.get_span_context().trace_id
        assert kept.spans[0].context.span_id != parent.get_span_context().span_id
        assert 0 < (kept.spans[0].start_time or 0) <= (kept.spans[0].end_time or 0)
        # One that fails says so, without the values that an error may name.
        with pytest.raises(ValueError, match=SECRET), tracer.start_as_current_span("SELECT", attributes=given):
            raise ValueError(SECRET)
        assert kept.spans[1].status.description == "ValueError"
        assert not kept.spans[1].status.is_ok
    assert len(kept.spans) == 2


@pytest.mark.parametrize(
    ("name", "sampler", "parent"),
    [
        # Housekeeping of connections.
        ("BEGIN;", ALWAYS_ON, "relay"),
        ("ROLLBACK;", ALWAYS_ON, "relay"),
        ("SELECT", ALWAYS_ON, ""),
        ("SELECT", ALWAYS_OFF, "relay"),
    ],
)
def test_a_statement_of_what_is_not_told_is_not_told(name: str, sampler: Sampler, parent: str) -> None:
    kept = _Told()
    tracer = StatementTracers(kept, Resource({}), 1000).get_tracer("driver")
    provider = TracerProvider(sampler=sampler)
    outer = provider.get_tracer("x").start_as_current_span(parent) if parent else nullcontext()
    with outer, tracer.start_as_current_span(name, attributes={"db.statement": name}) as span:
        assert not span.is_recording()
    assert kept.spans == []


async def test_a_packet_is_one_trace_from_the_broker_to_the_row(
    engine: AsyncEngine, client: Client, database_url: str, temporal_address: str, task_queue: str, tmp_path: Path
) -> None:
    assert client.namespace
    site = await controller_site(engine)
    async with traced(database_url, temporal_address, task_queue, tmp_path) as product:
        trace_id, traceparent = trace_of(0xFEED)
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = [("other", "x"), ("traceparent", traceparent)]
        sent = json.dumps(packet(site, milliseconds(), LIMIT_PEAK_SHAVING="true"))

        async def stored() -> bool:
            async with product.broker.gateway() as gateway:
                await gateway.publish("manage/packets/g", sent, qos=1, properties=properties)
            return bool(product.received.of(trace_id))

        # Until the worker has subscribed, the broker keeps nothing for it.
        await until(stored)
        spans = await product.spans(trace_id, "take message", "take packets")
        assert next(each.parent_id for each in spans if each.name == "take message") == traceparent.split("-")[2]
        by_http, other = trace_of(0xF00D)
        body = packet(site, milliseconds() + 1, LIMIT_PEAK_SHAVING="false")
        answer = await product.api.post("/api/telemetry/packets", json=body, headers={"traceparent": other})
        assert answer.status_code == 200
        spans = await product.spans(by_http, "POST /api/telemetry/packets", "take packets", "COMMIT;")
        (taken,) = [each for each in spans if each.name == "take packets"]
        assert taken.figures["door.group_packets"] == 1
        assert 0 <= taken.figures["door.wait_seconds"] < LONG
        statements = [each for each in spans if each.parent_id == taken.span_id]
        assert {each.name for each in statements} >= {"SELECT", "WITH", "COMMIT;"}
        assert {frozenset(each.attributes) for each in statements} == {frozenset({"db.system", "db.statement"})}
        # Longer statements are cut, and nobody is told each time.
        assert max(len(each.attributes["db.statement"]) for each in statements) == LONGEST
        assert "truncating" not in product.log.read_text()


async def test_a_receiver_that_is_away_and_a_sampler_change_nothing_else(
    engine: AsyncEngine, client: Client, database_url: str, temporal_address: str, task_queue: str, tmp_path: Path
) -> None:
    assert client.namespace
    depot_id = await make_depot(engine, "A")
    away = f"http://127.0.0.1:{free_port()}"
    settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{away}/v1/traces", "OTEL_TRACES_SAMPLER": "always_off"}
    async with traced(database_url, temporal_address, task_queue, tmp_path, **settings) as product:
        await until(lambda: follows(engine, depot_id))
        assert (await product.api.get("/api/depots")).status_code == 200
    assert product.received.spans == []


def test_where_nobody_asks_for_traces_nothing_of_them_is_imported() -> None:
    program = (
        "import sys; from api.main import create_app; from runtime.settings import Settings; import worker\n"
        "create_app(Settings())\n"
        "names = ('opentelemetry.sdk', 'opentelemetry.instrumentation', 'temporalio.contrib.opentelemetry')\n"
        "print([each for each in sys.modules if each.startswith(names)])"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"}, False),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "console, otlp"}, True),
    ],
)
def test_the_standard_variables_switch_traces(environ: dict[str, str], wanted: bool) -> None:
    assert are_wanted(environ) is wanted


@pytest.mark.parametrize(
    "given",
    ["", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "00-" + "1" * 32 + "-" + "0" * 16 + "-01", "x" * 5000, "<b>\x00"],
)
def test_what_hands_no_trace_on_is_passed_over(given: str) -> None:
    assert not TRACEPARENT.fullmatch(given)
    with continuing(given, "step", [given]):
        assert current_traceparent() == ""
