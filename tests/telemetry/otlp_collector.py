"""A collector of traces on loopback: OTLP over HTTP, decoded with the protocol's own messages."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_FAR = 60.0  # seconds: longer than the slowest machine takes


class Collector:
    """What has arrived. It answers nothing while `answers` is not set."""

    def __init__(self) -> None:
        self.url = ""
        self.answers = threading.Event()
        self.answers.set()
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.requests: list[ExportTraceServiceRequest] = []
        self._arrived = threading.Condition()

    def take(self, path: str, body: bytes) -> None:
        """Keep the spans of a request, and of others the path."""
        with self._arrived:
            self.paths.append(path)
            if path != "/v1/traces":
                return
            self.bodies.append(body)
            self.requests.append(ExportTraceServiceRequest.FromString(body))
            self._arrived.notify_all()

    @property
    def spans(self) -> list[Span]:
        """All that have arrived, the chats' ones last."""
        found = [
            span
            for request in self.requests
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
        return sorted(found, key=lambda span: span.kind, reverse=True)  # CLIENT is 3, SERVER 2

    def wait(self, number: int) -> list[Span]:
        """All spans, once there are as many."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.spans) >= number, _FAR)
            return self.spans


def attributes_of(part: Any) -> dict[str, Any]:
    """The attributes of a span, an event or a resource as Python's values."""
    return {
        pair.key: getattr(pair.value, str(pair.value.WhichOneof("value")))
        for pair in part.attributes
    }


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs in threads of its own."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(self.path, body)
            collector.answers.wait(_FAR)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.answers.set()
            server.shutdown()
            thread.join()
