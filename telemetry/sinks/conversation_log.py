"""`conversation.log` as a sink: questions and answers, or only their lengths."""

from __future__ import annotations

import logging
from typing import Any, Literal

from telemetry.chat_record import ChatRecord, ChatSink
from telemetry.log_record import log_with_context
from telemetry.redaction import cut

_logger = logging.getLogger("gateway.conversation")

_MAX_CONVERSATION = 2**20  # bytes of a line, and characters of each of its texts


class ConversationLog(ChatSink):
    """Writes one line for each chat. `mode` is CONVERSATION_LOG."""

    def __init__(self, mode: Literal["full", "metadata", "off"]) -> None:
        self._mode = mode

    def chat_ended(self, record: ChatRecord) -> None:
        """Write the question and the answer, as configured."""
        if self._mode == "off":
            return
        query, answer = record.conversation.query, record.conversation.answer
        context: dict[str, Any] = {
            "provider": record.provider,
            "model": record.answering_model,
            "outcome": record.outcome.value,
        }
        if self._mode == "full":
            context["query"] = cut(query, _MAX_CONVERSATION)
            context["answer"] = cut(answer, _MAX_CONVERSATION)
        if self._mode == "metadata" or len(query) + len(answer) > _MAX_CONVERSATION:
            context["query_chars"] = len(query)
            context["answer_chars"] = len(answer)
        log_with_context(
            _logger, logging.INFO, "conversation", context, longest_line=_MAX_CONVERSATION
        )
