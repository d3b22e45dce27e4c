"""Anthropic's messages: the blocks of a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Raw

from models import (
    Content,
    GatewayError,
    Image,
    Part,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolResult,
)
from settings.options import LimitOptions
from web.doors.content_parts import system_texts
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
from web.doors.media import read_file, read_file_name, read_image
from web.doors.state_token import is_of_call, read_state

_MAX_ID = 2_000  # characters, as at the other doors
_MAX_TITLE = 2_000
_NO_FETCHING = "no URL is fetched on a client's behalf, and no file is kept"

# Blocks of an assistant about tools that the vendor ran itself, and about its own bookkeeping.
_SERVER_BLOCKS = ("server_tool_use", "mcp_tool_use", "container_upload", "compaction")
_SERVER_RESULT = "_tool_result"
_THINKING = ("thinking", "redacted_thinking")


class _Block(msgspec.Struct, gc=False):
    type: str
    text: Raw = ABSENT
    source: Raw = ABSENT
    title: Raw = ABSENT
    content: Raw = ABSENT
    id: Raw = ABSENT
    name: Raw = ABSENT
    input: Raw = ABSENT
    tool_use_id: Raw = ABSENT
    is_error: Raw = ABSENT
    signature: Raw = ABSENT
    tool_name: Raw = ABSENT


class _Source(msgspec.Struct, gc=False):
    type: str
    media_type: Raw = ABSENT
    data: Raw = ABSENT
    content: Raw = ABSENT


def read_system(raw: Raw, place: str, limits: LimitOptions) -> list[str]:
    """The texts of a system prompt: a string, or blocks of text."""
    return system_texts(_read_parts(raw, place, limits), place)


def read_user(raw: Raw, place: str, limits: LimitOptions) -> tuple[Part, ...]:
    """The parts of a user's message: texts, images, files, and the results of tools."""
    if first_byte(raw) != b"[":
        return (Text(read_text(raw, place, limits.max_message_chars)),)
    parts: list[Part] = []
    for inner, block in _read_blocks(raw, place):
        if block.type == "tool_result":
            parts.append(_read_result(block, inner, limits))
        else:
            parts += _read_block(block, inner, limits)
    _check_length(parts, limits)
    return tuple(parts)


def read_assistant(raw: Raw, place: str, limits: LimitOptions) -> tuple[Part, ...]:
    """The parts of an assistant's message.

    Of thinking only the state that the gateway wrote is kept. Blocks about what the vendor did on
    its own are left out.
    """
    if is_absent(raw):
        return ()
    if first_byte(raw) != b"[":
        return (Text(read_text(raw, place, limits.max_message_chars)),)
    parts: list[Part] = []
    call_state: State | None = None
    for inner, block in _read_blocks(raw, place):
        if block.type in _THINKING:
            signature = decode_field(block.signature, str | None, f"{inner}.signature") or ""
            state = read_state(signature, limits.max_message_chars)
            if is_of_call(signature):
                call_state = state
            elif state:
                parts.append(Reasoning("", state))
        elif block.type == "tool_use":
            parts.append(_read_call(block, inner, limits, call_state))
            call_state = None
        elif block.type not in _SERVER_BLOCKS and not block.type.endswith(_SERVER_RESULT):
            parts += _read_block(block, inner, limits)
    _check_length(parts, limits)
    return tuple(parts)


def _read_blocks(raw: Raw, place: str) -> Iterator[tuple[str, _Block]]:
    """The blocks, each with its place in the body."""
    for number, block in enumerate(decode_field(raw, list[_Block], place)):
        yield f"{place}.{number}", block


def _read_parts(raw: Raw, place: str, limits: LimitOptions) -> tuple[Content, ...]:
    """Texts, images and files: a string, or blocks; none if absent."""
    if is_absent(raw):
        return ()
    if first_byte(raw) != b"[":
        return (Text(read_text(raw, place, limits.max_message_chars)),)
    parts = [
        part
        for inner, block in _read_blocks(raw, place)
        for part in _read_block(block, inner, limits)
    ]
    _check_length(parts, limits)
    return tuple(parts)


def _read_block(block: _Block, place: str, limits: LimitOptions) -> tuple[Content, ...]:
    read = _READERS.get(block.type)
    if read is None:
        raise GatewayError(
            "unsupported", f"{place}: blocks of this type are not supported.", reason="messages"
        )
    return read(block, place, limits)


def _read_text_block(block: _Block, place: str, limits: LimitOptions) -> tuple[Text]:
    return (Text(read_text(block.text, f"{place}.text", limits.max_message_chars)),)


def _read_image_block(block: _Block, place: str, limits: LimitOptions) -> tuple[Image]:
    source = decode_field(block.source, _Source, f"{place}.source")
    if source.type != "base64":
        raise invalid(f"{place}.source.type", f"must be base64; {_NO_FETCHING}")
    return (read_image(source.media_type, source.data, f"{place}.source", limits),)


def _read_document(block: _Block, place: str, limits: LimitOptions) -> tuple[Content, ...]:
    """A PDF named by its title, or a document of plain text or of blocks after its title."""
    source = decode_field(block.source, _Source, f"{place}.source")
    if source.type == "base64":
        name = read_file_name(block.title, f"{place}.title")
        return (read_file(source.media_type, source.data, name, f"{place}.source", limits),)
    title = _read_title(block, place)
    place = f"{place}.source"
    match source.type:
        case "text":
            text = read_text(source.data, f"{place}.data", limits.max_message_chars)
            parts: tuple[Content, ...] = (Text(text),)
        case "content":
            parts = _read_parts(source.content, f"{place}.content", limits)
        case _:
            raise invalid(f"{place}.type", f"must be base64, text or content; {_NO_FETCHING}")
    return (*title, *parts)


def _read_found(block: _Block, place: str, limits: LimitOptions) -> tuple[Content, ...]:
    """A search result: its title and its texts."""
    parts = _read_parts(block.content, f"{place}.content", limits)
    return (*_read_title(block, place), *parts)


def _read_title(block: _Block, place: str) -> tuple[Text, ...]:
    if is_absent(block.title):
        return ()
    return (Text(f"{read_string(block.title, f'{place}.title', _MAX_TITLE)}\n\n"),)


def _read_reference(block: _Block, place: str, limits: LimitOptions) -> tuple[Text]:  # noqa: ARG001
    """The result of a search among tools: all of them are offered anyway."""
    name = read_string(block.tool_name, f"{place}.tool_name", _MAX_ID)
    return (Text(f"The tool {name} can be used."),)


_READERS: dict[str, Callable[[_Block, str, LimitOptions], tuple[Content, ...]]] = {
    "document": _read_document,
    "image": _read_image_block,
    "search_result": _read_found,
    "text": _read_text_block,
    "tool_reference": _read_reference,
}


def _read_result(block: _Block, place: str, limits: LimitOptions) -> ToolResult:
    call_id = read_string(block.tool_use_id, f"{place}.tool_use_id", _MAX_ID)
    is_error = decode_field(block.is_error, bool | None, f"{place}.is_error")
    return ToolResult(
        call_id, _read_parts(block.content, f"{place}.content", limits), bool(is_error)
    )


def _read_call(block: _Block, place: str, limits: LimitOptions, state: State | None) -> ToolCall:
    arguments = "{}"
    if not is_absent(block.input):
        if first_byte(block.input) != b"{":
            raise invalid(f"{place}.input", "must be an object")
        arguments = bytes(block.input).decode()
        check_chars(len(arguments), limits.max_message_chars)
    return ToolCall(
        read_string(block.id, f"{place}.id", _MAX_ID),
        read_string(block.name, f"{place}.name", _MAX_ID),
        arguments,
        state,
    )


def _check_length(parts: list[Part] | list[Content], limits: LimitOptions) -> None:
    """Check the characters of a message's text. The results of tools count each on its own."""
    chars = sum(len(part.text) for part in parts if isinstance(part, Text))
    check_chars(chars, limits.max_message_chars)
