"""What only one vendor has: Claude's bound thinking and marked prompts, OpenAI's key of a prompt."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from configuration import load_settings
from models import AnswerOptions, JsonSchema, Prompt, Reasoning, State, Text, Tool, Turn
from tests.providers.test_provider_requests import (
    PLAIN,
    PROMPT,
    QUESTION,
    STEP,
    STREAMS,
    open_provider,
    send,
)
from tests.vendors.loopback_vendor import SentRequest, open_vendor, response
from tests.vendors.scripted_provider import collect, end_of, stream

BETA = "thinking-binding-controls-2026-08-01"
DROP = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
FORMAT = JsonSchema("s", msgspec.Raw(b'{"type": "object"}'))
TOOLS = (
    Tool("look", msgspec.Raw(b'{"type": "object"}')),
    Tool("stop", msgspec.Raw(b'{"type": "object"}')),
)


def with_thinking(model: str) -> Prompt:
    """A step of tools with the model's thinking."""
    question, asked, answered = STEP.turns
    block = '{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}'
    thought = Reasoning("", State("claude", model, block))
    return STEP._replace(turns=(question, Turn("assistant", (thought, *asked.parts)), answered))


@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-fable-5-1"])
async def test_bound_thinking_is_dropped_rather_than_refused(model: str) -> None:
    """A client that leaves out old turns would get a 400 for each of its chats."""
    request = await send("claude", with_thinking(model), model_default=model)
    assert request.json["thinking"] == DROP
    assert request.header("anthropic-beta") == [BETA]


@pytest.mark.parametrize(
    ("model", "prompt"),
    [
        ("claude-haiku-5-5", PROMPT),
        ("claude-haiku-5-5", STEP),
        ("claude-sonnet-5", with_thinking("claude-sonnet-5")),
        ("claude-opus-4-8", with_thinking("claude-opus-4-8")),
    ],
)
async def test_thinking_is_left_to_the_model(model: str, prompt: Prompt) -> None:
    """Without thinking to send, or if the model does not bind it: also in a step whose thinking is missing."""
    request = await send("claude", prompt, model_default=model)
    assert "thinking" not in request.json
    assert request.header("anthropic-beta") == []


@pytest.mark.parametrize("names", ["anthropic-beta", "thinking.block_binding"])
async def test_server_that_refuses_the_control_is_asked_without_it(names: str) -> None:
    """Of a proxy that knows no betas: once, and not again."""
    refusal = response(
        json.dumps(
            {"type": "error", "error": {"type": "invalid_request_error", "message": f"{names}: no"}}
        ).encode(),
        "400 Bad Request",
        content_type="application/json",
    )

    def reply(request: SentRequest) -> bytes:
        return refusal if "thinking" in request.json else response(STREAMS["claude"])

    prompt = with_thinking("claude-haiku-5-5")
    options = {"model_default": "claude-haiku-5-5", "max_attempts": 2}
    async with open_vendor(b"") as vendor, open_provider("claude", vendor, **options) as provider:
        vendor.reply = reply
        for _ in range(2):
            events = [event async for batch in stream(provider, prompt=prompt) for event in batch]
            assert end_of(events).dropped_params == ()
    assert ["thinking" in request.json for request in vendor.requests] == [True, False, False]
    assert [request.header("anthropic-beta") for request in vendor.requests] == [[BETA], [], []]


async def test_format_and_effort_are_sent_together() -> None:
    """Both are fields of `output_config`."""
    prompt = PLAIN._replace(options=AnswerOptions(output=FORMAT))
    request = await send("claude", prompt, model_default="claude-haiku-5-5")
    assert request.json["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    }


@pytest.mark.parametrize("ttl", ["5m", "1h"])
async def test_claude_caches_tools_system_prompt_and_conversation(ttl: str) -> None:
    """Three marks: on the last tool, on the system prompt, and one that follows the conversation."""
    mark = {"type": "ephemeral", "ttl": ttl}
    prompt = PROMPT._replace(options=AnswerOptions(tools=TOOLS))
    body = (await send("claude", prompt, prompt_cache=ttl)).json
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, mark]
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": mark}]
    assert body["cache_control"] == mark
    bare = (await send("claude", PLAIN, prompt_cache=ttl)).json
    assert bare.keys() == {"model", "messages", "stream", "max_tokens", "cache_control"}


async def test_claude_caches_nothing_by_default() -> None:
    """What is written to its cache costs more than what is not."""
    prompt = PROMPT._replace(options=AnswerOptions(tools=TOOLS))
    assert "cache_control" not in json.dumps((await send("claude", prompt)).json)


async def cache_key(prompt: Prompt, **options: Any) -> str | None:
    """The key that is sent with a prompt."""
    key: str | None = (await send("gpt", prompt, **options)).json.get("prompt_cache_key")
    return key


async def test_requests_of_a_conversation_have_one_key() -> None:
    """It is made of the conversation's beginning: another question or system prompt has another."""
    on = {"prompt_cache_key": True}
    keys = [
        await cache_key(prompt, **on)
        for prompt in (
            PROMPT,
            PROMPT._replace(turns=(QUESTION,)),
            PLAIN,
            PROMPT._replace(turns=(Turn("user", (Text("And now?"),)),)),
        )
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert all(key and len(key) <= 64 for key in keys)


@pytest.mark.parametrize("name", ["gpt", "responses"])
async def test_requests_with_a_conversations_id_have_one_key(name: str) -> None:
    """Whatever they begin with; the id itself does not leave the gateway, nor its plain digest."""
    conversation = "ann@example.com-7"
    options = {"prompt_cache_key": True}
    bodies = [
        (await send(name, prompt._replace(conversation_id=conversation), **options)).body
        for prompt in (PROMPT, PLAIN, PROMPT._replace(options=AnswerOptions(tools=TOOLS)))
    ]
    keys = {json.loads(body)["prompt_cache_key"] for body in bodies}
    assert len(keys) == 1
    assert conversation.encode() not in b"".join(bodies)
    (key,) = keys
    assert key not in sha256(conversation.encode()).hexdigest()
    other = await send(name, PLAIN._replace(conversation_id="ann@example.com-8"), **options)
    assert other.json["prompt_cache_key"] != key
    assert "prompt_cache_key" not in (await send(name, PLAIN._replace(conversation_id="7"))).json


async def test_no_key_is_sent_by_default() -> None:
    """Conversations that share a system prompt are cached together without one."""
    assert await cache_key(PROMPT) is None


async def test_server_that_refuses_the_key_is_asked_without_it() -> None:
    """Of OpenAI's wire there are many servers. It is no parameter that a client would miss."""
    refusal = response(
        b'{"error": {"message": "Unknown parameter: prompt_cache_key", "param": "prompt_cache_key"}}',
        "400 Bad Request",
        content_type="application/json",
    )

    def reply(request: SentRequest) -> bytes:
        return refusal if "prompt_cache_key" in request.json else response(STREAMS["gpt"])

    options = {"prompt_cache_key": True, "max_attempts": 2}
    async with open_vendor(b"") as vendor, open_provider("gpt", vendor, **options) as provider:
        vendor.reply = reply
        assert end_of(await collect(provider)).dropped_params == ()


def test_each_option_is_one_vendors() -> None:
    """Others have no such field, or may refuse it."""
    settings = load_settings(None, anthropic_prompt_cache="1h", openai_prompt_cache_key="true")
    caches = {provider.name: provider.prompt_cache for provider in settings.providers}
    keys = {provider.name: provider.prompt_cache_key for provider in settings.providers}
    assert [name for name, cache in caches.items() if cache != "off"] == ["claude"]
    assert [name for name, has_key in keys.items() if has_key] == ["gpt"]


@pytest.mark.parametrize("model", ["gpt-5.6-luna", "gpt-6-luna", "gpt-6-sol"])
@pytest.mark.parametrize("effort", ["low", "high", None])
async def test_tools_by_chat_completions_are_sent_with_the_effort_none(
    model: str, effort: str | None
) -> None:
    """These models refuse tools there with any other effort, or with none in the request."""
    options = {"model_default": model, "reasoning_effort": effort}
    tools = PROMPT._replace(options=AnswerOptions(tools=TOOLS))
    for prompt in (tools, STEP):
        assert (await send("gpt", prompt, **options)).json["reasoning_effort"] == "none"
    plain = (await send("gpt", PLAIN, **options)).json
    assert plain["reasoning_effort"] == (effort or "none")


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5.4-mini", "gpt-5.5"])
@pytest.mark.parametrize("effort", ["low", None])
async def test_tools_by_chat_completions_are_sent_without_an_effort(
    model: str, effort: str | None
) -> None:
    """These models refuse tools beside any effort, and reason only if they are asked to."""
    options = {"model_default": model, "reasoning_effort": effort}
    tools = PROMPT._replace(options=AnswerOptions(tools=TOOLS))
    for prompt in (tools, STEP):
        assert "reasoning_effort" not in (await send("gpt", prompt, **options)).json
    assert (await send("gpt", PLAIN, **options)).json["reasoning_effort"] == (effort or "none")


async def test_older_models_keep_their_effort_with_tools() -> None:
    """Only newer ones refuse it."""
    prompt = PROMPT._replace(options=AnswerOptions(tools=TOOLS, effort="low"))
    request = await send("gpt", prompt, model_default="gpt-5.2")
    assert request.json["reasoning_effort"] == "low"


async def dropped(prompt: Prompt, name: str, **options: Any) -> tuple[str, ...]:
    """What the end of an answer to this reports."""
    async with (
        open_vendor(response(STREAMS[name])) as vendor,
        open_provider(name, vendor, **options) as provider,
    ):
        events = [e async for batch in stream(provider, prompt=prompt) for e in batch]
    return end_of(events).dropped_params


async def test_clients_effort_that_tools_exclude_is_reported() -> None:
    """A configured effort is the operator's affair, and is not."""
    asked = PROMPT._replace(options=AnswerOptions(tools=TOOLS, effort="high"))
    assert await dropped(asked, "gpt", model_default="gpt-6-luna") == ("reasoning_effort",)
    plain = PROMPT._replace(options=AnswerOptions(tools=TOOLS))
    options = {"model_default": "gpt-6-luna", "reasoning_effort": "high"}
    assert await dropped(plain, "gpt", **options) == ()


@pytest.mark.parametrize(("asked", "sent"), [(1, 16), (15, 16), (16, 16), (17, 17)])
async def test_short_answers_by_responses_have_the_least_limit(asked: int, sent: int) -> None:
    """That API refuses less than 16 tokens."""
    prompt = PLAIN._replace(options=AnswerOptions(max_tokens=asked))
    request = await send("responses", prompt)
    assert request.json["max_output_tokens"] == sent


OPEN = JsonSchema(
    "s", msgspec.Raw(b'{"type": "object", "patternProperties": {"a": {}}}'), None, True
)


@pytest.mark.parametrize("name", ["gpt", "groq"])
async def test_schema_that_cannot_be_strict_is_reported(name: str) -> None:
    """It is sent without strict, so the answer may not fit it."""
    tool = Tool("look", OPEN.schema, None, True)
    prompt = PLAIN._replace(options=AnswerOptions(output=OPEN, tools=(tool,)))
    fields = ("response_format.json_schema.strict", "tools.0.strict")
    assert await dropped(prompt, name) == fields
