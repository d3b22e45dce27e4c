"""The base of the vendors' wires: their paths, the parsed request, an answer's events as bytes."""

from __future__ import annotations

import itertools
import re
import secrets
import string
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from simulator.wires.request import Offer, Prompt, Turn, read_prompt

_numbers = itertools.count(1)
_ID_CHARACTERS = string.ascii_letters + string.digits
_ARGUMENTS_PIECE = 7  # characters


class Thought(str):
    """A piece of an answer's reasoning."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A piece of an answer that calls a tool; `arguments` is JSON text.

    Without an id it gets one in the vendor's style, if the vendor sends any.
    """

    name: str
    arguments: str = "{}"
    id: str | None = None


Piece = str | bytes | ToolCall
"""A piece of an answer: text, a Thought, a call, or bytes that are sent unchanged as an event."""


def make_id(prefix: str, length: int, characters: str = _ID_CHARACTERS) -> str:
    """A random id."""
    return prefix + "".join(secrets.choice(characters) for _ in range(length))


def split_arguments(arguments: str) -> list[str]:
    """The pieces in which arguments are streamed."""
    places = range(0, len(arguments), _ARGUMENTS_PIECE)
    return [arguments[place : place + _ARGUMENTS_PIECE] for place in places]


class Wire(ABC):
    """Encodes one answer in one vendor's format, and counts its tokens (pieces)."""

    provider: ClassVar[str]
    vendor: ClassVar[str]
    remark: ClassVar[str]  # a demo answer's sentence about this format
    key_variable: ClassVar[str]  # the prefix of the gateway's variables for this provider
    base_path: ClassVar[str]  # the path of an SDK's base_url
    # below base_path, with a group `model` if the path contains the model
    chat_path: ClassVar[re.Pattern[str]]
    model_path: ClassVar[re.Pattern[str]]
    count_path: ClassVar[re.Pattern[str] | None] = None  # of the call that counts tokens, if any
    content_type: ClassVar[str] = "text/event-stream"
    request_id_header: ClassVar[str] = "x-request-id"
    turns_key: ClassVar[str] = "messages"
    parts_key: ClassVar[str] = "content"
    heartbeat: ClassVar[bytes] = b": keep-alive\n\n"
    mark: ClassVar[bytes] = b""

    def __init__(self, model: str, body: Any) -> None:
        self.model = model
        self.body: dict[str, Any] = body if isinstance(body, dict) else {}
        self.prompt: Prompt = read_prompt(map(self.read_turn, self.body.get(self.turns_key) or ()))
        self.number = next(_numbers)
        self.created = int(time.time())
        self.output_tokens = 0
        self.reasoning_tokens = 0
        self.calls = 0  # in the answer so far

    @property
    def is_streamed(self) -> bool:
        """Whether the answer is a stream. The gateway asks for nothing else in most formats."""
        return True

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a streamed answer that clients use."""
        return {
            "content-type": self.content_type,
            self.request_id_header: f"req_simulated{self.number:08d}",
        }

    def piece(self, piece: Piece) -> bytes:
        """The events of one piece; empty if the format has none for it."""
        return b"".join(self.events(piece))

    def events(self, piece: Piece) -> list[bytes]:
        """The events of one piece, each to be written separately."""
        if isinstance(piece, bytes):
            return [piece]
        if isinstance(piece, ToolCall):
            events = self.call(piece)
            self.calls += 1
            self.output_tokens += len(events)
            return events
        self.output_tokens += 1
        if isinstance(piece, Thought):
            self.reasoning_tokens += 1
            return [self.thought(str(piece))]  # the encoders accept no subclass of str
        return [self.text(piece)]

    @abstractmethod
    def read_turn(self, turn: dict[str, Any]) -> Turn:
        """One element of the request's list of turns."""

    @abstractmethod
    def read_offer(self) -> Offer:
        """What the request offers and asks of the answer."""

    @property
    def is_thinking(self) -> bool:
        """Whether the request turns on reasoning that comes before calls."""
        return False

    @abstractmethod
    def opening(self) -> bytes:
        """The events before any content."""

    @abstractmethod
    def text(self, text: str) -> bytes:
        """A piece of visible text."""

    def thought(self, text: str) -> bytes:
        """A piece of reasoning."""
        return b""

    @abstractmethod
    def call(self, call: ToolCall) -> list[bytes]:
        """A tool call; `calls` is the number of those before it."""

    @abstractmethod
    def finish(self) -> bytes:
        """The finish reason and the usage, without the end mark."""

    def token_count(self) -> dict[str, object]:
        """The response of the free call that counts the tokens of a request."""
        return {"input_tokens": self.prompt.words}

    @classmethod
    @abstractmethod
    def model_card(cls, model: str) -> dict[str, object]:
        """The response of the free call that retrieves a model."""

    @classmethod
    @abstractmethod
    def error_body(cls, status: int) -> dict[str, object]:
        """An error body in the vendor's format."""
