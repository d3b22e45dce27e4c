"""The simulator calls tools: the vendors' SDKs run agents against it, turn by turn."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import jsonschema_rs
import pytest
from google.genai import types

from simulator import WIRES, Demo, Scripted, Simulator, Thought, ToolCall
from simulator.question import Question
from simulator.schema_values import make_value
from simulator.tool_use import choose_calls
from tests.simulator.test_simulator import connect_sdk

PROVIDERS = list(WIRES)
QUICK = Demo(pace=0, first=0)
QUESTION = "What is the weather in Paris and New York?"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
}
WEATHER = ("get_weather", "The weather of a city", SCHEMA)
TIME = ("get_time", "The time of day somewhere", SCHEMA)
MODELS = {"gemini": "gemini-3.8-flash", "claude": "claude-haiku-4-5"}


class Step(NamedTuple):
    """One answer of a model: its text, its calls with ids, and the word for its end."""

    text: str
    calls: list[tuple[str | None, str, Any]]
    finish: str | None


# One request through each SDK. `history` is in the SDK's own format, and is continued.


async def step_chat_completions(
    client: Any, model: str, history: list[Any], tools: Any, **options: Any
) -> Step:
    """OpenAI, Groq, and local servers."""
    if tools:
        functions = [
            {"name": name, "description": about, "parameters": schema}
            for name, about, schema in tools
        ]
        options["tools"] = [{"type": "function", "function": function} for function in functions]
    stream = await client.chat.completions.create(
        model=model, messages=history, stream=True, **options
    )
    text, finish = "", None
    calls: dict[int, dict[str, Any]] = {}
    async for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for piece in choice.delta.tool_calls or ():
                call = calls.setdefault(piece.index, {"id": piece.id, "name": "", "arguments": ""})
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
    said = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in calls.values()
    ]  # fmt: skip
    history.append({"role": "assistant", "content": text or None, "tool_calls": said})
    found = [(call["id"], call["name"], json.loads(call["arguments"])) for call in calls.values()]
    return Step(text, found, finish)


async def step_messages(
    client: Any, model: str, history: list[Any], tools: Any, **options: Any
) -> Step:
    """Anthropic."""
    if tools:
        options["tools"] = [
            {"name": name, "description": about, "input_schema": schema}
            for name, about, schema in tools
        ]
    async with client.messages.stream(
        model=model, max_tokens=2000, messages=history, **options
    ) as stream:
        message = await stream.get_final_message()
    history.append({"role": "assistant", "content": message.content})
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = [
        (block.id, block.name, block.input) for block in message.content if block.type == "tool_use"
    ]
    return Step(text, calls, message.stop_reason)


async def step_gemini(
    client: Any, model: str, history: list[Any], tools: Any, **options: Any
) -> Step:
    """Gemini."""
    if tools:
        functions = [
            types.FunctionDeclaration(name=name, description=about, parameters_json_schema=schema)
            for name, about, schema in tools
        ]
        options["tools"] = [types.Tool(function_declarations=functions)]
    parts: list[Any] = []
    finish = None
    async for chunk in await client.aio.models.generate_content_stream(
        model=model, contents=history, config=types.GenerateContentConfig(**options)
    ):
        parts += chunk.candidates[0].content.parts
        finish = chunk.candidates[0].finish_reason or finish
    history.append(types.Content(role="model", parts=parts))
    text = "".join(part.text or "" for part in parts if not part.thought)
    calls = [part.function_call for part in parts if part.function_call]
    return Step(text, [(call.id, call.name, call.args) for call in calls], finish and finish.value)


STEPS: dict[str, Callable[..., Awaitable[Step]]] = {"claude": step_messages, "gemini": step_gemini}


def question_for(provider: str, text: str = QUESTION) -> Any:
    """A user's turn in the SDK's format."""
    if provider == "gemini":
        return types.Content(role="user", parts=[types.Part(text=text)])
    return {"role": "user", "content": text}


def results_for(provider: str, calls: list[tuple[str | None, str, Any]]) -> list[Any]:
    """The turns with a result for each call."""
    texts = [f"{given['city']}: sunny" for _, _, given in calls]
    if provider == "gemini":
        responses = [
            types.FunctionResponse(id=call[0], name=call[1], response={"result": text})
            for call, text in zip(calls, texts, strict=True)
        ]
        parts = [types.Part(function_response=response) for response in responses]
        return [types.Content(role="user", parts=parts)]
    if provider == "claude":
        blocks = [
            {"type": "tool_result", "tool_use_id": call[0], "content": text}
            for call, text in zip(calls, texts, strict=True)
        ]
        return [{"role": "user", "content": blocks}]
    return [
        {"role": "tool", "tool_call_id": call[0], "content": text}
        for call, text in zip(calls, texts, strict=True)
    ]


async def take_step(
    client: Any, provider: str, history: list[Any], tools: Any = (WEATHER,), **options: Any
) -> Step:
    """One answer to the history, which it continues."""
    model = MODELS.get(provider, "any-model")
    step: Callable[..., Awaitable[Step]] = STEPS.get(provider, step_chat_completions)
    return await step(client, model, history, tools, **options)


async def ask_once(provider: str, text: str = QUESTION, **options: Any) -> Step:
    """One answer of the demo to one question."""
    async with Simulator(default=QUICK) as simulator, connect_sdk(simulator, provider) as client:
        return await take_step(client, provider, [question_for(provider, text)], **options)


CALLED = {"claude": "tool_use", "gemini": "STOP"}
ENDED = {"claude": "end_turn", "gemini": "STOP"}


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_sdk_runs_an_agent_of_two_turns(provider: str) -> None:
    """Each turn calls the tool for both places, and then answers with what the tool returned."""
    async with Simulator(default=QUICK) as simulator, connect_sdk(simulator, provider) as client:
        history: list[Any] = []
        ids: list[str | None] = []
        for first, second in (("Paris", "New York"), ("Oslo", "Rome")):
            question = f"What is the weather in {first} and {second}?"
            history.append(question_for(provider, question))
            called = await take_step(client, provider, history, (TIME, WEATHER))
            assert [call[1:] for call in called.calls] == [
                ("get_weather", {"city": city, "unit": "celsius"}) for city in (first, second)
            ]
            assert called.finish == CALLED.get(provider, "tool_calls")
            assert not called.text
            history += results_for(provider, called.calls)
            answered = await take_step(client, provider, history, (TIME, WEATHER))
            assert not answered.calls
            assert answered.finish == ENDED.get(provider, "stop")
            assert all(f"{city}: sunny" in answered.text for city in (first, second))
            assert question in answered.text
            ids += [call[0] for call in called.calls]
    assert len(set(ids)) == 4


NAMED: dict[str, Any] = {
    "claude": {"tool_choice": {"type": "tool", "name": "get_time"}},
    "gemini": {
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["get_time"]}}
    },
}  # fmt: skip
REQUIRED: dict[str, Any] = {
    "claude": {"tool_choice": {"type": "any"}},
    "gemini": {"tool_config": {"function_calling_config": {"mode": "ANY"}}},
}
NONE: dict[str, Any] = {
    "claude": {"tool_choice": {"type": "none"}},
    "gemini": {"tool_config": {"function_calling_config": {"mode": "NONE"}}},
}
NAMED_FUNCTION: dict[str, Any] = {
    "tool_choice": {"type": "function", "function": {"name": "get_time"}}
}


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_named_tool_is_called_whatever_the_question(provider: str) -> None:
    """OpenAI's word for the end of such a call is `stop`, as recorded."""
    options = NAMED.get(provider, NAMED_FUNCTION)
    step = await ask_once(provider, "Make a joke.", tools=(WEATHER, TIME), **options)
    assert [call[1] for call in step.calls] == ["get_time"]
    usual = {"gpt": "stop", "local": "stop", "groq": "tool_calls"}
    assert step.finish == usual.get(provider) or step.finish == CALLED.get(provider)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_choice_of_the_request_decides_over_the_question(provider: str) -> None:
    """`required` calls the first tool if none suits the question, `none` never calls, else the question decides."""
    required = REQUIRED.get(provider, {"tool_choice": "required"})
    none = NONE.get(provider, {"tool_choice": "none"})
    step = await ask_once(provider, "Make a joke.", tools=(WEATHER, TIME), **required)
    assert [call[1] for call in step.calls] == ["get_weather"]
    assert not (await ask_once(provider, **none)).calls
    assert not (await ask_once(provider, "Make a joke.")).calls


@pytest.mark.parametrize("provider", ["gpt", "claude", "groq", "local"])
async def test_parallel_calls_can_be_turned_off(provider: str) -> None:
    """Two places, but one call. Gemini has no such switch."""
    claude: dict[str, Any] = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    options = claude if provider == "claude" else {"parallel_tool_calls": False}
    step = await ask_once(provider, **options)
    assert [call[2]["city"] for call in step.calls] == ["Paris"]


@pytest.mark.parametrize(
    ("provider", "model", "pattern"),
    [
        ("gpt", "any", r"call_\w{24}"),
        ("local", "any", r"chatcmpl-tool-[0-9a-f]{32}"),
        ("groq", "openai/gpt-oss-120b", r"fc_[0-9a-f-]{36}"),
        ("groq", "moonshotai/kimi-k2", r"functions\.look:0"),
        ("claude", "any", r"toolu_01\w{22}"),
        ("gemini", "gemini-3.8-flash", r"[a-z0-9]{8}"),
    ],
)
def test_ids_are_in_the_vendors_style(provider: str, model: str, pattern: str) -> None:
    """Kimi's repeat in each turn; the gateway must make others of them."""
    wire = WIRES[provider](model, {})
    assert_found(rf'"id": ?"{pattern}"', wire.piece(ToolCall("look")))


def assert_found(pattern: str, data: bytes) -> None:
    """The pattern is in the bytes."""
    assert re.search(pattern, data.decode()), data


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "models/gemini-2.0-flash"])
def test_older_gemini_models_send_neither_ids_nor_signatures(model: str) -> None:
    """As recorded."""
    sent = WIRES["gemini"](model, {}).piece(ToolCall("look"))
    assert b"functionCall" in sent
    assert b'"id"' not in sent
    assert b"thoughtSignature" not in sent


def test_gemini_signs_the_first_call_of_an_answer() -> None:
    """Only that one, as recorded."""
    wire = WIRES["gemini"]("gemini-3.8-flash", {})
    assert b"thoughtSignature" in wire.piece(ToolCall("look"))
    assert b"thoughtSignature" not in wire.piece(ToolCall("look"))


async def test_claude_thinks_before_it_calls() -> None:
    """A block of thinking with a signature, if thinking is on."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    async with Simulator(default=QUICK) as simulator, connect_sdk(simulator, "claude") as client:
        history = [question_for("claude")]
        await take_step(client, "claude", history, thinking=thinking)
    kinds = [block.type for block in history[1]["content"]]
    assert kinds == ["thinking", "tool_use", "tool_use"]
    assert history[1]["content"][0].signature


PIECES = (
    Thought("Hm."),
    "Let me look. ",
    ToolCall("look", '{"where": "up"}', "call_7"),
    ToolCall("wait"),
)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_calls_can_be_scripted(provider: str) -> None:
    """Beside texts and thoughts, with ids and arguments of their own."""
    async with (
        Simulator(default=Scripted(PIECES)) as simulator,
        connect_sdk(simulator, provider) as client,
    ):
        step = await take_step(client, provider, [question_for(provider)])
    assert step.text == "Let me look. "
    assert [call[1:] for call in step.calls] == [("look", {"where": "up"}), ("wait", {})]
    assert step.calls[0][0] == "call_7"


# Structured answers

REPORT = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "kind": {"enum": ["rain", "sun"]},
        "days": {"type": "array", "items": {"$ref": "#/$defs/Day"}, "minItems": 2},
        "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
    },
    "required": ["city", "kind", "days", "note"],
    "additionalProperties": False,
    "$defs": {
        "Day": {
            "type": "object",
            "properties": {
                "degrees": {"type": "number", "minimum": -90, "maximum": 60},
                "hour": {"type": "integer", "exclusiveMinimum": 0},
                "when": {"type": "string", "format": "date"},
                "dry": {"type": ["boolean", "null"]},
            },
            "required": ["degrees", "hour", "when", "dry"],
            "additionalProperties": False,
        }
    },
}
OUTPUT: dict[str, Any] = {
    "claude": {"output_config": {"format": {"type": "json_schema", "schema": REPORT}}},
    "gemini": {"response_mime_type": "application/json", "response_json_schema": REPORT},
}
JSON_SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "report", "schema": REPORT},
}


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_structured_answer_fits_the_schema(provider: str) -> None:
    """By each vendor's own parameter."""
    options = OUTPUT.get(provider, {"response_format": JSON_SCHEMA})
    step = await ask_once(provider, "Report on Rome, 200 degrees.", tools=(), **options)
    value = json.loads(step.text)
    jsonschema_rs.validate(REPORT, value)
    assert value["city"] == "Rome"


@pytest.mark.parametrize("provider", ["gpt", "groq", "local", "gemini"])
async def test_json_object_is_an_object(provider: str) -> None:
    """Of any shape. Anthropic has no such format."""
    options: dict[str, Any] = {"response_format": {"type": "json_object"}}
    if provider == "gemini":
        options = {"response_mime_type": "application/json"}
    step = await ask_once(provider, "Some JSON, please.", tools=(), **options)
    assert isinstance(json.loads(step.text), dict)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"type": "string"}}, ["Paris", "New York"]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 1}, [1]),
        ({"type": "array", "prefixItems": [{"const": 7}, {"type": "null"}], "minItems": 2}, [7, None]),
        ({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}, {"a": "Paris"}),
        ({"type": "string", "minLength": 8}, "Paris..."),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
        ({"oneOf": [{"type": "null"}, {"enum": ["x", "y"]}]}, "x"),
        ({}, "Paris"),
    ],
)  # fmt: skip
def test_value_fits_its_schema(schema: dict[str, Any], value: Any) -> None:
    """Whatever words the schema uses."""
    assert make_value(schema, Question(QUESTION)) == value


def test_value_of_a_recursive_schema_ends() -> None:
    """Even if the schema itself would not."""
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}}}}
    assert "a" in make_value(schema, Question(QUESTION))


@pytest.mark.parametrize(
    ("question", "numbers"),
    [
        ("Add 2 and 3.5", [{"a": 2, "b": 3.5}]),
        ("Add 1, 2, 3 and 4.", [{"a": 1, "b": 2}, {"a": 3, "b": 4}]),
        ("Add it to -5", [{"a": -5, "b": -5}]),
        ("Add them", [{"a": 1, "b": 1}]),
    ],
)
def test_numbers_of_the_question_are_the_arguments(question: str, numbers: list[Any]) -> None:
    """In their order, as many calls as a list is enough for."""
    schema = {"properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "type": "object"}
    tool = {"type": "function", "function": {"name": "add", "parameters": schema}}
    body = {"messages": [{"role": "user", "content": question}], "tools": [tool]}
    wire = WIRES["gpt"]("any", body)
    calls = choose_calls(wire, wire.read_offer())
    assert [json.loads(call.arguments) for call in calls] == numbers


def test_required_call_after_results_is_of_another_tool() -> None:
    """As of an agent whose answer is a tool, too: what was called in this turn is not called again."""
    wire = WIRES["gpt"](
        "any",
        {
            "messages": [
                {"role": "user", "content": "weather?"},
                {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather"}}]},
                {"role": "tool", "content": "sunny"},
            ],
            "tools": [
                {"type": "function", "function": {"name": name}} for name in ("get_weather", "final_result")
            ],
            "tool_choice": "required",
        },
    )  # fmt: skip
    assert [call.name for call in choose_calls(wire, wire.read_offer())] == ["final_result"]


def choose(question: str, *tools: tuple[str, str]) -> list[str]:
    """The names of the tools that a demo answer to Claude's protocol calls."""
    offered = [{"name": name, "description": about, "input_schema": {}} for name, about in tools]
    reminder = {"type": "text", "text": "<system-reminder>\nThe date of today.\n</system-reminder>"}
    content = [reminder, {"type": "text", "text": question}]
    messages = [
        {"role": "user", "content": content},
        {"role": "user", "content": [reminder]},
    ]
    wire = WIRES["claude"]("any", {"messages": messages, "tools": offered})
    return [call.name for call in choose_calls(wire, wire.read_offer())]


def test_instructions_of_an_agent_are_no_question() -> None:
    """A coding agent puts them into the turns of its user, where they would call its tools without an end."""
    assert choose("Say hello.", ("get_date", "The date of a day")) == []
    assert choose("What is the date?", ("get_date", "The date of a day")) == ["get_date"]


def test_purpose_of_a_tool_is_at_the_beginning_of_its_description() -> None:
    """The pages that follow have the words of almost any question."""
    about = f"Launches an agent. {'It works on its own. ' * 20} Then say hello."
    assert choose("Say hello.", ("agent", about)) == []
    assert choose("Launch something.", ("agent", about)) == ["agent"]
