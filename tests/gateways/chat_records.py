"""Chat records as tests make them, and a sink that keeps what it is given."""

from __future__ import annotations

from typing import Any

from models import Chat, ChatIdentity, Text, Turn, Usage
from streams.kept_chat import KeptChat, PromptBudget
from telemetry.chat_record import (
    AttemptOpening,
    AttemptRecord,
    ChatOpening,
    ChatRecord,
    ChatSink,
    Conversation,
    Outcome,
    reports_to,
)
from telemetry.chat_recorder import ChatRecorder


def make_record(query: str = "", answer: str = "", **fields: Any) -> ChatRecord:
    """The record of a chat that went well, except for these fields."""
    chosen: dict[str, Any] = {
        "id": "gpt-1",
        "conversation_id": "c-1",
        "request_id": "r-1",
        "door": "native",
        "client": None,
        "address": None,
        "asked_provider": "gpt",
        "messages": 1,
        "provider": "gpt",
        "answering_model": "luna",
        "fallback": None,
        "outcome": Outcome.OK,
        "error": None,
        "first_content_ms": 310,
        "total_ms": 900,
        "prompt_bytes": 40,
        "usage": Usage(input_tokens=9, output_tokens=12),
        "cost": 0.000125,
        "attempts": 1,
        "dropped_params": (),
        "conversation": Conversation(query, answer),
        "cpu_seconds": 1.5,
        "memory_mb": 100.0,
    }
    return ChatRecord(**(chosen | fields))


def make_recorder(*sinks: ChatSink) -> ChatRecorder:
    """The recorder of a chat that has just begun."""
    request = Chat(turns=(Turn("user", (Text("hi"),)),))
    kept = KeptChat(request, PromptBudget(2**20))
    return ChatRecorder(
        "gpt", kept, ChatIdentity("gpt-1", "c-1", "r-1"), "native", reports_to(sinks)
    )


class KeptRecords(ChatSink):
    """Keeps what it is given, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.openings: list[ChatOpening] = []
        self.begun: list[AttemptOpening] = []
        self.attempts: list[AttemptRecord] = []
        self.records: list[ChatRecord] = []

    def chat_began(self, chat: ChatOpening) -> None:
        """Keep it."""
        self.calls.append("chat began")
        self.openings.append(chat)

    def attempt_began(self, attempt: AttemptOpening) -> None:
        """Keep it."""
        self.calls.append(f"{attempt.model} began")
        self.begun.append(attempt)

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Keep it."""
        self.calls.append(f"{attempt.model} {attempt.outcome}")
        self.attempts.append(attempt)

    def chat_ended(self, record: ChatRecord) -> None:
        """Keep it."""
        self.calls.append(f"chat {record.outcome}")
        self.records.append(record)


class BrokenSink(ChatSink):
    """Fails at everything."""

    def chat_began(self, chat: ChatOpening) -> None:
        """Fail."""
        raise RuntimeError(chat.id)

    def attempt_began(self, attempt: AttemptOpening) -> None:
        """Fail."""
        raise RuntimeError(attempt.model)

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Fail."""
        raise RuntimeError(attempt.model)

    def chat_ended(self, record: ChatRecord) -> None:
        """Fail."""
        raise RuntimeError(record.conversation.query)
