"""OpenAI's Responses: the tools of a request, as functions, which are all that models are offered.

A function of a namespace has both names in its own. A custom tool, whose input is free text,
becomes a function with that text as its only argument. Tools that OpenAI itself runs are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec
from msgspec import Raw

from models import GatewayError, NamedTool, Tool, ToolChoice
from settings.options import LimitOptions
from web.doors.answer_options import add_tool, read_function
from web.doors.json_fields import decode_field, first_byte, invalid, is_absent
from web.json_scan import over_limit

_MAX_NAME = 64
_HASH_CHARS = 8
_MAX_TYPE = 64
_INPUT_SCHEMA = Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],'
    b'"additionalProperties":false}'
)


class ToolName(NamedTuple):
    """How a client knows a tool."""

    name: str
    namespace: str | None = None
    is_custom: bool = False


class ToolList(NamedTuple):
    """A list of tools, and its place in the body."""

    place: str
    raw: Raw


class AskedTools(NamedTuple):
    """The tools of a request, and the choice among them.

    `names` are those of the tools that the client knows otherwise, by the names of their functions.
    """

    tools: tuple[Tool, ...] = ()
    choice: ToolChoice | None = None
    names: Mapping[str, ToolName] = {}
    dropped: tuple[str, ...] = ()


class _Format(msgspec.Struct, gc=False):
    """The format of a custom tool's input: a grammar, or any text."""

    syntax: str | None = None
    definition: str | None = None


class _ToolBody(msgspec.Struct, gc=False):
    type: str
    name: str = ""
    description: str | None = None
    tools: list[Raw] | None = None  # of a namespace
    format: _Format | None = None  # of a custom tool


class _NamedBody(msgspec.Struct, gc=False):
    type: str
    name: str = ""
    namespace: str | None = None


class _ChoiceBody(_NamedBody, gc=False):
    mode: Literal["auto", "required"] = "auto"  # of several allowed tools
    tools: list[_NamedBody] = []


class _Input(msgspec.Struct):
    """The arguments of a custom tool's function."""

    input: str


class _Offer:
    """The tools of a request, as they are read."""

    def __init__(self, limits: LimitOptions) -> None:
        self.tools: dict[str, Tool] = {}
        self.names: dict[str, ToolName] = {}
        self.dropped: dict[str, None] = {}
        self._limits = limits

    def add_list(self, raw: Raw, place: str) -> None:
        """Add the tools of one list."""
        tools: dict[str, Tool] = {}
        for number, body in enumerate(decode_field(raw, list[Raw], place)):
            self._add(body, f"{place}.{number}", tools)
        self.tools |= tools
        most = self._limits.max_tools
        if len(self.tools) > most:
            raise over_limit("tools", len(self.tools), "MAX_TOOLS", most)

    def _add(
        self, raw: Raw, place: str, tools: dict[str, Tool], namespace: str | None = None
    ) -> None:
        """Add a tool, or those of a namespace."""
        body = decode_field(raw, _ToolBody, place)
        match body.type:
            case "function":
                tool = read_function(raw, place, self._limits)
            case "custom":
                tool = Tool(body.name, _INPUT_SCHEMA, _describe(body))
            case "namespace" if namespace is None:
                for number, inner in enumerate(body.tools or ()):
                    self._add(inner, f"{place}.tools.{number}", tools, body.name)
                return
            case _:
                self.dropped[f"tools.{body.type[:_MAX_TYPE]}"] = None
                return
        name = function_name(tool.name, namespace)
        add_tool(tools, msgspec.structs.replace(tool, name=name), place)
        self.names.pop(name, None)
        if namespace or body.type == "custom":
            self.names[name] = ToolName(tool.name, namespace, body.type == "custom")


def read_tools(lists: Iterable[ToolList], choice: Raw, limits: LimitOptions) -> AskedTools:
    """The tools, and which of them may or must be called.

    Of two tools with the same name in different lists the later one counts.

    Raises GatewayError `invalid_request`, or `unsupported` for the choice of a tool that is not
    offered to models.
    """
    offer = _Offer(limits)
    for place, raw in lists:
        if not is_absent(raw):
            offer.add_list(raw, place)
    allowed, chosen = offer.tools, None
    if not is_absent(choice):
        allowed, chosen = _choose(choice, offer.tools)
    if not allowed:
        if chosen == "required":
            raise _cannot_choose() if offer.dropped else invalid("tool_choice", "needs tools")
        chosen = None
    return AskedTools(tuple(allowed.values()), chosen, offer.names, tuple(offer.dropped))


def function_name(name: str, namespace: str | None) -> str:
    """The name of the function that a tool becomes, which is the same in each request."""
    if not namespace:
        return name
    joined = f"{namespace}__{name}"
    if len(joined) <= _MAX_NAME:
        return joined
    digest = sha256(joined.encode()).hexdigest()[:_HASH_CHARS]
    return f"{joined[: _MAX_NAME - _HASH_CHARS - 1]}_{digest}"


def to_arguments(text: str) -> str:
    """The input of a custom tool as the arguments of its function."""
    return msgspec.json.encode(_Input(text)).decode()


def to_input(arguments: str) -> str:
    """The input of a custom tool; the arguments themselves if they have none."""
    try:
        return msgspec.json.decode(arguments, type=_Input).input
    except msgspec.MsgspecError:
        return arguments


def _describe(tool: _ToolBody) -> str | None:
    """The description of a custom tool, with the grammar of its input."""
    given = tool.format
    if not given or not given.definition:
        return tool.description
    grammar = f"The input must match this {given.syntax or ''} grammar:\n{given.definition}"
    return f"{tool.description}\n\n{grammar}" if tool.description else grammar


def _choose(raw: Raw, tools: dict[str, Tool]) -> tuple[dict[str, Tool], ToolChoice]:
    """The tools that may be called, and the choice among them."""
    if first_byte(raw) != b"{":
        word: ToolChoice = decode_field(raw, Literal["auto", "none", "required"], "tool_choice")
        return tools, word
    body = decode_field(raw, _ChoiceBody, "tool_choice")
    if body.type == "allowed_tools":
        names = {function_name(tool.name, tool.namespace) for tool in body.tools}
        return {name: tool for name, tool in tools.items() if name in names}, body.mode
    if body.type not in ("function", "custom"):
        raise _cannot_choose()
    name = function_name(body.name, body.namespace)
    if name not in tools:
        raise invalid("tool_choice", "names none of the tools")
    return tools, NamedTool(name)


def _cannot_choose() -> GatewayError:
    message = "tool_choice: only functions and custom tools can be called."
    return GatewayError("unsupported", message, reason="tool_choice")
