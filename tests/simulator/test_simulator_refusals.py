"""The simulator refuses what the vendors refuse, in their words: parameters, schemas, unsound histories."""

from __future__ import annotations

import json
import re
from typing import Any

import openai
import pytest

from simulator import WIRES, Checked, Scripted, Simulator, Thought, ToolCall
from simulator.refusals import find_refusal
from simulator.refusals.rules import Rules, find_rules
from tests.simulator.test_simulator import WIRES_BY_NAME, connect_sdk

ASKED_TEXT = {"type": "text", "text": "What is it?"}
ASKED = [{"role": "user", "content": ASKED_TEXT["text"]}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
STRICT = {
    "type": "function",
    "function": {"name": "look", "parameters": SCHEMA, "strict": True},
}
TOOL = {"name": "look", "input_schema": SCHEMA}
DECLARED = [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": SCHEMA}]}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}


def refusal(provider: str, model: str, body: dict[str, Any]) -> str | None:
    """The message of the vendor's 400; None if it accepts the request."""
    others: dict[str, dict[str, Any]] = {
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "What is it?"}]}]},
        "responses": {"input": ASKED},
    }
    started = others.get(provider, {"messages": ASKED})
    if provider == "claude":
        started["max_tokens"] = 100
    found = find_refusal(WIRES_BY_NAME[provider](model, {**started, **body}))
    return str(json.loads(found)["error"]["message"]) if found else None


NONE, LOW = {"reasoning_effort": "none"}, {"reasoning_effort": "low"}
TOOLS = {"tools": [FUNCTION]}
OBJECT = {"response_format": {"type": "json_object"}}


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        ("gpt-5.6-luna", TOOLS, "set reasoning_effort to 'none'"),
        ("gpt-6-luna", TOOLS | LOW, "Function tools with reasoning_effort are not supported for gpt-6-luna"),
        ("gpt-6-luna", TOOLS | NONE, None),
        ("gpt-6-astra", TOOLS | LOW, "Please use /v1/responses instead."),
        ("gpt-5.4-mini", TOOLS | NONE, "Please use /v1/responses instead."),
        ("gpt-5.4-mini", TOOLS, None),
        ("o4-mini", {"reasoning_effort": "minimal"}, "'minimal' is not supported with the 'o4-mini' model. Supported "
         "values are: 'low', 'medium', and 'high'."),
        ("gpt-4o", LOW, "Unrecognized request argument supplied: reasoning_effort"),
        ("gpt-4o", {"temperature": 0.5, "stop": ["x"], "max_tokens": 5}, None),
        ("gpt-6-luna", {"temperature": 0.5}, "'temperature' does not support 0.5 with this model"),
        ("gpt-6-luna", {"temperature": 0.5, "top_p": 0.5} | NONE, None),
        ("gpt-6-luna", {"temperature": 1}, None),
        ("gpt-6-luna", {"top_p": 0.5} | LOW, "Unsupported parameter: 'top_p'"),
        ("gpt-5.1", {"temperature": 0.5}, None),
        ("o3", {"stop": ["x"]}, "Unsupported parameter: 'stop'"),
        ("o3", {"max_tokens": 5}, "Use 'max_completion_tokens' instead."),
        ("gpt-4o", {"max_completion_tokens": 20_000}, "This model supports at most 16384 completion tokens"),
        ("gpt-4o", {"tools": []}, "Invalid 'tools': empty array."),
        ("gpt-4o", {"tool_choice": "none"}, "'tool_choice' is only allowed when 'tools' are specified."),
        ("gpt-4o", {"parallel_tool_calls": False}, "'parallel_tool_calls' is only allowed"),
        ("gpt-4o", {"tools": [{"type": "function", "function": {"name": "a.b"}}]}, "string does not match pattern"),
        ("gpt-4o", {"tools": [{"type": "function", "function": {"name": "a", "parameters": {}}}]},
         "got 'type: \"None\"'"),
        ("gpt-4o", {"tools": [STRICT]}, "In context=(), 'additionalProperties' is required"),
        ("gpt-4o", OBJECT, "'messages' must contain the word 'json' in some form"),
        ("gpt-4o", OBJECT | {"messages": [{"role": "user", "content": "As JSON"}]}, None),
        ("gpt-4o", {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {
            "type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"], "additionalProperties": False}}}},
         "Missing 'b'."),
        ("gpt-4o", {"messages": [*ASKED, CALLING]}, "did not have response messages: call_1"),
        ("gpt-4o", {"messages": [*ASKED, CALLING, *ASKED, RESULT]}, "did not have response messages: call_1"),
        ("gpt-4o", {"messages": [*ASKED, RESULT]}, "must be a response to a preceeding message with 'tool_calls'"),
        ("gpt-4o", {"messages": [*ASKED, CALLING, RESULT]}, None),
        ("gpt-4o", {"messages": [*ASKED, {**CALLING, "tool_calls": [{**CALL, "id": "x" * 65}]}]}, "string too long"),
        ("any-other", TOOLS | LOW | {"temperature": 2}, None),
    ],
)  # fmt: skip
def test_openai_refuses(model: str, body: dict[str, Any], words: str | None) -> None:
    """On chat completions."""
    check("gpt", model, body, words)


def check(provider: str, model: str, body: dict[str, Any], words: str | None) -> None:
    """The vendor refuses in these words; without any it accepts."""
    found = refusal(provider, model, body)
    assert found is None if words is None else words in (found or "")


FLAT = {"type": "function", "name": "look", "parameters": SCHEMA}
FLAT_CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
FLAT_RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
FLAT_OBJECT = {"text": {"format": {"type": "json_object"}}}
FLAT_SCHEMA = {"type": "json_schema", "name": "x", "schema": SCHEMA}


def effort(word: str) -> dict[str, Any]:
    """The effort as the Responses API takes it."""
    return {"reasoning": {"effort": word}}


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        ("gpt-6-luna", {"tools": [FLAT]}, "Missing required parameter: 'tools[0].strict'."),
        ("gpt-6-luna", {"tools": [{**FLAT, "strict": False}]} | effort("low"), None),
        ("gpt-6-luna", {"tools": [{**FLAT, "strict": True}]}, "Invalid schema for function 'look': In context=()"),
        ("gpt-6-luna", {"tools": [{"type": "web_search"}]}, None),
        ("o4-mini", effort("minimal"), "Supported values are: 'low', 'medium', and 'high'."),
        ("gpt-6-luna", effort("max"), None),
        ("gpt-4o", effort("low"), "Unsupported parameter: 'reasoning.effort'"),
        ("gpt-6-luna", {"temperature": 0.5}, "Unsupported parameter: 'temperature'"),
        ("gpt-6-luna", {"temperature": 0.5} | effort("none"), None),
        ("gpt-4o", {"stop": ["x"]}, "Unknown parameter: 'stop'."),
        ("gpt-4o", {"seed": 1}, "Unknown parameter: 'seed'."),
        ("gpt-4o", {"max_output_tokens": 5}, "Expected a value >= 16, but got 5 instead."),
        ("gpt-4o", {"max_output_tokens": 20_000}, "Expected a value <= 16384"),
        ("gpt-4o", FLAT_OBJECT, "must contain the word 'json' in some form"),
        ("gpt-4o", FLAT_OBJECT | {"instructions": "As JSON"}, "must contain the word 'json' in some form"),
        ("gpt-4o", FLAT_OBJECT | {"input": "As JSON"}, None),
        ("gpt-4o", {"text": {"format": {**FLAT_SCHEMA, "strict": True}}}, "Invalid schema for response_format 'x'"),
        ("gpt-4o", {"text": {"format": FLAT_SCHEMA}}, None),
        ("gpt-4o", {"input": [*ASKED, FLAT_CALL]}, "No tool output found for function call call_1."),
        ("gpt-4o", {"input": [*ASKED, FLAT_RESULT]}, "No tool call found for function call output"),
        ("gpt-4o", {"input": [*ASKED, {**FLAT_CALL, "call_id": "x" * 65}, {**FLAT_RESULT, "call_id": "x" * 65}]},
         "Invalid 'input[1].call_id': string too long."),
        ("gpt-6-luna", {"input": [*ASKED, REASONING, FLAT_CALL, FLAT_RESULT]}, None),
        ("gpt-6-luna", {"input": [*ASKED, REASONING, *ASKED]}, "without its required following item"),
        ("gpt-6-luna", {"input": [*ASKED, REASONING]}, "Item 'rs_1' of type 'reasoning' was provided"),
    ],
)  # fmt: skip
def test_openai_refuses_responses(model: str, body: dict[str, Any], words: str | None) -> None:
    """On the Responses API, which takes other parameters."""
    check("responses", model, body, words)


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        ("openai/gpt-oss-120b", LOW, None),
        ("openai/gpt-oss-120b", NONE, "`reasoning_effort` must be one of `low`, `medium` or `high`"),
        ("qwen/qwen3-32b", LOW, "must be one of `none` or `default`"),
        ("llama-3.3-70b", LOW, "reasoning_effort is not supported with this model"),
        ("openai/gpt-oss-20b", {"max_completion_tokens": 70_000}, "less than or equal to `65536`"),
        ("any", {"stop": ["a", "b", "c", "d", "e"]}, "maximum number of items is 4"),
        ("qwen/qwen3-32b", {"response_format": {"type": "json_schema"}}, "does not support response format"),
        ("any", OBJECT, "must contain the word 'json'"),
        ("openai/gpt-oss-120b", {"response_format": {"type": "json_schema"}, "tools": [TOOL]},
         "json mode cannot be combined with tool/function calling"),
        ("openai/gpt-oss-120b", {"tools": [TOOL]}, None),
    ],
)  # fmt: skip
def test_groq_refuses(model: str, body: dict[str, Any], words: str | None) -> None:
    """Efforts go by the model's maker."""
    check("groq", model, body, words)


USE: dict[str, Any] = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "a", "name": "look", "input": {}}],
}
USED = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "a", "content": "sunny"}],
}
FORCED = {"tools": [TOOL], "tool_choice": {"type": "any"}}
MANUAL = {"thinking": {"type": "enabled", "budget_tokens": 50}}
ADAPTIVE = {"thinking": {"type": "adaptive"}}


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        ("claude-haiku-5-5", {"temperature": 1}, "`temperature` is deprecated for this model."),
        ("claude-haiku-5-5", {"top_p": 0.5}, "`top_p` is deprecated for this model."),
        ("claude-haiku-5-5", {"max_tokens": None}, "max_tokens: Field required"),
        ("claude-haiku-5-5", {"max_tokens": 200_000}, "maximum allowed number of output tokens for claude-haiku-5-5"),
        ("claude-haiku-4-5", {"output_config": {"effort": "low"}}, "does not support the effort parameter"),
        ("claude-opus-4-6", {"output_config": {"effort": "xhigh"}},
         "does not support effort level 'xhigh'. Supported levels: high, low, max, medium."),
        ("claude-haiku-5-5", {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
         "'additionalProperties' must be explicitly set to false"),
        ("claude-sonnet-5-5", FORCED, 'tool_choice: type "tool" and "any" are not supported for this model.'),
        ("claude-opus-5-5", FORCED, "are not supported for this model."),
        ("claude-haiku-5-5", FORCED, None),
        ("claude-haiku-4-5", FORCED | MANUAL, "Thinking may not be enabled when tool_choice forces tool use."),
        ("claude-opus-4-7", MANUAL, '"thinking.type.enabled" is not supported for this model.'),
        ("claude-haiku-4-5", ADAPTIVE, "adaptive thinking is not supported on this model"),
        ("claude-opus-5-5", {"thinking": {"type": "disabled"}}, "is not supported for this model"),
        ("claude-haiku-5-5", {"tool_choice": {"type": "auto"}}, "only be specified while providing tools"),
        ("claude-haiku-5-5", {"tools": [{"name": "x", "input_schema": {}}]}, "input_schema.type: Field required"),
        ("claude-haiku-5-5", {"messages": [*ASKED, USE, *ASKED]}, "were found without `tool_result` blocks"),
        ("claude-haiku-5-5", {"messages": [USED]}, "unexpected `tool_use_id` found in `tool_result` blocks: a."),
        ("claude-haiku-5-5", {"messages": [*ASKED, USE, USED]}, None),
        ("claude-haiku-4-5", {"messages": [*ASKED, USE, USED]} | MANUAL,
         "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."),
        ("claude-haiku-5-5", {"messages": [*ASKED, USE, USED]} | ADAPTIVE, None),
        ("claude-haiku-5-5", {"messages": [*ASKED, {"role": "assistant", "content": "It is"}]}, "prefill"),
        ("claude-haiku-4-5", {"messages": [*ASKED, {"role": "assistant", "content": "It is"}]}, None),
        ("claude-haiku-4-5", {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
         "must be non-empty"),
        ("claude-haiku-4-5", {"messages": [{"role": "user", "content": []}, *ASKED]}, "must have non-empty content"),
        ("claude-haiku-4-5", {"messages": [*ASKED, {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "Zm9v"}]}, *ASKED]},
         "messages.1.content.0: Invalid `signature` in `thinking` block"),
    ],
)  # fmt: skip
def test_anthropic_refuses(model: str, body: dict[str, Any], words: str | None) -> None:
    """Anthropic's words name no parameter in a field of its own."""
    check("claude", model, body, words)


def content(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    """One of Gemini's turns."""
    return {"role": role, "parts": list(parts)}


WHAT = content("user", {"text": "What?"})
GEMINI_CALL = {"functionCall": {"name": "look", "args": {}}}
GEMINI_RESULT = content(
    "user", {"functionResponse": {"name": "look", "response": {"result": "sunny"}}}
)
DUMMY = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="


def config(**fields: Any) -> dict[str, Any]:
    """Gemini's generationConfig."""
    return {"generationConfig": fields}


def after_call(**signed: str) -> dict[str, Any]:
    """Gemini's contents with one call."""
    return {"contents": [WHAT, content("model", {**GEMINI_CALL, **signed}), GEMINI_RESULT]}


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        ("gemini-3.8-flash", config(thinkingConfig={"thinkingLevel": "MINIMAL"}),
         "Thinking level MINIMAL is not supported for this model."),
        ("gemini-3.8-flash-lite", config(thinkingConfig={"thinkingLevel": "minimal"}), None),
        ("gemini-2.5-flash", config(thinkingConfig={"thinkingLevel": "LOW"}), "Thinking level is not supported"),
        ("gemini-3.8-flash", config(temperature=0.5), "`temperature` is not supported"),
        ("gemini-3.5-flash", config(temperature=0.5, topP=0.5), None),
        ("gemini-3.8-flash", config(maxOutputTokens=70_000), "the supported range is from 1 (inclusive) to 65537"),
        ("gemini-2.5-flash", config(responseMimeType="application/json") | {"tools": DECLARED},
         "Function calling with a response mime type: 'application/json' is unsupported"),
        ("gemini-3.8-flash", config(responseMimeType="application/json") | {"tools": DECLARED}, None),
        ("gemini-3.8-flash", {"contents": [WHAT, content("model", GEMINI_CALL), WHAT]},
         "number of function response parts"),
        ("gemini-3.8-flash", {"contents": [WHAT, GEMINI_RESULT]}, "number of function response parts"),
        ("gemini-3.8-flash", after_call(),
         "Additional data, function call `default_api:look` , position 2."),
        ("gemini-3.8-flash", after_call(thoughtSignature=DUMMY), None),
        ("gemini-3.8-flash", after_call(thoughtSignature="skip_thought_signature_validator"), None),
        ("gemini-3.8-flash", after_call(thoughtSignature="c29tZXRoaW5nIGVsc2U="), "Corrupted thought signature."),
        ("gemini-3.8-flash", {"contents": [*after_call()["contents"], content("model", {"text": "It is."}), WHAT]},
         None),
        ("gemini-2.5-flash", after_call(), None),
    ],
)  # fmt: skip
def test_gemini_refuses(model: str, body: dict[str, Any], words: str | None) -> None:
    """A signature is required in the current turn alone, of the newer models."""
    check("gemini", model, body, words)


async def test_scripted_answer_can_be_checked() -> None:
    """`Checked` refuses like the demo, and is else the behaviour that it is given."""
    behaviour = Checked(Scripted(("Yes.",)))
    async with (
        Simulator(behaviours={"gpt-6-luna": behaviour}) as simulator,
        connect_sdk(simulator, "gpt") as client,
    ):
        create = client.chat.completions.create
        with pytest.raises(openai.BadRequestError) as refused:
            await create(model="gpt-6-luna", messages=ASKED, top_p=0.5, stream=True)
        assert (refused.value.param, refused.value.code) == ("top_p", "unsupported_parameter")
        stream = await create(model="gpt-6-luna", messages=ASKED, stream=True)
        assert "Yes." in [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]


def thinking_body(**changes: Any) -> dict[str, Any]:
    """Claude's body with a turn that thought and called, as the simulator sent it, and with changes."""
    body: dict[str, Any] = {
        "max_tokens": 100,
        "system": "Be brief.",
        "tools": [TOOL],
        "thinking": {"type": "adaptive"},
        "messages": ASKED,
    }
    wire = WIRES["claude"]("claude-haiku-5-5", body)
    sent = wire.piece(Thought("Hm.")) + wire.piece(ToolCall("look", id="a"))
    (signature,) = re.findall(r'"signature":"([^"]+)"', sent.decode())
    block = {"type": "thinking", "thinking": "Hm.", "signature": signature}
    block |= changes.pop("block", {})
    turn = {"role": "assistant", "content": [block, *USE["content"]]}
    return body | {"messages": [*changes.pop("messages", ASKED), turn, USED]} | changes


MARKED = [{"role": "user", "content": [{**ASKED_TEXT, "cache_control": {"type": "ephemeral"}}]}]
DROPPED = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}


@pytest.mark.parametrize(
    ("model", "changes", "words"),
    [
        ("claude-haiku-5-5", {}, None),
        ("claude-haiku-5-5", {"messages": MARKED}, None),
        ("claude-haiku-5-5", {"block": {"thinking": "Hum."}}, "Invalid `signature`"),
        ("claude-haiku-5-5", {"block": {"signature": "?"}}, "Invalid `signature`"),
        ("claude-haiku-5-5", {"system": "Be long."}, "The `system` prompt differs"),
        ("claude-haiku-5-5", {"tools": [TOOL, TOOL]}, "The `tools` differ"),
        ("claude-haiku-5-5", {"messages": [{"role": "user", "content": "Which?"}]}, "The messages before it differ"),
        ("claude-haiku-5-5", {"system": "Be long.", "thinking": DROPPED}, None),
        ("claude-haiku-5-5", {"block": {"thinking": "Hum."}, "thinking": {"type": "disabled"}}, None),
        ("claude-sonnet-4-6", {"system": "Be long."}, None),
        ("claude-sonnet-4-6", {"block": {"thinking": "Hum."}}, "Invalid `signature`"),
    ],
)  # fmt: skip
def test_claude_accepts_its_thinking_only_as_it_was(
    model: str, changes: dict[str, Any], words: str | None
) -> None:
    """Unchanged, and from the newest models on in the same conversation."""
    check("claude", model, thinking_body(**changes), words)


@pytest.mark.parametrize("provider", ["gpt", "claude", "gemini", "groq"])
def test_model_without_a_row_refuses_nothing(provider: str) -> None:
    """Such as those of the other tests."""
    assert find_rules(provider, "any-model") == Rules(model="any-model")


def test_rules_are_joined_field_by_field() -> None:
    """Gemini's models may be named with their collection."""
    rules = find_rules("gemini", "models/gemini-3.8-flash-lite")
    assert rules.effort == ("minimal", "low", "medium", "high")
    assert rules.temperature is False
    assert rules.signs_calls
    assert rules.max_tokens == 65_536
