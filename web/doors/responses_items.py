"""OpenAI's Responses: the items of a request's input, as turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Raw

from models import Content, GatewayError, Part, Reasoning, State, Text, ToolCall, ToolResult, Turn
from settings.options import LimitOptions
from web.doors.content_parts import system_texts
from web.doors.json_fields import (
    ABSENT,
    check_chars,
    check_messages,
    decode_field,
    first_byte,
    invalid,
    is_absent,
    read_string,
    read_text,
)
from web.doors.media import read_file_name, read_file_url, read_image_url
from web.doors.reminders import remind
from web.doors.responses_tools import ToolList, function_name, to_arguments
from web.doors.state_token import is_of_call, read_state
from web.json_scan import over_limit

_MAX_ID = 2_000  # characters
_REASONING_ID = "rs_"

# What OpenAI itself has looked up or made. The message that follows says what came of it.
_VENDORS_OWN = (
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_list_tools",
    "web_search_call",
)
_NOT_KEPT = (
    "this item is not kept. Send the items themselves, not references; the AI SDK does with "
    '`providerOptions: {"openai": {"store": false}}`'
)

FindItem = Callable[[str], bytes | None]  # the item with an id, as JSON


class _ItemBody(msgspec.Struct, gc=False):
    type: str | None = None  # of a message it may be absent
    role: str | None = None
    content: Raw = ABSENT
    id: str | None = None
    call_id: Raw = ABSENT
    name: Raw = ABSENT
    namespace: str | None = None
    arguments: Raw = ABSENT
    input: Raw = ABSENT
    output: Raw = ABSENT
    encrypted_content: Raw = ABSENT
    tools: Raw = ABSENT


class _PartBody(msgspec.Struct, gc=False):
    type: str
    text: Raw = ABSENT
    refusal: Raw = ABSENT
    image_url: Raw = ABSENT
    file_data: Raw = ABSENT
    filename: Raw = ABSENT


class Conversation:
    """The system messages, the turns and the tools of an input, as its items are read.

    Adjacent items of the assistant are one turn: they may be of one answer, whose opaque states are
    either all kept by the client or all restored.
    """

    def __init__(self) -> None:
        self.system: list[str] = []
        self.turns: list[Turn] = []
        self.tools: list[ToolList] = []
        self._step: list[Part] = []  # of the assistant, since the newest turn of the user
        self._call_state: State | None = None  # of the call that follows

    def add_message(self, role: str | None, parts: tuple[Content, ...], place: str) -> None:
        """Add a message."""
        match role:
            case "system" | "developer":
                text = "".join(system_texts(parts, f"{place}.content"))
                if self.turns or self._step:
                    self._add_turn((remind(text),))
                else:
                    self.system.append(text)
            case "user":
                self._add_turn(parts)
            case "assistant":
                first = parts[0] if parts else None
                if isinstance(first, Text) and self._step and isinstance(self._step[-1], Text):
                    parts = (Text(f"\n\n{first.text}"), *parts[1:])
                self._step += parts
            case _:
                raise invalid(f"{place}.role", "is not one of the values that are allowed")

    def add_reasoning(self, token: str, longest: int) -> None:
        """Add the opaque state that the gateway sent with the assistant's reasoning."""
        state = read_state(token, longest)
        if state and is_of_call(token):
            self._call_state = state
        elif state:
            self._step.append(Reasoning("", state))

    def add_call(self, call: ToolCall) -> None:
        """Add a call of the assistant."""
        state, self._call_state = self._call_state, None
        self._step.append(msgspec.structs.replace(call, state=state))

    def add_result(self, result: ToolResult) -> None:
        """Add the result of a call."""
        self._add_turn((result,))

    def end_step(self) -> None:
        """End the assistant's turn, if there is one."""
        if self._step:
            self.turns.append(Turn("assistant", tuple(self._step)))
            self._step.clear()

    def _add_turn(self, parts: tuple[Part, ...]) -> None:
        self.end_step()
        self.turns.append(Turn("user", parts))
        self._call_state = None


def read_input(raw: Raw, limits: LimitOptions, find_item: FindItem) -> Conversation:
    """The conversation of an input: a text, or a list of items or references to those of answers.

    Raises GatewayError `invalid_request`, or `unsupported` for items that only OpenAI can read.
    """
    conversation = Conversation()
    if first_byte(raw) == b'"':
        text = read_text(raw, "input", limits.max_message_chars)
        conversation.add_message("user", (Text(text),), "input")
        return conversation
    items = decode_field(raw, list[_ItemBody], "input")
    check_messages(items, limits.max_messages, "input")
    for place, item in _resolve(items, limits.max_body_bytes, find_item):
        _read_item(item, place, limits, conversation)
    conversation.end_step()
    return conversation


def _resolve(
    items: list[_ItemBody], max_bytes: int, find_item: FindItem
) -> Iterator[tuple[str, _ItemBody]]:
    """The items with their places, and in place of references what they refer to.

    A reference is short, so what all of them refer to is limited like a body. Reasoning that is no
    longer kept is left out: it is of use to its model alone, and its state is kept by the calls
    after it, too.
    """
    size = 0
    for number, item in enumerate(items):
        place = f"input.{number}"
        if item.type != "item_reference":
            yield place, item
            continue
        item_id = item.id or ""
        found = find_item(item_id)
        if found is not None:
            size += len(found)
            if size > max_bytes:
                seen = f"more than {max_bytes}"
                raise over_limit("bytes in items referred to", seen, "MAX_BODY_BYTES", max_bytes)
            yield place, msgspec.json.decode(found, type=_ItemBody)
        elif not item_id.startswith(_REASONING_ID):
            raise GatewayError("unsupported", f"{place}: {_NOT_KEPT}.", reason="input")


def _read_item(
    item: _ItemBody, place: str, limits: LimitOptions, conversation: Conversation
) -> None:
    match item.type:
        case None | "message":
            parts = _read_content(item.content, f"{place}.content", limits)
            conversation.add_message(item.role, parts, place)
        case "function_call" | "custom_tool_call":
            conversation.add_call(_read_call(item, place, limits))
        case "function_call_output" | "custom_tool_call_output":
            call_id = read_string(item.call_id, f"{place}.call_id", _MAX_ID)
            parts = _read_content(item.output, f"{place}.output", limits)
            conversation.add_result(ToolResult(call_id, parts))
        case "reasoning":
            if not is_absent(item.encrypted_content):
                token = decode_field(item.encrypted_content, str, f"{place}.encrypted_content")
                conversation.add_reasoning(token, limits.max_message_chars)
        case "additional_tools":
            conversation.tools.append(ToolList(f"{place}.tools", item.tools))
        case kind if kind not in _VENDORS_OWN:
            raise _unsupported(place, "messages, calls of functions and their outputs")
        case _:
            pass


def _read_call(item: _ItemBody, place: str, limits: LimitOptions) -> ToolCall:
    name = read_string(item.name, f"{place}.name", _MAX_ID)
    if item.type == "custom_tool_call":
        text = read_text(item.input, f"{place}.input", limits.max_message_chars)
        arguments = to_arguments(text)
    elif is_absent(item.arguments):
        arguments = "{}"
    else:
        arguments = read_text(item.arguments, f"{place}.arguments", limits.max_message_chars)
    call_id = read_string(item.call_id, f"{place}.call_id", _MAX_ID)
    return ToolCall(call_id, function_name(name, item.namespace), arguments)


def _read_content(content: Raw, place: str, limits: LimitOptions) -> tuple[Content, ...]:
    """The parts of a message, or of the output of a tool."""
    if is_absent(content):
        return ()
    if first_byte(content) != b"[":
        return (Text(read_text(content, place, limits.max_message_chars)),)
    bodies = enumerate(decode_field(content, list[_PartBody], place))
    parts = tuple(_read_part(body, f"{place}.{number}", limits) for number, body in bodies)
    chars = sum(len(part.text) for part in parts if isinstance(part, Text))
    check_chars(chars, limits.max_message_chars)
    return parts


def _read_part(part: _PartBody, place: str, limits: LimitOptions) -> Content:
    match part.type:
        case "input_text" | "output_text" | "text":
            return Text(read_text(part.text, f"{place}.text", limits.max_message_chars))
        case "refusal":
            return Text(read_text(part.refusal, f"{place}.refusal", limits.max_message_chars))
        case "input_image":
            return read_image_url(part.image_url, f"{place}.image_url", limits)
        case "input_file":
            name = read_file_name(part.filename, f"{place}.filename")
            return read_file_url(part.file_data, name, f"{place}.file_data", limits)
        case _:
            raise _unsupported(place, "texts, images and files")


def _unsupported(place: str, what: str) -> GatewayError:
    return GatewayError("unsupported", f"{place}: only {what} are supported.", reason="input")
