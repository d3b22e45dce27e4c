"""Encoders that send nothing before an answer is whole, for any door."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from models import End, Event, GatewayError, Restart, Start
from streams.answer import Answer, GatheredAnswer
from web.doors.base import EVENT_STREAM, Encoder


class HeldEncoder:
    """Keeps the frames of the newest answer, and drops them if it breaks."""

    media_type = EVENT_STREAM

    def __init__(self, make_encoder: Callable[[], Encoder]) -> None:
        self._make_encoder = make_encoder
        self._encoder = make_encoder()
        self._frames: list[bytes] = []

    def encode(self, batch: list[Event]) -> bytes:
        """All frames if the batch has the End, else nothing."""
        if isinstance(batch[0], Start | Restart):
            self._encoder = self._make_encoder()
            self._frames = []
        self._frames.append(self._encoder.encode(batch))
        return b"".join(self._frames) if isinstance(batch[-1], End) else b""

    def encode_error(self, error: GatewayError) -> bytes:
        """The only event of a response that had sent heartbeats and then failed."""
        return self._make_encoder().encode_error(error)


class WholeEncoder:
    """One JSON object. Nothing is sent before it is complete, so an error has its own status."""

    media_type = "application/json"

    def __init__(self, render: Callable[[Answer], bytes]) -> None:
        self._render = render
        self._gathered = GatheredAnswer()

    def encode(self, batch: list[Event]) -> bytes:
        """The JSON object if the batch has the End, else nothing."""
        answer = self._gathered.add(batch)
        return self._render(answer) if answer else b""

    def encode_error(self, error: GatewayError) -> NoReturn:
        """Raise the error. Never called: no heartbeat is sent, and nothing fails after the End."""
        raise error
