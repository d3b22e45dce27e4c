"""`Traces`: sends spans to a collector by OTLP over HTTP. The one module with its library.

The spans' ids follow from the chat's id, so that a request's span can name its chat's, which comes
later. The library's own tracer is not used: it would keep each open span in a context.
"""

from __future__ import annotations

import os
import threading
import time
from hashlib import blake2b

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telemetry.chat_record import ChatOpening
from telemetry.span import Attributes, Span

_MAX_QUEUE = 8_192  # spans; the oldest is dropped for a further one
_MAX_BATCH = 512
_DELAY_MS = 1_000
_SEND_SECONDS = 10
_CLOSE_SECONDS = 1
_NANOSECONDS = 1_000_000  # of a millisecond
_PROPAGATOR = TraceContextTextMapPropagator()


class Traces:
    """A bounded queue of spans and the thread that sends them. `endpoint` is without a path."""

    def __init__(self, endpoint: str, service: str, version: str) -> None:
        url = f"{endpoint.rstrip('/')}/v1/traces"
        self._exporter: SpanExporter = OTLPSpanExporter(url, timeout=_SEND_SECONDS)
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=_MAX_QUEUE,
            schedule_delay_millis=_DELAY_MS,
            max_export_batch_size=_MAX_BATCH,
        )
        self._resource = Resource.create(
            {"service.name": service, "service.version": version, "process.pid": os.getpid()}
        )
        self._scope = InstrumentationScope("ai-chat-gateway", version)

    def add(self, chat: ChatOpening, span: Span) -> None:
        """Queue a span that is over now, unless the client's trace is not recorded."""
        caller = _caller(chat.traceparent)
        if caller.is_valid and not caller.trace_flags.sampled:
            return
        trace_id = _trace_id(chat, caller)
        own = _context(trace_id, _span_id(chat, span.number))
        parent = _context(trace_id, _span_id(chat, 0)) if span.number else caller
        end = time.time_ns()
        start = end - span.total_ms * _NANOSECONDS
        events = [
            Event(event.name, _known(event.attributes), start + event.at_ms * _NANOSECONDS)
            for event in span.events
        ]
        self._processor.on_end(
            ReadableSpan(
                span.name,
                own,
                parent if parent.is_valid else None,
                self._resource,
                _known(span.attributes),
                events,
                kind=SpanKind.CLIENT if span.number else SpanKind.SERVER,
                status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
                start_time=start,
                end_time=end,
                instrumentation_scope=self._scope,
            )
        )

    def traceparent(self, chat: ChatOpening, number: int) -> str:
        """The header by which a request to a vendor names its span, as W3C's Trace Context has it.

        Its flag is the caller's: a vendor does not record what is not recorded here.
        """
        caller = _caller(chat.traceparent)
        is_recorded = caller.trace_flags.sampled or not caller.is_valid
        span_id = trace.format_span_id(_span_id(chat, number))
        trace_id = trace.format_trace_id(_trace_id(chat, caller))
        return f"00-{trace_id}-{span_id}-{int(is_recorded):02x}"

    def close(self) -> None:
        """Send what is queued, for a second at most. What the collector has not taken is lost."""
        sending = threading.Thread(target=self._processor.shutdown, daemon=True)
        sending.start()
        sending.join(_CLOSE_SECONDS)
        if sending.is_alive():
            self._exporter.shutdown()  # ends its retries; its threads do not keep the process


def _caller(traceparent: str | None) -> SpanContext:
    """The client's span, of which the chat is a part; one that is not valid if there is none."""
    if not traceparent:
        return trace.INVALID_SPAN_CONTEXT
    context = _PROPAGATOR.extract({"traceparent": traceparent}, Context())
    return trace.get_current_span(context).get_span_context()


def _context(trace_id: int, span_id: int) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags)


def _trace_id(chat: ChatOpening, caller: SpanContext) -> int:
    return caller.trace_id if caller.is_valid else _number(chat.id, 16)


def _span_id(chat: ChatOpening, number: int) -> int:
    return _number(f"{chat.id} {number}", 8)


def _number(text: str, size: int) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest())


def _known(attributes: Attributes) -> dict[str, str | int | float]:
    return {name: value for name, value in attributes.items() if value is not None}
