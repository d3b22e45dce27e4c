"""Keeps a chat in memory while it is needed, and limits the memory of all chats together.

Prompts are large and streams are long: after the first content the chat's text is no longer needed,
unless another model may be asked after a break. The last question is kept for the conversation log.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Literal, assert_never

from models import (
    REMINDER,
    Chat,
    Content,
    File,
    GatewayError,
    Image,
    JsonSchema,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolResult,
)

# A chat is large from here on, in bytes. Reading a part costs as much as so many bytes, and a byte
# of a schema as much as 32 others.
_LARGE = 2**18
_PART_WEIGHT = 2**8
_SCHEMA_WEIGHT = 2**5

Kind = Literal["calls", "images", "files"]


class PromptBudget:
    """Limits the bytes that all chats which are kept take together: MAX_PENDING_BYTES."""

    def __init__(self, max_bytes: int) -> None:
        self.free_bytes = max_bytes

    def reserve(self, size: int) -> None:
        """Reserve `size` bytes. Raises GatewayError `overloaded`."""
        if size > self.free_bytes:
            raise GatewayError(
                "overloaded", "The gateway is at its limit of prompts.", retry_after=1
            )
        self.free_bytes -= size


class KeptChat:
    """A chat as long as it is needed. The caller that creates it closes it."""

    __slots__ = (
        "_budget",
        "_chat",
        "_question",
        "_reserved",
        "file_sizes",
        "images",
        "is_large",
        "kinds",
        "text_bytes",
    )

    def __init__(self, chat: Chat, budget: PromptBudget) -> None:
        self._chat: Chat | None = chat
        self._budget = budget
        self._reserved = 0
        self._question = ""  # once the chat is released
        # Known once it is reserved, as are all of these:
        self.text_bytes = 0  # without images and files
        self.images = 0
        self.file_sizes: list[int] = []  # in bytes
        self.kinds: set[Kind] = set()  # of the parts of its messages
        self.is_large = False  # whether making a request of it would hold the event loop

    @property
    def chat(self) -> Chat:
        """The chat, until it is released."""
        if self._chat is None:
            raise RuntimeError("the chat was released")
        return self._chat

    @property
    def question(self) -> str:
        """The last question, until the chat is over."""
        if self._chat is None:
            return self._question
        texts = (turn.text for turn in reversed(self._chat.turns) if turn.role == "user")
        # A turn may be nothing but results of tools, or a system message in its place.
        said = (text for text in texts if text.strip() and not text.startswith(REMINDER))
        return next(said, "")

    def reserve(self) -> None:
        """Reserve the memory of the chat. Raises GatewayError `overloaded`."""
        size = self._measure()
        self._budget.reserve(size)
        self._reserved = size

    def replace(self, chat: Chat) -> None:
        """Keep another chat, which has the states of this one's calls."""
        self._chat = chat

    def _measure(self) -> int:
        """The bytes of what takes memory; notes on the way which kinds of parts there are."""
        options = self.chat.options
        size = sum(map(sys.getsizeof, self.chat.system))
        parts = media = 0
        for part in _flat_parts(self.chat):
            parts += 1
            match part:
                case Text(text):
                    size += sys.getsizeof(text)
                case Reasoning(text, state):
                    size += sys.getsizeof(text) + _size_of(state)
                case Image(data=data):
                    self.kinds.add("images")
                    self.images += 1
                    media += len(data)
                    size += sys.getsizeof(data)
                case File(data=data):
                    self.kinds.add("files")
                    self.file_sizes.append(len(data) * 3 // 4)
                    media += len(data)
                    size += sys.getsizeof(data)
                case ToolCall(arguments=arguments, state=state):
                    self.kinds.add("calls")
                    size += sys.getsizeof(arguments) + _size_of(state)
                case _:
                    assert_never(part)
        schemas = 0
        for tool in options.tools:
            schemas += len(memoryview(tool.schema))
            size += sys.getsizeof(tool.description)
        if isinstance(options.output, JsonSchema):
            schemas += len(memoryview(options.output.schema))
        size += schemas
        self.text_bytes = size - media
        self.is_large = size + _PART_WEIGHT * parts + _SCHEMA_WEIGHT * schemas > _LARGE
        return size

    def release(self) -> None:
        """Drop the chat, except for the last question: no further model will be asked."""
        self._question, self._chat = self.question, None
        self._give_back(min(self._reserved, sys.getsizeof(self._question)))

    def close(self) -> None:
        """Drop everything: the chat is over."""
        self._chat = None
        self._question = ""
        self._give_back(0)

    def _give_back(self, rest: int) -> None:
        self._budget.free_bytes += self._reserved - rest
        self._reserved = rest


def _size_of(state: State | None) -> int:
    """The bytes of an opaque state, which may be more than all texts."""
    return sys.getsizeof(state.data) if state else 0


def _flat_parts(chat: Chat) -> Iterator[Content | Reasoning | ToolCall]:
    """The parts of all turns; those of a result in place of it."""
    for turn in chat.turns:
        for part in turn.parts:
            if isinstance(part, ToolResult):
                yield from part.parts
            else:
                yield part
