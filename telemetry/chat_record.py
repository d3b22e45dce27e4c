"""What is known of one chat as it opens, of each attempt, and at its end; and what a sink is.

A record is built by `telemetry/chat_recorder.py` and never changes after that. Sinks read it, and
must not keep it: its error refers to the frames of the chat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from models import End, Fallback, GatewayError, Usage
from streams.failure import Failure


class Outcome(StrEnum):
    """How a chat ended."""

    OK = "ok"
    FALLBACK_OK = "fallback_ok"
    REJECTED = "rejected"
    UPSTREAM_ERROR_BEFORE = "upstream_error_before"
    UPSTREAM_ERROR_AFTER = "upstream_error_after"
    CLIENT_GONE = "client_gone"
    DRAINED = "drained"
    INTERNAL_ERROR = "internal_error"


def judge(end: End | None, failure: Failure | None) -> Outcome:
    """The outcome of a chat with this end or this failure. With neither the client is gone."""
    if end:
        return Outcome.FALLBACK_OK if end.fallback else Outcome.OK
    if failure is None:
        return Outcome.CLIENT_GONE
    if failure.code == "internal_error":
        return Outcome.INTERNAL_ERROR
    if failure.code == "draining":
        return Outcome.DRAINED
    if failure.code == "unauthorized":  # the key was revoked in the meantime
        return Outcome.REJECTED
    if failure.stage == "after_content":
        return Outcome.UPSTREAM_ERROR_AFTER
    return Outcome.UPSTREAM_ERROR_BEFORE if failure.is_vendors else Outcome.REJECTED


class AttemptOutcome(StrEnum):
    """How one request to one model ended."""

    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"  # the chat ended first: the client is gone, or the instance stops


class Conversation(msgspec.Struct, frozen=True):
    """The last question and the answer as the client has it, for the conversation log alone."""

    query: str
    answer: str

    def __repr__(self) -> str:
        return "Conversation(...)"


class ChatOpening(msgspec.Struct, frozen=True, kw_only=True):
    """A chat before any model is asked."""

    id: str
    conversation_id: str
    request_id: str
    door: str  # the client's protocol
    client: str | None  # the name of the gateway key
    address: str | None
    asked_provider: str
    messages: int
    traceparent: str | None = None  # the client's header, if traces are on


class AttemptOpening(msgspec.Struct, frozen=True, kw_only=True):
    """One request to one model, as it is sent."""

    chat: ChatOpening
    number: int  # within the chat, from 1
    provider: str
    model: str


class AttemptRecord(AttemptOpening, frozen=True, kw_only=True):
    """One request to one model at its end. Times are in milliseconds since it was sent."""

    outcome: AttemptOutcome
    error: GatewayError | None
    first_content_ms: int | None
    total_ms: int
    pieces: int  # of the answer's text


class ChatRecord(ChatOpening, frozen=True, kw_only=True):
    """One chat at its end. Times are in milliseconds since it opened."""

    provider: str  # that answers, or else failed last
    answering_model: str | None
    fallback: Fallback | None
    outcome: Outcome
    error: Failure | None
    first_content_ms: int | None
    answer_ms: int | None = None  # when the model that answers began to
    total_ms: int
    prompt_bytes: int  # of its texts, tools and schemas
    media_tokens: int = 0  # an estimate for its images and files
    usage: Usage | None
    cost: float | None  # of the answer, in US dollars
    attempts: int
    dropped_params: tuple[str, ...]
    conversation: Conversation
    cpu_seconds: float  # of the process, as is its memory
    memory_mb: float

    @property
    def model(self) -> str | None:
        """The model that answers, or else the one that the chat failed with."""
        if self.answering_model is not None:
            return self.answering_model
        return self.error.model if self.error else None

    @property
    def error_code(self) -> str | None:
        """The code of the error that the chat failed with."""
        return self.error.code if self.error else None

    @property
    def reason(self) -> str | None:
        """The finer cause of that error."""
        return self.error.reason if self.error else None

    @property
    def status(self) -> int:
        """The HTTP status of the outcome. Once a response has begun the client sees 200 instead."""
        return self.error.kind.status if self.error else 200

    @property
    def bug(self) -> BaseException | None:
        """The exception behind an `internal_error`."""
        if self.error is None or self.outcome is not Outcome.INTERNAL_ERROR:
            return None
        return self.error.__cause__ or self.error


class ChatSink:
    """Reports chats to one destination. A sink overrides the methods that it needs.

    The methods run within the chat: they must not wait. If one raises, the exception is reported
    and the chat goes on.
    """

    def chat_began(self, chat: ChatOpening) -> None:
        """A chat is about to ask its first model."""

    def attempt_began(self, attempt: AttemptOpening) -> None:
        """A request is sent to a model."""

    def content_began(self, chat: ChatOpening) -> None:
        """The client is about to be sent the chat's first content."""

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """The request is over. This comes before the next attempt, and before the chat's end."""

    def chat_ended(self, record: ChatRecord) -> None:
        """The chat is over. Each chat that began ends once, unless the process is killed."""


class Reports(NamedTuple):
    """The methods to call, of the sinks that have them: most do nothing at most of these times."""

    chat_began: list[Callable[[ChatOpening], None]]
    content_began: list[Callable[[ChatOpening], None]]
    attempt_began: list[Callable[[AttemptOpening], None]]
    attempt_ended: list[Callable[[AttemptRecord], None]]
    chat_ended: list[Callable[[ChatRecord], None]]


def reports_to(sinks: Iterable[ChatSink]) -> Reports:
    """The reports to these sinks, in their order."""
    calls: dict[str, list[Callable[[Any], None]]] = {name: [] for name in Reports._fields}
    for sink in sinks:
        for name, methods in calls.items():
            if getattr(type(sink), name) is not getattr(ChatSink, name):
                methods.append(getattr(sink, name))
    return Reports(**calls)
