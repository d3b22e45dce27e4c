"""Decodes the tool calls and the results in a conversation, and the opaque state of them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from models import Content, Reasoning, State, ToolCall, ToolResult
from settings.options import LimitOptions
from web.doors.json_fields import (
    ABSENT,
    decode_field,
    first_byte,
    is_absent,
    read_string,
    read_text,
)
from web.doors.state_token import read_state, write_state

_MAX_ID = 2_000  # characters: some gateways keep a vendor's opaque state in it


class StepFields(msgspec.Struct, gc=False):
    """The fields of a message that are about tools, undecoded."""

    tool_calls: Raw = ABSENT  # of an assistant, as are the states of its reasoning
    states: Raw = ABSENT
    tool_call_id: Raw = ABSENT  # of a tool
    is_error: Raw = ABSENT


class _Function(msgspec.Struct, gc=False):
    name: Raw = ABSENT
    arguments: Raw = ABSENT


class _CallBody(_Function, gc=False):
    """A call as the native door sends it, or in OpenAI's shape."""

    id: Raw = ABSENT
    function: _Function | None = None
    state: Raw = ABSENT
    extra_content: Raw = ABSENT


class _Google(msgspec.Struct, gc=False):
    thought_signature: str | None = None


class _ExtraBody(msgspec.Struct, gc=False):
    """What Google's own server adds to a call in OpenAI's shape. Some clients send it back."""

    google: _Google | None = None


class _StateBody(msgspec.Struct, gc=False):
    provider: Raw
    model: Raw
    data: Raw


def read_result(message: StepFields, parts: tuple[Content, ...], place: str) -> ToolResult:
    """The result that a message of the role `tool` brings."""
    call_id = read_string(message.tool_call_id, f"{place}.tool_call_id", _MAX_ID)
    is_error = decode_field(message.is_error, bool | None, f"{place}.is_error")
    return ToolResult(call_id, parts, bool(is_error))


def read_steps(
    message: StepFields, place: str, limits: LimitOptions
) -> tuple[list[Reasoning], list[ToolCall]]:
    """The states of an assistant's reasoning, and its calls."""
    if message.states is ABSENT and message.tool_calls is ABSENT:
        return [], []
    states = decode_field(message.states, list[Raw] | None, f"{place}.states") or ()
    bodies = decode_field(message.tool_calls, list[_CallBody] | None, f"{place}.tool_calls") or ()
    reasoning = [
        Reasoning("", _read_state(raw, f"{place}.states.{number}", limits))
        for number, raw in enumerate(states)
    ]
    calls = [
        _read_call(body, f"{place}.tool_calls.{number}", limits)
        for number, body in enumerate(bodies)
    ]
    return reasoning, calls


def _read_call(call: _CallBody, place: str, limits: LimitOptions) -> ToolCall:
    function = call.function or call
    arguments = "{}"
    if first_byte(function.arguments) == b"{":  # some clients send the object itself
        arguments = bytes(function.arguments).decode()
    elif not is_absent(function.arguments):
        arguments = read_text(function.arguments, f"{place}.arguments", limits.max_message_chars)
    return ToolCall(
        read_string(call.id, f"{place}.id", _MAX_ID),
        read_string(function.name, f"{place}.name", _MAX_ID),
        arguments,
        _read_call_state(call, place, limits),
    )


def _read_call_state(call: _CallBody, place: str, limits: LimitOptions) -> State | None:
    if not is_absent(call.state):
        return _read_state(call.state, f"{place}.state", limits)
    extra = decode_field(call.extra_content, _ExtraBody | None, f"{place}.extra_content")
    signature = extra.google.thought_signature if extra and extra.google else None
    return read_state(signature, limits.max_message_chars) if signature else None


def write_extra_content(state: State) -> dict[str, object]:
    """The state of a call as `extra_content`, which clients with OpenAI's protocol keep."""
    return {"google": {"thought_signature": write_state(state)}}


def _read_state(raw: Raw, place: str, limits: LimitOptions) -> State:
    """Opaque state as it was sent. Its data becomes part of a vendor's body, so it must be JSON."""
    body = decode_field(raw, _StateBody, place)
    data = read_text(body.data, f"{place}.data", limits.max_message_chars)
    decode_field(data.encode(), Any, f"{place}.data")
    provider = read_string(body.provider, f"{place}.provider", _MAX_ID)
    return State(provider, read_string(body.model, f"{place}.model", _MAX_ID), data)
