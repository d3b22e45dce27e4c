"""The one JSON answer to `"stream": false`: nothing is said until the answer is whole. One encoder a chat."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from models import ChatIdentity, Delta, End, Event, GatewayError, Restart, ToolCallDelta


class WholeAnswerEncoder:
    """Gathers a chat's events. A chat that fails never gets here a first byte, so its error has its true status."""

    media_type = "application/json"

    def __init__(self, identity: ChatIdentity, *, demo: bool = False) -> None:
        self._identity = identity
        self._demo = demo
        self._deltas: list[Delta] = []

    def encode(self, batch: list[Event]) -> bytes:
        """Nothing, or the whole answer where the batch has the End."""
        for event in batch:
            if isinstance(event, Delta):
                self._deltas.append(event)
            elif isinstance(event, Restart):
                self._deltas.clear()
            elif isinstance(event, End):
                return msgspec.json.encode(self._answer(event))
        return b""

    def encode_error(self, error: GatewayError) -> NoReturn:
        """Never called before the End, and nothing fails after it."""
        raise error

    def _answer(self, end: End) -> dict[str, Any]:
        answer = {
            **self._identity._asdict(),
            **msgspec.structs.asdict(end),
            "content": "".join(delta.content for delta in self._deltas),
            "reasoning": "".join(delta.reasoning for delta in self._deltas) or None,
            "refusal": "".join(delta.refusal for delta in self._deltas) or None,
            "tool_calls": _join_tool_calls([delta.tool_call for delta in self._deltas if delta.tool_call]),
        }
        return answer | ({"demo": True} if self._demo else {})


def _join_tool_calls(pieces: list[ToolCallDelta]) -> list[dict[str, Any]]:
    calls: dict[int, dict[str, Any]] = {}
    for piece in pieces:
        call = calls.setdefault(piece.index, {"name": None, "arguments": ""})
        call["name"] = piece.name or call["name"]
        call["arguments"] += piece.arguments
    return [calls[index] for index in sorted(calls)]
