"""Decodes what a client asks of the answer: tools, output and sampling, in OpenAI's field names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec
from msgspec import Raw

from configuration import Settings
from models import (
    NO_OPTIONS,
    AnswerOptions,
    Effort,
    GatewayError,
    JsonObject,
    JsonSchema,
    NamedTool,
    Output,
    Tool,
    ToolChoice,
)
from settings.options import LimitOptions
from web.doors.json_fields import ABSENT, decode_field, first_byte, invalid, is_absent, size_of
from web.json_scan import over_limit

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what every vendor accepts
_OTHER_CHOICES = ("allowed_tools", "custom", "mcp")  # which OpenAI has beside functions
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
_MAX_STOPS = 16
_MAX_STOP_CHARS = 1_000
_SAME_NAMES: Mapping[str, str] = {}
EFFORTS = get_args(Effort)


class OptionFields(msgspec.Struct, gc=False):
    """The fields of a body, undecoded. Each is the name of a client parameter."""

    tools: Raw = ABSENT
    tool_choice: Raw = ABSENT
    parallel_tool_calls: Raw = ABSENT
    response_format: Raw = ABSENT
    max_tokens: Raw = ABSENT
    temperature: Raw = ABSENT
    top_p: Raw = ABSENT
    stop: Raw = ABSENT
    seed: Raw = ABSENT
    reasoning_effort: Raw = ABSENT


FIELDS = OptionFields.__struct_fields__


class _Function(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class _ToolBody(msgspec.Struct, gc=False):
    """A tool, with its function in a field of its own or not."""

    type: str = "function"
    function: Raw = ABSENT


class _NamedBody(msgspec.Struct, gc=False):
    name: str


class _FormatBody(msgspec.Struct, gc=False):
    """A format, with its schema in a field of its own, or its fields beside the type."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Raw = ABSENT
    name: Raw = ABSENT


class _SchemaBody(msgspec.Struct, gc=False):
    name: str
    schema: Raw = ABSENT
    description: str | None = None
    strict: bool | None = None


# The type of each number, the least and the greatest value.
NUMBERS: dict[str, tuple[Any, float, float]] = {
    "max_tokens": (int, 1, 2**31),
    "temperature": (float, 0, 2),
    "top_p": (float, 0, 1),
    "seed": (int, -(2**63), 2**63 - 1),
}


def read_options(
    fields: OptionFields, settings: Settings, names: Mapping[str, str] = _SAME_NAMES
) -> AnswerOptions:
    """The options of a body. Those that are not in CLIENT_PARAMETERS are ignored, valid or not.

    `names` are those of fields that the body calls otherwise.

    Raises GatewayError `invalid_request` for the first value that is not valid or exceeds a limit,
    and `unsupported` for tools that are no functions.
    """
    given = {
        name: raw
        for name in FIELDS
        if not is_absent(raw := getattr(fields, name)) and name in settings.client_parameters
    }
    if not given:
        return NO_OPTIONS
    tools = _read_tools(given["tools"], settings) if "tools" in given else ()
    choice = given.get("tool_choice")
    numbers = {
        name: read_number(name, given[name], names.get(name)) for name in NUMBERS if name in given
    }
    parallel, output = given.get("parallel_tool_calls"), given.get("response_format")
    format_name = names.get("response_format", "response_format")
    effort_name = names.get("reasoning_effort", "reasoning_effort")
    stop, effort = given.get("stop"), given.get("reasoning_effort")
    return AnswerOptions(
        tools=tools,
        tool_choice=None if choice is None else _read_choice(choice, tools),
        parallel=None if parallel is None else decode_field(parallel, bool, "parallel_tool_calls"),
        output=None if output is None else _read_output(output, format_name, settings),
        stop=() if stop is None else read_stop(stop),
        effort=None if effort is None else decode_field(effort, Effort, effort_name),
        **numbers,
    )


def _read_tools(raw: Raw, limits: LimitOptions) -> tuple[Tool, ...]:
    bodies = decode_field(raw, list[Raw], "tools")
    if len(bodies) > limits.max_tools:
        raise over_limit("tools", len(bodies), "MAX_TOOLS", limits.max_tools)
    tools: dict[str, Tool] = {}
    for number, body in enumerate(bodies):
        place = f"tools.{number}"
        tool = decode_field(body, _ToolBody, place)
        if tool.type != "function":
            raise GatewayError(
                "unsupported", f"{place}: only tools of type function are supported."
            )
        is_nested = not is_absent(tool.function)
        place = f"{place}.function" if is_nested else place
        add_tool(tools, read_function(tool.function if is_nested else body, place, limits), place)
    return tuple(tools.values())


def read_function(raw: Raw, place: str, limits: LimitOptions) -> Tool:
    """A function as it was sent. Its name is not checked."""
    body = decode_field(raw, _Function, place)
    schema = read_schema(body.parameters, f"{place}.parameters", limits)
    return Tool(body.name, schema, body.description, body.strict)


def add_tool(tools: dict[str, Tool], tool: Tool, place: str) -> None:
    """Add a tool to those before it, by its name. Raises GatewayError `invalid_request`."""
    check_name(tool.name, f"{place}.name")
    if tool.name in tools:
        raise invalid(f"{place}.name", "is the name of another tool, too")
    tools[tool.name] = tool


def _read_choice(raw: Raw, tools: tuple[Tool, ...]) -> ToolChoice | None:
    """The choice; None without tools, among which none can be made."""
    if first_byte(raw) == b"{":
        body = decode_field(raw, _ToolBody, "tool_choice")
        if body.type in _OTHER_CHOICES:
            raise GatewayError("unsupported", "tool_choice: only a function can be chosen.")
        named = body.function if not is_absent(body.function) else raw
        name = decode_field(named, _NamedBody, "tool_choice").name
        if name not in {tool.name for tool in tools}:
            raise invalid("tool_choice", "names none of the tools")
        return NamedTool(name)
    choice: ToolChoice = decode_field(raw, Literal["auto", "none", "required"], "tool_choice")
    if choice == "required" and not tools:
        raise invalid("tool_choice", "needs tools")
    return choice if tools else None


def _read_output(raw: Raw, place: str, limits: LimitOptions) -> Output | None:
    body = decode_field(raw, _FormatBody, place)
    if body.type == "text":
        return None
    if body.type == "json_object":
        return JsonObject()
    if is_absent(body.name):
        raw, place = body.json_schema, f"{place}.json_schema"
    given = decode_field(raw, _SchemaBody, place)
    check_name(given.name, f"{place}.name")
    if is_absent(given.schema):
        raise invalid(f"{place}.schema", "is absent")
    schema = read_schema(given.schema, f"{place}.schema", limits)
    return JsonSchema(given.name, schema, given.description, given.strict)


def read_schema(raw: Raw, place: str, limits: LimitOptions) -> Raw:
    """A JSON schema as it was sent: an object, within the limits."""
    if is_absent(raw):
        return _NO_PARAMETERS
    if size_of(raw) > limits.max_schema_bytes:
        raise over_limit(
            "bytes in a schema", size_of(raw), "MAX_SCHEMA_BYTES", limits.max_schema_bytes
        )
    depth = _depth(decode_field(raw, dict[str, Any], place))
    if depth > limits.max_schema_depth:
        raise over_limit("levels in a schema", depth, "MAX_SCHEMA_DEPTH", limits.max_schema_depth)
    return Raw(bytes(memoryview(raw)))  # it shares no memory with the body


def _depth(value: object) -> int:
    """The levels of nesting. The depth of the whole body is limited, so this may recurse."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (1 + max(map(_depth, inner), default=0)) if isinstance(value, dict | list) else 0


def read_number(name: str, raw: Raw, place: str | None = None) -> Any:
    """A number of `NUMBERS`."""
    place = place or name
    kind, lowest, highest = NUMBERS[name]
    number = decode_field(raw, kind, place)
    if not lowest <= number <= highest:
        raise invalid(place, f"must be from {lowest} to {highest}")
    return number


def read_stop(raw: Raw, place: str = "stop") -> tuple[str, ...]:
    """The stop sequences: a list of them, or one."""
    is_list = first_byte(raw) == b"["
    words = decode_field(raw, list[str], place) if is_list else [decode_field(raw, str, place)]
    if len(words) > _MAX_STOPS:
        raise invalid(place, f"has {len(words)} entries; {_MAX_STOPS} are allowed")
    if any(not 0 < len(word) <= _MAX_STOP_CHARS for word in words):
        raise invalid(place, f"an entry must have 1 to {_MAX_STOP_CHARS} characters")
    return tuple(words)


def check_name(name: str, place: str) -> None:
    if not NAME.fullmatch(name):
        raise invalid(place, "must be 1 to 64 letters, digits, underscores or hyphens")
