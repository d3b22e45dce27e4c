"""The gateway's own wire: `Event` in, bytes of server-sent events out. One encoder a stream.

An event is exactly `data: <json>` and a blank line. Every event has `seq`, its number, and `delta.content`, a string.
"""

from __future__ import annotations

from typing import Any

import msgspec

from models import ChatIdentity, Delta, End, Event, GatewayError, Restart, Start
from web.errors import error_fields

_encode = msgspec.json.Encoder().encode

DONE = b"data: [DONE]\n\n"


class NativeEncoder:
    """Encodes one chat's events; the delta, which is nearly all there is, by filling in a template."""

    __slots__ = ("_after_text", "_before_text", "_demo", "_identity", "_seq")

    media_type = "text/event-stream; charset=utf-8"

    def __init__(self, identity: ChatIdentity, *, demo: bool = False) -> None:
        self._identity = identity
        self._demo = demo
        self._seq = 0
        self._before_text = b',"id":%b,"delta":{"content":' % _encode(identity.id)
        self._after_text = b"}}\n\n"

    def encode(self, batch: list[Event]) -> bytes:
        """The frames of one batch, for one write."""
        return b"".join([self._delta(event) if isinstance(event, Delta) else self._frame(event) for event in batch])

    def encode_error(self, error: GatewayError) -> bytes:
        """The last event of a stream that failed."""
        return self._event("error", {"error": error_fields(error, self._identity.request_id)})

    def _frame(self, event: Start | Restart | End) -> bytes:
        if isinstance(event, Start):
            return self._start(event)
        if isinstance(event, End):
            return self._end(event) + DONE
        return self._restart(event)

    def _delta(self, delta: Delta) -> bytes:
        seq, self._seq = self._seq, self._seq + 1
        text = _encode(delta.content)
        if delta.reasoning:
            text += b',"reasoning":' + _encode(delta.reasoning)
        if delta.refusal:
            text += b',"refusal":' + _encode(delta.refusal)
        if delta.tool_call:
            text += b',"tool_call":' + _encode(delta.tool_call)
        return b'data: {"type":"delta","seq":%d%b%b%b' % (seq, self._before_text, text, self._after_text)

    def _start(self, start: Start) -> bytes:
        self._name_model(start.model)
        names = self._identity
        fields: dict[str, Any] = {
            "conversation_id": names.conversation_id,
            "request_id": names.request_id,
            "provider": start.provider,
            "model": start.model,
            "fallback": start.fallback,
        }
        return self._event("start", fields | ({"demo": True} if self._demo else {}))

    def _restart(self, restart: Restart) -> bytes:
        self._name_model(restart.model)
        return self._event("restart", msgspec.structs.asdict(restart))

    def _end(self, end: End) -> bytes:
        return self._event("end", msgspec.structs.asdict(end))

    def _name_model(self, model: str) -> None:
        self._after_text = b',"model":%b}}\n\n' % _encode(model)

    def _event(self, kind: str, fields: dict[str, Any]) -> bytes:
        seq, self._seq = self._seq, self._seq + 1
        event = {"type": kind, "seq": seq, "id": self._identity.id} | fields | {"delta": {"content": ""}}
        return b"data: %b\n\n" % _encode(event)
