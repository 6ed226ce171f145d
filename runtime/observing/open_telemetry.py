"""OpenTelemetry's SDK, set up by its standard variables; ``traces`` imports this, where they ask for it."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.contrib.opentelemetry import TracingInterceptor

from runtime.version import version

_NOT_TRACED = "/healthz$,/readyz$,/metrics$,/live"
_QUERIES = ("http.url", "http.target", "url.full", "url.query")
"""Attributes that would tell a query, which may hold what is secret."""
_HOUSEKEEPING = ("BEGIN;", "ROLLBACK;", ";")
"""Statements by which a connection is taken from the pool, asked whether it lives, and given back."""
_STEP = "RunActivity:"
"""What Temporal's interceptor calls the span of a step."""


class WhatATraceLedTo(Sampler):
    """Leaves out what nobody's trace led to, and the housekeeping of connections.

    No trace leads to lone calls of the database, and to steps of workflows that a schedule started.
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
        if (kind is SpanKind.CLIENT and (is_root or name in _HOUSEKEEPING)) or (is_root and name.startswith(_STEP)):
            return SamplingResult(Decision.DROP)
        return self._others.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Name it."""
        return f"WhatATraceLedTo{{{self._others.get_description()}}}"


class TracedRequests(OpenTelemetryMiddleware):
    """OpenTelemetry's own middleware, without a span for each part of a body, and without queries."""

    def __init__(self, app: Any) -> None:
        super().__init__(
            app,
            excluded_urls=_NOT_TRACED,
            server_request_hook=_without_query,
            exclude_spans=["receive", "send"],
        )


def _without_query(span: Span, scope: dict[str, Any]) -> None:
    if span.is_recording() and scope.get("query_string"):
        for name in _QUERIES:
            span.set_attribute(name, "" if name == "url.query" else scope["path"])


class OpenTelemetry:
    """The SDK of this process."""

    middleware = TracedRequests

    def __init__(self, service: str) -> None:
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        attributes = {"service.version": version()} | ({} if named else {"service.name": service})
        self._provider = TracerProvider(resource=Resource.create(attributes))
        self._provider.sampler = WhatATraceLedTo(self._provider.sampler)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(self._provider)
        AsyncPGInstrumentor().instrument(tracer_provider=self._provider)
        self._tracer = trace.get_tracer("manage")
        self._texts = TraceContextTextMapPropagator()
        self.interceptor = TracingInterceptor()

    def close(self) -> None:
        """Send what was not sent yet; at most a few seconds are spent on it."""
        self._provider.shutdown()

    def traceparent(self) -> str:
        """What hands the current trace on; empty: there is none."""
        carrier: dict[str, str] = {}
        self._texts.inject(carrier)
        return carrier.get("traceparent", "")

    def name_request(self, method: str, template: str) -> None:
        """Name the current request."""
        span = trace.get_current_span()
        if span.is_recording():
            span.update_name(f"{method} {template}")
            span.set_attribute("http.route", template)

    @contextmanager
    def step(self, traceparent: str, name: str, links: Sequence[str]) -> Generator[None]:
        """A span of that trace while the block runs: within the current span, where that is of the same trace."""
        parent = self._texts.extract({"traceparent": traceparent})
        current = trace.get_current_span().get_span_context()
        linked = [self._span_context(each) for each in links]
        if current.is_valid and current.trace_id == self._span_context(traceparent).trace_id:
            parent = None
        elif current.is_valid:
            linked.append(current)
        with self._tracer.start_as_current_span(name, parent, links=[Link(each) for each in linked]):
            yield

    def _span_context(self, traceparent: str) -> SpanContext:
        return trace.get_current_span(self._texts.extract({"traceparent": traceparent})).get_span_context()
