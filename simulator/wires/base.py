"""What every vendor's wire has: where it is served, what it reads of a request, and one answer's events as bytes."""

from __future__ import annotations

import itertools
import re
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

_numbers = itertools.count(1)


class Thought(str):
    """A piece of an answer's reasoning."""

    __slots__ = ()


Piece = str | bytes
"""A piece of an answer: text, a Thought, or (bytes) an event that is sent as it stands."""


class Prompt(NamedTuple):
    """What a request asks: the last user's text, the images of all turns, and the words of all turns."""

    question: str
    images: int
    words: int


class Wire(ABC):
    """One answer in one vendor's wire; counts the tokens (pieces) that it has been given."""

    provider: ClassVar[str]
    vendor: ClassVar[str]
    remark: ClassVar[str]  # what a demo answer says of this wire
    key_variable: ClassVar[str]  # the prefix of the gateway's variables for this provider
    base_path: ClassVar[str]  # an SDK's base_url has this path
    chat_path: ClassVar[re.Pattern[str]]  # below base_path; the group `model`, where the model is in the path
    model_path: ClassVar[re.Pattern[str]]
    content_type: ClassVar[str] = "text/event-stream"
    request_id_header: ClassVar[str] = "x-request-id"
    turns_key: ClassVar[str] = "messages"
    parts_key: ClassVar[str] = "content"
    heartbeat: ClassVar[bytes] = b": keep-alive\n\n"
    mark: ClassVar[bytes] = b""

    def __init__(self, model: str, body: Any) -> None:
        self.model = model
        self.body: dict[str, Any] = body if isinstance(body, dict) else {}
        self.prompt = self._read_prompt()
        self.number = next(_numbers)
        self.created = int(time.time())
        self.output_tokens = 0
        self.reasoning_tokens = 0

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a streamed answer, as far as a client reads them."""
        return {"content-type": self.content_type, self.request_id_header: f"req_simulated{self.number:08d}"}

    def piece(self, piece: Piece) -> bytes:
        """The event of one piece; none where this wire has no word for it."""
        if isinstance(piece, bytes):
            return piece
        self.output_tokens += 1
        if isinstance(piece, Thought):
            self.reasoning_tokens += 1
            return self.thought(str(piece))  # the encoders take no subclass of str
        return self.text(piece)

    @abstractmethod
    def opening(self) -> bytes:
        """What comes before any content."""

    @abstractmethod
    def text(self, text: str) -> bytes:
        """A piece of visible text."""

    def thought(self, text: str) -> bytes:
        """A piece of reasoning."""
        return b""

    @abstractmethod
    def finish(self) -> bytes:
        """The finish reason and the usage, without the end mark."""

    @classmethod
    @abstractmethod
    def model_card(cls, model: str) -> dict[str, object]:
        """The answer of the free call that retrieves a model."""

    @classmethod
    @abstractmethod
    def error_body(cls, status: int) -> dict[str, object]:
        """An error answer in the vendor's shape."""

    def _read_prompt(self) -> Prompt:
        question, images, words = "", 0, 0
        for turn in self.body.get(self.turns_key) or ():
            parts = turn.get(self.parts_key) or ()
            texts = [parts] if isinstance(parts, str) else [part["text"] for part in parts if "text" in part]
            images += 0 if isinstance(parts, str) else sum("text" not in part for part in parts)
            words += sum(len(text.split()) for text in texts)
            if turn.get("role") == "user":
                question = " ".join(texts)
        return Prompt(question, images, words)
