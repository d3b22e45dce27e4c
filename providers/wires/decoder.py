"""`Decoder`, the base of the wires' decoders.

It has the states of one answer, and reads invalid events leniently.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TypeVar

import msgspec

from models import Delta, FinishReason, GatewayError, State, Usage
from providers.wires.error_frames import is_error_text, raise_error, text_error
from providers.wires.finish_reasons import Finish, to_finish_reason
from providers.wires.lenient_json import check_readable, fit, is_damaged_json, read_json
from providers.wires.sse_reader import Frame
from providers.wires.surrogates import Surrogates, has_surrogates, replace_surrogates

Batch = list[Delta | Finish | Usage]
T = TypeVar("T", bound=msgspec.Struct)

_MARK = b"[DONE]"
_MAX_HELD = 8 * 2**20  # characters; as many as one event has bytes by default


class StreamState(Enum):
    """The state of one answer."""

    OPEN = "open"  # no finish reason yet
    FINISHED = "finished"  # a finish reason has arrived; content may still follow
    PROVEN = "proven"  # the answer is complete: nothing after it is read


class Decoder(ABC):
    """Decodes the frames of one stream to deltas. Each wire has its own subclass.

    An end mark proves that the answer is complete; subclasses define what else does.
    """

    __slots__ = (
        "_held",
        "_model",
        "_provider",
        "finish",
        "finished_at",
        "goes_on",
        "has_content",
        "has_events",
        "state",
        "surrogates",
        "usage",
    )

    def __init__(self, provider: str = "", model: str = "") -> None:
        self._provider = provider
        self._model = model
        self.state = StreamState.OPEN
        self.finish: Finish | None = None
        self.finished_at = 0  # deltas of the current read before the newest finish reason
        self.surrogates: Surrogates | None = None  # created for a stream that needs it
        self.usage: Usage | None = None  # reported so far
        self._held = 0
        # In the reads before the current one:
        self.goes_on = False  # content followed the finish reason
        self.has_events = False
        self.has_content = False

    @abstractmethod
    def decode(self, frame: Frame, batch: Batch) -> None:
        """Append the frame's deltas to the batch.

        Raises GatewayError for an error event or damaged data.
        """

    def close(self, batch: Batch) -> None:  # noqa: B027 - most wires leave nothing open
        """Append what is still open when the stream ends cleanly."""

    def is_whole(self) -> bool:
        """Whether the answer is complete if the stream ends cleanly now, without an end mark."""
        return self.state is StreamState.FINISHED

    def is_whole_after_break(self) -> bool:
        """Whether the answer is complete if the connection breaks now."""
        return False

    def set_finish(
        self, word: str, usage: Usage | None, batch: Batch, reason: FinishReason | None = None
    ) -> None:
        """Record a finish reason that follows the deltas in the batch.

        Raises GatewayError if it means that the answer broke.
        """
        follows_content = self.has_content or bool(batch)
        self.finish = Finish(
            reason or to_finish_reason(word), replace_surrogates(word), usage, follows_content
        )
        self.finished_at = len(batch)
        self.goes_on = False
        self.state = StreamState.FINISHED

    def hold(self, chars: int) -> None:
        """Count what is kept for a later delta: `Attempt` counts only what is sent.

        Raises GatewayError `event_too_large`.
        """
        self._held += chars
        if self._held > _MAX_HELD:
            raise GatewayError("event_too_large", reason="pieces", detail={"limit": _MAX_HELD})

    def make_state(self, data: str) -> State:
        """Opaque state of the model that answers, as JSON text in this wire's format."""
        return State(self._provider, self._model, data)

    def set_usage(self, usage: Usage | None) -> None:
        """Record usage that may arrive before or after the finish reason."""
        self.usage = usage
        if self.finish and self.finish.usage != usage:
            self.finish = msgspec.structs.replace(self.finish, usage=usage)

    def take_mark(self) -> None:
        """Record the end mark.

        Raises GatewayError without a finish reason: servers send a mark after failures, too.
        """
        if self.state is StreamState.OPEN:
            raise GatewayError("upstream_truncated", reason="no_finish_reason")
        self.state = StreamState.PROVEN

    def read_leniently(self, data: bytes, kind: type[T]) -> T | None:
        """The readable fields of an event that msgspec rejects.

        None for the end mark, or if the event is not a JSON object. Raises GatewayError for an
        error object, damaged JSON (text may have been lost), or an event that is too large.
        """
        if data == _MARK:
            self.take_mark()
            return None
        check_readable(data)
        try:
            value = read_json(data)
        except ValueError as error:
            if data.strip() == _MARK:
                self.take_mark()
            elif is_error_text(data):
                raise text_error(data) from None
            elif isinstance(error, UnicodeError) or is_damaged_json(data):
                raise GatewayError("upstream_bad_event", reason="not_json") from None
            return None
        if self.surrogates is None and has_surrogates(data):
            self.surrogates = Surrogates()
        chunk = fit(value, kind)
        if chunk is None:
            raise_error(value)
        return chunk
