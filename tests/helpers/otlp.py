"""A receiver of traces over OTLP/HTTP, as a collector is one."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it was sent."""

    service: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty: it is the first of its trace."""
    name: str
    attributes: dict[str, str]
    figures: dict[str, float]
    linked_traces: tuple[str, ...]


@dataclass
class Receiver:
    """What was received, and where."""

    address: str
    spans: list[ReceivedSpan] = field(default_factory=list[ReceivedSpan])

    def of(self, trace_id: str) -> list[ReceivedSpan]:
        """The spans of a trace."""
        return [each for each in self.spans if each.trace_id == trace_id]

    def take(self, body: bytes) -> None:
        """Note what a request brought."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {each.key: each.value.string_value for each in span.attributes}
                    figures = {each.key: each.value.int_value or each.value.double_value for each in span.attributes}
                    links = tuple(each.trace_id.hex() for each in span.links)
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    self.spans.append(ReceivedSpan(service, *ids, span.name, attributes, figures, links))


@contextmanager
def receiving() -> Generator[Receiver]:
    """Receive while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
