"""OpenAI's chat completions: the body of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec import Raw
from starlette.datastructures import Headers

from configuration import Settings
from models import NO_OPTIONS, Chat, GatewayError, Reasoning, Text, Turn
from web.doors.answer_options import FIELDS, OptionFields, read_options
from web.doors.base import DoorRequest
from web.doors.content_parts import read_content, system_texts
from web.doors.conversations import find_conversation
from web.doors.hints import find_hints
from web.doors.json_fields import (
    ABSENT,
    check_messages,
    decode_field,
    is_absent,
    read_string,
    read_text,
)
from web.doors.on_break import read_on_break
from web.doors.reminders import remind
from web.doors.state_token import read_state
from web.doors.tool_history import StepFields, read_result, read_steps
from web.json_scan import check_json

_MAX_MODEL = 256  # characters of a name

# Hints that no vendor is given, and their values that ask for nothing.
_HINTS: Mapping[str, tuple[bytes, ...]] = {
    "frequency_penalty": (b"0", b"0.0"),
    "logit_bias": (b"{}",),
    "prediction": (),
    "presence_penalty": (b"0", b"0.0"),
    "service_tier": (b'"auto"', b'"default"'),
    "store": (b"false",),
    "verbosity": (b'"medium"',),
}


class ChunkOptions(NamedTuple):
    """What a request asks of the frames, and its parameters that no model is sent."""

    include_usage: bool = False
    dropped_params: tuple[str, ...] = ()


class _MessageBody(StepFields, kw_only=True, gc=False):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Raw = ABSENT
    refusal: Raw = ABSENT
    reasoning_details: Raw = ABSENT


class _Detail(msgspec.Struct, gc=False):
    """A detail of an assistant's reasoning: opaque state, or text, which no model needs."""

    data: str | None = None


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _ChatBody(OptionFields, kw_only=True, gc=False):
    messages: list[_MessageBody]
    model: Raw = ABSENT
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    gateway: Raw = ABSENT
    max_completion_tokens: Raw = ABSENT
    n: int | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    audio: Raw = ABSENT
    functions: list[Raw] | None = None
    web_search_options: Raw = ABSENT
    frequency_penalty: Raw = ABSENT
    logit_bias: Raw = ABSENT
    prediction: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT
    presence_penalty: Raw = ABSENT
    service_tier: Raw = ABSENT
    store: Raw = ABSENT
    verbosity: Raw = ABSENT


def decode_chat(body: bytes, settings: Settings, headers: Headers) -> DoorRequest:
    """Decode a chat within the limits of the settings.

    Raises GatewayError `invalid_json`, `invalid_request`, and `unsupported` for what no model of
    the gateway can do.
    """
    check_json(body, max_values=settings.max_json_values, max_depth=settings.max_json_depth)
    fields = decode_field(body, _ChatBody, "")
    check_messages(fields.messages, settings.max_messages)
    _check_supported(fields)
    if not is_absent(fields.max_completion_tokens):
        fields.max_tokens = fields.max_completion_tokens
    has_options = any(getattr(fields, name) is not ABSENT for name in FIELDS)
    system, turns = _read_messages(fields.messages, settings)
    is_stream = fields.stream is True
    on_break = read_on_break(fields.gateway, headers, settings)
    chat = Chat(
        turns=tuple(turns),
        system=tuple(system),
        options=read_options(fields, settings) if has_options else NO_OPTIONS,
        on_break=on_break if is_stream else "hold",
        conversation_id=find_conversation(headers, fields.prompt_cache_key),
        has_generic_prompt=False,
    )
    usage = fields.stream_options is not None and bool(fields.stream_options.include_usage)
    model = read_string(fields.model, "model", _MAX_MODEL)
    return DoorRequest(chat, is_stream, ChunkOptions(usage, find_hints(fields, _HINTS)), model)


def _check_supported(fields: _ChatBody) -> None:
    """Refuse what would change the shape or the meaning of the answer."""
    problems = {
        "n": fields.n not in (None, 1) and "there is one choice",
        "logprobs": fields.logprobs and "are not supported",
        "modalities": (fields.modalities or ["text"]) != ["text"] and "answers are text",
        "audio": not is_absent(fields.audio) and "answers are text",
        "functions": fields.functions and "are not supported; send tools",
        "web_search_options": not is_absent(fields.web_search_options) and "are not supported",
    }
    for name, problem in problems.items():
        if problem:
            raise GatewayError("unsupported", f"{name}: {problem}.", reason=name)


def _read_messages(
    messages: list[_MessageBody], settings: Settings
) -> tuple[list[str], list[Turn]]:
    """The system messages before all others, and the turns. Content may be null in any message."""
    system: list[str] = []
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        place = f"messages.{number}"
        parts = read_content(message.content, f"{place}.content", settings, may_be_null=True)
        match message.role:
            case "system" | "developer":
                text = "".join(system_texts(parts, f"{place}.content"))
                if not turns:
                    system.append(text)
                elif text:
                    turns.append(Turn("user", (remind(text),)))
            case "user":
                turns.append(Turn("user", parts))
            case "tool":
                turns.append(Turn("user", (read_result(message, parts, place),)))
            case "assistant":
                states, calls = read_steps(message, place, settings)
                details = message.reasoning_details
                longest = settings.max_message_chars
                states += _read_details(details, f"{place}.reasoning_details", longest)
                if not is_absent(message.refusal):
                    parts += (Text(read_text(message.refusal, f"{place}.refusal", longest)),)
                turns.append(Turn("assistant", (*states, *parts, *calls)))
    return system, turns


def _read_details(raw: Raw, place: str, longest: int) -> list[Reasoning]:
    """The opaque states of an assistant's reasoning."""
    if is_absent(raw):
        return []
    tokens = [detail.data for detail in decode_field(raw, list[_Detail], place)]
    states = [read_state(token, longest) for token in tokens if token]
    return [Reasoning("", state) for state in states if state]
