"""What the four SDKs really send, as production configures them: body, headers, and nothing from the environment."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import pytest

from models import (
    File,
    GatewayError,
    Image,
    Part,
    Prompt,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.base import BaseProvider
from providers.factory import ProviderFactory
from telemetry.log_line import request_id_context
from tests.vendors.loopback_vendor import (
    CHAT_COMPLETIONS,
    GENERATE_CONTENT,
    MESSAGES,
    RESPONSES,
    LoopbackVendor,
    SentRequest,
    open_vendor,
    response,
)
from tests.vendors.scripted_provider import collect, joined, make_settings, stream

VENDORS = ("gpt", "responses", "claude", "gemini", "groq", "local")  # `responses`: gpt, too
STREAMS = {
    "gpt": CHAT_COMPLETIONS,
    "responses": RESPONSES,
    "claude": MESSAGES,
    "gemini": GENERATE_CONTENT,
    "groq": CHAT_COMPLETIONS,
    "local": CHAT_COMPLETIONS,
}
KEY = "key-of-the-test"
EVERY_VENDOR = pytest.mark.parametrize("name", VENDORS)

QUESTION = Turn("user", (Text("What is this?"),))
PICTURE = Turn(
    "user",
    (
        Text("And this — 😀?"),
        Image("image/png", "aGk="),
    ),
)
PROMPT = Prompt("Be brief.", (QUESTION, Turn("assistant", (Text("A test."),)), PICTURE))
PLAIN = Prompt("", (QUESTION,))


READ = Prompt(
    "", (Turn("user", (File("application/pdf", "JVBERi0x", "a.pdf"), Text("What is this?"))),)
)
STEP = Prompt(
    "",
    (
        QUESTION,
        Turn(
            "assistant", (Reasoning("Hm."), Text("I see."), ToolCall("call_1", "add", '{"a": 1}'))
        ),
        Turn("user", (ToolResult("call_1", (Text("2"), Image("image/png", "aGk="))), Text("So?"))),
    ),
    is_plain=False,
)


def test_prompts_have_every_kind_of_part() -> None:
    """So that the bodies below show how each wire sends each of them."""
    parts = {
        type(part)
        for prompt in (PROMPT, STEP, READ)
        for turn in prompt.turns
        for part in turn.parts
    }
    assert parts == set(get_args(Part))


def identify(name: str) -> dict[str, str]:
    """The settings that make the provider of that name."""
    return {"name": "gpt", "openai_api": "responses"} if name == "responses" else {"name": name}


@asynccontextmanager
async def open_provider(
    name: str, vendor: LoopbackVendor, **options: Any
) -> AsyncIterator[BaseProvider]:
    """The real provider with its real SDK, at the loopback vendor."""
    base_url = vendor.url + ("/v1" if name in ("gpt", "responses", "local") else "")
    chosen = {
        **identify(name),
        "base_url": base_url,
        "model_default": "some/model",
        "model_fallback": None,
        "max_attempts": 1,
    }
    factory = ProviderFactory([make_settings(**(chosen | options))])
    try:
        (built,) = factory.names
        yield factory.get(built)
    finally:
        await factory.aclose()


async def send(name: str, prompt: Prompt = PROMPT, **options: Any) -> SentRequest:
    """What the provider sends for a prompt; its answer must have been read, too."""
    async with (
        open_vendor(response(STREAMS[name])) as vendor,
        open_provider(name, vendor, **options) as provider,
    ):
        batches = [batch async for batch in stream(provider, prompt=prompt)]
        assert joined([event for batch in batches for event in batch]) == "Hello"
    (request,) = vendor.requests
    return request


CHAT_MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is this?"},
    {"role": "assistant", "content": "A test."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "And this — 😀?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        ],
    },
]
IMAGE_URL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
CHAT_STEP = [
    {
        "role": "assistant",
        "content": "I see.",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "add", "arguments": '{"a": 1}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "The images of the result of call_1:"},
            IMAGE_URL,
            {"type": "text", "text": "So?"},
        ],
    },
]
CLAUDE_STEP = [
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "I see."},
            {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "call_1",
                "content": [
                    {"type": "text", "text": "2"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                    },
                ],
            },
            {"type": "text", "text": "So?"},
        ],
    },
]
GEMINI_STEP = [
    {
        "role": "model",
        "parts": [
            {"text": "I see."},
            {"functionCall": {"id": "call_1", "name": "add", "args": {"a": 1}}},
        ],
    },
    {
        "role": "user",
        "parts": [
            {
                "functionResponse": {
                    "id": "call_1",
                    "name": "add",
                    "response": {"result": "2"},
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
                }
            },
        ],
    },
    {"role": "user", "parts": [{"text": "So?"}]},
]
RESPONSES_STEP = [
    {"role": "assistant", "content": "I see."},
    {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a": 1}'},
    {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": [
            {"type": "input_text", "text": "2"},
            {
                "type": "input_image",
                "image_url": "data:image/png;base64,aGk=",
                "detail": "auto",
            },
        ],
    },
    {"role": "user", "content": "So?"},
]
STEPS = {"claude": CLAUDE_STEP, "gemini": GEMINI_STEP, "responses": RESPONSES_STEP}


@EVERY_VENDOR
async def test_step_of_tools_is_sent_in_the_vendors_own_format(name: str) -> None:
    """The call with its arguments, and the result in the message after it."""
    body = (await send(name, STEP)).json
    places = {"gemini": "contents", "responses": "input"}
    turns = body[places.get(name, "messages")]
    assert turns[1:] == STEPS.get(name, CHAT_STEP)


FILE = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
INLINE = {"mimeType": "application/pdf", "data": "JVBERi0x"}
FILES: dict[str, dict[str, Any]] = {
    "gpt": {"type": "file", "file": FILE},
    "responses": {"type": "input_file", **FILE},
    "claude": {"type": "document", "source": PDF, "title": "a.pdf"},
    "gemini": {"inlineData": INLINE},
}


@pytest.mark.parametrize("name", FILES)
async def test_file_is_sent_in_the_vendors_own_format(name: str) -> None:
    """Before the question, as the client sent it."""
    body = (await send(name, READ)).json
    (turn,) = body[{"gemini": "contents", "responses": "input"}.get(name, "messages")]
    assert turn.get("content", turn.get("parts"))[0] == FILES[name]


CHAT = {"model": "some/model", "messages": CHAT_MESSAGES, "stream": True}
BODIES: dict[str, dict[str, Any]] = {
    "gpt": CHAT | {"max_completion_tokens": 8192, "stream_options": {"include_usage": True}},
    "responses": {
        "model": "some/model",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "What is this?"},
            {"role": "assistant", "content": "A test."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "And this — 😀?"},
                    {
                        "type": "input_image",
                        "image_url": "data:image/png;base64,aGk=",
                        "detail": "auto",
                    },
                ],
            },
        ],
        "stream": True,
        "store": False,
        "max_output_tokens": 8192,
    },
    "groq": CHAT | {"max_completion_tokens": 8192},
    "local": CHAT | {"max_tokens": 8192, "stream_options": {"include_usage": True}},
    "claude": {
        "model": "some/model",
        "max_tokens": 8192,
        "stream": True,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "A test."}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "And this — 😀?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                    },
                ],
            },
        ],
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "What is this?"}]},
            {"role": "model", "parts": [{"text": "A test."}]},
            {
                "role": "user",
                "parts": [
                    {"text": "And this — 😀?"},
                    {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
                ],
            },
        ],
        "generationConfig": {
            "maxOutputTokens": 8192,
            "thinkingConfig": {"includeThoughts": True},
        },
    },
}
TARGETS = {
    "gpt": "/v1/chat/completions",
    "responses": "/v1/responses",
    "groq": "/openai/v1/chat/completions",
    "local": "/v1/chat/completions",
    "claude": "/v1/messages",
    "gemini": "/v1/models/some/model:streamGenerateContent?alt=sse",
}
KEY_HEADERS = {
    "gpt": ("authorization", f"Bearer {KEY}"),
    "responses": ("authorization", f"Bearer {KEY}"),
    "groq": ("authorization", f"Bearer {KEY}"),
    "local": ("authorization", f"Bearer {KEY}"),
    "claude": ("authorization", f"Bearer {KEY}"),
    "gemini": ("x-goog-api-key", KEY),
}


@EVERY_VENDOR
async def test_body_is_what_the_vendor_takes(name: str) -> None:
    """Target and body, whole: system, turns, an image, the limit of tokens; of a model without a row no effort."""
    request = await send(name)
    assert (request.method, request.target) == ("POST", TARGETS[name])
    assert request.json == BODIES[name]


class Noting(tuple[Turn, ...]):
    """Turns that note the threads in which they are read."""

    readers: set[threading.Thread]

    def __iter__(self) -> Iterator[Turn]:
        self.readers.add(threading.current_thread())
        return super().__iter__()


@EVERY_VENDOR
@pytest.mark.parametrize("is_large", [True, False])
async def test_request_of_a_large_prompt_is_made_in_a_thread(name: str, *, is_large: bool) -> None:
    """Thousands of calls or parts would hold the event loop; a thread would delay the usual ones."""
    turns = Noting(PROMPT.turns)
    turns.readers = set()
    request = await send(name, PROMPT._replace(turns=turns, is_large=is_large))
    assert request.json == BODIES[name]
    assert (threading.current_thread() in turns.readers) is not is_large


@EVERY_VENDOR
async def test_prompt_without_a_system_sends_none(name: str) -> None:
    """An empty system prompt is no message of its own."""
    body = (await send(name, PLAIN)).json
    assert "Be brief" not in json.dumps(body)
    assert not {"system", "systemInstruction", "instructions"} & body.keys()
    assert len(body.get("messages") or body.get("input") or body["contents"]) == 1


@EVERY_VENDOR
async def test_configured_options_are_sent(name: str) -> None:
    """Limit of tokens, effort, and temperature if the vendor has one: the operator's word goes before defaults."""
    body = (await send(name, PLAIN, temperature=0.5, max_tokens=77, reasoning_effort="high")).json
    sent = json.dumps(body)
    assert "77" in sent
    assert '"high"' in sent
    assert ("temperature" in sent) == (name != "claude")  # its SDK has none in this version


@EVERY_VENDOR
async def test_headers_are_ours(name: str) -> None:
    """One key in the vendor's own header, an uncompressed answer asked for, and our request id."""
    token = request_id_context.set("request-id-of-the-test")
    try:
        request = await send(name)
    finally:
        request_id_context.reset(token)
    key_header, value = KEY_HEADERS[name]
    assert request.header(key_header) == [value]
    assert sum(KEY in value for _, value in request.headers) == 1
    assert KEY not in request.target
    assert request.header("accept-encoding") == ["identity"]
    assert request.header("x-request-id") == ["request-id-of-the-test"]
    assert request.header("content-type") == ["application/json"]


@EVERY_VENDOR
async def test_free_health_call_asks_for_the_model(name: str) -> None:
    """One GET of the model, with the same key and without a prompt."""
    model = response(
        b'{"id": "m", "object": "model", "name": "models/m"}', content_type="application/json"
    )
    async with open_vendor(model) as vendor, open_provider(name, vendor) as provider:
        await provider.health_check("m")
    (request,) = vendor.requests
    assert (request.method, request.body) == ("GET", b"")
    assert request.target.endswith("/models/m")
    assert request.header(KEY_HEADERS[name][0]) == [KEY_HEADERS[name][1]]


async def test_vendor_that_needs_no_key_is_asked_without_one() -> None:
    """A self-hosted server gets no key of another vendor's."""
    request = await send("local", api_key=None, opened_by="base_url")
    assert request.header("authorization") in ([], ["Bearer none"])


async def fail(name: str, reply: bytes) -> tuple[GatewayError, LoopbackVendor]:
    """How the provider fails over this answer, and what it sent."""
    async with open_vendor(reply) as vendor, open_provider(name, vendor) as provider:
        with pytest.raises(GatewayError) as raised:
            await collect(provider)
    return raised.value, vendor


@EVERY_VENDOR
@pytest.mark.parametrize(
    "status", ["500 Oops", "503 Later", "429 Slow down", "408 Late", "409 Conflict", "529 Full"]
)
async def test_failing_vendor_is_asked_once(name: str, status: str) -> None:
    """The SDKs' own retries are off: there is one owner of attempts."""
    error, vendor = await fail(
        name, response(b"{}", status, content_type="application/json", retry_after="0")
    )
    assert len(vendor.requests) == 1
    assert error.code == ("rate_limited" if status.startswith("429") else "upstream_unavailable")


@EVERY_VENDOR
@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
async def test_redirect_is_not_followed(name: str, status: str) -> None:
    """A redirect would take prompt and key to another host."""
    async with open_vendor(response(STREAMS[name])) as other:
        error, vendor = await fail(name, response(b"", status, location=f"{other.url}/v1/steal"))
    assert (len(vendor.requests), other.requests) == (1, [])
    assert (error.code, error.reason) == ("upstream_bad_response", "redirect")


@EVERY_VENDOR
async def test_redirect_of_the_health_call_is_not_followed(name: str) -> None:
    """Nor does the free call take the key elsewhere."""
    async with open_vendor(response(b"{}")) as other:
        reply = response(b"", "307 Temporary", location=f"{other.url}/v1/steal")
        async with open_vendor(reply) as vendor, open_provider(name, vendor) as provider:
            with pytest.raises(GatewayError, match="upstream_bad_response"):
                await provider.health_check("m")
    assert (len(vendor.requests), other.requests) == (1, [])


@EVERY_VENDOR
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_compressed_answer_is_refused(name: str, encoding: str) -> None:
    """It was asked for uncompressed: what comes otherwise is not read as if it were."""
    error, _ = await fail(name, response(STREAMS[name], content_encoding=encoding))
    assert (error.code, error.reason) == ("upstream_bad_response", "compressed")


@EVERY_VENDOR
@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
async def test_answer_of_another_kind_is_refused(name: str, content_type: str) -> None:
    """HTML or JSON with status 200 is no answer."""
    error, _ = await fail(name, response(b"<html>secret</html>", content_type=content_type))
    assert (error.code, error.reason) == ("upstream_bad_response", "content_type")
    assert "secret" not in f"{error} {error.detail}"


@EVERY_VENDOR
async def test_refused_connection_has_its_code(name: str) -> None:
    """A refused connection is `upstream_unavailable`, whatever the SDK calls it."""
    async with open_vendor(b"") as vendor:
        pass
    async with open_provider(name, vendor) as provider:
        with pytest.raises(GatewayError) as raised:
            await collect(provider)
    assert (raised.value.code, raised.value.reason) == ("upstream_unavailable", "refused")
