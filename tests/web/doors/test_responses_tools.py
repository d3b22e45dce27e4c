"""The tools of OpenAI's Responses: what models are offered of them, and the choice among them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from models import GatewayError, NamedTool, Tool, ToolChoice
from tests.clients.chat_bodies import DEFAULT_SETTINGS
from web.doors.json_fields import ABSENT
from web.doors.responses_tools import (
    AskedTools,
    ToolList,
    ToolName,
    function_name,
    read_tools,
    to_arguments,
    to_input,
)

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
SEARCH = {"type": "function", "name": "search", "description": None, "parameters": SCHEMA}
ADD = {"type": "function", "name": "add", "strict": True}
PATCH = {"type": "custom", "name": "patch", "description": "Edit."}
FILES = {"type": "namespace", "name": "files", "description": "Files.", "tools": [SEARCH, PATCH]}
WEB = {"type": "web_search", "search_context_size": "low"}


def to_raw(value: Any) -> msgspec.Raw:
    return ABSENT if value is None else msgspec.Raw(json.dumps(value).encode())


def read(tools: Any, choice: Any = None, *more: Any) -> AskedTools:
    lists = [ToolList("tools", to_raw(tools)), *(ToolList("more", to_raw(added)) for added in more)]
    return read_tools(lists, to_raw(choice), DEFAULT_SETTINGS)


def refuse(tools: Any, choice: Any = None) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        read(tools, choice)
    return raised.value


def test_function_is_offered_as_it_was_sent() -> None:
    """Its schema byte for byte, and no stricter than it was."""
    asked = read([SEARCH, ADD])
    raw = msgspec.Raw(json.dumps(SCHEMA).encode())
    nothing = msgspec.Raw(b'{"type":"object","properties":{}}')
    assert asked == AskedTools((Tool("search", raw), Tool("add", nothing, strict=True)))


def test_namespace_is_part_of_its_functions_names() -> None:
    """The client knows them by both of their names."""
    asked = read([SEARCH, FILES])
    assert [tool.name for tool in asked.tools] == ["search", "files__search", "files__patch"]
    assert asked.names == {
        "files__search": ToolName("search", "files"),
        "files__patch": ToolName("patch", "files", is_custom=True),
    }


def test_long_names_are_shortened_and_stay_different() -> None:
    """The same way in each request, to what every vendor accepts."""
    names = [function_name(f"{'a' * 50}{end}", "b" * 20) for end in "12"]
    assert [len(name) for name in names] == [64, 64]
    assert len(set(names)) == 2
    assert function_name("a" * 64, None) == "a" * 64
    assert function_name("a", "b" * 61) == f"{'b' * 61}__a"


def test_custom_tool_has_its_text_as_the_only_argument() -> None:
    """The grammar of the text is in the description."""
    form = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    (plain,), (strict,) = (read([tool]).tools for tool in (PATCH, PATCH | {"format": form}))
    assert json.loads(bytes(plain.schema)) == {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
        "additionalProperties": False,
    }
    assert plain.description == "Edit."
    assert strict.description == "Edit.\n\nThe input must match this lark grammar:\nstart: WORD"
    assert read([PATCH]).names == {"patch": ToolName("patch", is_custom=True)}


@pytest.mark.parametrize("text", ["", "a", 'a "b"\n', "{}"])
def test_text_of_a_custom_tool_comes_back(text: str) -> None:
    """Through the arguments of its function."""
    assert to_input(to_arguments(text)) == text


def test_tools_that_the_vendor_runs_are_dropped_and_said() -> None:
    """They were offers; the model answers without them."""
    asked = read([WEB, SEARCH, {"type": "mcp", "server_label": "a"}, WEB])
    assert [tool.name for tool in asked.tools] == ["search"]
    assert asked.dropped == ("tools.web_search", "tools.mcp")
    assert read([WEB], "auto") == AskedTools(dropped=("tools.web_search",))


def test_later_list_replaces_tools_of_the_same_name() -> None:
    """An agent sends its tools anew in the course of a conversation."""
    asked = read(
        [SEARCH, PATCH], None, [ADD], [ADD | {"strict": False}, SEARCH | {"name": "patch"}]
    )
    assert [(tool.name, tool.strict) for tool in asked.tools] == [
        ("search", None),
        ("patch", None),
        ("add", False),
    ]
    assert asked.names == {}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "add"}, NamedTool("add")),
        ({"type": "function", "name": "search", "namespace": "files"}, NamedTool("files__search")),
        ({"type": "custom", "name": "patch"}, NamedTool("patch")),
    ],
)
def test_choice_is_read(choice: Any, expected: ToolChoice | None) -> None:
    """In every form that names tools of the client."""
    assert read([SEARCH, ADD, PATCH, FILES], choice).choice == expected


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_tools_that_are_not_allowed_are_not_offered(mode: str) -> None:
    """Which comes to the same."""
    allowed = [{"type": "function", "name": "add"}, {"type": "web_search"}]
    asked = read([SEARCH, ADD, WEB], {"type": "allowed_tools", "mode": mode, "tools": allowed})
    assert ([tool.name for tool in asked.tools], asked.choice) == (["add"], mode)


@pytest.mark.parametrize(
    ("tools", "choice", "code", "words"),
    [
        ([SEARCH, SEARCH], None, "invalid_request", "tools.1.name: is the name of another"),
        ([SEARCH | {"name": "a b"}], None, "invalid_request", "tools.0.name: must be"),
        ([FILES | {"tools": [ADD, ADD]}], None, "invalid_request", "tools.0.tools.1.name"),
        ([{"name": "search"}], None, "invalid_request", "tools.0: object missing"),
        ([SEARCH | {"parameters": []}], None, "invalid_request", "tools.0.parameters"),
        ([{**ADD, "name": f"add{n}"} for n in range(129)], None, "invalid_request", "MAX_TOOLS"),
        ([SEARCH], {"type": "function", "name": "add"}, "invalid_request", "names none"),
        ([SEARCH], {"type": "web_search"}, "unsupported", "tool_choice: only"),
        ([], "required", "invalid_request", "needs tools"),
        ([WEB], "required", "unsupported", "tool_choice: only"),
        ([SEARCH], "always", "invalid_request", "tool_choice"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tools: Any, choice: Any, code: str, words: str) -> None:
    """With its place."""
    error = refuse(tools, choice)
    assert error.code == code
    assert words in error.safe_message
