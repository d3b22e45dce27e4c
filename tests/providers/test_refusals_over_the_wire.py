"""What vendors refuse, met by the real SDKs: what can be left out is, the rest has its code."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models import (
    AnswerOptions,
    End,
    Event,
    GatewayError,
    JsonObject,
    JsonSchema,
    Prompt,
    Usage,
)
from providers.base import BaseProvider
from tests.providers.test_provider_requests import PLAIN, STREAMS, open_provider
from tests.vendors.loopback_vendor import LoopbackVendor, SentRequest, open_vendor, response
from tests.vendors.scripted_provider import end_of, joined, stream

Refusal = tuple[str, Any]  # a status line's rest, and a body; with 200 the body is an event

UNRECOGNIZED = {
    "message": "Unrecognized request argument supplied: {}",
    "type": "invalid_request_error",
    "param": None,
}
EXTRA = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted", "input": "hi"}
SHAPES: dict[str, Callable[[str], Refusal]] = {
    "in the text": lambda name: (
        "400 Bad Request",
        {"error": UNRECOGNIZED | {"message": f"Unrecognized: {name}"}},
    ),
    "as text alone": lambda name: ("400 Bad Request", {"error": f"{name} is not supported"}),
    "in a list": lambda name: (
        "400 Bad Request",
        [{"error": {"message": f"{name} is not supported", "code": 400}}],
    ),
    "by param": lambda name: (
        "400 Bad Request",
        {"error": UNRECOGNIZED | {"message": "Unsupported", "param": name}},
    ),
    "bare": lambda name: (
        "400 Bad Request",
        {"object": "error", "message": f"bad {name}", "code": 400},
    ),
    "as detail": lambda name: (
        "422 Unprocessable Entity",
        {"detail": f"Unsupported parameter: {name}"},
    ),
    "by loc": lambda name: (
        "422 Unprocessable Entity",
        {"detail": [EXTRA | {"loc": ["body", name]}]},
    ),
    "by loc, in a message": lambda name: (
        "422 Unprocessable Entity",
        {
            "object": "error",
            "message": {"detail": [EXTRA | {"loc": ["body", name]}]},
            "type": "invalid_request_error",
        },
    ),
    "in plain text": lambda name: ("400 Bad Request", f"unknown field {name}"),
}
# Provider, the parameter as the wire and as the vendor names it, and its place in the body.
PARAMETERS: list[tuple[str, str, str, Callable[[Any], bool]]] = [
    ("gpt", "reasoning_effort", "reasoning_effort", lambda body: "reasoning_effort" in body),
    ("gpt", "temperature", "temperature", lambda body: "temperature" in body),
    ("gpt", "max_completion_tokens", "max_tokens", lambda body: "max_completion_tokens" in body),
    (
        "gpt",
        "stream_options",
        "stream_options.include_usage",
        lambda body: "stream_options" in body,
    ),
    (
        "responses",
        "reasoning_effort",
        "reasoning.effort",
        lambda body: "effort" in body.get("reasoning", {}),
    ),
    (
        "responses",
        "reasoning.summary",
        "reasoning.summary",
        lambda body: "summary" in body.get("reasoning", {}),
    ),
    ("responses", "max_tokens", "max_output_tokens", lambda body: "max_output_tokens" in body),
    ("responses", "temperature", "temperature", lambda body: "temperature" in body),
    ("local", "stream_options", "stream_options", lambda body: "stream_options" in body),
    ("local", "max_tokens", "max_tokens", lambda body: "max_tokens" in body),
    ("groq", "reasoning_effort", "reasoningEffort", lambda body: "reasoning_effort" in body),
    ("claude", "output_config", "output_config.effort", lambda body: "output_config" in body),
    ("claude", "output_config", "effort", lambda body: "output_config" in body),
    ("gemini", "thinkingLevel", "thinking_level", lambda body: "thinkingLevel" in json.dumps(body)),
    (
        "gemini",
        "includeThoughts",
        "thinking_config.include_thoughts",
        lambda body: "includeThoughts" in json.dumps(body),
    ),
    (
        "gemini",
        "maxOutputTokens",
        "max_output_tokens",
        lambda body: "maxOutputTokens" in json.dumps(body),
    ),
]


def reply_of(refusal: Refusal) -> bytes:
    status, body = refusal
    raw = body if isinstance(body, str) else json.dumps(body)
    if status.startswith("200"):
        return response(f"event: error\ndata: {raw}\n\n".encode())
    return response(raw.encode(), status, content_type="application/json")


@asynccontextmanager
async def provider_at(
    name: str, refuse: Callable[[Any], Refusal | None], **options: Any
) -> AsyncIterator[tuple[BaseProvider, LoopbackVendor]]:
    """A provider whose vendor answers a body with the refusal that `refuse` gives for it, or with its stream."""

    def reply(request: SentRequest) -> bytes:
        refusal = refuse(request.json)
        return reply_of(refusal) if refusal else response(STREAMS[name])

    async with (
        open_vendor(reply) as vendor,
        open_provider(name, vendor, max_attempts=4, **options) as provider,
    ):
        yield provider, vendor


async def ask(provider: BaseProvider, prompt: Prompt = PLAIN) -> list[Event]:
    return [event async for batch in stream(provider, prompt=prompt) for event in batch]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "parameter", "spelling", "is_sent"), PARAMETERS)
async def test_refused_parameter_is_left_out_asked_again_and_remembered(
    name: str, parameter: str, spelling: str, is_sent: Callable[[Any], bool], shape: str
) -> None:
    """In every shape, by every spelling; the second chat does not send it at all."""
    refusal = SHAPES[shape](spelling)
    options = {"temperature": 0.5, "reasoning_effort": "low"}
    async with provider_at(name, lambda body: refusal if is_sent(body) else None, **options) as (
        provider,
        vendor,
    ):
        for _ in range(2):
            events = await ask(provider)
            assert joined(events) == "Hello"
            reported = provider.client_names.get(parameter, parameter)
            assert reported in end_of(events).dropped_params
        assert [is_sent(request.json) for request in vendor.requests] == [True, False, False]
        assert provider.health.state == "OK"


@pytest.mark.parametrize("name", ["gpt", "local", "claude"])
async def test_parameter_refused_in_a_stream_is_left_out_too(name: str) -> None:
    """As an event of a 200, before any content."""
    wire = {"gpt": "reasoning_effort", "local": "reasoning_effort", "claude": "output_config"}[name]
    error = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": f"Unsupported: {wire}"},
    }

    def refuse(body: Any) -> Refusal | None:
        return ("200 OK", error) if wire in body else None

    async with provider_at(name, refuse, reasoning_effort="low") as (provider, _):
        assert end_of(await ask(provider)).dropped_params == ("reasoning_effort",)


async def test_organisation_that_is_not_verified_gets_no_summaries() -> None:
    """They are refused in words of their own; the effort, which is beside them, is still sent."""
    message = "Your organization must be verified to generate reasoning summaries."
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": "reasoning.summary",
        "code": "unsupported_value",
    }

    def refuse(body: Any) -> Refusal | None:
        return ("400 Bad Request", {"error": error}) if "summary" in body["reasoning"] else None

    async with provider_at("responses", refuse, reasoning_effort="low") as (provider, vendor):
        for _ in range(2):
            assert end_of(await ask(provider)).dropped_params == ("reasoning.summary",)
    reasoning = [request.json["reasoning"] for request in vendor.requests]
    assert reasoning == [{"effort": "low", "summary": "auto"}, {"effort": "low"}, {"effort": "low"}]


async def test_two_refusals_after_each_other_are_both_met() -> None:
    """A model without thinking refuses the level, then the thoughts."""

    def refuse(body: Any) -> Refusal | None:
        thinking = body["generationConfig"].get("thinkingConfig", {})
        text = (
            "Thinking level is not supported for this model."
            if "thinkingLevel" in thinking
            else None
        )
        if not text and thinking.get("includeThoughts"):
            text = "Thinking_config.include_thoughts is only enabled when thinking is enabled."
        error = {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}
        return ("400 Bad Request", {"error": error}) if text else None

    async with provider_at("gemini", refuse, reasoning_effort="low") as (provider, vendor):
        assert end_of(await ask(provider)).dropped_params == ("includeThoughts", "reasoning_effort")
    assert len(vendor.requests) == 3
    assert "thinkingConfig" not in vendor.requests[-1].json["generationConfig"]


SYSTEM_REFUSALS = [
    {"object": "error", "message": "System role not supported", "type": "BadRequestError", "param": None, "code": 400},
    {"error": {"code": 400, "message": "Conversation roles must alternate user/assistant/user/assistant/..."}},
    {"error": {"message": "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
               "type": "invalid_request_error", "param": "messages[0].role", "code": "unsupported_value"}},
    {"error": "Only user and assistant roles are supported!"},
]  # fmt: skip


@pytest.mark.parametrize("body", SYSTEM_REFUSALS)
async def test_system_prompt_moves_if_the_model_has_no_role_for_it(body: Any) -> None:
    """The words are kept: they begin the first user message, for later chats from the start."""

    def refuse(sent: Any) -> Refusal | None:
        return ("400 Bad Request", body) if sent["messages"][0]["role"] == "system" else None

    async with provider_at("local", refuse) as (provider, vendor):
        for _ in range(2):
            events = await ask(provider, PLAIN._replace(system="Be brief."))
            assert end_of(events).dropped_params == ("system_role",)
    messages = [request.json["messages"] for request in vendor.requests]
    folded = [{"role": "user", "content": "Be brief.\n\nWhat is this?"}]
    assert messages[1:] == [folded, folded]


OVERFLOWS: list[tuple[str, Refusal]] = [
    ("claude", ("400 Bad Request", {"type": "error", "error": {"type": "invalid_request_error", "message":
        "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000, decrease input length"}})),
    ("local", ("400 Bad Request", {"error": {"code": 400, "type": "exceed_context_size_error", "message":
        "request (33056 tokens) exceeds the available context size (32768 tokens), try increasing it"}})),
    ("local", ("200 OK", {"error": {"message": "The number of tokens to keep from the initial prompt is greater than "
        "the context length"}, "message": "The number of tokens to keep"})),
    ("local", ("500 Oops", {"error": "Trying to keep the first 5000 tokens when context the overflows."})),
    ("gpt", ("400 Bad Request", {"error": {"message": "x", "code": "context_length_exceeded"}})),
    ("responses", ("200 OK", {"type": "error", "code": "context_length_exceeded", "message": "x", "param": None})),
    ("groq", ("400 Bad Request", {"error": {"message": "Please reduce the length of the messages or completion."}})),
    ("gemini", ("400 Bad Request", {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
        "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576)."}})),
]  # fmt: skip


@pytest.mark.parametrize(("name", "refusal"), OVERFLOWS)
async def test_long_chats_of_one_client_leave_the_model_to_others(
    name: str, refusal: Refusal
) -> None:
    """Ten conversations that are too long open no breaker and make no provider unhealthy."""

    def refuse(body: Any) -> Refusal | None:
        return refusal if "long" in json.dumps(body) else None

    long = PLAIN._replace(system="long")
    async with provider_at(name, refuse) as (provider, _):
        for _ in range(10):
            with pytest.raises(GatewayError) as raised:
                await ask(provider, long)
            assert raised.value.code == "context_length_exceeded"
        assert set(provider.breaker_states().values()) == {"closed"}
        assert provider.health.state == "UNKNOWN"
        assert joined(await ask(provider)) == "Hello"


async def test_limit_that_does_not_fit_the_context_is_left_out_for_that_chat_alone() -> None:
    """A server with a small context refuses the default limit: the rest of the context is then the limit."""
    message = (
        "'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 4096 "
        "tokens and your request has 13 input tokens (8192 > 4096 - 13)."
    )
    error = {"object": "error", "message": message, "type": "BadRequestError", "code": 400}

    def refuse(body: Any) -> Refusal | None:
        return ("400 Bad Request", error) if "max_tokens" in body else None

    async with provider_at("local", refuse) as (provider, vendor):
        for _ in range(2):
            ended = (await ask(provider))[-1]
            assert isinstance(ended, End)
            assert ended.dropped_params == ("max_tokens",)
    assert ["max_tokens" in request.json for request in vendor.requests] == [
        True,
        False,
        True,
        False,
    ]


WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": '{"a": 1}'},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3},
}
SCHEMA = JsonSchema("s", msgspec.Raw(b'{"type": "object"}'))
OSS = {"model_default": "openai/gpt-oss-120b"}


@asynccontextmanager
async def groq_at(
    refuse: Callable[[Any], bool], **options: Any
) -> AsyncIterator[tuple[BaseProvider, LoopbackVendor]]:
    """Groq at a vendor that streams texts, and answers in JSON as a whole."""

    def reply(request: SentRequest) -> bytes:
        body = request.json
        if refuse(body):
            text = "`response_format` does not support streaming"
            error = {"error": {"message": text, "type": "invalid_request_error"}}
            refused = json.dumps(error).encode()
            return response(refused, "400 Bad Request", content_type="application/json")
        if body["stream"]:
            return response(STREAMS["groq"])
        return response(json.dumps(WHOLE).encode(), content_type="application/json")

    async with open_vendor(b"") as vendor:
        vendor.reply = reply
        chosen = {**OSS, "max_attempts": 4, **options}
        async with open_provider("groq", vendor, **chosen) as provider:
            yield provider, vendor


async def test_schema_at_groq_is_asked_for_without_a_stream() -> None:
    """Groq's documentation excludes streams there; the client's own stream has the whole answer."""
    prompt = PLAIN._replace(options=AnswerOptions(output=SCHEMA))
    async with groq_at(lambda body: body["stream"] and "response_format" in body) as groq:
        events = await ask(groq[0], prompt)
        assert joined(await ask(groq[0])) == "Hello"
    assert joined(events) == '{"a": 1}'
    assert end_of(events).dropped_params == ()
    assert end_of(events).usage == Usage(input_tokens=5, output_tokens=3)
    assert [request.json["stream"] for request in groq[1].requests] == [False, True]


async def test_whole_answer_at_groq_may_take_longer_than_first_content() -> None:
    """Its first byte comes once all of it is made; a plain chat with the same silence has failed."""
    prompt = PLAIN._replace(options=AnswerOptions(output=SCHEMA))
    models = {**OSS, "model_fallback": "openai/gpt-oss-20b"}
    async with groq_at(lambda _: False, first_content=0.1, **models) as (provider, vendor):
        vendor.seconds = 0.3
        whole, streamed = end_of(await ask(provider, prompt)), end_of(await ask(provider))
    assert (whole.model, whole.fallback) == ("openai/gpt-oss-120b", None)
    assert streamed.fallback
    assert streamed.fallback.reason == "upstream_timeout"


async def test_answer_in_json_that_may_not_stream_is_asked_for_again_without() -> None:
    """It was refused in 2024. That is remembered; texts go on streaming."""
    prompt = PLAIN._replace(options=AnswerOptions(output=JsonObject()))
    async with groq_at(lambda body: body["stream"] and "response_format" in body) as groq:
        for _ in range(2):
            events = await ask(groq[0], prompt)
            assert (joined(events), end_of(events).dropped_params) == ('{"a": 1}', ())
        assert joined(await ask(groq[0])) == "Hello"
    sent = [request.json["stream"] for request in groq[1].requests]
    assert sent == [True, False, False, True]


async def test_operators_row_has_schemas_stream_at_groq(tmp_path: Path) -> None:
    """So that nothing has to change here once Groq does."""
    file = tmp_path / "capabilities.toml"
    file.write_text("[groq.default]\nstream_schema = true\n")
    prompt = PLAIN._replace(options=AnswerOptions(output=SCHEMA))
    async with groq_at(lambda _: False, capabilities_file=file) as (provider, vendor):
        assert joined(await ask(provider, prompt)) == "Hello"
    assert [request.json["stream"] for request in vendor.requests] == [True]
