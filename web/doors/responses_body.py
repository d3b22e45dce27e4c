"""OpenAI's Responses: the body of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import Raw
from starlette.datastructures import Headers

from configuration import Settings
from models import NO_OPTIONS, AnswerOptions, Chat, GatewayError
from web.doors.answer_options import FIELDS, OptionFields, read_options
from web.doors.base import DoorRequest
from web.doors.conversations import find_conversation
from web.doors.hints import find_hints
from web.doors.json_fields import ABSENT, decode_field, is_absent, read_string, read_text, size_of
from web.doors.on_break import read_on_break
from web.doors.responses_items import FindItem, read_input
from web.doors.responses_tools import AskedTools, ToolList, ToolName, read_tools
from web.json_scan import check_json

_MAX_MODEL = 256  # characters of a name
_MAX_ECHO = 2**14  # bytes: the answer has what it was asked three times

# The names of the client parameters that are other fields here.
NAMES: Mapping[str, str] = {
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "response_format.json_schema.strict": "text.format.strict",
}

# What needs responses that are stored, and what to do without.
_STORED: Mapping[str, str] = {
    "background": "send the request without it",
    "conversation": "send the whole conversation as input",
    "previous_response_id": "send the whole conversation as input",
    "prompt": "send the text itself as instructions or input",
}

# Hints that no vendor is given, and their values that ask for nothing.
_HINTS: Mapping[str, tuple[bytes, ...]] = {
    "service_tier": (b'"auto"', b'"default"'),
    "top_logprobs": (b"0",),
    "truncation": (b'"disabled"',),
}

# The fields that the answer has as they were sent, and the client parameters that they are.
_ECHOED: Mapping[str, str | None] = {
    "max_output_tokens": "max_tokens",
    "metadata": None,
    "parallel_tool_calls": "parallel_tool_calls",
    "prompt_cache_key": None,
    "reasoning": "reasoning_effort",
    "safety_identifier": None,
    "temperature": "temperature",
    "text": "response_format",
    "tool_choice": "tool_choice",
    "top_p": "top_p",
    "user": None,
}


class ResponseOptions(NamedTuple):
    """What a request asks of the frames, and its parameters that no model is sent.

    `max_kept_bytes` is how much may be kept of items; 0: those of this answer are not kept.
    """

    model: str = ""
    echo: Mapping[str, Raw] = {}
    names: Mapping[str, ToolName] = {}
    dropped: tuple[str, ...] = ()
    max_kept_bytes: int = 0


class _Text(msgspec.Struct, gc=False):
    format: Raw = ABSENT
    verbosity: str | None = None


class _Reasoning(msgspec.Struct, gc=False):
    effort: Raw = ABSENT


class _Body(msgspec.Struct, gc=False):
    model: Raw = ABSENT
    input: Raw = ABSENT
    instructions: Raw = ABSENT
    stream: bool | None = None
    store: bool | None = None
    gateway: Raw = ABSENT
    tools: Raw = ABSENT
    tool_choice: Raw = ABSENT
    parallel_tool_calls: Raw = ABSENT
    text: Raw = ABSENT
    reasoning: Raw = ABSENT
    max_output_tokens: Raw = ABSENT
    temperature: Raw = ABSENT
    top_p: Raw = ABSENT
    metadata: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT
    safety_identifier: Raw = ABSENT
    user: Raw = ABSENT
    service_tier: Raw = ABSENT
    top_logprobs: Raw = ABSENT
    truncation: Raw = ABSENT
    background: Raw = ABSENT
    conversation: Raw = ABSENT
    previous_response_id: Raw = ABSENT
    prompt: Raw = ABSENT


def decode_request(
    body: bytes, settings: Settings, headers: Headers, find_item: FindItem
) -> DoorRequest:
    """Decode a request within the limits of the settings.

    Raises GatewayError `invalid_json`, `invalid_request`, and `unsupported` for what no model of
    the gateway can do.
    """
    check_json(body, max_values=settings.max_json_values, max_depth=settings.max_json_depth)
    fields = decode_field(body, _Body, "")
    for name, advice in _STORED.items():
        if not is_absent(raw := getattr(fields, name)) and bytes(raw) != b"false":
            message = f"{name}: is not supported, since no response is stored; {advice}."
            raise GatewayError("unsupported", message, reason=name)
    model = read_string(fields.model, "model", _MAX_MODEL)
    conversation = read_input(fields.input, settings, find_item)
    system = conversation.system
    if not is_absent(fields.instructions):
        text = read_text(fields.instructions, "instructions", settings.max_message_chars)
        system = [text, *system]
    text_body = decode_field(fields.text, _Text | None, "text") or _Text()
    tools = _read_tools(fields, conversation.tools, settings)
    is_stream = fields.stream is True
    on_break = read_on_break(fields.gateway, headers, settings)
    chat = Chat(
        turns=tuple(conversation.turns),
        system=tuple(system),
        options=_read_options(fields, text_body, tools, settings),
        on_break=on_break if is_stream else "hold",
        conversation_id=find_conversation(headers, fields.prompt_cache_key),
        has_generic_prompt=False,
    )
    dropped = (*tools.dropped, *find_hints(fields, _HINTS))
    if text_body.verbosity not in (None, "medium"):
        dropped += ("text.verbosity",)
    kept = 0 if fields.store is False else settings.max_kept_item_bytes
    options = ResponseOptions(model, _find_echo(fields, settings), tools.names, dropped, kept)
    return DoorRequest(chat, is_stream, options, model)


def _read_tools(fields: _Body, additional: list[ToolList], settings: Settings) -> AskedTools:
    allowed = settings.client_parameters
    if "tools" not in allowed:
        return AskedTools()
    choice = fields.tool_choice if "tool_choice" in allowed else ABSENT
    return read_tools([ToolList("tools", fields.tools), *additional], choice, settings)


def _read_options(
    fields: _Body, text: _Text, tools: AskedTools, settings: Settings
) -> AnswerOptions:
    reasoning = _Reasoning()
    if "reasoning_effort" in settings.client_parameters:
        reasoning = decode_field(fields.reasoning, _Reasoning | None, "reasoning") or reasoning
    given = OptionFields(
        parallel_tool_calls=fields.parallel_tool_calls,
        response_format=text.format,
        max_tokens=fields.max_output_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        reasoning_effort=reasoning.effort,
    )
    has_options = any(getattr(given, name) is not ABSENT for name in FIELDS)
    options = read_options(given, settings, NAMES) if has_options else NO_OPTIONS
    if not tools.tools:
        return options
    return msgspec.structs.replace(options, tools=tools.tools, tool_choice=tools.choice)


def _find_echo(fields: _Body, settings: Settings) -> dict[str, Raw]:
    """The fields that the answer repeats, each in one line, as the data of an event has to be.

    They share no memory with the body.
    """
    raws = {
        name: getattr(fields, name)
        for name, parameter in _ECHOED.items()
        if parameter is None or parameter in settings.client_parameters
    }
    return {
        name: Raw(msgspec.json.format(bytes(memoryview(raw)), indent=-1))
        for name, raw in raws.items()
        if not is_absent(raw) and size_of(raw) <= _MAX_ECHO
    }
