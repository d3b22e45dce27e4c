"""What a client asks of the answer, as the native door reads it: tools, output, sampling."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from configuration import Settings
from models import (
    NO_OPTIONS,
    AnswerOptions,
    GatewayError,
    JsonObject,
    JsonSchema,
    NamedTool,
    Reasoning,
    State,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from settings.values import CLIENT_PARAMETERS
from tests.clients.chat_bodies import DEFAULT_SETTINGS, read_chat
from web.doors.answer_options import FIELDS
from web.doors.native import decode_chat

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
RAW = msgspec.Raw(json.dumps(SCHEMA).encode())
FUNCTION = {"name": "weather", "description": "Look it up.", "parameters": SCHEMA, "strict": True}
WEATHER = Tool("weather", RAW, "Look it up.", strict=True)
QUESTION = {"role": "user", "content": "Hi"}


def read_options(settings: Settings = DEFAULT_SETTINGS, /, **fields: Any) -> AnswerOptions:
    body = json.dumps({"messages": [QUESTION], **fields}).encode()
    return decode_chat(body, settings).chat.options


def refuse(settings: Settings = DEFAULT_SETTINGS, **fields: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read_options(settings, **fields)
    return caught.value


def read_turns(*messages: dict[str, Any]) -> list[Turn]:
    return list(read_chat({"messages": [QUESTION, *messages]}).turns[1:])


@pytest.mark.parametrize(
    "tool", [FUNCTION, {"type": "function", **FUNCTION}, {"type": "function", "function": FUNCTION}]
)
def test_tool_may_have_its_function_in_a_field_or_not(tool: dict[str, Any]) -> None:
    """As OpenAI's chat completions and Responses have it; the schema stays as it was sent."""
    assert read_options(tools=[tool]) == AnswerOptions(tools=(WEATHER,))


def test_what_is_null_or_empty_is_not_asked() -> None:
    """Front ends send all fields; a tool needs nothing but its name."""
    names = AnswerOptions.__struct_fields__
    nulls: dict[str, Any] = dict.fromkeys(
        [*names, "parallel_tool_calls", "response_format", "reasoning_effort"]
    )
    assert read_options(**nulls) is NO_OPTIONS
    assert (
        read_options(tools=[], tool_choice="auto", response_format={"type": "text"}) == NO_OPTIONS
    )
    (tool,) = read_options(tools=[{"name": "f", "description": None, "strict": None}]).tools
    assert json.loads(bytes(tool.schema)) == {"type": "object", "properties": {}}
    assert (tool.description, tool.strict) == (None, None)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"top_p": 1}, {"top_p": 1.0}),
        ({"seed": -1}, {"seed": -1}),
        ({"stop": "END"}, {"stop": ("END",)}),
        ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
        ({"reasoning_effort": "xhigh"}, {"effort": "xhigh"}),
        ({"parallel_tool_calls": False}, {"parallel": False}),
        ({"response_format": {"type": "json_object"}}, {"output": JsonObject()}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "city", "schema": SCHEMA, "strict": False},
                }
            },
            {"output": JsonSchema("city", RAW, None, strict=False)},
        ),
    ],
)
def test_option_is_read(fields: dict[str, Any], asked: dict[str, Any]) -> None:
    """Each by its own field, in the shapes that clients send."""
    assert read_options(**fields) == AnswerOptions(**asked)


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "function": {"name": "weather"}}, NamedTool("weather")),
        ({"type": "function", "name": "weather"}, NamedTool("weather")),
        ({"name": "weather"}, NamedTool("weather")),
    ],
)
def test_choice_of_a_tool_is_read(choice: Any, read: Any) -> None:
    """A word, or one tool by its name."""
    assert read_options(tools=[FUNCTION], tool_choice=choice).tool_choice == read


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tools": {}}, "tools: expected a list"),
        ({"tools": [{"description": "x"}]}, "tools.0: object missing required field name"),
        ({"tools": [{"name": "a b"}]}, "tools.0.name: must be 1 to 64 letters"),
        ({"tools": [{"name": "x" * 65}]}, "tools.0.name: must be 1 to 64 letters"),
        ({"tools": [FUNCTION, FUNCTION]}, "tools.1.name: is the name of another tool"),
        ({"tools": [{"name": "f", "parameters": [1]}]}, "tools.0.parameters: expected an object"),
        ({"tool_choice": "required"}, "tool_choice: needs tools"),
        ({"tool_choice": {"name": "f"}}, "tool_choice: names none of the tools"),
        ({"tool_choice": "any"}, "tool_choice: is not one of the values"),
        ({"response_format": {"type": "xml"}}, "response_format.type: is not one of the values"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema: expected"),
        ({"max_tokens": 0}, "max_tokens: must be from 1"),
        ({"temperature": 2.1}, "temperature: must be from 0 to 2"),
        ({"top_p": "high"}, "top_p: expected a number"),
        ({"seed": 1.5}, "seed: expected a number"),
        ({"stop": [""]}, "stop: an entry must have 1 to 1000 characters"),
        ({"stop": ["a"] * 17}, "stop: has 17 entries; 16 are allowed"),
        ({"reasoning_effort": "a lot"}, "reasoning_effort: is not one of the values"),
    ],
)
def test_invalid_option_is_refused_by_its_name(fields: dict[str, Any], words: str) -> None:
    """Before any vendor is called, and without quoting what the client sent."""
    error = refuse(**fields)
    assert error.code == "invalid_request"
    assert words in error.safe_message


@pytest.mark.parametrize("kind", ["web_search", "namespace", "custom", "mcp"])
def test_tool_that_is_no_function_is_unsupported(kind: str) -> None:
    """Only the vendor could execute it."""
    error = refuse(tools=[FUNCTION, {"type": kind}])
    assert (error.code, error.kind.status) == ("unsupported", 400)
    assert "tools.1" in error.safe_message


@pytest.mark.parametrize(
    ("limit", "fields", "words"),
    [
        ({"max_tools": 1}, {"tools": [{"name": "a"}, {"name": "b"}]}, "2 tools; MAX_TOOLS is 1"),
        ({"max_schema_bytes": 20}, {"tools": [FUNCTION]}, "MAX_SCHEMA_BYTES is 20"),
        ({"max_schema_depth": 2}, {"tools": [FUNCTION]}, "3 levels in a schema"),
    ],
)
def test_limit_of_tools_is_named(limit: dict[str, int], fields: Any, words: str) -> None:
    """With the number that was seen."""
    settings = DEFAULT_SETTINGS.model_copy(update=limit)
    assert words in refuse(settings, **fields).safe_message


def test_client_parameter_that_is_not_allowed_is_ignored() -> None:
    """Like an unknown field, valid or not."""
    settings = DEFAULT_SETTINGS.model_copy(update={"client_parameters": ("seed",)})
    asked = read_options(settings, tools="none", temperature=9, seed=1)
    assert asked == AnswerOptions(seed=1)


STATE = State("claude", "haiku", '{"type": "thinking"}')
SENT_STATE = {"provider": "claude", "model": "haiku", "data": '{"type": "thinking"}'}
CALL = ToolCall("call_1", "weather", '{"city": "Rome"}')


@pytest.mark.parametrize(
    "call",
    [
        {"id": "call_1", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"id": "call_1", "name": "weather", "arguments": {"city": "Rome"}},
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
        },
    ],
)
def test_call_in_the_history_is_read_in_both_shapes(call: dict[str, Any]) -> None:
    """As this door sends it, or as OpenAI does; the content beside it may be null or absent."""
    for content in ({}, {"content": None}):
        turns = read_turns({"role": "assistant", "tool_calls": [call], **content})
        assert turns == [Turn("assistant", (CALL,))]


def test_states_come_back_before_what_they_belong_to() -> None:
    """Those of the reasoning at the beginning of the turn, a call's own with the call."""
    call = {"id": "call_1", "name": "weather", "arguments": "{}", "state": SENT_STATE}
    (turn,) = read_turns(
        {"role": "assistant", "content": "So.", "states": [SENT_STATE], "tool_calls": [call]}
    )
    assert turn.parts == (
        Reasoning("", STATE),
        Text("So."),
        ToolCall("call_1", "weather", "{}", STATE),
    )


def test_result_of_a_tool_is_read() -> None:
    """Text, parts or nothing, and whether the tool failed."""
    assert read_turns({"role": "tool", "tool_call_id": "call_1", "content": "21"}) == [
        Turn("user", (ToolResult("call_1", (Text("21"),)),))
    ]
    (turn,) = read_turns({"role": "tool", "tool_call_id": "call_1", "is_error": True})
    assert turn.parts == (ToolResult("call_1", (), is_error=True),)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "tool", "content": "21"}, "messages.1.tool_call_id: expected a string"),
        (
            {"role": "tool", "tool_call_id": "", "content": "21"},
            "messages.1.tool_call_id: is empty",
        ),
        (
            {"role": "assistant", "tool_calls": [{"name": "f"}]},
            "messages.1.tool_calls.0.id: expected a string",
        ),
        ({"role": "assistant", "tool_calls": "f"}, "messages.1.tool_calls: expected a list"),
        (
            {"role": "assistant", "states": [SENT_STATE | {"data": '{},"model":1'}]},
            "body is not valid JSON",
        ),
        ({"role": "assistant", "states": [{"data": "{}"}]}, "messages.1.states.0: object missing"),
    ],
)
def test_invalid_step_is_refused(message: dict[str, Any], words: str) -> None:
    """State becomes part of a vendor's body, so it must be one value of JSON."""
    with pytest.raises(GatewayError) as caught:
        read_turns(message)
    assert words in caught.value.safe_message


def test_every_client_parameter_is_read() -> None:
    """CLIENT_PARAMETERS names the fields of a body."""
    assert set(CLIENT_PARAMETERS) == set(FIELDS)
