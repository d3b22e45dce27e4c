"""The traces as a sink: one span for a chat, and within it one for each request to a vendor.

Both are described when they are over, so nothing is kept of a chat, and nothing done for a delta.
Attributes that begin with gen_ai are those of GenAI's semantic conventions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from telemetry.chat_record import (
    AttemptOpening,
    AttemptOutcome,
    AttemptRecord,
    ChatRecord,
    ChatSink,
)
from telemetry.metric_names import genai_provider
from telemetry.span import Attributes, Span, SpanEvent, vendor_traceparent_context

if TYPE_CHECKING:
    from telemetry.traces import Traces


class ChatTraces(ChatSink):
    """Describes chats and requests. Nothing that was said, no key and no address is among it.

    The providers of `joined` are sent the ids of the trace, so that theirs becomes a part of it.
    """

    def __init__(self, traces: Traces, joined: Collection[str] = ()) -> None:
        self._traces = traces
        self._joined = frozenset(joined)

    def attempt_began(self, attempt: AttemptOpening) -> None:
        """Have the request name its span; one to another provider after it does not."""
        vendor_traceparent_context.set(None)  # if this fails, the one before is not sent again
        if attempt.provider in self._joined:
            header = self._traces.traceparent(attempt.chat, attempt.number)
            vendor_traceparent_context.set(header)

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Trace a request to a vendor."""
        error = attempt.error.code if attempt.error else None
        is_cancelled = attempt.outcome is AttemptOutcome.CANCELLED
        attributes: Attributes = {
            **_call(attempt.provider, attempt.first_content_ms),
            "gen_ai.request.model": attempt.model,
            "error.type": "cancelled" if is_cancelled else error,
            "chat_gateway.reason": attempt.error.reason if attempt.error else None,
        }
        events = []
        if attempt.first_content_ms is not None:
            events.append(SpanEvent("first_content", attempt.first_content_ms, {}))
            if error:
                events.append(SpanEvent("break", attempt.total_ms, {"error.type": error}))
        name = f"chat {attempt.model}"
        span = Span(name, attempt.number, attempt.total_ms, attributes, events, error)
        self._traces.add(attempt.chat, span)

    def chat_ended(self, record: ChatRecord) -> None:
        """Trace the chat."""
        usage, model = record.usage, record.model
        attributes: Attributes = {
            **_call(record.provider, record.first_content_ms),
            "gen_ai.conversation.id": record.conversation_id,
            "gen_ai.response.id": record.id,
            "gen_ai.response.model": record.answering_model,
            "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
            "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens if usage else None,
            "gen_ai.usage.cache_write.input_tokens": usage.cache_write_tokens if usage else None,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens if usage else None,
            "error.type": record.error_code,
            "chat_gateway.request_id": record.request_id,
            "chat_gateway.door": record.door,
            "chat_gateway.key": record.client,
            "chat_gateway.outcome": record.outcome.value,
            "chat_gateway.reason": record.reason,
            "chat_gateway.attempts": record.attempts,
            "chat_gateway.cost_usd": record.cost,
        }
        name = f"chat {model}" if model else "chat"
        events = tuple(_chat_events(record))
        span = Span(name, 0, record.total_ms, attributes, events, record.error_code)
        self._traces.add(record, span)


def _call(provider: str, first_content_ms: int | None) -> Attributes:
    seconds = None if first_content_ms is None else first_content_ms / 1000
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": genai_provider(provider),
        "gen_ai.response.time_to_first_chunk": seconds,
    }


def _chat_events(record: ChatRecord) -> Iterator[SpanEvent]:
    if (fallback := record.fallback) and record.answer_ms is not None:
        models: Attributes = {
            "chat_gateway.from_model": fallback.from_model,
            "chat_gateway.to_model": fallback.to_model,
            "error.type": fallback.reason,
        }
        yield SpanEvent("fallback", record.answer_ms, models)
    if record.first_content_ms is not None:
        yield SpanEvent("first_content", record.first_content_ms, {})
        if record.error_code:
            yield SpanEvent("break", record.total_ms, {"error.type": record.error_code})
