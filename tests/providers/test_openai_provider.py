"""OpenAI's two APIs: which of them a chat goes by, and bodies that the SDK's own types accept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from openai.types.responses import response_create_params
from pydantic import TypeAdapter, ValidationError

from models import (
    NO_OPTIONS,
    AnswerOptions,
    JsonObject,
    JsonSchema,
    NamedTool,
    Part,
    Prompt,
    Reasoning,
    State,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.factory import ProviderFactory
from tests.providers.test_provider_requests import PLAIN, PROMPT, STEP, send
from tests.vendors.scripted_provider import make_settings

RESPONSES, CHAT = "/responses", "/chat/completions"
OWN = "https://api.openai.com/v1"
# The provider, OPENAI_API, the base URL, and the endpoint that is asked.
CHOICES = [
    ("gpt", "auto", OWN, RESPONSES),
    ("gpt", "auto", "https://API.OpenAI.com", RESPONSES),
    ("gpt", "auto", "https://eu.api.openai.com/v1", RESPONSES),
    ("gpt", "auto", f"{OWN}/chat/completions", RESPONSES),
    ("gpt", "auto", "https://api.openai.com.example.com/v1", CHAT),
    ("gpt", "auto", "https://notapi.openai.com/v1", CHAT),
    ("gpt", "auto", "https://me.openai.azure.com/openai/v1", CHAT),
    ("gpt", "auto", "http://127.0.0.1:8000/v1", CHAT),
    ("gpt", "chat", OWN, CHAT),
    ("gpt", "responses", OWN, RESPONSES),
    ("gpt", "responses", "http://127.0.0.1:8000/v1", RESPONSES),
    ("local", "auto", "http://127.0.0.1:8000/v1", CHAT),
    ("local", "responses", "http://127.0.0.1:8000/v1", CHAT),
    ("local", "auto", OWN, CHAT),
]


@pytest.mark.parametrize(("name", "api", "base_url", "endpoint"), CHOICES)
def test_endpoint_follows_from_the_setting_and_the_host(
    name: str, api: str, base_url: str, endpoint: str
) -> None:
    """`auto` is the Responses API on OpenAI's own hosts, and chat completions on all others."""
    settings = make_settings(name=name, openai_api=api, base_url=base_url)
    assert ProviderFactory([settings]).get(name).chat_path == endpoint  # type: ignore[attr-defined]


def test_demo_counts_as_openais_own_host() -> None:
    """So that the demo shows what a key would."""
    settings = make_settings(base_url="http://127.0.0.1:9000/openai/v1", demo=True)
    assert ProviderFactory([settings]).get("gpt").chat_path == RESPONSES  # type: ignore[attr-defined]


EFFORTS: dict[str, tuple[str | None, dict[str, Any], object]] = {
    "none": ("gpt-6-luna", {}, {"effort": "none"}),
    "the lowest that there is": ("gpt-6-astra", {}, {"effort": "low", "summary": "auto"}),
    "configured": (
        "gpt-6-luna",
        {"reasoning_effort": "high"},
        {"effort": "high", "summary": "auto"},
    ),
    "off": ("gpt-6-astra", {"reasoning_effort": "off"}, None),
    "no reasoning": ("gpt-4o", {}, None),
    "unknown": ("some/model", {}, None),
}


@pytest.mark.parametrize(("model", "options", "reasoning"), EFFORTS.values(), ids=EFFORTS)
async def test_summaries_are_asked_of_a_model_that_reasons(
    model: str, options: dict[str, Any], reasoning: object
) -> None:
    """Else it would be silent until it answers; without reasoning there is nothing to ask for."""
    body = (await send("responses", PLAIN, model_default=model, **options)).json
    assert body.get("reasoning") == reasoning


BODY = TypeAdapter(response_create_params.ResponseCreateParamsStreaming)
SCHEMA = Raw(
    b'{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],'
    b' "additionalProperties": false}'
)
TOOLS = (Tool("add", SCHEMA, "Adds one."), Tool("stop", Raw(b"{}"), strict=True))
STATE = State(
    "gpt",
    "some/model",
    '{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}',
)
THOUGHT = Reasoning("", STATE)
FORGED = Reasoning("", State("gpt", "some/model", '{"type": "item_reference", "id": "msg_1"}'))
CALL, RESULT = ToolCall("call_1", "add", '{"a":1}'), ToolResult("call_1", (Text("2"),))


def conversation(*parts: Part, last: Part = RESULT, options: AnswerOptions = NO_OPTIONS) -> Prompt:
    """A question, the parts of an assistant's turn, and the user's last one."""
    turns = (*PLAIN.turns, Turn("assistant", parts), Turn("user", (last,)))
    return Prompt("Be brief.", turns, options, is_plain=False)


PROMPTS = {
    "plain": PLAIN,
    "an image": PROMPT,
    "a call and its result": STEP,
    "reasoning": conversation(THOUGHT, Text("I see."), CALL),
    "tools": PLAIN._replace(options=AnswerOptions(tools=TOOLS, tool_choice="required")),
    "one tool": PLAIN._replace(options=AnswerOptions(tools=TOOLS, tool_choice=NamedTool("add"))),
    "a JSON object": PLAIN._replace(options=AnswerOptions(output=JsonObject())),
    "a JSON schema": PLAIN._replace(options=AnswerOptions(output=JsonSchema("sum", SCHEMA))),
}


async def body_of(prompt: Prompt, model: str = "some/model") -> dict[str, Any]:
    options = {"temperature": 0.5, "reasoning_effort": "low"}
    body = (await send("responses", prompt, model_default=model, **options)).json
    return dict(body)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
async def test_body_is_what_the_sdk_would_send(prompt: Prompt) -> None:
    """The SDK's types have every field of it, and no field is of another type; nothing is stored."""
    body = await body_of(prompt)
    valid = BODY.validate_python(body, strict=True, extra="forbid")
    assert valid["store"] is False
    with pytest.raises(ValidationError):
        BODY.validate_python(body | {"max_tokens": 1}, strict=True, extra="forbid")


CALL_ITEM = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a":1}'}
RESULT_ITEM = {"type": "function_call_output", "call_id": "call_1", "output": "2"}
STATE_ITEM = json.loads(STATE.data)
SEEN = {"role": "assistant", "content": "I see."}
ITEMS: dict[str, tuple[Prompt, list[dict[str, Any]]]] = {
    "state, text, call": (
        conversation(THOUGHT, Text("I see."), CALL),
        [STATE_ITEM, SEEN, CALL_ITEM, RESULT_ITEM],
    ),
    "text, state, call": (
        conversation(Text("I see."), THOUGHT, CALL),
        [SEEN, STATE_ITEM, CALL_ITEM, RESULT_ITEM],
    ),
    "two states": (
        conversation(THOUGHT, Reasoning("Hm."), THOUGHT, CALL),
        [STATE_ITEM, STATE_ITEM, CALL_ITEM, RESULT_ITEM],
    ),
    "a state that nothing follows": (
        conversation(Text("I see."), THOUGHT, last=Text("So?")),
        [SEEN, {"role": "user", "content": "So?"}],
    ),
    "a state that is no reasoning": (
        conversation(FORGED, CALL),
        [CALL_ITEM, RESULT_ITEM],
    ),
    "reasoning without a state": (
        conversation(Reasoning("Hm."), CALL),
        [CALL_ITEM, RESULT_ITEM],
    ),
    "a call without arguments": (
        conversation(ToolCall("call_1", "add", "")),
        [CALL_ITEM | {"arguments": "{}"}, RESULT_ITEM],
    ),
    "a result without parts": (
        conversation(CALL, last=ToolResult("call_1", (), is_error=True)),
        [CALL_ITEM, RESULT_ITEM | {"output": "Error: "}],
    ),
    "a failure": (
        conversation(CALL, last=ToolResult("call_1", (Text("No."),), is_error=True)),
        [CALL_ITEM, RESULT_ITEM | {"output": "Error: No."}],
    ),
    "a failure that says so": (
        conversation(CALL, last=ToolResult("call_1", (Text("ERROR 5"),), is_error=True)),
        [CALL_ITEM, RESULT_ITEM | {"output": "ERROR 5"}],
    ),
}


@pytest.mark.parametrize(("prompt", "items"), ITEMS.values(), ids=ITEMS)
async def test_items_are_in_their_order(prompt: Prompt, items: list[dict[str, Any]]) -> None:
    """Reasoning goes back as the vendor sent it, before what followed it, and never without that."""
    assert (await body_of(prompt))["input"][1:] == items


async def test_tools_are_flat_and_say_whether_they_are_strict() -> None:
    """By the vendor's default they would be; what the client did not say is not made stricter."""
    body = await body_of(PROMPTS["one tool"])
    schema = json.loads(bytes(SCHEMA))
    named = {"type": "function", "name": "add", "description": "Adds one."}
    bare = {"type": "function", "name": "stop"}
    assert body["tools"] == [
        named | {"parameters": schema, "strict": False},
        bare | {"parameters": {"type": "object", "properties": {}}, "strict": False},
    ]
    assert body["tool_choice"] == {"type": "function", "name": "add"}
    assert (await body_of(PROMPTS["tools"]))["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("question", "items"),
    [("What is this?", ["developer", "user"]), ("As json, please.", ["user"])],
)
async def test_input_names_json_if_the_answer_is_to_be_json(
    question: str, items: list[str]
) -> None:
    """The vendor does not look for the word in the instructions, and refuses without it."""
    options = AnswerOptions(output=JsonObject())
    prompt = Prompt("Answer in JSON.", (Turn("user", (Text(question),)),), options)
    body = await body_of(prompt)
    assert [item["role"] for item in body["input"]] == items
    assert body["text"] == {"format": {"type": "json_object"}}


@pytest.mark.parametrize("strict", [True, False, None])
async def test_schema_is_as_strict_as_the_client_says(strict: bool | None) -> None:
    """Its description is sent if there is one."""
    output = JsonSchema("sum", SCHEMA, "A sum.", strict)
    body = await body_of(PLAIN._replace(options=AnswerOptions(output=output)))
    form = {"type": "json_schema", "name": "sum", "schema": json.loads(bytes(SCHEMA))}
    said = {"description": "A sum."} | ({} if strict is None else {"strict": strict})
    assert body["text"] == {"format": form | said}


@pytest.mark.parametrize(
    ("model", "prompt", "is_asked"),
    [
        ("gpt-6-luna", PROMPTS["tools"], True),
        ("gpt-6-luna", STEP, True),
        ("gpt-6-luna", PLAIN, False),
        ("gpt-4o", PROMPTS["tools"], False),
        ("some/model", PROMPTS["tools"], True),
    ],
)
async def test_encrypted_reasoning_is_asked_for_with_tools(
    model: str, prompt: Prompt, is_asked: bool
) -> None:
    """It goes back within a step of tools; a model that does not reason refuses to be asked."""
    body = await body_of(prompt, model)
    assert body.get("include") == (["reasoning.encrypted_content"] if is_asked else None)
