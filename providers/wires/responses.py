"""OpenAI's Responses wire: the decoder."""

from __future__ import annotations

from typing import Any

import msgspec

from models import FinishReason, GatewayError, Reasoning, Refusal, State, Text
from providers.errors import vendor_error
from providers.wires.decoder import Batch, Decoder
from providers.wires.error_frames import is_error_name, named_error, raise_error_in
from providers.wires.finish_reasons import broken, to_finish_reason
from providers.wires.generations import Places
from providers.wires.lenient_json import write_json
from providers.wires.sse_reader import Frame
from providers.wires.surrogates import TextKind
from providers.wires.tool_calls import ToolCalls, encode_arguments
from providers.wires.usage import UsageReport, merge_usage


class _Part(msgspec.Struct, gc=False):
    """A part of a message, or of a reasoning item's summary or content."""

    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct, gc=False):
    type: str = ""
    id: str | None = None
    encrypted_content: str | None = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None  # JSON text; an object in calls of the vendor's own tools

    def to_state(self) -> str:
        """A reasoning item as it goes back: nothing but what the vendor's requests have."""
        parts = [{"type": "summary_text", "text": part.text or ""} for part in self.summary or ()]
        item = {"type": "reasoning", "id": self.id, "summary": parts}
        return write_json(item | {"encrypted_content": self.encrypted_content})


class _IncompleteDetails(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    status: str | None = None
    output: list[_Item] | None = None
    usage: UsageReport | None = None
    incomplete_details: _IncompleteDetails | None = None
    error: Any = None


class _Event(_Response, gc=False):
    """An event; it has a response's own fields if the body is a response, not a stream."""

    type: str = ""
    delta: str | None = None
    output_index: int | None = None
    item_id: str | None = None
    item: _Item | None = None
    response: _Response | None = None
    text: Any = None  # of a part that is done; in a response, the format of its text
    refusal: str | None = None
    arguments: str | None = None


_decode_event = msgspec.json.Decoder(_Event).decode

_DELTAS: dict[str, TextKind] = {
    "response.output_text.delta": Text,
    "response.refusal.delta": Refusal,
    "response.reasoning_summary_text.delta": Reasoning,
    "response.reasoning_text.delta": Reasoning,
}
_DONE = {kind.replace(".delta", ".done"): text_kind for kind, text_kind in _DELTAS.items()}
_ENDS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
_FAILURES = (b"response.failed", b"response.cancelled", b"response.error")


class ResponsesDecoder(Decoder):
    """Decodes named events from `response.created` to `response.completed` or `.incomplete`.

    A text arrives in deltas, and again when its part, its item and the response are done. Of each
    kind of text, only the kind of event that brings it first is read.
    """

    __slots__ = (
        "_answered",
        "_calls",
        "_has_piece",
        "_id",
        "_open_items",
        "_places",
        "_sources",
        "_states",
    )

    def __init__(self, provider: str = "", model: str = "") -> None:
        super().__init__(provider, model)
        self._id: str | None = None
        self._sources: dict[type, str] = {}  # the kind of event that brings each kind of content
        self._calls: ToolCalls | None = None  # created for an answer with calls
        self._answered: set[int | str | None] = set()  # calls whose arguments have begun
        self._states: list[Reasoning] = []  # until the item that follows them begins
        self._places = Places("second_item")
        self._open_items: dict[int | None, tuple[str, str | None]] = {}  # types and calls' ids
        self._has_piece = False  # whether a piece has come since the newest item began

    def decode(self, frame: Frame, batch: Batch) -> None:
        data, name = frame
        try:
            event = _decode_event(data)
        except msgspec.MsgspecError:
            if _is_error(name):
                raise named_error(data) from None
            odd = self.read_leniently(data, _Event)
            if odd is None:
                return
            event = odd
        if event.error:
            raise_error_in(data)
        kind = event.type or name.decode(errors="replace")
        text_kind = _DELTAS.get(kind)
        if text_kind is None:
            self._take_event(kind, event, frame, batch)
        elif event.delta:
            batch.append(text_kind(event.delta))
            self._sources[text_kind] = kind
            self._has_piece = True

    def take_mark(self) -> None:
        """`[DONE]` belongs to another wire and proves nothing here."""
        raise GatewayError("upstream_truncated", reason="no_finish_reason")

    def is_whole(self) -> bool:
        """Only the event of the response's end proves that the answer is complete."""
        return False

    def _take_event(self, kind: str, event: _Event, frame: Frame, batch: Batch) -> None:
        data, name = frame
        index = event.item_id if event.output_index is None else event.output_index
        if kind in _DONE:
            text = event.refusal if isinstance(event.refusal, str) else event.text
            self._take_text(_DONE[kind], text, kind, batch)
        elif kind == "response.function_call_arguments.delta":
            self._has_piece = True
            self._take_call(index, _Item(arguments=event.delta), batch)
        elif kind == "response.function_call_arguments.done":
            self._open_items.pop(event.output_index, None)
            self._complete_call(index, _Item(arguments=event.arguments), batch)
        elif kind == "response.output_item.added":
            item = event.item or _Item()
            follows_content = self.has_content or bool(batch)
            self._places.begin(event.output_index, follows_content=follows_content)
            self._open_item(event.output_index, item)
            self._send_states(item, batch)
            if item.type == "function_call":
                self._take_call(index, item, batch)
        elif kind == "response.output_item.done":
            self._open_items.pop(event.output_index, None)
            self._take_item(index, event.item or _Item(), kind, batch)
        elif kind == "response.created":
            new = (event.response or event).id
            is_same = not self._id or new in (None, self._id)
            if not is_same or self.has_content or batch:
                raise GatewayError("upstream_bad_event", reason="second_message")
            self._id = new or self._id
        elif kind in _ENDS:
            self._end(_ENDS[kind], event.response or event, batch)
        elif not kind and event.output is not None:  # the response is not a stream
            self._end(event.status or "", event, batch)
        elif kind == "error" or _is_error(name) or _is_error(kind.encode()):
            raise named_error(data)
        elif not kind.startswith("response."):
            raise_error_in(data)

    def _open_item(self, index: int | None, item: _Item) -> None:
        """Note an item that begins.

        Raises GatewayError if it has begun before, and a piece has come since: a second generation.
        """
        began = item.type, item.call_id
        if index is not None and self._has_piece and self._open_items.get(index) == began:
            raise GatewayError("upstream_bad_event", reason="second_item")
        self._open_items[index] = began
        self._has_piece = False

    def _take_text(self, text_kind: TextKind, text: object, source: str, batch: Batch) -> None:
        if isinstance(text, str) and text and self._sources.setdefault(text_kind, source) == source:
            batch.append(text_kind(text))

    def _take_item(self, index: int | str | None, item: _Item, source: str, batch: Batch) -> None:
        """Take what a whole item has. Those of the vendor's own tools have nothing for clients."""
        self._send_states(item, batch)
        if item.type == "function_call":
            self._complete_call(index, item, batch)
        elif item.type == "message":
            for part in item.content or ():
                self._take_text(Text, part.text, source, batch)
                self._take_text(Refusal, part.refusal, source, batch)
        elif item.type == "reasoning":
            for part in (*(item.summary or ()), *(item.content or ())):
                self._take_text(Reasoning, part.text, source, batch)
            if item.encrypted_content and self._sources.setdefault(State, source) == source:
                self.hold(len(item.encrypted_content))
                self._states.append(Reasoning("", self.make_state(item.to_state())))

    def _send_states(self, item: _Item, batch: Batch) -> None:
        """Send the states of the reasoning before an item: without it they are of no use."""
        if item.type != "reasoning":
            batch += self._states
            self._states = []

    def _take_call(self, index: int | str | None, item: _Item, batch: Batch) -> None:
        self._calls = self._calls or ToolCalls()
        arguments = encode_arguments(item.arguments)
        if piece := self._calls.take(index, item.call_id, item.name, arguments):
            batch.append(piece)
        if arguments:
            self._answered.add(index)

    def _complete_call(self, index: int | str | None, item: _Item, batch: Batch) -> None:
        """Take a whole call: its arguments only if none have arrived."""
        if index in self._answered:
            item.arguments = None
        self._take_call(index, item, batch)

    def _end(self, word: str, response: _Response, batch: Batch) -> None:
        """Record the response's end.

        Raises GatewayError if it failed. Some servers send `response.completed` with a status that
        says otherwise.
        """
        if response.status and response.status in _ENDS.values():
            word = response.status
        if word == "failed" or response.error:
            raise vendor_error(response.error)
        if word not in ("completed", "incomplete"):
            raise broken(word)
        has_calls = bool(self._calls)
        for index, item in enumerate(response.output or ()):
            if not (has_calls and item.type == "function_call"):
                self._take_item(index, item, "response", batch)
        details = response.incomplete_details
        if word == "completed":
            reason: FinishReason = "tool_calls" if self._calls else "stop"
        elif details and details.reason:
            word = details.reason
            reason = to_finish_reason(word)
        else:
            reason = "other"
        if Refusal in self._sources:
            reason = "content_filter"
        if self._calls:
            batch += self._calls.finish(reason)
        usage = merge_usage(None, response.usage.to_usage()) if response.usage else None
        self.set_finish(word, usage, batch, reason)
        super().take_mark()


def _is_error(name: bytes) -> bool:
    """Whether events of this name are errors. A call of the vendor's own tools may fail."""
    return name in _FAILURES or (not name.startswith(b"response.") and is_error_name(name))
