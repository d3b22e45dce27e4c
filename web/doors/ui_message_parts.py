"""Decodes the parts of the AI SDK's messages: texts, files, and the steps of an assistant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from models import Content, Part, Reasoning, State, Text, ToolCall, ToolResult, Turn
from settings.options import LimitOptions
from web.doors.content_parts import check_texts
from web.doors.json_fields import (
    ABSENT,
    check_chars,
    decode_field,
    first_byte,
    invalid,
    is_absent,
    read_string,
    read_text,
)
from web.doors.media import PDF, read_file_name, read_file_url, read_image_url
from web.doors.state_token import read_state

_MAX_NAME = 2_000  # characters, of an id too
_TOOL = "tool-"  # before the name of a tool that the page knows
_DENIED = "The user did not allow this call."


class PartBody(msgspec.Struct, gc=False, rename="camel"):
    """A part of a message. What it has beside its type depends on the type."""

    type: str
    text: Raw = ABSENT
    url: Raw = ABSENT  # of a file, as are both below
    media_type: Raw = ABSENT
    filename: Raw = ABSENT
    provider_metadata: Raw = ABSENT
    tool_call_id: Raw = ABSENT  # of a call, as are all below
    tool_name: Raw = ABSENT
    state: Raw = ABSENT
    input: Raw = ABSENT
    raw_input: Raw = ABSENT
    output: Raw = ABSENT
    error_text: Raw = ABSENT
    approval: Raw = ABSENT
    call_provider_metadata: Raw = ABSENT


class _Approval(msgspec.Struct, gc=False):
    approved: bool | None = None
    reason: str | None = None


class _Kept(msgspec.Struct, gc=False):
    state: str = ""


class _Metadata(msgspec.Struct, gc=False):
    """What the gateway has put into the metadata of a part."""

    gateway: _Kept | None = None


def read_said(parts: Sequence[PartBody], place: str, limits: LimitOptions) -> tuple[Content, ...]:
    """The texts, images and files of a system or user message. Parts of other types are ignored."""
    said: list[Content] = []
    for number, part in enumerate(parts):
        match part.type:
            case "text":
                said.append(_read_text(part, f"{place}.{number}", limits))
            case "file":
                said.append(_read_file(part, f"{place}.{number}", limits))
    check_texts(said, limits)
    return tuple(said)


def read_steps(parts: Sequence[PartBody], place: str, limits: LimitOptions) -> list[Turn]:
    """The turns of an assistant's message: of each step the model's, then one of its results.

    Parts that no model takes back are ignored, such as sources, data of the page, and files.
    """
    steps: list[list[Part]] = [[]]
    for number, part in enumerate(parts):
        if part.type == "step-start":
            steps.append([])
        else:
            steps[-1].extend(_read_part(part, f"{place}.{number}", limits))
    turns: list[Turn] = []
    for step in filter(None, steps):
        check_texts(step, limits)
        results = tuple(part for part in step if isinstance(part, ToolResult))
        said = tuple(part for part in step if not isinstance(part, ToolResult))
        turns.append(Turn("assistant", said))
        if results:
            turns.append(Turn("user", results))
    return turns


def _read_part(part: PartBody, place: str, limits: LimitOptions) -> Iterator[Part]:
    if part.type == "text":
        yield _read_text(part, place, limits)
    elif part.type == "reasoning":
        state = _read_state(part.provider_metadata, f"{place}.providerMetadata", limits)
        if state:
            yield Reasoning("", state)
    elif part.type == "dynamic-tool":
        name = read_string(part.tool_name, f"{place}.toolName", _MAX_NAME)
        yield from _read_tool(part, name, place, limits)
    elif part.type.startswith(_TOOL):
        name = part.type.removeprefix(_TOOL)
        if not 0 < len(name) <= _MAX_NAME:
            raise invalid(f"{place}.type", f"must name a tool, in at most {_MAX_NAME} characters")
        yield from _read_tool(part, name, place, limits)


def _read_text(part: PartBody, place: str, limits: LimitOptions) -> Text:
    return Text(read_text(part.text, f"{place}.text", limits.max_message_chars))


def _read_file(part: PartBody, place: str, limits: LimitOptions) -> Content:
    """An image, unless the page says that it is a PDF."""
    if decode_field(part.media_type, Any, f"{place}.mediaType") != PDF:
        return read_image_url(part.url, f"{place}.url", limits)
    name = read_file_name(part.filename, f"{place}.filename")
    return read_file_url(part.url, name, f"{place}.url", limits)


def _read_state(metadata: Raw, place: str, limits: LimitOptions) -> State | None:
    kept = decode_field(metadata, _Metadata | None, place)
    if kept is None or kept.gateway is None:
        return None
    return read_state(kept.gateway.state, limits.max_message_chars)


def _read_tool(part: PartBody, name: str, place: str, limits: LimitOptions) -> Iterator[Part]:
    """A call and, if there is one, its result."""
    progress = decode_field(part.state, str, f"{place}.state")
    if progress == "input-streaming":  # the answer broke within the call
        return
    call_id = read_string(part.tool_call_id, f"{place}.toolCallId", _MAX_NAME)
    metadata = part.call_provider_metadata
    state = _read_state(metadata, f"{place}.callProviderMetadata", limits)
    yield ToolCall(call_id, name, _read_input(part, place, limits), state)
    approval = decode_field(part.approval, _Approval | None, f"{place}.approval")
    if progress == "output-available":
        output = _read_value(part.output, f"{place}.output", limits)
        yield ToolResult(call_id, (Text(output),) if output else ())
    elif progress == "output-error":
        problem = read_text(part.error_text, f"{place}.errorText", limits.max_message_chars)
        yield ToolResult(call_id, (Text(problem),), is_error=True)
    elif approval and approval.approved is False:
        yield ToolResult(call_id, (Text(approval.reason or _DENIED),), is_error=True)


def _read_input(part: PartBody, place: str, limits: LimitOptions) -> str:
    """The arguments as JSON text. A string is what the model wrote in place of JSON."""
    if is_absent(part.input):
        return _read_value(part.raw_input, f"{place}.rawInput", limits) or "{}"
    return _read_value(part.input, f"{place}.input", limits)


def _read_value(raw: Raw, place: str, limits: LimitOptions) -> str:
    """A string itself, any other value as JSON text, and nothing if it is absent."""
    if is_absent(raw):
        return ""
    if first_byte(raw) == b'"':
        return read_text(raw, place, limits.max_message_chars)
    text = bytes(memoryview(raw)).decode()
    check_chars(len(text), limits.max_message_chars)
    return text
