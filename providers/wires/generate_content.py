"""Gemini's streamGenerateContent wire: the decoder of an answer."""

from __future__ import annotations

from typing import Any

import msgspec

from models import GatewayError, Reasoning, State, Text, ToolCallDelta, Usage
from providers.wires.decoder import Batch, Decoder
from providers.wires.error_frames import (
    is_error_name,
    named_error,
    raise_error_beside,
    raise_error_in,
)
from providers.wires.finish_reasons import Finish, is_finish_reason, to_finish_reason
from providers.wires.generations import AnswerId
from providers.wires.lenient_json import Count
from providers.wires.partial_arguments import PartialArguments, PartialValue
from providers.wires.sse_reader import Frame
from providers.wires.usage import update_counts

_UNSPECIFIED = "BLOCKED_REASON_UNSPECIFIED"


class _FunctionCall(msgspec.Struct, rename="camel", gc=False):
    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = msgspec.Raw()
    partial_args: list[PartialValue] | None = None
    will_continue: bool | None = None


class _Part(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    thought: bool | None = None
    function_call: _FunctionCall | None = None
    thought_signature: str | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    index: int | None = 0
    content: _Content | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel", gc=False):
    prompt_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    cached_content_token_count: Count | None = None


class _Chunk(msgspec.Struct, rename="camel", gc=False):
    response_id: Any = None
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    error: Any = None
    error_message: Any = None
    message: Any = None  # beside a code


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class GenerateContentDecoder(Decoder):
    """Decodes `data:` chunks until the stream ends.

    A finish reason may be repeated, and text may follow it.
    """

    __slots__ = ("_calls", "_id", "_is_newly_finished", "_open_call", "_usage", "_word")

    def __init__(self, provider: str = "", model: str = "") -> None:
        super().__init__(provider, model)
        self._id = AnswerId()
        self._usage = _Usage()
        self._calls = 0
        self._open_call: PartialArguments | None = None  # a call whose arguments arrive in pieces
        self._word = ""  # the newest finish reason
        self._is_newly_finished = False  # by the current chunk

    def decode(self, frame: Frame, batch: Batch) -> None:
        data, name = frame
        if name and is_error_name(name):
            raise named_error(data)
        try:
            chunk = _decode_chunk(data)
        except msgspec.MsgspecError:
            odd = self.read_leniently(data, _Chunk)
            if odd is None:
                return
            chunk = odd
        if not chunk.candidates or chunk.error or chunk.error_message or chunk.message:
            raise_error_in(data)
        if chunk.usage_metadata:
            self._take_usage(chunk.usage_metadata)
        before = len(batch)
        for candidate in chunk.candidates or ():
            if not candidate.index:
                self._take_candidate(candidate, batch)
        if len(batch) > before:
            self._take_id(chunk.response_id, follows_content=self.has_content or before > 0)
        elif chunk.candidates:
            raise_error_beside(data)
        if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
            self._take_block_reason(chunk.prompt_feedback.block_reason, batch)
        if self._is_newly_finished and not self._open_call:
            self._finish(batch)
        elif self.finish:
            self._update_finish(self.finish)

    def close(self, batch: Batch) -> None:
        """End an open call, and with it the wait of a finish reason for the call."""
        if self._is_newly_finished:
            self._finish(batch)
        elif self.finish:
            self._close_call(batch)

    def _take_id(self, new: object, *, follows_content: bool) -> None:
        """Take the id of a piece. All pieces look like openings: they have a role."""
        if new and new != self._id.id:
            follows_content = follows_content and self.finish is None
            self._id.change(new, follows_content=follows_content, is_opening=True)
        elif new and not self._id.is_use_known:
            self._id.repeat()

    def _take_usage(self, usage: _Usage) -> None:
        """Record usage. A report with prompt tokens replaces all counts, but a 0 replaces none."""
        if usage.prompt_token_count:
            known, self._usage = self._usage, usage
            if usage.candidates_token_count == 0:
                usage.candidates_token_count = known.candidates_token_count or 0
            if usage.thoughts_token_count == 0:
                usage.thoughts_token_count = known.thoughts_token_count or 0
        else:
            update_counts(self._usage, usage)
        self.usage = _to_usage(self._usage)

    def _take_candidate(self, candidate: _Candidate, batch: Batch) -> None:
        for part in candidate.content.parts or () if candidate.content else ():
            if part.text:
                batch.append(Reasoning(part.text) if part.thought else Text(part.text))
            if part.function_call:
                self._take_call(part.function_call, part.thought_signature, batch)
            elif part.thought_signature and part.text is not None:
                batch.append(Reasoning("", self._sign(part.thought_signature)))
        if candidate.finish_reason and is_finish_reason(candidate.finish_reason):
            self._word = candidate.finish_reason
            self._is_newly_finished = True

    def _take_call(self, call: _FunctionCall, signature: str | None, batch: Batch) -> None:
        """Record a call: one part, or one that opens it and others with pieces of its arguments."""
        is_nameless = not self._open_call and call.name == ""
        if call.name or is_nameless:
            self._close_call(batch)
            self._open_call = PartialArguments(self._calls, bytes(call.args))
            self._calls += 1
            state = self._sign(signature) if signature else None
            if not (call.will_continue or call.partial_args):
                whole, self._open_call = self._open_call.close(), None
                whole = msgspec.structs.replace(whole, id=call.id, name=call.name, state=state)
                batch.append(whole)
                return
            batch.append(ToolCallDelta(self._open_call.index, call.id, call.name, state=state))
        if self._open_call:
            size = self._open_call.size
            for piece in call.partial_args or ():
                self._open_call.add(piece)
            self.hold(self._open_call.size - size)
            if not call.will_continue:
                self._close_call(batch)

    def _sign(self, signature: str) -> State:
        """The state of what the model has thought before a part."""
        return self.make_state(msgspec.json.encode({"thoughtSignature": signature}).decode())

    def _close_call(self, batch: Batch, *, is_cut: bool = False) -> None:
        if self._open_call:
            batch.append(self._open_call.close(is_cut=is_cut))
            self._open_call = None

    def _take_block_reason(self, word: str, batch: Batch) -> None:
        if word == _UNSPECIFIED:
            return
        if not (self.has_content or batch):
            raise GatewayError("content_filtered", detail={"block_reason": word})
        self.set_finish(word, _to_usage(self._usage), batch, "content_filter")

    def _finish(self, batch: Batch) -> None:
        """Record the finish reason. Of several finish reasons the newest counts."""
        self._is_newly_finished = False
        reason = to_finish_reason(self._word)
        self._close_call(batch, is_cut=reason == "length")
        if self._calls and reason == "stop":
            reason = "tool_calls"
        self.set_finish(self._word, _to_usage(self._usage), batch, reason)

    def _update_finish(self, finish: Finish) -> None:
        """Record usage, or a call, that arrived after the finish reason."""
        self.set_usage(_to_usage(self._usage))
        if self._calls and finish.finish_reason == "stop":
            self.finish = msgspec.structs.replace(
                finish, finish_reason="tool_calls", usage=_to_usage(self._usage)
            )


def _to_usage(usage: _Usage) -> Usage | None:
    given = _sum(usage.prompt_token_count, usage.tool_use_prompt_token_count)
    made = _sum(usage.candidates_token_count, usage.thoughts_token_count)
    if given is None and made is None:
        return None
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cached_input_tokens=usage.cached_content_token_count,
        reasoning_tokens=usage.thoughts_token_count,
    )


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
