"""OpenAI's Responses: the output of an answer as events, one item after another.

An item is a message, a reasoning item or a call. Each begins and ends with events of its own, and
so does each part of it; the last event of the stream has all items again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from models import State, ToolCallDelta
from web.doors.responses_tools import ToolName, to_input
from web.doors.state_token import write_state

_encode = msgspec.json.Encoder().encode


class TextKind(NamedTuple):
    """A kind of text within an item.

    `event` begins the names of its events, `field` has it in the last one. `part` is the type of
    its part and `part_event` begins the names of the part's events; a call has its text itself.
    """

    item: str
    event: str
    field: str
    part: str = ""
    part_event: str = ""
    number: str = ""
    more: Mapping[str, Any] = {}  # of its part
    has_logprobs: bool = False


TEXT = TextKind(
    "message",
    "response.output_text",
    "text",
    "output_text",
    "response.content_part",
    "content_index",
    {"annotations": [], "logprobs": []},
    has_logprobs=True,
)
REFUSAL = TextKind(
    "message", "response.refusal", "refusal", "refusal", "response.content_part", "content_index"
)
SUMMARY = TextKind(
    "reasoning",
    "response.reasoning_summary_text",
    "text",
    "summary_text",
    "response.reasoning_summary_part",
    "summary_index",
)
_ARGUMENTS = TextKind("function_call", "response.function_call_arguments", "arguments")
_INPUT = TextKind("custom_tool_call", "response.custom_tool_call_input", "input")

_PARTS = {"message": "content", "reasoning": "summary"}  # the field of an item's parts
_ID_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
}


class ResponseOutput:
    """Makes the events of one answer, and keeps its items. The texts' own events are templates."""

    __slots__ = (
        "_before_number",
        "_before_text",
        "_frames",
        "_id",
        "_item",
        "_kind",
        "_names",
        "_number",
        "_texts",
        "items",
    )

    def __init__(self, answer_id: str, names: Mapping[str, ToolName]) -> None:
        """`names` are those of the tools that the client knows otherwise than the models."""
        self.items: list[dict[str, Any]] = []  # those that have ended
        self._id = answer_id
        self._names = names
        self._number = 0  # of the next event
        self._frames: list[bytes] = []
        self._item: dict[str, Any] = {}  # the open one; empty if there is none
        self._kind: TextKind | None = None  # of the open text
        self._texts: list[str] = []
        self._before_number = self._before_text = b""

    def add_event(self, name: str, fields: Mapping[str, Any]) -> None:
        """Add an event."""
        event = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        self._frames.append(b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(event)))

    def take_frames(self) -> bytes:
        """The frames of the events since the last time."""
        frames = b"".join(self._frames)
        self._frames.clear()
        return frames

    def add_text(self, kind: TextKind, text: str) -> None:
        """Add a piece of text, in a part or an item of its own if it continues none."""
        if kind is not self._kind:
            self._open_part(kind)
        self._texts.append(text)
        if kind is not _INPUT:
            number, self._number = self._number, self._number + 1
            parts = (self._before_number, number, self._before_text, _encode(text))
            self._frames.append(b"%b%d%b%b}\n\n" % parts)

    def add_state(self, state: State, *, of_call: bool = False) -> None:
        """Add opaque state to the open reasoning item, which it ends, or to one of its own."""
        if of_call or self._item.get("type") != "reasoning":
            self._open_item("reasoning", {"summary": []})
        self._end_text()
        self._item["encrypted_content"] = write_state(state, of_call=of_call)
        self.end_item()

    def add_call(self, piece: ToolCallDelta) -> None:
        """Add a piece of a call. The first one has its id and its name."""
        if piece.id is not None:
            if piece.state:
                self.add_state(piece.state, of_call=True)
            name = self._names.get(piece.name or "", ToolName(piece.name or ""))
            self._open_call(piece.id, name)
        if piece.arguments and self._kind:
            self.add_text(self._kind, piece.arguments)

    def end_item(self, status: str = "completed") -> None:
        """End the open item, if there is one."""
        if not self._item:
            return
        self._end_text()
        if "status" in self._item:
            self._item["status"] = status
        self.add_event("response.output_item.done", self._place() | {"item": self._item})
        self.items.append(self._item)
        self._item = {}

    def cut(self) -> list[dict[str, Any]]:
        """The items so far, without an end for the open one."""
        if not self._item:
            return self.items
        if self._kind:
            self._set_text(self._kind)
        return [*self.items, self._item | {"status": "incomplete"}]

    def _open_item(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.end_item()
        item_id = f"{_ID_PREFIXES[kind]}_{self._id}_{len(self.items)}"
        self._item = {"id": item_id, "type": kind, **fields}
        self.add_event("response.output_item.added", self._place() | {"item": self._item})

    def _open_call(self, call_id: str, name: ToolName) -> None:
        kind = _INPUT if name.is_custom else _ARGUMENTS
        fields = {"status": "in_progress", kind.field: "", "call_id": call_id, "name": name.name}
        if name.namespace:
            fields["namespace"] = name.namespace
        self._open_item(kind.item, fields)
        self._open_text(kind, {"item_id": self._item["id"], **self._place()})

    def _open_part(self, kind: TextKind) -> None:
        """Open a part of the open item, or of a new one."""
        parts = _PARTS[kind.item]
        if self._item.get("type") == kind.item:
            self._end_text()
        elif kind.item == "message":
            message = {"status": "in_progress", "role": "assistant", parts: []}
            self._open_item(kind.item, message)
        else:
            self._open_item(kind.item, {parts: []})
        part = {"type": kind.part, kind.field: "", **kind.more}
        self._item[parts].append(part)
        place = self._place_of_text(kind)
        self.add_event(f"{kind.part_event}.added", place | {"part": part})
        self._open_text(kind, place)

    def _open_text(self, kind: TextKind, place: Mapping[str, Any]) -> None:
        """Make the templates of the text's events."""
        name = f"{kind.event}.delta".encode()
        self._before_number = b'event: %b\ndata: {"type":"%b","sequence_number":' % (name, name)
        fields = {**place, "logprobs": []} if kind.has_logprobs else place
        self._before_text = b',%b,"delta":' % _encode(fields)[1:-1]
        self._kind = kind

    def _end_text(self) -> None:
        """End the open text, and the part that has it."""
        kind = self._kind
        if kind is None:
            return
        place = self._place_of_text(kind)
        holder = self._set_text(kind)
        text = {kind.field: holder[kind.field]}
        if kind is _INPUT:
            self.add_event(f"{kind.event}.delta", place | {"delta": holder["input"]})
        if kind.has_logprobs:
            text["logprobs"] = []
        self.add_event(f"{kind.event}.done", place | text)
        if kind.part_event:
            self.add_event(f"{kind.part_event}.done", place | {"part": holder})
        self._kind = None
        self._texts.clear()

    def _set_text(self, kind: TextKind) -> dict[str, Any]:
        """Put the open text into the part or the item that has it, which is returned."""
        text = "".join(self._texts)
        holder: dict[str, Any] = self._item[_PARTS[kind.item]][-1] if kind.part else self._item
        # Encoded once, for up to four events.
        holder[kind.field] = Raw(_encode(to_input(text) if kind is _INPUT else text))
        return holder

    def _place(self) -> dict[str, Any]:
        return {"output_index": len(self.items)}

    def _place_of_text(self, kind: TextKind) -> dict[str, Any]:
        place = {"item_id": self._item["id"], **self._place()}
        if kind.number:
            place[kind.number] = len(self._item[_PARTS[kind.item]]) - 1
        return place
