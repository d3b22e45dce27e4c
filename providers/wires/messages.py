"""Anthropic's messages wire: the decoder of an answer."""

from __future__ import annotations

from typing import Any

import msgspec

from models import GatewayError, Reasoning, Text, ToolCallDelta
from providers.wires.decoder import Batch, Decoder
from providers.wires.error_frames import is_error_name, named_error, raise_error, raise_error_in
from providers.wires.finish_reasons import is_finish_reason, to_finish_reason
from providers.wires.generations import Places
from providers.wires.messages_usage import MessagesUsage
from providers.wires.sse_reader import Frame
from providers.wires.thinking import Thinking, redacted_block
from providers.wires.tool_calls import encode_arguments

_PIECES = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}
_NO_DATA = (b"", b"null", b"[DONE]")  # of a `message_stop` that has passed a proxy


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None  # of redacted thinking
    id: str | None = None
    name: str | None = None
    input: Any = None
    error: Any = None


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    usage: MessagesUsage | None = None
    content: str | list[_Block] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    index: int | None = None
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: MessagesUsage | None = None
    content: str | list[_Block] | None = None  # with `stop_reason`, if the response is not a stream
    stop_reason: str | None = None
    error: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode


class _Call(msgspec.Struct, gc=False):
    """A tool call for the client, not one that the vendor executes."""

    index: int  # within the answer
    id: str | None
    has_arguments: bool
    is_whole: bool  # they arrived with the start of its block


class MessagesDecoder(Decoder):
    """Decodes named events from `message_start` to `message_stop`.

    Usage is sent at the start and, cumulative, later. A message that starts while another is open
    is a different generation, and an error, as is a block that starts again after a piece of it, or
    after a block with a higher index. After its stop a block of the same index may start: some
    proxies give all blocks index 0.
    """

    __slots__ = (
        "_begun",
        "_calls",
        "_is_open",
        "_message_id",
        "_open_calls",
        "_places",
        "_stopped_call",
        "_thinking",
        "_usage",
    )

    def __init__(self, provider: str = "", model: str = "") -> None:
        super().__init__(provider, model)
        self._usage = MessagesUsage()
        self._is_open = False
        self._message_id: str | None = None
        self._calls = 0
        self._places = Places("second_block")
        self._begun: dict[int | None, str] = {}  # the newest kind of piece of each open block
        self._open_calls: dict[int | None, _Call] = {}  # by the index of their block
        self._stopped_call: _Call | None = None  # until what follows shows whether it was cut
        self._thinking: dict[int | None, Thinking] = {}  # the open blocks, by their index

    def decode(self, frame: Frame, batch: Batch) -> None:
        data, name = frame
        try:
            event = _decode_event(data)
        except msgspec.MsgspecError:
            if is_error_name(name):
                raise named_error(data) from None
            is_stop = name == b"message_stop" and data.strip() in _NO_DATA
            odd = _Event() if is_stop else self.read_leniently(data, _Event)
            if odd is None:
                return
            event = odd
        if event.error:
            raise_error_in(data)
        kind = event.type or name.decode(errors="replace")
        if kind == "content_block_delta":
            if event.delta:
                self._take_delta(event.index, event.delta, batch)
        elif name not in _NAMES and is_error_name(name):
            raise named_error(data)
        else:
            self._take_event(kind, event, data, batch)

    def take_mark(self) -> None:
        """`[DONE]` belongs to other wires and proves nothing here."""
        raise GatewayError("upstream_truncated", reason="no_message_stop")

    def is_whole(self) -> bool:
        """Only `message_stop` proves that the answer is complete."""
        return False

    def _take_event(self, kind: str, event: _Event, data: bytes, batch: Batch) -> None:
        if kind == "message_start":
            self._start(event.message or _Message(), batch)
        elif kind not in _KINDS:
            raise_error_in(data)
        elif kind == "content_block_start":
            block = event.content_block or _Block()
            self._places.begin(event.index, follows_content=self.has_content or bool(batch))
            if self._begun.pop(event.index, "") == _PIECES.get(block.type):
                self._check_new(event.index, block)
            self._take_block(event.index, block, batch)
        elif kind == "content_block_stop":
            self._begun.pop(event.index, None)
            self._stopped_call = self._open_calls.get(event.index)
            self._close_thinking(event.index, batch)
        elif kind == "message_delta":
            self._take_usage(event.usage)
            word = event.delta.stop_reason if event.delta else None
            self._take_stop_reason(word or event.stop_reason, batch)
        elif kind == "message_stop":
            self._take_usage(event.usage)
            super().take_mark()
        elif kind == "message":  # the response is not a stream
            self._start(_Message(None, event.usage, event.content), batch)
            self._take_stop_reason(event.stop_reason, batch)
            super().take_mark()

    def _start(self, message: _Message, batch: Batch) -> None:
        if self._is_open:
            is_same = message.id is not None and message.id == self._message_id
            if is_same and not (self.has_content or batch):
                return  # the same start, repeated
            raise GatewayError("upstream_bad_event", reason="second_message")
        self._is_open = True
        self._message_id = message.id
        self._take_usage(message.usage)
        content = (
            [_Block("text", message.content)]
            if isinstance(message.content, str)
            else message.content
        )
        for place, block in enumerate(content or ()):
            self._take_block(place, block, batch)
            self._close_thinking(place, batch)

    def _check_new(self, index: int | None, block: _Block) -> None:
        """Raise GatewayError for a block that is open and has pieces: others would be added."""
        call = self._open_calls.get(index)
        if block.type != "tool_use" or (call and block.id in (None, call.id)):
            raise GatewayError("upstream_bad_event", reason="second_block")

    def _take_delta(self, index: int | None, delta: _Delta, batch: Batch) -> None:
        kind = delta.type
        if kind in ("text_delta", ""):
            if delta.text:
                self._begun[index] = kind
                batch.append(Text(delta.text))
        elif kind == "thinking_delta":
            if delta.thinking:
                self._begun[index] = kind
                batch.append(Reasoning(delta.thinking))
                if thinking := self._thinking.get(index):
                    thinking.texts.append(delta.thinking)
        elif kind == "input_json_delta" and delta.partial_json:
            self._begun[index] = kind
            call = self._open_calls.get(index)
            if call and not call.is_whole:
                call.has_arguments = True
                batch.append(ToolCallDelta(call.index, arguments=delta.partial_json))
        elif kind == "signature_delta":
            if delta.signature and (thinking := self._thinking.get(index)):
                self.hold(len(delta.signature))
                thinking.signatures.append(delta.signature)
        else:
            raise_error({"type": kind})

    def _take_block(self, index: int | None, block: _Block, batch: Batch) -> None:
        self._close_call(self._stopped_call, batch)
        if block.type in ("text", "") and block.text:
            batch.append(Text(block.text))
        elif block.type == "thinking":
            if block.thinking:
                batch.append(Reasoning(block.thinking))
            self.hold(len(block.signature or ""))
            self._thinking[index] = Thinking(block.thinking, block.signature)
        elif block.type == "redacted_thinking" and block.data:
            batch.append(Reasoning("", self.make_state(redacted_block(block.data))))
        elif block.type == "tool_use":
            known = self._open_calls.get(index)
            if known and block.id and known.id == block.id:
                # The same start, repeated; after its arguments the whole call is.
                known.is_whole |= known.has_arguments
                return
            self._close_call(known, batch)
            arguments = encode_arguments(block.input)
            is_whole = bool(arguments)
            call = _Call(self._calls, block.id, is_whole, is_whole)
            self._calls += 1
            self._open_calls[index] = call
            batch.append(ToolCallDelta(call.index, block.id, block.name, arguments))
        elif block.error or block.type != "text":
            raise_error({"type": block.type, "error": block.error, "message": block.text})

    def _close_call(self, call: _Call | None, batch: Batch) -> None:
        """Send `{}` as the arguments of a call that had none."""
        if call and not call.has_arguments:
            call.has_arguments = call.is_whole = True
            batch.append(ToolCallDelta(call.index, arguments="{}"))

    def _close_thinking(self, index: int | None, batch: Batch) -> None:
        """Add the state of a thinking block that has ended. The vendor needs it back."""
        thinking = self._thinking.pop(index, None)
        if thinking and (block := thinking.block()):
            batch.append(Reasoning("", self.make_state(block)))

    def _take_usage(self, usage: MessagesUsage | None) -> None:
        if usage:
            self._usage.update(usage)
            self.set_usage(self._usage.to_usage())

    def _take_stop_reason(self, word: str | None, batch: Batch) -> None:
        if word is None or not is_finish_reason(word):
            return
        reason = to_finish_reason(word)
        if self._calls and reason == "stop":
            reason = "tool_calls"
        for call in self._open_calls.values():
            if reason != "length" or call.index < self._calls - 1:  # else it may be cut
                self._close_call(call, batch)
        self.set_finish(word, self._usage.to_usage(), batch, reason)


_KINDS = (
    "content_block_start",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "message",
)
_NAMES = frozenset({b"", b"message_start", *(kind.encode() for kind in _KINDS)})
