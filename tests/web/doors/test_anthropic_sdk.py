"""Anthropic's own SDK in front of the gateway, raw and with its helpers: what it makes of each ending."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

import anthropic
import pydantic
import pytest
import pytest_asyncio

from configuration import GatewayKey
from models import (
    File,
    GatewayError,
    Image,
    JsonSchema,
    Reasoning,
    Refusal,
    State,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Usage,
)
from providers.wires.finish_reasons import Finish
from tests.clients.anthropic_sdk import connect_anthropic
from tests.clients.named_events import read_named
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anthropic.types import MessageParam

    from tests.vendors.scripted_provider import Step

MESSAGES: list[MessageParam] = [{"role": "user", "content": "Hello?"}]
ASKED: dict[str, Any] = {"model": "gpt", "max_tokens": 100, "messages": MESSAGES}
STATE = State("gpt", "luna", '{"type":"reasoning"}')
PNG = "iVBORw0KGgo="
SEARCH: Any = {
    "name": "search",
    "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}},
}
CALLED = Finish("tool_calls", "tool_calls", Usage(input_tokens=9, output_tokens=12))
CALLS: list[Step] = [
    [Reasoning("Hm"), Reasoning("", STATE)],
    [ToolCallDelta(0, "call_0", "search"), ToolCallDelta(0, arguments='{"q":')],
    [ToolCallDelta(0, arguments='"x"}')],
    [ToolCallDelta(1, "call_1", "now"), CALLED],
]


class Place(pydantic.BaseModel):
    """A place, as an answer has to give it."""

    city: str
    people: int


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[ScriptedGateway]:
    """One for each test."""
    async with scripted_gateway(tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def client(gateway: ScriptedGateway) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with connect_anthropic(gateway.running.url) as connected:
        yield connected


async def stream_message(client: anthropic.AsyncAnthropic, **fields: Any) -> Any:
    """The message that the SDK's streaming helper gathers."""
    async with client.messages.stream(**{**ASKED, **fields}) as stream:
        return await stream.get_final_message()


async def create_message(client: anthropic.AsyncAnthropic, **fields: Any) -> Any:
    """The message of a request without streaming."""
    return await client.messages.create(**{**ASKED, **fields})


async def gather_raw(client: anthropic.AsyncAnthropic, **fields: Any) -> list[Any]:
    """The events of a stream, without the helper."""
    stream = await client.messages.create(**{**ASKED, **fields}, stream=True)
    return [event async for event in stream]


WAYS = pytest.mark.parametrize("ask", [stream_message, create_message])


# Whole answers


@WAYS
async def test_answer_is_a_message(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, ask: Any
) -> None:
    """With the model that answered, its stop reason and its usage."""
    gateway.gpt.enqueue(*answer("Hel", "lo"))
    message = await ask(client)
    assert (message.content[0].text, message.stop_reason, message.model) == (
        "Hello",
        "end_turn",
        "luna",
    )
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 12)


async def test_raw_events_are_typed(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic
) -> None:
    """Each is one that the SDK knows."""
    gateway.gpt.enqueue(*answer("Hel", "lo"))
    events = await gather_raw(client)
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[5].gateway["attempts"] == 1


async def test_request_id_is_the_gateways(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic
) -> None:
    """By it the log shows the request."""
    gateway.gpt.enqueue(*answer("Hello"))
    message = await create_message(client)
    assert message._request_id == message.gateway["request_id"]


@WAYS
async def test_calls_are_blocks_with_their_input(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, ask: Any
) -> None:
    """Parallel ones, and one without arguments."""
    gateway.gpt.enqueue(*CALLS)
    message = await ask(client, tools=[SEARCH])
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.id, call.name, call.input) for call in calls] == [
        ("call_0", "search", {"q": "x"}),
        ("call_1", "now", {}),
    ]
    assert message.stop_reason == "tool_use"


@WAYS
async def test_second_turn_brings_thinking_and_results_back(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, ask: Any
) -> None:
    """The message as the SDK has it, sent again: the model gets its state, and a result for each call."""
    gateway.gpt.enqueue(*CALLS)
    asked = await ask(client, tools=[SEARCH])
    gateway.gpt.enqueue(*answer("Done."))
    results = [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "noon", "is_error": True},
        {
            "type": "tool_result",
            "tool_use_id": "call_0",
            "content": [{"type": "text", "text": "found"}],
        },
    ]
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": results},
    ]
    answered = await ask(client, tools=[SEARCH], messages=messages)
    assert answered.content[0].text == "Done."
    assert [turn.parts for turn in gateway.gpt.history[1].prompt.turns[1:]] == [
        (
            Reasoning("", STATE),
            ToolCall("call_0", "search", '{"q":"x"}'),
            ToolCall("call_1", "now", "{}"),
        ),
        (
            ToolResult("call_0", (Text("found"),)),
            ToolResult("call_1", (Text("noon"),), True),
        ),
    ]


@WAYS
async def test_image_goes_to_the_model(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, ask: Any
) -> None:
    """In base64."""
    gateway.gpt.enqueue(*answer("A cat."))
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    await ask(client, messages=[{"role": "user", "content": content}])
    (turn,) = gateway.gpt.history[0].prompt.turns
    assert turn.parts == (Image("image/png", PNG), Text("What is this?"))


@WAYS
async def test_pdf_goes_to_the_model(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, ask: Any
) -> None:
    """With its title as its name."""
    gateway.gpt.enqueue(*answer("A report."))
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
    document = {"type": "document", "source": source, "title": "a.pdf"}
    await ask(client, messages=[{"role": "user", "content": [document]}])
    (turn,) = gateway.gpt.history[0].prompt.turns
    assert turn.parts == (File("application/pdf", "JVBERi0x", "a.pdf"),)


async def test_parsed_answer_fits_the_clients_type(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic
) -> None:
    """`parse` sends the type's schema, and reads the answer with it."""
    gateway.gpt.enqueue(*answer('{"city":"Rome",', '"people":3}'))
    message = await client.messages.parse(**ASKED, output_format=Place)
    assert message.parsed_output == Place(city="Rome", people=3)
    output = gateway.gpt.history[0].prompt.options.output
    assert isinstance(output, JsonSchema)
    assert set(json.loads(bytes(output.schema))["properties"]) == {"city", "people"}


@WAYS
async def test_refusal_says_so(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, ask: Any
) -> None:
    """By its stop reason, and with its text."""
    gateway.gpt.enqueue([Refusal("I can't.")], [Finish("content_filter", "refusal")])
    message = await ask(client)
    assert (message.content[0].text, message.stop_reason) == ("I can't.", "refusal")


@WAYS
async def test_cut_answer_says_so(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, ask: Any
) -> None:
    """An answer that reached its limit is no complete one."""
    gateway.gpt.enqueue([Text("Hel")], [Finish("length", "length")])
    assert (await ask(client)).stop_reason == "max_tokens"


@WAYS
async def test_fallback_is_in_the_message(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, ask: Any
) -> None:
    """The model that answered, and beside it the one that was left."""
    gateway.gpt.enqueue(GatewayError("upstream_timeout", reason="first_content"))
    gateway.gpt.enqueue(*answer("Hello"))
    message = await ask(client)
    assert message.model == "nova"
    assert message.gateway["fallback"] == {
        "from": "luna",
        "to": "nova",
        "reason": "upstream_timeout",
    }


# Answers that fail


@WAYS
async def test_error_before_content_has_its_status(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, ask: Any
) -> None:
    """And the type by which the SDK chooses its exception."""
    gateway.gpt.enqueue(GatewayError("context_length_exceeded"))
    gateway.gpt.enqueue(GatewayError("context_length_exceeded"))
    with pytest.raises(anthropic.BadRequestError) as raised:
        await ask(client)
    assert (raised.value.status_code, raised.value.type) == (400, "invalid_request_error")
    assert raised.value.request_id == raised.value.body["request_id"]  # type: ignore[index]


async def test_limited_client_gets_the_seconds_to_wait(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic
) -> None:
    """In the headers that the SDK obeys."""
    for _ in range(2):
        gateway.gpt.enqueue(GatewayError("rate_limited", retry_after=7))
    with pytest.raises(anthropic.RateLimitError) as raised:
        await create_message(client)
    headers = raised.value.response.headers
    assert (headers["retry-after"], headers["x-should-retry"]) == ("7", "true")


async def test_spent_quota_is_not_asked_again(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic
) -> None:
    """The SDK would ask twice more."""
    gateway.gpt.enqueue(GatewayError("upstream_quota"))
    with pytest.raises(anthropic.APIStatusError) as raised:
        await client.with_options(max_retries=2).messages.create(**ASKED)
    assert (raised.value.status_code, raised.value.type) == (402, "billing_error")
    assert len(gateway.gpt.history) == 1


@pytest.mark.parametrize("ask", [stream_message, gather_raw])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("upstream_truncated", "api_error"),
        ("upstream_timeout", "timeout_error"),
        ("rate_limited", "rate_limit_error"),
    ],
)
async def test_break_after_content_raises(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic, code: str, kind: str, ask: Any
) -> None:
    """No client takes a broken answer for a whole one."""
    gateway.gpt.enqueue([Text("Hel")], GatewayError(code))
    with pytest.raises(anthropic.APIStatusError) as raised:
        await ask(client)
    assert raised.value.type == kind


async def test_broken_answer_without_streaming_is_asked_of_the_next_model(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic
) -> None:
    """Nothing of it was shown. Agents fall back to this after a broken stream."""
    gateway.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
    gateway.gpt.enqueue(*answer("Bonjour"))
    message = await create_message(client)
    assert (message.content[0].text, message.model) == ("Bonjour", "nova")


async def test_held_stream_is_whole(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic
) -> None:
    """A break goes to the next model unseen."""
    gateway.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
    gateway.gpt.enqueue(*answer("Bon", "jour"))
    message = await stream_message(client, extra_body={"gateway": {"on_break": "hold"}})
    assert (message.content[0].text, message.model) == ("Bonjour", "nova")


async def test_error_after_the_hold_is_an_event(tmp_path: Path) -> None:
    """The status is 200 by then, and the event says what it would have been."""
    has_begun = asyncio.Event()
    async with scripted_gateway(tmp_path, status_hold_seconds=0.01) as gateway:
        gateway.gpt.enqueue(has_begun.wait, GatewayError("rejected_by_provider"))
        body = {**ASKED, "stream": True}
        text = ""
        async with gateway.client.stream("POST", "/v1/messages", json=body) as response:
            async for piece in response.aiter_text():
                text += piece
                has_begun.set()
    assert (response.status_code, text.startswith(": ")) == (200, True)
    (event,) = read_named(text)
    assert (event["error"]["type"], event["gateway"]["status"]) == ("invalid_request_error", 400)


async def test_client_that_leaves_ends_the_request(
    gateway: ScriptedGateway, client: anthropic.AsyncAnthropic
) -> None:
    """The vendor's stream is closed."""
    gateway.gpt.enqueue([Text("Hel")], silence)
    async with client.messages.stream(**ASKED) as stream:
        async for text in stream.text_stream:
            assert text == "Hel"
            break
    (asked,) = gateway.gpt.history
    await asked.closed.wait()


# The route


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true"])
async def test_query_changes_nothing(gateway: ScriptedGateway, path: str) -> None:
    """Agents say `beta`."""
    gateway.gpt.enqueue(*answer("Hello"))
    response = await gateway.client.post(path, json=ASKED)
    assert response.status_code == 200
    assert response.headers["request-id"] == response.headers["x-request-id"]
    assert response.headers["x-gateway-model"] == "luna"


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"{", 400, "invalid_request_error"),
        (b"{}", 400, "invalid_request_error"),
        (json.dumps({**ASKED, "model": "unheard-of"}).encode(), 404, "not_found_error"),
        (b"[" * 9_000_000, 413, "request_too_large"),
    ],
    ids=["no json", "no messages", "no model", "too large"],
)
async def test_errors_of_the_gateway_have_anthropics_shape(
    gateway: ScriptedGateway, content: bytes, status: int, kind: str
) -> None:
    """With the id of the request."""
    headers = {"Content-Type": "application/json", "X-Request-ID": "r-1"}
    response = await gateway.client.post("/v1/messages", content=content, headers=headers)
    body = response.json()
    assert (response.status_code, body["type"], body["error"]["type"]) == (status, "error", kind)
    assert body["request_id"] == "r-1"


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_either_header_brings_the_key(tmp_path: Path, header: str) -> None:
    """Newer SDKs send it as a bearer's, older ones as `x-api-key`."""
    keys = (GatewayKey("agent", hashlib.sha256(b"gw-agent").hexdigest()),)
    async with scripted_gateway(tmp_path, gateway_api_keys=keys) as gateway:
        gateway.gpt.enqueue(*answer("Hello"))
        shown = "Bearer gw-agent" if header == "Authorization" else "gw-agent"
        accepted = await gateway.client.post("/v1/messages", json=ASKED, headers={header: shown})
        refused = await gateway.client.post("/v1/messages", json=ASKED)
    assert (accepted.status_code, refused.status_code) == (200, 401)
    assert refused.json()["error"]["type"] == "authentication_error"
