"""What a door is: one client protocol, in both directions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from starlette.datastructures import Headers

from configuration import Settings
from models import Chat, ChatIdentity, Event, GatewayError
from streams.answer import Answer

EVENT_STREAM = "text/event-stream; charset=utf-8"


class DoorRequest(NamedTuple):
    """What a door reads from a body."""

    chat: Chat
    is_stream: bool  # or else the answer is one JSON object
    options: object = None  # for the door itself, to answer the chat
    model: str = ""  # the name that is asked for, if the path names no provider
    headers: Mapping[str, str] = {}  # of the response to the chat


class Reply(NamedTuple):
    """What a door has to know of a chat to answer it."""

    identity: ChatIdentity
    is_demo: bool = False
    options: object = None


class Encoder(Protocol):
    """Encodes the events of one chat."""

    media_type: str

    def encode(self, batch: list[Event]) -> bytes:
        """The batch's frames, for one write; empty if there is nothing to send yet."""

    def encode_error(self, error: GatewayError) -> bytes:
        """The last frame of a response that fails after it has begun."""


class ErrorBody(NamedTuple):
    """An error as a response."""

    status: int
    content: bytes
    headers: Mapping[str, str] = {}
    media_type: str = "application/json"


class Door(Protocol):
    """One client protocol. `name` is in the record of each of its chats."""

    name: str

    def read(self, body: bytes, settings: Settings, headers: Headers) -> DoorRequest:
        """Decode a body. Called in a thread if the body is large. Raises GatewayError."""

    def encoder(self, reply: Reply) -> Encoder:
        """A new encoder of events to frames."""

    def render(self, answer: Answer, reply: Reply) -> bytes:
        """A whole answer as JSON."""

    def error(self, error: GatewayError, request_id: str) -> ErrorBody:
        """The response to a request that fails before its response has begun."""


class CountingDoor(Door, Protocol):
    """A door whose clients can also ask for the input tokens of a chat, with the same body."""

    def render_count(self, tokens: int) -> bytes:
        """The number as JSON."""


def retry_seconds(error: GatewayError) -> int | None:
    """After how long the client may retry, rounded up; at least 1 for a retryable 429 or 503."""
    if error.retry_after is not None:
        return math.ceil(error.retry_after)
    return 1 if error.kind.retryable and error.kind.status in (429, 503) else None
