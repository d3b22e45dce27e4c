"""OpenAI's SDK at the OpenAI door: its raw stream, `stream()`, `parse()` and whole answers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from pydantic import BaseModel

from models import (
    File,
    GatewayError,
    Image,
    JsonSchema,
    Refusal,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolResult,
)
from providers.wires.finish_reasons import Finish
from tests.clients.openai_sdk import openai_client
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway, silence
from tests.vendors.scripted_provider import STOP, finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

    from tests.vendors.scripted_provider import Step

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello?"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": name, "parameters": SCHEMA if name == "get_weather" else None},
    }
    for name in ("get_weather", "now")
]
STRICT_TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "get_weather", "parameters": SCHEMA, "strict": True},
    }
]
ROME = [
    ToolCallDelta(0, "call_1", "get_weather"),
    ToolCallDelta(0, arguments='{"city":'),
    ToolCallDelta(0, arguments='"Rome"}'),
]
NOW = [ToolCallDelta(1, "call_2", "now")]


class Place(BaseModel):
    """What an answer is to be."""

    city: str


class World:
    """A gateway whose `gpt` is scripted, and the SDK as its client."""

    def __init__(self, gateway: ScriptedGateway, sdk: AsyncOpenAI) -> None:
        self.gateway = gateway
        self.gpt = gateway.gpt
        self.sdk = sdk
        self.chat = sdk.chat.completions

    async def read(self, **fields: Any) -> list[ChatCompletionChunk]:
        """All chunks of a raw stream."""
        stream = await self.chat.create(model="gpt", messages=HELLO, stream=True, **fields)
        return [chunk async for chunk in stream]

    async def fail(self, **fields: Any) -> tuple[str, openai.APIError]:
        """The text of a raw stream up to its failure, and the failure."""
        stream = await self.chat.create(model="gpt", messages=HELLO, stream=True, **fields)
        chunks: list[ChatCompletionChunk] = []

        async def take() -> None:
            async for chunk in stream:
                chunks.append(chunk)

        with pytest.raises(openai.APIError) as raised:
            await take()
        return text_of(chunks), raised.value


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with scripted_gateway(tmp_path) as gateway, openai_client(gateway.running) as sdk:
        yield World(gateway, sdk)


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def calls(*deltas: ToolCallDelta) -> list[Step]:
    pieces: list[Step] = [[delta] for delta in deltas]
    return [*pieces, [Finish("tool_calls", "tool_calls", STOP.usage)]]


def facts(answered: Any) -> dict[str, Any]:
    """The `gateway` object, which the SDK keeps."""
    return cast("dict[str, Any]", answered.model_extra["gateway"])


# --- answers


async def test_raw_stream_is_the_answer(world: World) -> None:
    """The vendor's text, the model that served, the usage, and one finish reason."""
    world.gpt.enqueue(*answer("Hel", "lo"))
    chunks = await world.read()
    assert text_of(chunks) == "Hello"
    assert {chunk.model for chunk in chunks} == {"luna"}
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    usage = chunks[-1].usage
    assert usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (9, 12, 21)
    assert facts(chunks[-1])["attempts"] == 1


async def test_stream_helper_gathers_the_answer(world: World) -> None:
    """With its events, and the usage that it was asked for."""
    world.gpt.enqueue(*answer("Hel", "lo"))
    options = {"include_usage": True}
    async with world.chat.stream(
        model="gpt", messages=HELLO, stream_options=cast("Any", options)
    ) as stream:
        kinds = [event.type async for event in stream]
        completion = await stream.get_final_completion()
    assert kinds.count("content.delta") == 3
    assert kinds[-2:] == ["content.done", "chunk"]
    assert completion.choices[0].message.content == "Hello"
    assert completion.usage
    assert completion.usage.total_tokens == 21


async def test_whole_answer_is_a_completion(world: World) -> None:
    world.gpt.enqueue(*answer("Hel", "lo"))
    completion = await world.chat.create(model="gpt", messages=HELLO)
    (choice,) = completion.choices
    assert (choice.message.content, choice.finish_reason, completion.model) == (
        "Hello",
        "stop",
        "luna",
    )
    assert completion.usage
    assert completion.usage.total_tokens == 21
    assert completion._request_id == facts(completion)["request_id"]


async def test_provider_gets_the_chat_without_a_generic_prompt(world: World) -> None:
    """The client's own system message alone: it may be an agent with instructions of its own."""
    world.gpt.enqueue(*answer("Hi"))
    messages: Any = [{"role": "developer", "content": "Be brief."}, *HELLO]
    await world.chat.create(model="gpt", messages=messages, max_completion_tokens=50)
    (asked,) = world.gpt.history
    assert (asked.prompt.system, asked.prompt.options.max_tokens) == ("Be brief.", 50)


async def test_schema_is_parsed(world: World) -> None:
    """By `parse()` and by `stream()`, both of which send the schema of a class."""
    for _ in range(2):
        world.gpt.enqueue(*answer('{"city":', '"Rome"}'))
    parsed = await world.chat.parse(model="gpt", messages=HELLO, response_format=Place)
    async with world.chat.stream(model="gpt", messages=HELLO, response_format=Place) as stream:
        streamed = await stream.get_final_completion()
    assert parsed.choices[0].message.parsed == Place(city="Rome")
    assert streamed.choices[0].message.parsed == Place(city="Rome")
    output = world.gpt.history[0].prompt.options.output
    assert isinstance(output, JsonSchema)
    assert (output.name, output.strict) == ("Place", True)


async def test_image_reaches_the_provider(world: World) -> None:
    world.gpt.enqueue(*answer("A cat"))
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
    ]
    await world.chat.create(model="gpt", messages=cast("Any", [{"role": "user", "content": parts}]))
    (asked,) = world.gpt.history
    assert asked.prompt.turns[0].parts == (Text("What is this?"), Image("image/png", "aGk="))


async def test_pdf_reaches_the_provider(world: World) -> None:
    world.gpt.enqueue(*answer("A report"))
    data = "data:application/pdf;base64,JVBERi0x"
    part = {"type": "file", "file": {"file_data": data, "filename": "a.pdf"}}
    said = [{"role": "user", "content": [part]}]
    await world.chat.create(model="gpt", messages=cast("Any", said))
    (asked,) = world.gpt.history
    assert asked.prompt.turns[0].parts == (File("application/pdf", "JVBERi0x", "a.pdf"),)


async def test_refusal_is_read_by_every_way_of_the_sdk(world: World) -> None:
    """It raises nothing: the message has the refusal."""
    refused: list[Step] = [[Refusal("I can't.")], [finish("content_filter")]]
    for _ in range(3):
        world.gpt.enqueue(*refused)
    whole = await world.chat.create(model="gpt", messages=HELLO)
    parsed = await world.chat.parse(model="gpt", messages=HELLO, response_format=Place)
    async with world.chat.stream(model="gpt", messages=HELLO, response_format=Place) as stream:
        streamed = await stream.get_final_completion()
    for completion in (whole, parsed, streamed):
        assert completion.choices[0].message.refusal == "I can't."
        assert not completion.choices[0].message.content


async def test_answer_that_is_cut_by_its_limit_says_so(world: World) -> None:
    """`parse()` raises, since half of a JSON text is none."""
    for _ in range(2):
        world.gpt.enqueue(*answer('{"city":', finish=finish("length")))
    chunks = await world.read()
    assert chunks[-1].choices[0].finish_reason == "length"
    with pytest.raises(openai.LengthFinishReasonError):
        await world.chat.parse(model="gpt", messages=HELLO, response_format=Place)


# --- tools


async def test_offered_tools_need_not_be_called(world: World) -> None:
    world.gpt.enqueue(*answer("Hi"))
    completion = await world.chat.create(model="gpt", messages=HELLO, tools=TOOLS)
    assert completion.choices[0].message.tool_calls is None
    assert [tool.name for tool in world.gpt.history[0].prompt.options.tools] == [
        "get_weather",
        "now",
    ]


async def test_calls_are_gathered_by_the_stream_helper(world: World) -> None:
    """Two at once, one of them without arguments."""
    world.gpt.enqueue(*calls(*ROME, *NOW))
    async with world.chat.stream(model="gpt", messages=HELLO, tools=TOOLS) as stream:
        kinds = [event.type async for event in stream]
        completion = await stream.get_final_completion()
    (choice,) = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert [
        (call.id, call.function.name, call.function.arguments)
        for call in choice.message.tool_calls or []
    ] == [("call_1", "get_weather", '{"city":"Rome"}'), ("call_2", "now", "{}")]
    assert kinds.count("tool_calls.function.arguments.done") == 2


async def test_strict_arguments_are_parsed(world: World) -> None:
    """While they arrive."""
    world.gpt.enqueue(*calls(*ROME))
    async with world.chat.stream(model="gpt", messages=HELLO, tools=STRICT_TOOLS) as stream:
        completion = await stream.get_final_completion()
    (call,) = completion.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == {"city": "Rome"}


async def test_call_of_a_whole_answer_goes_back_with_its_result(world: World) -> None:
    """The SDK's message is sent as it came, with all that it kept."""
    world.gpt.enqueue(*calls(*ROME))
    world.gpt.enqueue(*answer("Sunny"))
    first = await world.chat.create(model="gpt", messages=HELLO, tools=TOOLS)
    message = first.choices[0].message
    (call,) = message.tool_calls or []
    messages: Any = [
        *HELLO,
        message.model_dump(),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    second = await world.chat.create(model="gpt", messages=messages, tools=TOOLS)
    assert second.choices[0].message.content == "Sunny"
    _, asked, answered = world.gpt.history[1].prompt.turns
    assert asked.parts == (ToolCall("call_1", "get_weather", '{"city":"Rome"}'),)
    assert answered.parts == (ToolResult("call_1", (Text("sunny"),)),)


# --- failures


async def test_rate_limit_has_its_wait(world: World) -> None:
    """By which the SDK's own retries wait."""
    limited = GatewayError("rate_limited", retry_after=7)
    for _ in range(4):
        world.gpt.enqueue(limited)
    with pytest.raises(openai.RateLimitError) as raised:
        await world.chat.create(model="gpt", messages=HELLO, stream=True)
    headers = raised.value.response.headers
    assert (headers["retry-after"], headers["x-should-retry"]) == ("7", "true")
    assert (raised.value.code, raised.value.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert raised.value.request_id == headers["x-request-id"]


@pytest.mark.parametrize(
    ("code", "kind", "openais_code"),
    [
        ("upstream_timeout", openai.InternalServerError, "upstream_timeout"),
        ("context_length_exceeded", openai.BadRequestError, "context_length_exceeded"),
        ("content_filtered", openai.BadRequestError, "content_policy_violation"),
        ("upstream_quota", openai.InternalServerError, "insufficient_quota"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_error_before_content_is_a_status(
    world: World, code: str, kind: type[openai.APIStatusError], openais_code: str, stream: bool
) -> None:
    """Of the class that the SDK has for it."""
    for _ in range(4):
        world.gpt.enqueue(GatewayError(code))
    with pytest.raises(kind) as raised:
        await cast("Any", world.chat.create)(model="gpt", messages=HELLO, stream=stream)
    assert raised.value.code == openais_code


async def test_error_after_content_is_raised(world: World) -> None:
    """After the text that had come, by the raw stream and by the helper."""
    for _ in range(2):
        world.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
    text, error = await world.fail()
    assert (text, error.code, error.type) == ("Hel", "upstream_truncated", "server_error")
    with pytest.raises(openai.APIError, match="stopped before its end"):
        async with world.chat.stream(model="gpt", messages=HELLO) as stream:
            await stream.get_final_completion()


async def test_whole_answer_is_never_a_part(world: World) -> None:
    """A break asks the next model; if none is left, the status says that it failed."""
    world.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
    world.gpt.enqueue(*answer("Bonjour"))
    completion = await world.chat.create(model="gpt", messages=HELLO)
    assert (completion.choices[0].message.content, completion.model) == ("Bonjour", "nova")
    for _ in range(2):
        world.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
    with pytest.raises(openai.InternalServerError) as raised:
        await world.chat.create(model="gpt", messages=HELLO)
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_truncated")


async def test_model_that_served_is_named(world: World) -> None:
    """After a fallback it is another one than the client asked for."""
    world.gpt.enqueue(GatewayError("upstream_timeout"), model="luna")
    world.gpt.enqueue(*answer("Bonjour"), model="nova")
    chunks = await world.read()
    assert {chunk.model for chunk in chunks} == {"nova"}
    fallback = {"from": "luna", "to": "nova", "reason": "upstream_timeout"}
    assert facts(chunks[0])["fallback"] == facts(chunks[-1])["fallback"] == fallback


@pytest.mark.parametrize(
    "asked",
    [
        {"extra_body": {"gateway": {"on_break": "hold"}}},
        {"extra_headers": {"X-Gateway-On-Break": "hold"}},
    ],
    ids=["body", "header"],
)
async def test_held_stream_has_no_trace_of_what_broke(world: World, asked: dict[str, Any]) -> None:
    """One answer, with one role, of the model that was asked after the break."""
    world.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
    world.gpt.enqueue(*answer("Bon", "jour"))
    chunks = await world.read(**asked)
    assert (text_of(chunks), {chunk.model for chunk in chunks}) == ("Bonjour", {"nova"})
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant", None, None, None]


async def test_late_answer_and_late_error_come_in_a_stream_that_has_begun(tmp_path: Path) -> None:
    """Past the hold the status is 200; heartbeats are not seen, and a failure is raised."""
    endings: list[tuple[Step, str]] = [
        ([Text("late")], "late"),
        (GatewayError("upstream_timeout"), ""),
    ]
    for ending, text in endings:
        begun = asyncio.Event()
        async with (
            scripted_gateway(tmp_path, status_hold_seconds=0.01) as gateway,
            openai_client(gateway.running) as sdk,
        ):
            for _ in range(2):
                gateway.gpt.enqueue(begun.wait, ending, [STOP])
            stream = await sdk.chat.completions.create(model="gpt", messages=HELLO, stream=True)
            begun.set()
            if text:
                assert text_of([chunk async for chunk in stream]) == text
            else:
                with pytest.raises(openai.APIError, match="did not answer in time"):
                    await anext(stream)


async def test_client_that_leaves_closes_the_vendors_stream(world: World) -> None:
    world.gpt.enqueue([Text("Hel")], silence)
    stream = await world.chat.create(model="gpt", messages=HELLO, stream=True)
    await anext(stream)
    await stream.close()
    async with asyncio.timeout(20):
        await world.gpt.history[0].closed.wait()


# --- models


async def test_models_are_listed(world: World) -> None:
    """The provider's name and its models."""
    listed = [model async for model in world.sdk.models.list()]
    assert [model.id for model in listed] == ["gpt", "luna", "nova"]
    assert {model.owned_by for model in listed} == {"gpt"}


@pytest.mark.parametrize("name", ["luna", "gpt-6-luna", "gpt"])
async def test_model_that_can_be_asked_is_retrieved(world: World, name: str) -> None:
    """Whether it is listed or not."""
    model = await world.sdk.models.retrieve(name)
    assert (model.id, model.object, model.owned_by) == (name, "model", "gpt")


@pytest.mark.parametrize("name", ["mistral-large", "vendor/of/slashes"])
async def test_unknown_model_is_not_found(world: World, name: str) -> None:
    """By the list and by a chat alike; the message has the valid names."""
    with pytest.raises(openai.NotFoundError, match="luna") as raised:
        await world.sdk.models.retrieve(name)
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="luna"):
        await world.chat.create(model=name, messages=HELLO)
    assert json.loads(raised.value.response.content)["gateway"]["code"] == "unknown_provider"
