"""Anthropic's messages: the body of a request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, assert_never

from models import (
    AnswerOptions,
    File,
    Image,
    JsonSchema,
    NamedTool,
    Part,
    Prompt,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from providers.schemas.adapt import ANTHROPIC, Adapted, adapt_output, adapt_parameters
from providers.wires.opaque_items import read_item
from providers.wires.tool_calls import decode_arguments

_TOOL_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_THINKING = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}


def to_body(prompt: Prompt, model: str) -> dict[str, object]:
    """The body of `POST /v1/messages`, without its parameters.

    `thinking` is not set, so that each model does by default what it can: the older ones do not
    think, the newer ones do adaptively. Adaptive thinking accepts a step of tools without the
    thinking that led to it, as after another model's answer.
    """
    messages = [{"role": turn.role, "content": _to_blocks(turn.parts)} for turn in prompt.turns]
    body: dict[str, object] = {"model": model, "messages": messages, "stream": True}
    if prompt.system:
        body["system"] = prompt.system
    options, output = prompt.options, None
    if isinstance(options.output, JsonSchema):
        output = adapt_output(options.output, ANTHROPIC)
        body["output_config"] = {"format": {"type": "json_schema", "schema": output.schema}}
    if options.tools:
        adapted = adapt_parameters(options.tools, ANTHROPIC, output)
        body |= _to_tools(options, adapted)
    return body


def cache_prompt(body: dict[str, Any], ttl: Literal["5m", "1h"]) -> None:
    """Have the vendor cache the tools, the system prompt and the conversation, each up to its end.

    Conversations with the same tools or system prompt share those.
    """
    mark = {"type": "ephemeral", "ttl": ttl}
    if "tools" in body:
        body["tools"][-1]["cache_control"] = mark
    if "system" in body:
        body["system"] = [{"type": "text", "text": body["system"], "cache_control": mark}]
    body["cache_control"] = mark


def _to_tools(options: AnswerOptions, adapted: Iterable[Adapted]) -> dict[str, object]:
    """The tools, and the choice among them, which says whether several may be called at once."""
    tools: list[dict[str, object]] = []
    for tool, (schema, strict, *_) in zip(options.tools, adapted, strict=True):
        tools.append({"name": tool.name, "input_schema": schema})
        if tool.description is not None:
            tools[-1]["description"] = tool.description
        if strict is not None:
            tools[-1]["strict"] = strict
    choice: dict[str, object]
    match options.tool_choice:
        case NamedTool(name):
            choice = {"type": "tool", "name": name}
        case None if options.parallel is False:
            choice = {"type": "auto"}
        case None:
            return {"tools": tools}
        case word:
            choice = {"type": _TOOL_CHOICES[word]}
    if options.parallel is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


def _to_blocks(parts: Iterable[Part]) -> list[object]:
    """The parts as blocks. Reasoning is sent as the vendor's own block, or else not at all."""
    blocks: list[object] = []
    for part in parts:
        match part:
            case Text():
                blocks.append({"type": "text", "text": part.text})
            case Image():
                source = {"type": "base64", "media_type": part.media_type, "data": part.data}
                blocks.append({"type": "image", "source": source})
            case File(media_type, data, name):
                source = {"type": "base64", "media_type": media_type, "data": data}
                title = {"title": name} if name else {}
                blocks.append({"type": "document", "source": source, **title})
            case Reasoning(state=state):
                if item := read_item(state, _THINKING):
                    blocks.append(item)
            case ToolCall(call_id, name, arguments):
                call = {"type": "tool_use", "id": call_id, "name": name}
                blocks.append(call | {"input": decode_arguments(arguments)})
            case ToolResult(call_id, inner, is_error):
                result: dict[str, object] = {"type": "tool_result", "tool_use_id": call_id}
                # The vendor refuses texts of white space alone, and takes a result without content.
                said = [each for each in inner if not isinstance(each, Text) or each.text.strip()]
                if said:
                    result["content"] = _to_blocks(said)
                if is_error:
                    result["is_error"] = True
                blocks.append(result)
            case _:
                assert_never(part)
    return blocks
