"""Anthropic's messages: what a client asks of the answer, in Anthropic's field names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec import Raw

from configuration import Settings
from models import (
    AnswerOptions,
    Effort,
    GatewayError,
    JsonSchema,
    NamedTool,
    Tool,
    ToolChoice,
)
from web.doors.answer_options import add_tool, read_number, read_schema, read_stop
from web.doors.hints import find_hints
from web.doors.json_fields import ABSENT, decode_field, invalid, is_absent
from web.json_scan import over_limit

# The names of the client parameters that are other fields here.
NAMES: Mapping[str, str] = {
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_effort": "output_config.effort",
    "response_format": "output_config.format",
    "response_format.json_schema.strict": "output_config.format",
    "stop": "stop_sequences",
}

# What only the vendor itself could do. Of these the answer does not depend on the tools.
_SERVER_TOOLS = (
    "advisor_",
    "code_execution_",
    "mcp_toolset",
    "tool_search_tool_",
    "web_fetch_",
    "web_search_",
)
_HINTS: Mapping[str, tuple[bytes, ...]] = {
    "container": (),
    "context_management": (),
    "inference_geo": (),
    "mcp_servers": (b"[]",),
    "top_k": (),
}

# A budget of thinking in tokens that is less than this, as an effort.
_BUDGETS: tuple[tuple[int, Effort], ...] = ((4_000, "low"), (16_000, "medium"))

ThinkingDisplay = Literal["shown", "omitted", "disabled"]


class AnthropicFields(msgspec.Struct, gc=False):
    """The fields of a body, undecoded."""

    max_tokens: Raw = ABSENT
    temperature: Raw = ABSENT
    top_p: Raw = ABSENT
    stop_sequences: Raw = ABSENT
    tools: Raw = ABSENT
    tool_choice: Raw = ABSENT
    thinking: Raw = ABSENT
    output_config: Raw = ABSENT
    output_format: Raw = ABSENT  # of the beta, in which it was no field of `output_config`
    container: Raw = ABSENT
    context_management: Raw = ABSENT
    inference_geo: Raw = ABSENT
    mcp_servers: Raw = ABSENT
    top_k: Raw = ABSENT


class MessageOptions(NamedTuple):
    """What a request asks of the frames, and its fields that no model is sent."""

    thinking: ThinkingDisplay = "shown"
    stops: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


class _ToolBody(msgspec.Struct, gc=False):
    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = ABSENT
    strict: bool | None = None


class _ChoiceBody(msgspec.Struct, gc=False):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(msgspec.Struct, gc=False):
    type: str = "disabled"
    budget_tokens: Raw = ABSENT
    display: str | None = None


class _OutputConfig(msgspec.Struct, gc=False):
    effort: Raw = ABSENT
    format: Raw = ABSENT


class _FormatBody(msgspec.Struct, gc=False):
    type: Literal["json_schema"]
    schema: Raw = ABSENT


def read_options(
    fields: AnthropicFields, settings: Settings
) -> tuple[AnswerOptions, MessageOptions]:
    """The options of a body. Those that are not in CLIENT_PARAMETERS are ignored, valid or not.

    Raises GatewayError `invalid_request` for the first value that is not valid or exceeds a limit,
    and `unsupported` for tools that only Anthropic's models know.
    """
    allowed = frozenset(settings.client_parameters)
    has_tools = "tools" in allowed and not is_absent(fields.tools)
    tools, server_tools = _read_tools(fields.tools, settings) if has_tools else ((), [])
    has_choice = has_tools and not allowed.isdisjoint(("tool_choice", "parallel_tool_calls"))
    choice, parallel = _read_choice(fields.tool_choice, tools) if has_choice else (None, None)
    thinking = decode_field(fields.thinking, _Thinking | None, "thinking")
    config = _OutputConfig()
    if not allowed.isdisjoint(("reasoning_effort", "response_format")):
        config = decode_field(fields.output_config, _OutputConfig | None, "output_config") or config
    effort = _find_effort(thinking, config) if "reasoning_effort" in allowed else None
    form = fields.output_format if is_absent(config.format) else config.format
    has_stops = "stop" in allowed and not is_absent(fields.stop_sequences)
    stops = read_stop(fields.stop_sequences, "stop_sequences") if has_stops else ()
    numbers = {
        name: read_number(name, getattr(fields, name))
        for name in ("max_tokens", "temperature", "top_p")
        if name in allowed and not is_absent(getattr(fields, name))
    }
    options = AnswerOptions(
        tools=tools,
        tool_choice=choice if "tool_choice" in allowed else None,
        parallel=parallel if "parallel_tool_calls" in allowed else None,
        output=_read_output(form, settings) if "response_format" in allowed else None,
        stop=stops,
        effort=effort,
        **numbers,
    )
    dropped = (*server_tools, *find_hints(fields, _HINTS))
    return options, MessageOptions(_find_display(thinking), stops, dropped)


def _read_tools(raw: Raw, settings: Settings) -> tuple[tuple[Tool, ...], list[str]]:
    """The functions, and the places of the tools that only the vendor itself could run."""
    bodies = decode_field(raw, list[_ToolBody], "tools")
    if len(bodies) > settings.max_tools:
        raise over_limit("tools", len(bodies), "MAX_TOOLS", settings.max_tools)
    tools: dict[str, Tool] = {}
    dropped: list[str] = []
    for number, tool in enumerate(bodies):
        place = f"tools.{number}"
        if tool.type not in (None, "custom") and is_absent(tool.input_schema):
            if not tool.type.startswith(_SERVER_TOOLS):
                problem = "only tools with an input_schema are supported"
                raise GatewayError("unsupported", f"{place}: {problem}.", reason="tools")
            dropped.append(place)
            continue
        schema = read_schema(tool.input_schema, f"{place}.input_schema", settings)
        add_tool(tools, Tool(tool.name, schema, tool.description, tool.strict), place)
    return tuple(tools.values()), dropped


def _read_choice(
    raw: Raw, tools: tuple[Tool, ...]
) -> tuple[ToolChoice | None, Literal[False] | None]:
    """The choice among the tools, and False if only one may be called at a time."""
    body = decode_field(raw, _ChoiceBody | None, "tool_choice")
    if body is None:
        return None, None
    parallel: Literal[False] | None = False if body.disable_parallel_tool_use else None
    match body.type:
        case "tool":
            if body.name not in {tool.name for tool in tools}:
                raise invalid("tool_choice", "names none of the tools")
            return NamedTool(body.name), parallel
        case "any":
            if not tools:
                raise invalid("tool_choice", "needs tools")
            return "required", parallel
        case word:
            return word if tools else None, parallel


def _read_output(raw: Raw, settings: Settings) -> JsonSchema | None:
    """The schema of the answer, which the protocol promises to keep to."""
    body = decode_field(raw, _FormatBody | None, "output_config.format")
    if body is None:
        return None
    place = "output_config.format.schema"
    if is_absent(body.schema):
        raise invalid(place, "is absent")
    return JsonSchema("answer", read_schema(body.schema, place, settings), strict=True)


def _find_effort(thinking: _Thinking | None, config: _OutputConfig) -> Effort | None:
    """The effort of the reasoning: none if it is disabled, else as asked, else by the budget."""
    if thinking and thinking.type == "disabled":
        return "none"
    effort: Effort | None = decode_field(config.effort, Effort | None, "output_config.effort")
    if effort or thinking is None or is_absent(thinking.budget_tokens):
        return effort
    budget: int = decode_field(thinking.budget_tokens, int, "thinking.budget_tokens")
    return next((effort for limit, effort in _BUDGETS if budget < limit), "high")


def _find_display(thinking: _Thinking | None) -> ThinkingDisplay:
    if thinking is None:
        return "shown"
    if thinking.type == "disabled":
        return "disabled"
    return "omitted" if thinking.display == "omitted" else "shown"
