"""OpenAI's Responses: the body of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from providers.wires.opaque_items import read_item
from providers.wires.openai_fields import JSON_LINE, describe, file_fields, result_parts

# An item without its content would be one that the vendor has stored for the account.
_STATES = {"reasoning": ("id", "summary", "encrypted_content")}

Item = Mapping[str, object]


def to_body(prompt: Prompt, model: str, dialect: Dialect = OPENAI) -> dict[str, object]:
    """The body of `POST /responses`, without the optional parameters. Nothing is stored.

    The schemas are in the vendor's dialect.
    """
    items = [item for turn in prompt.turns for item in _to_items(turn)]
    body: dict[str, object] = {"model": model, "input": items, "stream": True, "store": False}
    if prompt.system:
        body["instructions"] = prompt.system
    if prompt.options is not NO_OPTIONS:
        body |= _to_fields(prompt.options, dialect)
        # The vendor refuses to answer in JSON if the input, without instructions, has no such word.
        asks_for_json = isinstance(prompt.options.output, JsonObject)
        if asks_for_json and not any("json" in turn.text.lower() for turn in prompt.turns):
            items.insert(0, {"role": "developer", "content": JSON_LINE})
    return body


def _to_items(turn: Turn) -> list[Item]:
    """An item for each call, each result and each state of reasoning, and messages of the rest.

    A state is refused without the item that followed it, so one at the end is left out.
    """
    items: list[Item] = []
    parts: list[Content] = []
    states: list[Item] = []  # that nothing has followed yet
    for part in turn.parts:
        if parts and not isinstance(part, Content):
            items.append({"role": turn.role, "content": _to_content(parts)})
            parts = []
        if not isinstance(part, Reasoning):
            items += states
            states = []
        match part:
            case Text() | Image() | File():
                parts.append(part)
            case ToolCall(call_id, name, arguments):
                call: dict[str, object] = {"type": "function_call", "call_id": call_id}
                items.append(call | {"name": name, "arguments": arguments or "{}"})
            case ToolResult(call_id):
                result: dict[str, object] = {"type": "function_call_output", "call_id": call_id}
                items.append(result | {"output": _to_content(result_parts(part))})
            case Reasoning(state=state):
                if item := read_item(state, _STATES):
                    states.append(item)
            case _:
                assert_never(part)
    if parts:
        items.append({"role": turn.role, "content": _to_content(parts)})
    return items


def _to_content(parts: Iterable[Content]) -> str | list[dict[str, object]]:
    """A text, or a list of parts if there are others than texts."""
    parts = list(parts)
    if all(isinstance(part, Text) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, Text))
    content: list[dict[str, object]] = []
    for part in parts:
        match part:
            case Text(text):
                content.append({"type": "input_text", "text": text})
            case Image(media_type, data):
                url = f"data:{media_type};base64,{data}"
                content.append({"type": "input_image", "image_url": url, "detail": "auto"})
            case File():
                content.append({"type": "input_file", **file_fields(part)})
            case _:
                assert_never(part)
    return content


def _to_fields(options: AnswerOptions, dialect: Dialect) -> dict[str, object]:
    """What the client asks of the answer, apart from the parameters."""
    schema, tools, choice = describe(options, dialect)
    fields: dict[str, object] = {}
    if schema:
        fields["text"] = {"format": {"type": "json_schema", **schema}}
    elif isinstance(options.output, JsonObject):
        fields["text"] = {"format": {"type": "json_object"}}
    if tools:
        # `strict` is a required field, and true by default.
        fields["tools"] = [{"type": "function", "strict": False, **tool} for tool in tools]
    match choice:
        case NamedTool(name):
            fields["tool_choice"] = {"type": "function", "name": name}
        case str(word):
            fields["tool_choice"] = word
    return fields
