"""`Attempt`: one request to one model: its timeouts, and the proof that its answer is complete.

    AWAITED ──content──> ANSWERING ──finish reason──> SETTLING ──content──> CONTINUED
    first content        idle                         settle                settle

Below each phase is the timeout in it; the timeout of the whole chat limits all of them, and the
connect timeout is the connection pool's. Silence after a finish reason proves the answer, unless
content followed and the chat's time is over: then it still arrives. Some models send a finish
reason before any content: it starts no phase.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial
from typing import Any, Literal, cast

from configuration import Timeouts
from models import Event, GatewayError, Prompt, Reasoning, Text, ToolCallDelta, Usage
from providers.answer_calls import AnswerCalls, call_ids
from providers.base import BaseProvider
from providers.errors import translate
from providers.policy import Link
from providers.refusals import is_of_one_chat
from providers.wires.decoder import Batch
from providers.wires.finish_reasons import Finish
from streams.closing import close_stream
from streams.deadline import CancelReason, CancelScope, ScopeCancelledError
from telemetry.chat_recorder import ChatRecorder
from telemetry.error_reporting import report_misconfiguration

# One may be due to the client's request. A server that answers every chat so refuses the gateway:
# its parameters, or any body at all.
_REFUSALS = ("rejected_by_provider", "payload_too_large")

_logger = logging.getLogger("gateway.providers")


TimeoutReason = Literal["whole", "stalled", "first_content"]


class Phase(Enum):
    """How far an answer has come."""

    AWAITED = "awaited"  # no content yet
    ANSWERING = "answering"  # content, and no finish reason after it
    SETTLING = "settling"  # a finish reason after content
    CONTINUED = "continued"  # content after that finish reason


# Python 3.11 takes a quarter of a microsecond to find a member of an enum, and these are used for
# each batch.
_AWAITED, _ANSWERING, _SETTLING, _CONTINUED = Phase


def longest_wait(phase: Phase, timeouts: Timeouts, *, is_patient: bool) -> float:
    """How many seconds to wait for further content. `is_patient`: longer for the first."""
    if phase is Phase.AWAITED:
        return timeouts.last_first_content if is_patient else timeouts.first_content
    return timeouts.idle if phase is Phase.ANSWERING else timeouts.settle


def explain_timeout(phase: Phase, *, is_chats: bool) -> TimeoutReason | None:
    """Why an answer that did not come in time has failed; None: it is complete.

    `is_chats`: the time of the whole chat is over.
    """
    if phase is Phase.SETTLING or (phase is Phase.CONTINUED and not is_chats):
        return None
    if is_chats:
        return "whole"
    return "first_content" if phase is Phase.AWAITED else "stalled"


class Attempt:
    """One request to one model.

    Read the batches of `opened`: `take` each, and `go_on` once its deltas are sent.
    """

    __slots__ = (
        "_asked_at",
        "_breaker",
        "_chars",
        "_chars_beside_text",
        "_content_at",
        "_is_patient",
        "_message_id",
        "_now",
        "_record",
        "_scope",
        "_taken_ids",
        "_wait",
        "asked",
        "calls",
        "finish",
        "is_new_wait",
        "link",
        "phase",
        "provider",
        "rest",
        "texts",
    )

    def __init__(
        self,
        provider: BaseProvider,
        link: Link,
        asked: Prompt,
        message_id: str,
        record: ChatRecorder,
        scope: CancelScope,
        *,
        is_last: bool,
    ) -> None:
        self.provider = provider
        self.link = link
        self.asked = asked
        self.phase = _AWAITED
        self.finish: Finish | None = None
        self.is_new_wait = False  # whether the wait for content begins again after the newest batch
        self._breaker = provider.breakers[link.model]
        self._message_id = message_id
        self._record = record
        self._scope = scope
        # No other model can be asked, or nothing comes before the whole answer is made.
        self._is_patient = is_last or not provider.streams(asked, link.model)
        self._wait = longest_wait(_AWAITED, provider.settings.timeouts, is_patient=self._is_patient)
        self.texts: list[str] = []  # of the answer so far
        self._chars = 0  # of these
        self._chars_beside_text = 0  # of reasoning, refusals and arguments
        self.calls: AnswerCalls | None = None  # created for an answer that needs it
        self.rest: Sequence[Event] = ()  # what is still to be sent when the answer is complete
        self._taken_ids = frozenset(call_ids(asked)) if asked.options.tools else frozenset()
        self._now = asyncio.get_running_loop().time
        self._asked_at = 0.0
        self._content_at: float | None = None

    @property
    def chars(self) -> int | None:
        """The characters of text so far; None if no content has arrived."""
        return None if self.phase is Phase.AWAITED else self._chars

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[AsyncGenerator[Batch, None]]:
        """The vendor's stream, closed at the end. Every failure is raised as a GatewayError."""
        batches = self.provider.stream_response(self.asked, self.link.model, self._message_id)
        self._record.begin_attempt(*self.link)
        self._asked_at = self._now()
        is_probe = self._breaker.open_until is not None and self._breaker.ask(self._asked_at)
        try:
            self._scope.move(self._asked_at + self._wait)
            try:
                with self._scope:
                    yield batches
            except ScopeCancelledError as error:
                is_chats = self._now() >= self._scope.limit
                is_timeout = error.reason is CancelReason.TIMEOUT
                if not is_timeout or explain_timeout(self.phase, is_chats=is_chats):
                    raise  # else the answer is complete
            if self.finish is None:
                raise GatewayError("upstream_truncated")
            if self.calls:
                self.rest = self.calls.close(is_cut=self.finish.finish_reason == "length")
        except Exception as error:
            failure = self._judge(error)
            if failure is error:
                raise
            raise failure from error
        finally:
            if is_probe:
                self._breaker.release()
            await close_stream(batches)
        now = self._now()
        self._record.end_attempt()
        self.provider.health.succeeded((self._content_at or now) - self._asked_at)
        self._breaker.succeeded(self._asked_at, now)

    async def first_content(self, batches: AsyncGenerator[Batch, None]) -> list[Event]:
        """The first batch with content; empty if the answer ends without any."""
        async for batch in batches:
            if deltas := self.take(batch):
                return deltas
            self.go_on()
        return []

    def take(self, batch: Batch) -> list[Event]:
        """Note a batch, and return its deltas. Until `go_on` nothing is cancelled."""
        self._scope.pause()
        finish = batch.pop() if type(batch[-1]) is Finish else None
        if batch and type(batch[0]) is Usage:
            find_cost = partial(self.provider.cost, self.link.model)
            self._record.note_usage(cast(Usage, batch.pop(0)), find_cost)
        deltas: list[Any] = batch
        self.is_new_wait = bool(deltas)
        if deltas:
            self._count(deltas)
            if self.phase is not _ANSWERING:
                self._note_content()
            if self.calls:
                deltas = self.calls.arrange(deltas)
        if finish:
            self.finish = cast(Finish, finish)
            if self.finish.follows_content and self.phase is _ANSWERING:
                self._enter(_SETTLING)
                self.is_new_wait = True
        return deltas

    def _count(self, deltas: list[Any]) -> None:
        """Note what will be sent. Raises GatewayError if the answer has too many characters."""
        chars, beside_text, texts = self._chars, self._chars_beside_text, self.texts
        before, has_calls = len(texts), False
        for delta in deltas:
            if type(delta) is Text:
                chars += len(delta.text)
                texts.append(delta.text)
            elif type(delta) is ToolCallDelta:
                state = delta.state.data if delta.state else None
                sent = (delta.id, delta.name, delta.arguments, state)
                beside_text += sum(len(text) for text in sent if text)
                has_calls = True
            else:
                beside_text += len(delta.text)
                if type(delta) is Reasoning and delta.state is not None:
                    beside_text += len(delta.state.data)
                    # Without tools there are no calls to which the state could belong.
                    has_calls = has_calls or bool(self.asked.options.tools)
        limit = self.provider.settings.max_answer_chars
        if chars + beside_text > limit:
            del texts[before:]  # they will not be sent
            message = "The provider sent an answer over the size limit."
            raise GatewayError(
                "event_too_large", message, reason="answer_chars", detail={"limit": limit}
            )
        if has_calls and self.calls is None:
            self.calls = AnswerCalls(self._taken_ids, self._chars)
        self._chars, self._chars_beside_text = chars, beside_text

    def go_on(self) -> None:
        """Wait for the vendor again. The time that the client took to read does not count."""
        if self.is_new_wait:
            self._scope.move(self._now() + self._wait)
        else:
            self._scope.resume()

    def _note_content(self) -> None:
        if self.phase is _AWAITED:
            self._enter(_ANSWERING)
            # A prompt is large, and streams are long.
            self.asked = self.asked._replace(system="", turns=())
            self._content_at = self._now()
            if self._breaker.answered(self._asked_at):
                _logger.info("breaker closed", extra={"context": self.link.context()})
        elif self.phase is _SETTLING:
            self._enter(_CONTINUED)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        timeouts = self.provider.settings.timeouts
        self._wait = longest_wait(phase, timeouts, is_patient=self._is_patient)

    def _judge(self, error: Exception) -> Exception:
        """The failure that an exception means."""
        if isinstance(error, ScopeCancelledError):
            if error.reason is not CancelReason.TIMEOUT:
                return error  # the end of the chat
            reason = explain_timeout(self.phase, is_chats=self._now() >= self._scope.limit)
            failure = GatewayError("upstream_timeout", reason=reason)
        else:
            failure = translate(error)
            if self.phase is _AWAITED:
                failure = self.provider.refused_by(failure, self.asked, self.link.model) or failure
        self._fail(failure)
        return failure

    def _fail(self, error: GatewayError) -> None:
        """Report a failure. An error of the client does not count against the vendor."""
        self._record.end_attempt(error)
        health, context = self.provider.health, self.link.context()
        if error.is_vendors:
            health.failed(error.code)
            now = self._now()
            pause = self._breaker.failed(error.code, error.retry_after, self._asked_at, now)
            if pause is not None:
                opened = {**context, "code": error.code, "seconds": pause}
                _logger.warning("breaker opened", extra={"context": opened})
        elif error.code in _REFUSALS and not is_of_one_chat(error, self.asked):
            was_refusing = health.is_refusing
            health.refused(error.code)
            if health.is_refusing:
                report_misconfiguration(kind=error.code, **context, details=error.detail)
            if health.is_refusing and not was_refusing:
                refused = {**error.detail, **context}
                _logger.error("provider refuses chat after chat", extra={"context": refused})
