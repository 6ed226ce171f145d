"""Traces, where the standard variables of OpenTelemetry ask for them; where they do not, nothing of it is imported.

A trace goes with a change from its request through the outbox to the sync (docs/decisions/0047-traces.md). What hands
it on is its ``traceparent`` (W3C Trace Context), a text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterable, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from temporalio.client import Interceptor

    from runtime.observing.open_telemetry import OpenTelemetry

_log = structlog.get_logger("traces")

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""What a trace is handed on by."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

_sdk: OpenTelemetry | None = None

passed_by: ContextVar[int] = ContextVar("passed_by", default=0)
"""The id of the current request's trace, which is not kept; 0: the request is traced, or there is none.

Of such requests there are thousands a second. They pass by all that would ask OpenTelemetry for their span.
"""


def are_wanted(environ: Mapping[str, str]) -> bool:
    """Say whether the variables ask for traces: they name an exporter, or where one is to send them."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter:
        return "otlp" in [each.strip() for each in exporter.split(",")]
    return any(environ.get(name, "").strip() for name in _ENDPOINTS)


def begin_traces(service: str) -> None:
    """Trace this process from now on, where that is asked for. ``service`` is its name, unless ``OTEL_SERVICE_NAME`` is
    set.
    """
    global _sdk
    if not are_wanted(os.environ):
        return
    try:
        from runtime.observing.open_telemetry import OpenTelemetry
    except ImportError as error:
        _log.warning("no traces: the extra `traces` is not installed", error=str(error))
        return
    _sdk = OpenTelemetry(service)


def end_traces() -> None:
    """Send what was not sent yet."""
    if _sdk is not None:
        _sdk.close()


def middleware() -> Callable[..., Any] | None:
    """The middleware that traces requests; None: they are not traced."""
    return None if _sdk is None else _sdk.middleware


def client_interceptors() -> list[Interceptor]:
    """What has Temporal's calls, workflows and activities traced."""
    return [] if _sdk is None else [_sdk.interceptor]


def current_traceparent() -> str:
    """What hands the current trace on; empty: there is none."""
    return "" if _sdk is None else _sdk.traceparent()


def kept_traceparent() -> str:
    """What hands the current trace on, where it is kept; empty: there is none, or it is not kept."""
    return _sdk.traceparent() if _sdk is not None and not passed_by.get() and _sdk.is_kept() else ""


def kept_trace_id() -> str:
    """The id of the current trace, where it is kept; empty: there is none, or it is not kept."""
    return kept_traceparent()[3:35]


def name_request(scope: MutableMapping[str, Any], template: str) -> None:
    """Name the current request by its route, which is known once it is answered."""
    if _sdk is not None and not passed_by.get():
        _sdk.name_request(scope["method"], template)


@contextmanager
def continuing(
    traceparent: str | None, name: str, links: Iterable[str] = (), figures: Mapping[str, float] | None = None
) -> Generator[None]:
    """Go on with the trace that was handed on, by a step of this name, while the block runs.

    Where that trace is the current one, it is a step of what goes on; otherwise the two are linked. ``links`` are other
    traces that led to this step, ``figures`` what is told of it.
    """
    if _sdk is None or not traceparent or not TRACEPARENT.fullmatch(traceparent):
        yield
        return
    with _sdk.step(traceparent, name, [each for each in links if TRACEPARENT.fullmatch(each)], figures):
        yield


@contextmanager
def untraced() -> Generator[None]:
    """Make nothing of what is done while the block runs a step of a trace."""
    if _sdk is None:
        yield
        return
    with _sdk.nothing():
        yield
