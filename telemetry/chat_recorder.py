"""`ChatRecorder`: follows one chat while it runs, and hands its records to the sinks.

Synchronous, so that a cancellation cannot interrupt it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from msgspec.structs import asdict, replace

from models import ChatIdentity, End, GatewayError, Restart, Start, Timing, Usage
from streams.failure import Failure
from streams.kept_chat import KeptChat
from telemetry.chat_record import (
    AttemptOpening,
    AttemptOutcome,
    AttemptRecord,
    ChatOpening,
    ChatRecord,
    Conversation,
    Outcome,
    Reports,
    judge,
)
from telemetry.cut_chats import count_cut, estimate_media, is_charged
from telemetry.error_reporting import report_bug
from telemetry.log_line import Client, client_context
from telemetry.process_usage import cpu_seconds, memory_mb
from telemetry.span import traceparent_context

T = TypeVar("T")
_Reported = tuple[Usage, Callable[[Usage], float | None]]

_logger = logging.getLogger("gateway.chat")


class _Attempt(msgspec.Struct):
    """The request in progress."""

    opening: AttemptOpening
    began: float
    first_content: float | None = None
    reported: _Reported | None = None


class ChatRecorder:
    """Collects what is known of one chat. `close` ends it, whatever happened."""

    __slots__ = (
        "_answer_began",
        "_attempt",
        "_attempts",
        "_began",
        "_end",
        "_failure",
        "_first_content",
        "_kept",
        "_opening",
        "_provider",
        "_reported",
        "_reports",
        "_start",
        "_texts",
        "key_hash",
    )

    def __init__(
        self,
        provider: str,
        kept: KeptChat,
        identity: ChatIdentity,
        door: str,
        reports: Reports,
    ) -> None:
        client = client_context.get() or Client(None)
        self._opening = ChatOpening(
            id=identity.id,
            conversation_id=identity.conversation_id,
            request_id=identity.request_id,
            door=door,
            client=client.key,
            address=client.address,
            asked_provider=provider,
            messages=len(kept.chat.turns) + len(kept.chat.system),
            traceparent=traceparent_context.get(),
        )
        self.key_hash = client.key_hash
        self._reports = reports
        self._kept = kept
        self._provider = provider
        self._began = time.monotonic()
        self._first_content: float | None = None
        self._answer_began: float | None = None
        self._attempt: _Attempt | None = None
        self._attempts = 0
        self._start: Start | Restart | None = None
        self._end: End | None = None
        self._failure: Failure | None = None
        self._reported: _Reported | None = None  # by the model that answers, or else the newest
        self._texts: list[str] = []
        _report(reports.chat_began, self._opening)

    @property
    def owner(self) -> str:
        """Whose chat it is: the client's key by its name, or else the address."""
        opening = self._opening
        return f"key {opening.client}" if opening.client else f"address {opening.address}"

    def begin_answer(
        self, opening: Start | Restart, texts: list[str], *, has_content: bool
    ) -> None:
        """Note that a model answers, before its first content is sent. `texts` grows with it."""
        self._start = opening
        self._answer_began = now = time.monotonic()
        self._provider = opening.provider
        self._texts = texts
        if isinstance(opening, Start):
            self._first_content = None  # it was that of a held answer, which broke and was not sent
        if has_content:
            if self._first_content is None:
                self._first_content = now
            if self._attempt:
                self._attempt.first_content = now
        _report(self._reports.content_began, self._opening)

    def end_answer(self, end: End) -> End:
        """Note that the answer is whole. Returns its end with the chat's timing."""
        self._end = replace(end, timing=self._timing())
        return self._end

    def begin_attempt(self, provider: str, model: str) -> None:
        """Note that a request is sent to a model."""
        self._attempts += 1
        opening = AttemptOpening(
            chat=self._opening, number=self._attempts, provider=provider, model=model
        )
        self._attempt = _Attempt(opening, time.monotonic())
        _report(self._reports.attempt_began, opening)

    def note_usage(self, usage: Usage, find_cost: Callable[[Usage], float | None]) -> None:
        """Note what the vendor has reported so far of the request in progress."""
        if self._attempt:
            self._attempt.reported = usage, find_cost

    def end_attempt(self, error: GatewayError | None = None) -> None:
        """Note that the request is over: with an error, or else with a whole answer."""
        self._end_attempt(AttemptOutcome.FAILED if error else AttemptOutcome.OK, error)

    def fail(self, failure: Failure) -> None:
        """Note how the chat failed."""
        self._failure = failure
        if self._start is None:
            self._provider = failure.provider or self._provider

    def close(self) -> None:
        """End the chat. An attempt in progress was cancelled."""
        self._end_attempt(AttemptOutcome.CANCELLED, None)
        start, end, failure, timing = self._start, self._end, self._failure, self._timing()
        outcome, answer = judge(end, failure), "".join(self._texts)
        media_tokens = estimate_media(self._kept.images, self._kept.file_sizes)
        usage, cost = (
            (end.usage, end.cost) if end else self._count_cut(outcome, answer, media_tokens)
        )
        record = ChatRecord(
            **asdict(self._opening),
            provider=self._provider,
            answering_model=start.model if start else None,
            fallback=start.fallback if start else None,
            outcome=outcome,
            error=failure,
            first_content_ms=timing.first_content_ms,
            answer_ms=_time_since(self._began, self._answer_began).first_content_ms,
            total_ms=timing.total_ms,
            prompt_bytes=self._kept.text_bytes,
            media_tokens=media_tokens,
            usage=usage,
            cost=cost,
            attempts=self._attempts,
            dropped_params=end.dropped_params if end else (),
            conversation=Conversation(self._kept.question, answer),
            cpu_seconds=cpu_seconds(),
            memory_mb=memory_mb(),
        )
        _report(self._reports.chat_ended, record)

    def _count_cut(
        self, outcome: Outcome, answer: str, media_tokens: int
    ) -> tuple[Usage | None, float | None]:
        """The tokens and the cost of a chat without an end, if its vendor has reported any."""
        if self._reported is None or not is_charged(outcome, self._attempts, answer):
            return None, None
        reported, find_cost = self._reported
        usage = count_cut(reported, self._kept.text_bytes, answer, media_tokens)
        return usage, find_cost(usage)

    def _end_attempt(self, outcome: AttemptOutcome, error: GatewayError | None) -> None:
        if (attempt := self._attempt) is None:
            return
        self._attempt = None
        if self._start is None or attempt.first_content is not None:
            self._reported = attempt.reported
        timing = _time_since(attempt.began, attempt.first_content)
        record = AttemptRecord(
            **asdict(attempt.opening),
            outcome=outcome,
            error=error,
            first_content_ms=timing.first_content_ms,
            total_ms=timing.total_ms,
            pieces=0 if attempt.first_content is None else len(self._texts),
        )
        _report(self._reports.attempt_ended, record)

    def _timing(self) -> Timing:
        return _time_since(self._began, self._first_content)


def _report(calls: Iterable[Callable[[T], None]], record: T) -> None:
    """Call each sink. One that fails is reported; the chat and the other sinks go on."""
    for call in calls:
        try:
            call(record)
        except Exception as error:
            context = {"sink": call.__qualname__.rpartition(".")[0]}
            _logger.exception("a sink of chat records failed", extra={"context": context})
            report_bug(error)


def _time_since(began: float, first_content: float | None) -> Timing:
    now = time.monotonic()
    first_ms = None if first_content is None else _milliseconds(first_content - began)
    return Timing(first_ms, _milliseconds(now - began))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
