"""OpenTelemetry's SDK, set up by its standard variables; ``traces`` imports this, where they ask for it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.environment_variables import (
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, NonRecordingSpan, Span, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.contrib.opentelemetry import TracingInterceptor

from runtime.observing.statements import StatementTracers
from runtime.observing.traces import passed_by
from runtime.version import version

_NOT_TRACED = "/healthz$,/readyz$,/metrics$,/live"
_QUERIES = ("http.url", "http.target", "url.full", "url.query")
"""Attributes that would tell a query, which may hold what is secret."""
_LONGEST = 1000
"""Characters of a text, which is enough to recognize a statement. Some have ten times as many, and to send these takes
longer than all else of their span."""
_STEP = "RunActivity:"
"""What Temporal's interceptor calls the span of a step."""
with suppress_instrumentation():
    _UNTRACED = get_current()
    """In which instrumentations do nothing."""
_NOWHERE = Context()
_TEXTS = TraceContextTextMapPropagator()

_ids = RandomIdGenerator()
_SHARE = re.compile(r"(?:ParentBased\{root:)?TraceIdRatioBased\{([^{}]+)\}")
"""How the samplers say which share they keep of the traces that begin here."""
_is_kept: ContextVar[bool] = ContextVar("is_kept", default=False)
"""Whether the trace that the current request begins was decided to be kept."""


class WhatATraceLedTo(Sampler):
    """Leaves out what nobody's trace led to: lone calls of other servers, and steps of workflows that a schedule
    started.
    """

    def __init__(self, others: Sampler) -> None:
        self._others = others

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        """Decide as the configured sampler does, but for those."""
        is_root = not trace.get_current_span(parent_context).get_span_context().is_valid
        if is_root and (kind is SpanKind.CLIENT or name.startswith(_STEP)):
            return SamplingResult(Decision.DROP)
        if is_root and kind is SpanKind.SERVER and _is_kept.get():
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return self._others.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Name it."""
        return f"WhatATraceLedTo{{{self._others.get_description()}}}"


class TracedRequests:
    """OpenTelemetry's own middleware, without a span for each part of a body, and without queries.

    A request whose trace is not kept passes by it, whoever began that trace: of many packets few are traced, and the
    others would pay for what is then thrown away.
    """

    def __init__(self, app: Any, *, sampler: Sampler, tracer_provider: TracerProvider | None = None) -> None:
        self._app = app
        self._sampler = sampler
        self._kept_below = kept_below(sampler)
        self._traced = OpenTelemetryMiddleware(
            app,
            excluded_urls=_NOT_TRACED,
            server_request_hook=_without_query,
            exclude_spans=["receive", "send"],
            tracer_provider=tracer_provider,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on, traced or not."""
        if scope["type"] != "http":
            await self._traced(scope, receive, send)
            return
        began = _began(scope)
        trace_id = _ids.generate_trace_id() if began is None else began.get_span_context().trace_id
        if self._keeps(trace_id, began, scope["method"]):
            kept = _is_kept.set(True)
            try:
                await self._traced(scope, receive, send)
            finally:
                _is_kept.reset(kept)
            return
        # It is a trace still, which is handed on, so that no part of it is kept either.
        passed = passed_by.set(trace_id)
        token = attach(_PASSED_BY)
        try:
            await self._app(scope, receive, send)
        finally:
            detach(token)
            passed_by.reset(passed)

    def _keeps(self, trace_id: int, began: Span | None, method: str) -> bool:
        if began is None and self._kept_below is not None:
            return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._kept_below
        parent = None if began is None else trace.set_span_in_context(began, _NOWHERE)
        sampled = self._sampler.should_sample(parent, trace_id, method, SpanKind.SERVER)
        return sampled.decision is not Decision.DROP


def kept_below(sampler: Sampler) -> int | None:
    """Below which number the lower half of a new trace's id has to be for the trace to be kept.

    To compare the two takes a tenth of what it takes to ask the sampler, which says the same. None: it has to be asked,
    since it keeps no share of the ids.
    """
    found = _SHARE.match(sampler.get_description())
    return TraceIdRatioBased.get_bound_for_rate(float(found[1])) if found else None


def _began(scope: Any) -> Span | None:
    """The span of the caller, whose trace the request goes on with; None: it begins one."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            span = trace.get_current_span(_TEXTS.extract({"traceparent": value.decode("latin-1")}, _NOWHERE))
            return span if span.get_span_context().is_valid else None
    return None


class _NotKept(NonRecordingSpan):
    """The span of every request that passes by: few of them need the ids by which it is handed on."""

    def __init__(self) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)

    def get_span_context(self) -> SpanContext:
        """Hand the current request's trace on."""
        trace_id = passed_by.get()
        return SpanContext(trace_id, trace_id >> 64 or 1, is_remote=False)


_PASSED_BY = trace.set_span_in_context(_NotKept(), _UNTRACED)


def _without_query(span: Span, scope: dict[str, Any]) -> None:
    if span.is_recording() and scope.get("query_string"):
        for name in _QUERIES:
            span.set_attribute(name, "" if name == "url.query" else scope["path"])


def _limits() -> SpanLimits:
    """What a span may have, as the standard variables say; without them, texts are cut."""
    lengths = (OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT)
    return (
        SpanLimits()
        if any(os.environ.get(name) for name in lengths)
        else SpanLimits(max_span_attribute_length=_LONGEST)
    )


class OpenTelemetry:
    """The SDK of this process."""

    def __init__(self, service: str) -> None:
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        attributes = {"service.version": version()} | ({} if named else {"service.name": service})
        limits = _limits()
        self._provider = TracerProvider(resource=Resource.create(attributes), span_limits=limits)
        self.middleware = partial(TracedRequests, sampler=self._provider.sampler)
        self._provider.sampler = WhatATraceLedTo(self._provider.sampler)
        processor = BatchSpanProcessor(OTLPSpanExporter())
        self._provider.add_span_processor(processor)
        trace.set_tracer_provider(self._provider)
        # It would say of each text that it was cut, which is meant.
        logging.getLogger("opentelemetry.attributes").setLevel(logging.ERROR)
        self._statements = StatementTracers(processor, self._provider.resource, limits.max_span_attribute_length)
        AsyncPGInstrumentor().instrument(tracer_provider=self._statements)
        self._tracer = trace.get_tracer("manage")
        self.interceptor = TracingInterceptor()

    def close(self) -> None:
        """Send what was not sent yet; at most a few seconds are spent on it."""
        self._provider.shutdown()

    def traceparent(self) -> str:
        """What hands the current trace on; empty: there is none."""
        found = trace.get_current_span().get_span_context()
        return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}" if found.is_valid else ""

    def is_kept(self) -> bool:
        """Whether the current trace is kept."""
        return trace.get_current_span().get_span_context().trace_flags.sampled

    @contextmanager
    def nothing(self) -> Generator[None]:
        """Trace nothing while the block runs."""
        token = attach(_UNTRACED)
        try:
            yield
        finally:
            detach(token)

    def name_request(self, method: str, template: str) -> None:
        """Name the current request."""
        span = trace.get_current_span()
        if span.is_recording():
            span.update_name(f"{method} {template}")
            span.set_attribute("http.route", template)

    @contextmanager
    def step(
        self, traceparent: str, name: str, links: Sequence[str], figures: Mapping[str, float] | None
    ) -> Generator[None]:
        """A span of that trace while the block runs: within the current span, where that is of the same trace."""
        parent = _TEXTS.extract({"traceparent": traceparent})
        current = trace.get_current_span().get_span_context()
        linked = [self._span_context(each) for each in links]
        if current.is_valid and current.trace_id == self._span_context(traceparent).trace_id:
            parent = None
        elif current.is_valid:
            linked.append(current)
        links_of = [Link(each) for each in linked]
        with self._tracer.start_as_current_span(name, parent, attributes=figures, links=links_of):
            yield

    def _span_context(self, traceparent: str) -> SpanContext:
        return trace.get_current_span(_TEXTS.extract({"traceparent": traceparent})).get_span_context()
