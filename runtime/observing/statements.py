"""Spans of SQL statements, which cost little: the trace of one packet has nine of them, and two other spans.

OpenTelemetry's instrumentation of the driver makes them by this tracer instead of the SDK's. They have what tells one
statement from another, and nothing that is the same for all: the SDK takes twice as long for such a span, and the
exporter twice as long for its attributes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    get_current_span,
)

_STATEMENT = "db.statement"
_TOLD = ("db.system", _STATEMENT)
_HOUSEKEEPING = ("BEGIN;", "ROLLBACK;")
"""Statements by which a connection is taken from the pool, asked whether it lives, and given back."""

_ids = RandomIdGenerator()


class StatementTracers(TracerProvider):
    """Gives the driver's instrumentation its tracer.

    Args:
        processor: Is given each span.
        resource: What the process says of itself.
        longest: After how many characters a statement is cut; None: it is not.

    """

    def __init__(self, processor: SpanProcessor, resource: Resource, longest: int | None) -> None:
        self.processor = processor
        self.resource = resource
        self.longest = longest

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> Tracer:
        """The tracer of that instrumentation."""
        del attributes
        return _StatementTracer(
            self, InstrumentationScope(instrumenting_module_name, instrumenting_library_version, schema_url)
        )


class _StatementTracer(Tracer):
    def __init__(self, given: StatementTracers, scope: InstrumentationScope) -> None:
        self.given = given
        self.scope = scope

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """A span of the statement, where it is a step of what is told here; otherwise one that tells nothing."""
        del kind, links, record_exception, set_status_on_exception
        parent = get_current_span(context)
        if not parent.is_recording() or name in _HOUSEKEEPING:
            return INVALID_SPAN
        return _Statement(self, name, parent.get_span_context(), attributes or {}, start_time or time.time_ns())

    def start_as_current_span(self, name: str, *given: Any, **named: Any) -> Any:
        """The same. Nothing is a step of a statement, so it does not become the current span."""
        return self.start_span(name, *given, **named)


class _Statement(NonRecordingSpan):
    """One statement. It is over with its block."""

    def __init__(
        self, tracer: _StatementTracer, name: str, parent: SpanContext, attributes: dict[str, Any], begun: int
    ) -> None:
        super().__init__(
            SpanContext(
                parent.trace_id,
                _ids.generate_span_id(),
                is_remote=False,
                trace_flags=parent.trace_flags,
                trace_state=parent.trace_state,
            )
        )
        self._tracer = tracer
        self._name = name
        self._parent = parent
        self._attributes = attributes
        self._begun = begun
        self._status = Status(StatusCode.UNSET)

    def is_recording(self) -> bool:
        """It is told."""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            # What PostgreSQL says of a failure may have values of rows.
            self._status = Status(StatusCode.ERROR, type(error).__name__)
        self.end()

    def end(self, end_time: int | None = None) -> None:
        """Tell it."""
        given = self._tracer.given
        told = {key: self._attributes[key] for key in _TOLD if key in self._attributes}
        if given.longest is not None and _STATEMENT in told:
            told[_STATEMENT] = told[_STATEMENT][: given.longest]
        given.processor.on_end(
            ReadableSpan(
                self._name,
                self.get_span_context(),
                self._parent,
                given.resource,
                told,
                kind=SpanKind.CLIENT,
                status=self._status,
                start_time=self._begun,
                end_time=end_time or time.time_ns(),
                instrumentation_scope=self._tracer.scope,
            )
        )
