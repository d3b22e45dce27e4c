"""The metrics as a sink: of each chat when it ends, and of each request to a vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry import metric_names as names
from telemetry.chat_record import (
    AttemptOutcome,
    AttemptRecord,
    ChatOpening,
    ChatRecord,
    ChatSink,
)

if TYPE_CHECKING:
    from telemetry.metrics import Metrics

_ANONYMOUS = "-"  # of clients without a key


class ChatMetrics(ChatSink):
    """Counts. Nothing is done for a delta."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def chat_began(self, chat: ChatOpening) -> None:
        """Count a chat in progress."""
        self._metrics.count(names.CHATS_RUNNING, chat.asked_provider)

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Measure the request."""
        metrics, call = self._metrics, self._call(attempt.provider, attempt.model)
        cause = attempt.error.code if attempt.error else ""
        if attempt.outcome is AttemptOutcome.CANCELLED:
            cause = "cancelled"
        metrics.observe(names.CALL_SECONDS, *call, cause, value=attempt.total_ms / 1000)
        if attempt.first_content_ms is None:
            return
        metrics.observe(names.FIRST_CHUNK_SECONDS, *call, value=attempt.first_content_ms / 1000)
        if attempt.pieces > 1:
            mean_ms = (attempt.total_ms - attempt.first_content_ms) / (attempt.pieces - 1)
            metrics.observe(names.CHUNK_SECONDS, *call, value=mean_ms / 1000)

    def chat_ended(self, record: ChatRecord) -> None:
        """Count the chat, and what it has used."""
        metrics, provider = self._metrics, record.provider
        key, outcome = record.client or _ANONYMOUS, record.outcome.value
        metrics.count(names.CHATS_RUNNING, record.asked_provider, by=-1)
        metrics.count(names.CHATS, record.door, provider, outcome)
        metrics.count(names.KEY_CHATS, key, outcome)
        if record.error_code:
            metrics.count(names.CHAT_ERRORS, provider, record.error_code)
        if record.fallback:
            metrics.count(names.FALLBACKS, record.asked_provider, record.fallback.reason)
        if record.first_content_ms is not None:
            first = record.first_content_ms / 1000
            metrics.observe(names.FIRST_CONTENT_SECONDS, provider, value=first)
        self._count_use(record, key)

    def _count_use(self, record: ChatRecord, key: str) -> None:
        metrics, usage, model = self._metrics, record.usage, record.model or ""
        if usage:
            call = self._call(record.provider, model)
            for metric, tokens in (
                (names.INPUT_TOKENS, usage.input_tokens),
                (names.OUTPUT_TOKENS, usage.output_tokens),
                (names.CACHED_TOKENS, usage.cached_input_tokens),
                (names.WRITTEN_TOKENS, usage.cache_write_tokens),
                (names.REASONING_TOKENS, usage.reasoning_tokens),
            ):
                if tokens:
                    metrics.count(metric, *call, by=tokens)
            metrics.count(names.KEY_TOKENS, key, "input", by=usage.input_tokens or 0)
            metrics.count(names.KEY_TOKENS, key, "output", by=usage.output_tokens or 0)
        if record.cost:
            label = metrics.models.value(model)
            metrics.count(names.COST, record.provider, label, by=record.cost)
            metrics.count(names.KEY_COST, key, by=record.cost)

    def _call(self, provider: str, model: str) -> tuple[str, str, str]:
        """The labels of a request to a vendor."""
        return "chat", names.genai_provider(provider), self._metrics.models.value(model)
