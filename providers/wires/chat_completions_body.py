"""Chat completions: the body of a request."""

from __future__ import annotations

from typing import assert_never

from models import (
    NO_OPTIONS,
    AnswerOptions,
    Content,
    File,
    Image,
    JsonObject,
    NamedTool,
    Prompt,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.schemas.adapt import OPENAI, Dialect
from providers.wires.opaque_items import read_fields
from providers.wires.openai_fields import JSON_LINE, describe, file_fields, result_parts
from providers.wires.tool_calls import find_newest_message, media_word

_KEPT_FIELDS = ("reasoning_content", "reasoning_details")


def to_body(prompt: Prompt, model: str, dialect: Dialect = OPENAI) -> dict[str, object]:
    """The body of `POST /chat/completions`, without the optional parameters.

    The schemas are in the vendor's dialect.
    """
    messages: list[dict[str, object]] = []
    system = prompt.system
    if isinstance(prompt.options.output, JsonObject):
        texts = (system, *(turn.text for turn in prompt.turns))
        if not any("json" in text.lower() for text in texts):  # vendors want the word
            system = f"{system}\n\n{JSON_LINE}".lstrip()
    if system:
        messages.append({"role": "system", "content": system})
    # After the newest message is the step of tools that goes on.
    newest = 0 if prompt.is_plain else find_newest_message(prompt.turns)
    for place, turn in enumerate(prompt.turns):
        messages += _to_messages(turn, is_current=place > newest)
    body: dict[str, object] = {"model": model, "messages": messages, "stream": True}
    if prompt.options is not NO_OPTIONS:
        body |= _to_fields(prompt.options, dialect)
    return body


def _to_fields(options: AnswerOptions, dialect: Dialect) -> dict[str, object]:
    """What the client asks of the answer, apart from the parameters."""
    schema, tools, choice = describe(options, dialect)
    fields: dict[str, object] = {}
    if schema:
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif isinstance(options.output, JsonObject):
        fields["response_format"] = {"type": "json_object"}
    if tools:
        fields["tools"] = [{"type": "function", "function": tool} for tool in tools]
    match choice:
        case NamedTool(name):
            fields["tool_choice"] = {"type": "function", "function": {"name": name}}
        case str(word):
            fields["tool_choice"] = word
    return fields


def _to_messages(turn: Turn, *, is_current: bool) -> list[dict[str, object]]:
    """One message for each result of a tool, and one for the other parts.

    Results take text alone, so their images and files are part of the user's message that follows.
    Reasoning is sent with the calls of the current step, if the server needs it, and else not at
    all.
    """
    messages: list[dict[str, object]] = []
    reasoning: dict[str, object] = {}
    parts: list[Content] = []
    calls: list[dict[str, object]] = []
    for part in turn.parts:
        match part:
            case Text() | Image() | File():
                parts.append(part)
            case ToolCall(call_id, name, arguments):
                function = {"name": name, "arguments": arguments or "{}"}
                calls.append({"id": call_id, "type": "function", "function": function})
            case ToolResult(call_id):
                inner = result_parts(part)
                media = [piece for piece in inner if not isinstance(piece, Text)]
                word = media_word(media)
                if media:
                    parts += [Text(f"The {word} of the result of {call_id}:"), *media]
                texts = [text.text for text in inner if isinstance(text, Text)]
                content = "".join(texts) or (f"({word} follow)" if media else "")
                messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
            case Reasoning(state=state):
                if state and is_current:
                    reasoning |= read_fields(state, _KEPT_FIELDS)
            case _:
                assert_never(part)
    if calls:
        text = _to_content(parts) if parts else None
        calling = {"role": turn.role, "content": text, **reasoning, "tool_calls": calls}
        messages.append(calling)
    elif parts:
        messages.append({"role": turn.role, "content": _to_content(parts)})
    return messages


def _to_content(parts: list[Content]) -> str | list[dict[str, object]]:
    texts = [part.text for part in parts if isinstance(part, Text)]
    if len(texts) == len(parts):  # some servers take no lists
        return "".join(texts)
    content: list[dict[str, object]] = []
    for part in parts:
        match part:
            case Text(text):
                content.append({"type": "text", "text": text})
            case Image(media_type, data):
                url = f"data:{media_type};base64,{data}"
                content.append({"type": "image_url", "image_url": {"url": url}})
            case File():
                content.append({"type": "file", "file": file_fields(part)})
            case _:
                assert_never(part)
    return content
