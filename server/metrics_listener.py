"""`GET /metrics` at METRICS_PORT, in a thread of the process that starts the workers."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import AF_INET, AF_INET6
from threading import Thread

from configuration import Settings
from telemetry.metrics_folder import counting_together

_TIMEOUT_SECONDS = 5.0  # for one client, which the next one waits for


@contextmanager
def shared_metrics(settings: Settings) -> Iterator[None]:
    """Let the workers count together, and serve that at METRICS_PORT, if it is configured.

    Raises SystemExit if the port cannot be listened on.
    """
    with ExitStack() as stack:
        if settings.has_metrics:
            stack.enter_context(counting_together())
        if settings.metrics_port is not None:
            expose = importlib.import_module("telemetry.metrics").expose_all
            stack.enter_context(_listening(settings.metrics_host, settings.metrics_port, expose))
        yield


@contextmanager
def _listening(host: str, port: int, expose: Callable[[], bytes]) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_SECONDS

        def do_GET(self) -> None:
            is_found = self.path.partition("?")[0] == "/metrics"
            body = expose() if is_found else b""
            self.send_response(200 if is_found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a scrape is no event."""

    class Server(HTTPServer):
        address_family = AF_INET6 if ":" in host else AF_INET

    try:
        opened = Server((host, port), Handler)
    except OSError as error:
        raise SystemExit(f"cannot listen at {host} port {port}: {error.strerror}") from None
    with opened as server:
        thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
