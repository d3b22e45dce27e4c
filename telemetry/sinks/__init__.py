"""The sinks: what each chat is reported to. A further one is a file here and a line in the list."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from configuration import VERSION, Settings
from telemetry.chat_record import ChatSink
from telemetry.sinks.chat_metrics import ChatMetrics
from telemetry.sinks.chat_traces import ChatTraces
from telemetry.sinks.conversation_log import ConversationLog
from telemetry.sinks.gateway_log import GatewayLog
from telemetry.sinks.sentry_reports import SentryReports

if TYPE_CHECKING:
    from telemetry.metrics import Metrics


def chat_sinks(settings: Settings, metrics: Metrics | None = None) -> tuple[ChatSink, ...]:
    """The sinks of all chats, in the order in which they are called."""
    return (
        GatewayLog(),
        ConversationLog(settings.conversation_log),
        SentryReports(),
        *([ChatMetrics(metrics)] if metrics else []),
    )


def open_metrics(settings: Settings) -> Metrics | None:
    """The metrics, if they are configured. Importing their library takes 20 ms."""
    if not settings.has_metrics:
        return None
    metrics: Metrics = importlib.import_module("telemetry.metrics").Metrics(settings.providers)
    return metrics


@contextmanager
def open_traces(settings: Settings) -> Iterator[Sequence[ChatSink]]:
    """The sink of traces, if they are configured. Importing their library takes 0.8 s."""
    if settings.otel_exporter_otlp_endpoint is None:
        yield ()
        return
    library = importlib.import_module("telemetry.traces")
    endpoint = settings.otel_exporter_otlp_endpoint
    with closing(library.Traces(endpoint, settings.otel_service_name, VERSION)) as traces:
        yield (ChatTraces(traces, settings.traceparent_providers),)
