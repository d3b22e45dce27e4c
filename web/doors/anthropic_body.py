"""Anthropic's messages: the body of a request."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw
from starlette.datastructures import Headers

from configuration import Settings
from models import Chat, Turn
from web.doors.anthropic_content import read_assistant, read_system, read_user
from web.doors.anthropic_options import AnthropicFields, read_options
from web.doors.base import DoorRequest
from web.doors.conversations import find_session
from web.doors.json_fields import ABSENT, check_messages, decode_field, read_string
from web.doors.on_break import read_on_break
from web.doors.reminders import remind
from web.json_scan import check_json

_MAX_MODEL = 256  # characters of a name


class _MessageBody(msgspec.Struct, gc=False):
    role: Literal["user", "assistant", "system"]
    content: Raw = ABSENT


class _ChatBody(AnthropicFields, kw_only=True, gc=False):
    messages: list[_MessageBody]
    model: Raw = ABSENT
    system: Raw = ABSENT
    stream: bool | None = None
    gateway: Raw = ABSENT
    metadata: Raw = ABSENT


def decode_messages(body: bytes, settings: Settings, headers: Headers) -> DoorRequest:
    """Decode a chat within the limits of the settings.

    The chat shares no memory with the body. Raises GatewayError `invalid_json`, `invalid_request`,
    and `unsupported` for what no model of the gateway can do.
    """
    check_json(body, max_values=settings.max_json_values, max_depth=settings.max_json_depth)
    fields = decode_field(body, _ChatBody, "")
    check_messages(fields.messages, settings.max_messages)
    system = read_system(fields.system, "system", settings)
    turns: list[Turn] = []
    for number, message in enumerate(fields.messages):
        place = f"messages.{number}.content"
        match message.role:
            case "system" if turns:
                texts = read_system(message.content, place, settings)
                turns.append(Turn("user", tuple(map(remind, texts))))
            case "system":
                system += read_system(message.content, place, settings)
            case "user":
                turns.append(Turn("user", read_user(message.content, place, settings)))
            case "assistant":
                turns.append(Turn("assistant", read_assistant(message.content, place, settings)))
    options, own_options = read_options(fields, settings)
    on_break = read_on_break(fields.gateway, headers, settings)
    is_stream = fields.stream is True
    chat = Chat(
        turns=tuple(turns),
        system=tuple(system),
        options=options,
        on_break=on_break if is_stream else "hold",
        conversation_id=find_session(headers, fields.metadata),
        has_generic_prompt=False,
    )
    model = read_string(fields.model, "model", _MAX_MODEL)
    return DoorRequest(chat, is_stream, own_options, model)
