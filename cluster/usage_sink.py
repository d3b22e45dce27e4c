"""A sink of chat records that charges each chat to the budget of its client."""

from __future__ import annotations

from collections.abc import Callable

from cluster.limit_counters import NANODOLLARS
from cluster.limiter import Limiter, client_name
from models import Usage
from telemetry.chat_record import ChatRecord, ChatSink
from telemetry.cut_chats import count_cut, is_charged

FindCost = Callable[[str, str, Usage], float | None]  # of a provider's model


class UsageSink(ChatSink):
    """Charges what is recorded, or a cut chat's texts if the vendor has reported nothing."""

    def __init__(self, limiter: Limiter, find_cost: FindCost) -> None:
        self._limiter = limiter
        self._find_cost = find_cost

    def chat_ended(self, record: ChatRecord) -> None:
        """Charge the chat."""
        usage, cost = record.usage, record.cost
        if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
            answer = record.conversation.answer
            if not is_charged(record.outcome, record.attempts, answer):
                return
            usage = count_cut(None, record.prompt_bytes, answer, record.media_tokens)
            if record.model:
                cost = self._find_cost(record.provider, record.model, usage)
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        client = client_name(record.client, record.address)
        self._limiter.charge(client, tokens, round((cost or 0) * NANODOLLARS))
