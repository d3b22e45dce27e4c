"""What a client asks of an answer, in the body of a request: tools, choices, formats, reasoning that goes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models import (
    AnswerOptions,
    Chat,
    Image,
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
    ToolChoice,
    ToolResult,
    Turn,
)
from prompt_engineering import build_prompt
from providers.capabilities import Capability
from providers.groq_provider import GroqProvider
from providers.wires import chat_completions_body, generate_content_body, messages_body
from tests.vendors.sdk_types import check_request

SCHEMA = (
    b'{"type": "object",  "properties": {"city": {"type": "string"}}, "required": ["city"],'
    b' "additionalProperties": false}'
)
LOOK = Tool("look", msgspec.Raw(SCHEMA), "Looks.", strict=True)
BARE = Tool("stop", msgspec.Raw(b'{"type":"object"}'))
QUESTION = Turn("user", (Text("How is it?"),))
THINKING = '{"type":"thinking","thinking":"Hm.","signature":"c2ln"}'
MAKERS: dict[str, Callable[[Prompt, str], dict[str, object]]] = {
    "claude": messages_body.to_body,
    "gpt": chat_completions_body.to_body,
    "groq": GroqProvider.to_body,
}
VENDORS = tuple(MAKERS)


def make_body(name: str, prompt: Prompt) -> Any:
    """The body as the vendor gets it; it must be of the type of its SDK."""
    body = json.loads(msgspec.json.encode(MAKERS[name](prompt, "m")))
    check_request(name, body | ({"max_tokens": 10} if name == "claude" else {}))
    return body


def ask(name: str, **options: Any) -> Any:
    """The body of a question with options."""
    return make_body(name, Prompt("", (QUESTION,), AnswerOptions(**options)))


@pytest.mark.parametrize("name", VENDORS)
def test_types_of_the_sdks_refuse_what_is_no_request(name: str) -> None:
    """So that the checks of this file mean something, down to the parts of a message."""
    for messages in ([{"role": "reader", "content": "x"}], [{"role": "user", "content": [7]}]):
        with pytest.raises(ValidationError):
            check_request(
                name, {"model": "m", "max_tokens": 1, "stream": True, "messages": messages}
            )


def test_tools_are_sent_with_what_the_client_said_of_them() -> None:
    """Description and strict only if they were said, and the schema as it came."""
    schema = json.loads(SCHEMA)
    assert ask("claude", tools=(LOOK, BARE))["tools"] == [
        {"name": "look", "description": "Looks.", "input_schema": schema, "strict": True},
        {"name": "stop", "input_schema": {"type": "object"}},
    ]
    look = {"name": "look", "description": "Looks.", "parameters": schema, "strict": True}
    empty = {"type": "object", "properties": {}}
    assert ask("gpt", tools=(LOOK, BARE))["tools"] == [
        {"type": "function", "function": look},
        {"type": "function", "function": {"name": "stop", "parameters": empty}},
    ]


def test_schema_is_sent_byte_for_byte() -> None:
    """Its author chose it, and vendors cache it."""
    prompt = Prompt("", (QUESTION,), AnswerOptions(tools=(LOOK,)))
    for make in (messages_body.to_body, chat_completions_body.to_body):
        assert SCHEMA in msgspec.json.encode(make(prompt, "m"))


@pytest.mark.parametrize("name", VENDORS)
def test_strict_schema_is_in_the_vendors_dialect(name: str) -> None:
    """What a vendor's strict mode cannot express is sent as not strict."""
    reference = b'{"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"],'
    reference += b' "additionalProperties": false, "$defs": {"a": {"type": "string"}}}'
    free = b'{"type": "object", "additionalProperties": {"type": "string"}}'
    tools = tuple(
        Tool("look", msgspec.Raw(schema), strict=True) for schema in (SCHEMA, reference, free)
    )
    sent = make_body(name, Prompt("", (QUESTION,), AnswerOptions(tools=tools)))["tools"]
    functions = [tool.get("function", tool) for tool in sent]
    assert [function["strict"] for function in functions] == [True, True, False]
    assert ("$defs" in json.dumps(functions[1])) == (name != "groq")


@pytest.mark.parametrize(
    ("choice", "claude", "chat"),
    [
        (None, None, None),
        ("auto", {"type": "auto"}, "auto"),
        ("none", {"type": "none"}, "none"),
        ("required", {"type": "any"}, "required"),
        (
            NamedTool("look"),
            {"type": "tool", "name": "look"},
            {"type": "function", "function": {"name": "look"}},
        ),
    ],
)
def test_choice_of_a_tool_is_in_the_vendors_words(
    choice: ToolChoice | None, claude: Any, chat: Any
) -> None:
    """Nothing is said if the client said nothing, or has no tools."""
    assert ask("claude", tools=(LOOK,), tool_choice=choice).get("tool_choice") == claude
    assert ask("gpt", tools=(LOOK,), tool_choice=choice).get("tool_choice") == chat
    for name in VENDORS:
        assert "tool_choice" not in ask(name, tool_choice=choice, parallel=False)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
        (NamedTool("look"), {"type": "tool", "name": "look", "disable_parallel_tool_use": True}),
        ("none", {"type": "none"}),
    ],
)
def test_claude_is_asked_for_one_call_at_a_time(choice: ToolChoice | None, sent: Any) -> None:
    """By a field of the choice, which is `auto` if the client made none."""
    assert ask("claude", tools=(LOOK,), tool_choice=choice, parallel=False)["tool_choice"] == sent
    said = ask("claude", tools=(LOOK,), tool_choice=choice, parallel=True).get("tool_choice", {})
    assert "disable_parallel_tool_use" not in said


def test_schema_of_the_answer_is_sent() -> None:
    """By each vendor's own field."""
    output = JsonSchema("weather", msgspec.Raw(SCHEMA), "The weather.", strict=True)
    schema = json.loads(SCHEMA)
    assert ask("claude", output=output)["output_config"] == {
        "format": {"type": "json_schema", "schema": schema}
    }
    named = {"name": "weather", "description": "The weather.", "strict": True, "schema": schema}
    assert ask("gpt", output=output)["response_format"] == {
        "type": "json_schema",
        "json_schema": named,
    }
    bare = ask("groq", output=JsonSchema("weather", msgspec.Raw(SCHEMA)))["response_format"]
    assert bare["json_schema"] == {"name": "weather", "schema": schema}


@pytest.mark.parametrize(
    ("system", "question", "sent"),
    [
        ("Be brief.", "Give me Json.", "Be brief."),
        ("Write JSON.", "How is it?", "Write JSON."),
        ("Be brief.", "How is it?", "Be brief.\n\nAnswer with a JSON object."),
        ("", "How is it?", "Answer with a JSON object."),
    ],
)
def test_messages_name_json_if_an_object_is_asked_for(
    system: str, question: str, sent: str
) -> None:
    """Vendors refuse `json_object` if the word is nowhere in the messages."""
    options = AnswerOptions(output=JsonObject())
    body = make_body("gpt", Prompt(system, (Turn("user", (Text(question),)),), options))
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0] == {"role": "system", "content": sent}


def state(data: str) -> Reasoning:
    """The state of reasoning."""
    return Reasoning("", State("p", "m", data))


def step(*before: Part, call_id: str = "call_1") -> tuple[Turn, Turn]:
    """A call after these parts, and its result."""
    call = ToolCall(call_id, "look", "{}")
    return Turn("assistant", (*before, call)), Turn("user", (ToolResult(call_id, (Text("2"),)),))


def test_thinking_is_sent_byte_for_byte_before_its_call() -> None:
    """Claude refuses blocks that were changed, down to their white space."""
    prompt = Prompt("", (QUESTION, *step(state(THINKING), Text("So."))), is_plain=False)
    assert [block["type"] for block in make_body("claude", prompt)["messages"][1]["content"]] == [
        "thinking",
        "text",
        "tool_use",
    ]
    assert THINKING.encode() in msgspec.json.encode(messages_body.to_body(prompt, "m"))


def test_reasoning_without_a_state_is_not_sent() -> None:
    """The vendor would take it for what the model said."""
    prompt = Prompt("", (QUESTION, *step(Reasoning("Hm."))), is_plain=False)
    for name in VENDORS:
        assert "Hm." not in json.dumps(make_body(name, prompt))


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning_details"])
def test_reasoning_goes_back_with_the_calls_of_the_current_step(field: str) -> None:
    """In the field in which the server sent it; not with those before the newest question."""
    kept = state(f'{{"{field}":["as", "it came"],"type":"reasoning"}}')
    turns = (QUESTION, *step(kept), *step(kept, call_id="call_2"))
    messages = make_body("gpt", Prompt("", turns, is_plain=False))["messages"]
    assert [message.get(field) for message in messages] == [
        None,
        ["as", "it came"],
        None,
        ["as", "it came"],
        None,
    ]
    assert not any("type" in message for message in messages)
    for following in (Turn("assistant", (Text("2."),)), QUESTION), ():
        asked = (*turns, *following) if following else (*turns[:-1], with_text(turns[-1]))
        later = make_body("gpt", Prompt("", asked, is_plain=False))["messages"]
        assert not any(field in message for message in later)


def with_text(turn: Turn) -> Turn:
    """A turn of results in which the user says something, too."""
    return Turn("user", (*turn.parts, Text("Go on.")))


@pytest.mark.parametrize("name", ["gpt", "groq"])
def test_failed_result_says_so_in_its_text(name: str) -> None:
    """The wire has no field for it, and the model would take the call for done."""
    for parts, text in (("No.",), "Error: No."), ((), "Error: "), (("error: x",), "error: x"):
        result = ToolResult("call_1", tuple(map(Text, parts)), is_error=True)
        prompt = Prompt("", (QUESTION, step()[0], Turn("user", (result,))), is_plain=False)
        assert make_body(name, prompt)["messages"][-1]["content"] == text


@pytest.mark.parametrize("text", ["", " \n"])
def test_claude_is_sent_no_text_of_white_space_within_a_result(text: str) -> None:
    """It refuses the request; many tools have nothing to say."""
    result = ToolResult("call_1", (Text(text), Image("image/png", "aGk="), Text(text)))
    for parts, kinds in (result.parts, ["image"]), (result.parts[:1], None):
        answered = Turn("user", (msgspec.structs.replace(result, parts=parts),))
        body = make_body("claude", Prompt("", (QUESTION, step()[0], answered), is_plain=False))
        content = body["messages"][-1]["content"][0].get("content")
        assert (content and [block["type"] for block in content]) == kinds


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8).map(Text)
IMAGES = st.just(Image("image/png", "aGk="))
IDS = st.sampled_from(["call_1", "call_2", "functions.add:0", "", "x" * 50, "ä"])
ARGUMENTS = st.sampled_from(["", "{}", '{"a": [1, null, "ä"]}', "not JSON", "[1]", "{"])
CALLS = st.builds(ToolCall, IDS, st.sampled_from(["look", "stop"]), ARGUMENTS)
RESULTS = st.builds(ToolResult, IDS, st.lists(TEXTS | IMAGES, max_size=3).map(tuple), st.booleans())
REASONING = st.sampled_from([Reasoning("Hm."), state(THINKING)])
TURNS = st.one_of(
    st.builds(Turn, st.just("user"), st.lists(TEXTS | IMAGES | RESULTS, max_size=4).map(tuple)),
    st.builds(
        Turn, st.just("assistant"), st.lists(TEXTS | CALLS | REASONING, max_size=4).map(tuple)
    ),
)
OPTIONS = st.builds(
    AnswerOptions,
    tools=st.sampled_from([(), (LOOK,), (LOOK, BARE)]),
    tool_choice=st.sampled_from([None, "auto", "none", "required", NamedTool("look")]),
    parallel=st.sampled_from([None, True, False]),
    output=st.sampled_from([None, JsonObject(), JsonSchema("s", msgspec.Raw(SCHEMA))]),
)


@settings(deadline=None)
@given(st.lists(TURNS, max_size=8), OPTIONS)
def test_any_history_becomes_a_request_with_its_calls_in_pairs(
    turns: list[Turn], options: AnswerOptions
) -> None:
    """Each call has its result, by its id, right after it; no id twice; the SDKs take the body."""
    prompt = build_prompt(Chat(turns=(QUESTION, *turns, QUESTION), options=options), None)
    calls = [part for turn in prompt.turns for part in turn.parts if isinstance(part, ToolCall)]
    ids = [call.id for call in calls]
    assert len(set(ids)) == len(ids)
    for name in VENDORS:
        pairs = read_pairs(name, make_body(name, prompt)["messages"])
        assert [asked for asked, _ in pairs] == [answered for _, answered in pairs] == ids


def read_pairs(name: str, messages: list[Any]) -> list[tuple[str, str]]:
    """The ids of the calls with those of the results right after them."""
    pairs: list[tuple[str, str]] = []
    for place, message in enumerate(messages):
        following = messages[place + 1 :]
        if name == "claude":
            asked = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
            blocks = following[0]["content"] if asked else []
            answered = [block.get("tool_use_id") for block in blocks[: len(asked)]]
        else:
            asked = [call["id"] for call in message.get("tool_calls", ())]
            answered = [result.get("tool_call_id") for result in following[: len(asked)]]
        pairs += zip(asked, answered, strict=True)
    return pairs


def to_gemini(prompt: Prompt, _: str) -> dict[str, object]:
    return generate_content_body.to_body(prompt, Capability(), {})


@pytest.mark.parametrize("make", [*MAKERS.values(), to_gemini], ids=[*MAKERS, "gemini"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_json_of_a_client_can_be_sent(
    make: Callable[[Prompt, str], dict[str, object]], opening: str, closing: str
) -> None:
    """At whatever depth: what fails while a request is made would count against the vendor."""
    for depth in (*range(900, 1_050), 50_000):
        deep = opening * depth + "1" + closing * depth
        state = State("p", "m", f'{{"type":"thinking","thoughtSignature":"x","a":{deep}}}')
        call = ToolCall("call_1", "look", f'{{"a":{deep}}}', state)
        turns = (QUESTION, Turn("assistant", (Reasoning("", state), call)))
        result = Turn("user", (ToolResult("call_1", (Text("well"),)),))
        msgspec.json.encode(make(Prompt("", (*turns, result), is_plain=False), "m"))
