"""Decodes the body of the UI message door: the AI SDK's messages, and what a page adds to them."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw
from starlette.datastructures import Headers

from configuration import Settings
from models import Chat, OnBreak, Turn
from web.doors.answer_options import OptionFields, read_options
from web.doors.base import DoorRequest
from web.doors.content_parts import read_content, system_texts
from web.doors.json_fields import (
    ABSENT,
    check_messages,
    decode_field,
    first_byte,
    is_absent,
    read_id,
    read_text,
)
from web.doors.on_break import WITHOUT_RESTART, read_on_break
from web.doors.reminders import remind
from web.doors.ui_message_parts import PartBody, read_said, read_steps
from web.json_scan import check_json

STREAM_HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
_WITH_RESTART: tuple[OnBreak, ...] = (*WITHOUT_RESTART, "restart")
_KNOWS_RESTART = 7
_MAX_ID = 2_000  # characters


class _MessageBody(msgspec.Struct, gc=False):
    role: Literal["system", "user", "assistant"]
    id: Raw = ABSENT
    parts: Raw = ABSENT
    content: Raw = ABSENT  # in place of parts, as before version 5


class _ChatBody(OptionFields, kw_only=True, gc=False):
    messages: list[_MessageBody]
    id: Raw = ABSENT
    system: Raw = ABSENT
    stream: bool | None = None
    gateway: Raw = ABSENT


class _ToolBody(msgspec.Struct, gc=False):
    """A tool whose name is beside it."""

    description: Raw = ABSENT
    parameters: Raw = ABSENT


class _GatewayBody(msgspec.Struct, gc=False):
    ai_sdk: int | None = None  # the client's major version


def decode_chat(body: bytes, settings: Settings, headers: Headers) -> DoorRequest:
    """Decode a chat within the limits of the settings. Its options are the id of the answer.

    The chat shares no memory with the body.
    """
    check_json(body, max_values=settings.max_json_values, max_depth=settings.max_json_depth)
    fields = decode_field(body, _ChatBody, "")
    messages = fields.messages
    check_messages(messages, settings.max_messages)
    system, turns = _read_messages(messages, settings)
    if not is_absent(fields.system):
        system.insert(0, read_text(fields.system, "system", settings.max_message_chars))
    if "tools" in settings.client_parameters:
        fields.tools = _list_tools(fields.tools)
    on_break = read_on_break(fields.gateway, headers, settings, _find_choices(fields.gateway))
    is_stream = fields.stream is not False
    chat = Chat(
        turns=tuple(turns),
        system=tuple(system),
        options=read_options(fields, settings),
        on_break=on_break if is_stream else "hold",
        conversation_id=read_id(fields.id, "id"),
    )
    answer_id = _find_answer_id(messages[-1], f"messages.{len(messages) - 1}")
    return DoorRequest(chat, is_stream, answer_id, headers=STREAM_HEADERS if is_stream else {})


def _read_messages(
    messages: list[_MessageBody], settings: Settings
) -> tuple[list[str], list[Turn]]:
    """The system messages before all others, and the turns."""
    system: list[str] = []
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        place, role = f"messages.{number}", message.role
        bodies: list[PartBody] | None = None
        if not is_absent(message.parts):
            place = f"{place}.parts"
            bodies = decode_field(message.parts, list[PartBody], place)
        if role == "assistant" and bodies is not None:
            turns += read_steps(bodies, place, settings)
            continue
        if bodies is None:
            parts = read_content(message.content, f"{place}.content", settings)
        else:
            parts = read_said(bodies, place, settings)
        if role != "system":
            turns.append(Turn(role, parts))
            continue
        text = "".join(system_texts(parts, place))
        if not turns:
            system.append(text)
        elif text:
            turns.append(Turn("user", (remind(text),)))
    return system, turns


def _find_answer_id(last: _MessageBody, place: str) -> str | None:
    """The id of the message that the answer continues: after its calls' results the same one."""
    return read_id(last.id, f"{place}.id", _MAX_ID) if last.role == "assistant" else None


def _list_tools(raw: Raw) -> Raw:
    """The tools as a list; assistant-ui sends an object of them by name."""
    if first_byte(raw) != b"{":
        return raw
    tools: dict[str, _ToolBody] = decode_field(raw, dict[str, _ToolBody], "tools")
    listed = [{"name": name, **msgspec.structs.asdict(tool)} for name, tool in tools.items()]
    return Raw(msgspec.json.encode(listed))


def _find_choices(gateway: Raw) -> tuple[OnBreak, ...]:
    """What may happen if an answer breaks. Versions before 7 fail at the part that restarts it."""
    version: int | None = None
    if not is_absent(gateway):
        version = decode_field(gateway, _GatewayBody, "gateway").ai_sdk
    return WITHOUT_RESTART if version is None or version < _KNOWS_RESTART else _WITH_RESTART
