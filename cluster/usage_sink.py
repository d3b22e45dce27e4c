"""A sink of chat records that charges each chat to the budget of its client."""

from __future__ import annotations

import math
from collections.abc import Callable

from cluster.limit_counters import NANODOLLARS
from cluster.limiter import Limiter, client_name
from models import Usage
from telemetry.chat_record import ChatRecord, ChatSink, Outcome

_BYTES_PER_TOKEN = 4  # of text; what is usual for English
_UNCHARGED = (Outcome.UPSTREAM_ERROR_BEFORE, Outcome.INTERNAL_ERROR)

FindCost = Callable[[str, str, Usage], float | None]  # of a provider's model


class UsageSink(ChatSink):
    """Charges what the vendor reported. A chat that was cut is charged by the size of its texts."""

    def __init__(self, limiter: Limiter, find_cost: FindCost) -> None:
        self._limiter = limiter
        self._find_cost = find_cost

    def chat_ended(self, record: ChatRecord) -> None:
        """Charge the chat."""
        usage, cost = record.usage, record.cost
        if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
            usage = estimate(record)
            if usage is None:
                return
            if record.model:
                cost = self._find_cost(record.provider, record.model, usage)
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        client = client_name(record.client, record.address)
        self._limiter.charge(client, tokens, round((cost or 0) * NANODOLLARS))


def estimate(record: ChatRecord) -> Usage | None:
    """The tokens of a chat without a report of them; None if no model has worked on it."""
    if record.attempts == 0 or record.outcome in _UNCHARGED:
        return None
    answered = len(record.conversation.answer.encode("utf-8", "replace"))
    if record.outcome is Outcome.REJECTED and not answered:
        return None  # else its key was revoked while it was answered
    return Usage(
        input_tokens=math.ceil(record.prompt_bytes / _BYTES_PER_TOKEN),
        output_tokens=math.ceil(answered / _BYTES_PER_TOKEN),
    )
