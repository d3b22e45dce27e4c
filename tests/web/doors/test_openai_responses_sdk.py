"""OpenAI's Responses through OpenAI's own SDK, over a scripted gateway: what its users see of each case."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import openai
import pytest
from pydantic import BaseModel

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
    Turn,
)
from tests.clients.openai_sdk import openai_client
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway, silence
from tests.vendors.scripted_provider import finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from openai.types.responses import ParsedResponse, Response

    from providers.wires.decoder import Batch
    from tests.vendors.scripted_provider import Step

STATE = State("gpt", "luna", '{"type":"reasoning"}')
SEARCH: Any = {
    "type": "function",
    "name": "search",
    "description": "Look it up.",
    "parameters": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
    "strict": False,
}
TRUNCATED = GatewayError("upstream_truncated")


class City(BaseModel):
    name: str
    people: int


class World(NamedTuple):
    """A gateway, and OpenAI's client of it."""

    gateway: ScriptedGateway
    client: openai.AsyncOpenAI


@asynccontextmanager
async def open_world(folder: Path, **options: Any) -> AsyncIterator[World]:
    async with (
        scripted_gateway(folder, **options) as gateway,
        openai_client(gateway.running) as client,
    ):
        yield World(gateway, client)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def ask_whole(world: World, **fields: Any) -> Response:
    """The response to a request that does not stream."""
    response: Response = await world.client.responses.create(
        model="gpt", **{"input": "Hi"} | fields
    )
    return response


async def ask_raw(world: World, **fields: Any) -> Response:
    """The response at the end of a raw stream, however it ends."""
    stream = await world.client.responses.create(
        model="gpt", stream=True, **{"input": "Hi"} | fields
    )
    async with stream:
        *_, last = [event async for event in stream]
    assert last.type in ("response.completed", "response.incomplete")
    return last.response


async def ask_helper(world: World, **fields: Any) -> ParsedResponse[Any]:
    """The response that the SDK's helper puts together."""
    async with world.client.responses.stream(model="gpt", **{"input": "Hi"} | fields) as stream:
        return await stream.get_final_response()


WAYS = pytest.mark.parametrize("ask", [ask_whole, ask_raw, ask_helper])


@WAYS
async def test_answer_is_whole(world: World, ask: Callable[..., Any]) -> None:
    """Its text, its usage and the model that served it, in each way of asking."""
    world.gateway.gpt.enqueue(*answer("Hel", "lo"))
    response = await ask(world, instructions="Be kind.", metadata={"a": "b"})
    assert response.output_text == "Hello"
    assert (response.status, response.model, response.metadata) == ("completed", "luna", {"a": "b"})
    usage = response.usage
    assert usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (9, 12, 21)
    (asked,) = world.gateway.gpt.history
    assert (asked.prompt.system, asked.prompt.turns) == ("Be kind.", (Turn("user", (Text("Hi"),)),))


async def test_stream_brings_the_text_as_it_comes(world: World) -> None:
    """Each piece is an event as soon as the vendor has sent it."""
    seen = asyncio.Event()
    world.gateway.gpt.enqueue([Text("Hel")], seen.wait, *answer("lo"))
    pieces = []
    async with world.client.responses.stream(model="gpt", input="Hi") as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                pieces.append((event.delta, event.snapshot))
                seen.set()
    assert pieces == [("Hel", "Hel"), ("lo", "Hello")]


async def test_answer_is_parsed_by_its_schema(world: World) -> None:
    """The schema goes to the model, and the answer comes back as an object of the class."""
    for _ in range(2):
        world.gateway.gpt.enqueue(*answer('{"name":"Rome",', '"people":3}'))
    parsed = await world.client.responses.parse(model="gpt", input="Hi", text_format=City)
    streamed = await ask_helper(world, text_format=City)
    assert parsed.output_parsed == streamed.output_parsed == City(name="Rome", people=3)
    for asked in world.gateway.gpt.history:
        output = asked.prompt.options.output
        assert isinstance(output, JsonSchema)
        assert (output.name, output.strict) == ("City", True)
        assert set(json.loads(bytes(output.schema))["properties"]) == {"name", "people"}


@WAYS
@pytest.mark.parametrize(
    ("deltas", "arguments"),
    [
        ([(0, None), (0, "{"), (0, '"q":"x"}')], ['{"q":"x"}']),
        ([(0, None)], ["{}"]),
        ([(0, None), (0, '{"q":1}'), (1, None), (1, '{"q":2}')], ['{"q":1}', '{"q":2}']),
        ([(0, None), (1, None), (1, '{"q":2}'), (0, '{"q":1}')], ['{"q":1}', '{"q":2}']),
        ([(0, None), (1, None)], ["{}", "{}"]),
    ],
    ids=["one", "none", "two", "interleaved", "two without"],
)
async def test_calls_are_complete(
    world: World,
    ask: Callable[..., Any],
    deltas: list[tuple[int, str | None]],
    arguments: list[str],
) -> None:
    """With their ids, in their order; a call without arguments has an empty object."""
    steps: list[Step] = [
        [ToolCallDelta(index, f"call_{index}", "search")]
        if piece is None
        else [ToolCallDelta(index, arguments=piece)]
        for index, piece in deltas
    ]
    world.gateway.gpt.enqueue(*steps, [finish("tool_calls")])
    response = await ask(world, tools=[SEARCH])
    calls = [item for item in response.output if item.type == "function_call"]
    assert [call.arguments for call in calls] == arguments
    assert [(call.call_id, call.name, call.status) for call in calls] == [
        (f"call_{number}", "search", "completed") for number in range(len(arguments))
    ]


@WAYS
async def test_items_of_an_answer_are_the_next_turns_history(
    world: World, ask: Callable[..., Any]
) -> None:
    """Sent back as they came: the reasoning's state, the text, the call with its own state, the result."""
    own = State("gpt", "luna", '{"n":2}')
    deltas: Batch = [
        Reasoning("Hm"),
        Reasoning("", STATE),
        Text("I look."),
        ToolCallDelta(0, "call_0", "search", '{"q":"x"}', own),
    ]
    world.gateway.gpt.enqueue(deltas, [finish("tool_calls")])
    world.gateway.gpt.enqueue(*answer("Found."))
    first = await ask(world, tools=[SEARCH])
    result = {"type": "function_call_output", "call_id": "call_0", "output": "found"}
    items = [item.to_dict() for item in first.output]
    second = await ask(
        world, tools=[SEARCH], input=[{"role": "user", "content": "Hi"}, *items, result]
    )
    assert second.output_text == "Found."
    call = ToolCall("call_0", "search", '{"q":"x"}', own)
    assert world.gateway.gpt.history[1].prompt.turns == (
        Turn("user", (Text("Hi"),)),
        Turn("assistant", (Reasoning("", STATE), Text("I look."), call)),
        Turn("user", (ToolResult("call_0", (Text("found"),)),)),
    )


@WAYS
async def test_items_of_an_answer_can_be_referred_to(world: World, ask: Callable[..., Any]) -> None:
    """As the AI SDK does; a client that asked for no storing sends them itself."""
    deltas: Batch = [Text("I look."), ToolCallDelta(0, "call_0", "search", "{}")]
    for stored in (True, False):
        world.gateway.gpt.enqueue(deltas, [finish("tool_calls")])
        first = await ask(world, tools=[SEARCH], store=stored)
        references = [{"type": "item_reference", "id": item.id} for item in first.output]
        result = {"type": "function_call_output", "call_id": "call_0", "output": "found"}
        history = [{"role": "user", "content": "Hi"}, *references, result]
        if stored:
            world.gateway.gpt.enqueue(*answer("Found."))
            assert (await ask(world, tools=[SEARCH], input=history)).output_text == "Found."
        else:
            with pytest.raises(openai.BadRequestError, match="not kept"):
                await ask(world, tools=[SEARCH], input=history)
    assert world.gateway.gpt.history[1].prompt.turns[1:] == (
        Turn("assistant", (Text("I look."), ToolCall("call_0", "search", "{}"))),
        Turn("user", (ToolResult("call_0", (Text("found"),)),)),
    )


@WAYS
async def test_reasoning_has_its_summary(world: World, ask: Callable[..., Any]) -> None:
    """Beside the text, never in it."""
    world.gateway.gpt.enqueue([Reasoning("H")], [Reasoning("m")], *answer("Hi"))
    response = await ask(world, reasoning={"effort": "low", "summary": "auto"})
    reasoning, message = response.output
    assert ([part.text for part in reasoning.summary], message.type) == (["Hm"], "message")
    assert response.output_text == "Hi"


async def test_image_reaches_the_model(world: World) -> None:
    """As its bytes."""
    world.gateway.gpt.enqueue(*answer("A cat."))
    part = {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"}
    text = {"type": "input_text", "text": "What is it?"}
    await ask_whole(world, input=[{"role": "user", "content": [text, part]}])
    (asked,) = world.gateway.gpt.history
    assert asked.prompt.turns[0].parts == (Text("What is it?"), Image("image/png", "aGk="))


async def test_pdf_reaches_the_model(world: World) -> None:
    """With its name."""
    world.gateway.gpt.enqueue(*answer("A report."))
    data = "data:application/pdf;base64,JVBERi0x"
    part = {"type": "input_file", "filename": "a.pdf", "file_data": data}
    await ask_whole(world, input=[{"role": "user", "content": [part]}])
    (asked,) = world.gateway.gpt.history
    assert asked.prompt.turns[0].parts == (File("application/pdf", "JVBERi0x", "a.pdf"),)


@WAYS
async def test_refusal_is_no_text(world: World, ask: Callable[..., Any]) -> None:
    """It is a part of its own, in a response that is complete."""
    world.gateway.gpt.enqueue([Refusal("I won't.")], [finish("content_filter")])
    response = await ask(world)
    assert (response.status, response.output_text) == ("completed", "")
    assert response.output[0].content[0].refusal == "I won't."


@pytest.mark.parametrize("ask", [ask_whole, ask_raw])
async def test_answer_that_reached_its_limit_is_incomplete(
    world: World, ask: Callable[..., Any]
) -> None:
    """With the text so far, and the reason."""
    world.gateway.gpt.enqueue(*answer("Hel", finish=finish("length")))
    response = await ask(world, max_output_tokens=1)
    assert (response.status, response.output_text) == ("incomplete", "Hel")
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_helper_takes_no_incomplete_answer_for_a_whole_one(world: World) -> None:
    """It raises."""
    world.gateway.gpt.enqueue(*answer("Hel", finish=finish("length")))
    with pytest.raises(RuntimeError, match=r"response\.completed"):
        await ask_helper(world)


@WAYS
async def test_rate_limit_is_raised_with_its_wait(world: World, ask: Callable[..., Any]) -> None:
    """As OpenAI's own, with the headers that its clients obey."""
    for _ in range(2):
        world.gateway.gpt.enqueue(GatewayError("rate_limited", retry_after=7))
    with pytest.raises(openai.RateLimitError) as raised:
        await ask(world)
    error = raised.value
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert error.response.headers["retry-after"] == "7"
    assert error.response.headers["x-should-retry"] == "true"
    assert error.request_id == error.response.headers["x-request-id"]


@WAYS
@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        ("rejected_by_provider", openai.BadRequestError, "rejected_by_provider"),
        ("content_filtered", openai.BadRequestError, "content_policy_violation"),
        ("upstream_truncated", openai.InternalServerError, "upstream_truncated"),
    ],
)
async def test_error_before_content_has_its_status(
    world: World,
    ask: Callable[..., Any],
    code: str,
    kind: type[openai.APIStatusError],
    expected: str,
) -> None:
    """As a class of the SDK."""
    for _ in range(2):
        world.gateway.gpt.enqueue(GatewayError(code))
    with pytest.raises(kind) as raised:
        await ask(world)
    assert raised.value.code == expected


@pytest.mark.parametrize("ask", [ask_raw, ask_helper])
async def test_error_after_content_is_raised(world: World, ask: Callable[..., Any]) -> None:
    """The beginning of an answer is not taken for the whole."""
    world.gateway.gpt.enqueue([Text("Hel")], TRUNCATED)
    with pytest.raises(openai.APIError, match="stopped before its end") as raised:
        await ask(world)
    assert (raised.value.code, raised.value.type) == ("upstream_truncated", "server_error")


async def test_whole_answer_replaces_one_that_broke(world: World) -> None:
    """Nothing was shown of it; the response says which model answered, and why."""
    world.gateway.gpt.enqueue([Text("Hel")], TRUNCATED)
    world.gateway.gpt.enqueue(*answer("Hi"))
    response = await ask_whole(world)
    assert (response.output_text, response.model) == ("Hi", "nova")
    facts = response.to_dict()["gateway"]
    assert facts["fallback"] == {"from": "luna", "to": "nova", "reason": "upstream_truncated"}  # type: ignore[index]


@pytest.mark.parametrize("ask", [ask_raw, ask_helper])
async def test_held_answer_replaces_one_that_broke(world: World, ask: Callable[..., Any]) -> None:
    """By the body or by a header; the SDK sees one answer alone."""
    hows: list[dict[str, Any]] = [
        {"extra_body": {"gateway": {"on_break": "hold"}}},
        {"extra_headers": {"X-Gateway-On-Break": "hold"}},
    ]
    for how in hows:
        world.gateway.gpt.enqueue([Text("Hel")], TRUNCATED)
        world.gateway.gpt.enqueue(*answer("Hi"))
        response = await ask(world, **how)
        assert (response.output_text, response.model) == ("Hi", "nova")


@pytest.mark.parametrize("ask", [ask_raw, ask_helper])
async def test_fallback_before_content_is_said(world: World, ask: Callable[..., Any]) -> None:
    """The answer is the second model's, from its first event on."""
    world.gateway.gpt.enqueue(TRUNCATED)
    world.gateway.gpt.enqueue(*answer("Hi"))
    response = await ask(world)
    assert (response.output_text, response.model) == ("Hi", "nova")
    assert world.gateway.gpt.history == ["luna", "nova"]


@pytest.mark.parametrize("steps", [answer("Hi"), [TRUNCATED]], ids=["answer", "error"])
async def test_slow_first_word_is_waited_for(tmp_path: Path, steps: list[Any]) -> None:
    """The response has opened before it; what comes then is an answer, or an error that is raised."""
    times = {"status_hold_seconds": 0.01, "heartbeat_seconds": 0.01}
    async with open_world(tmp_path, **times) as world:
        opened = asyncio.Event()
        for _ in range(2):
            world.gateway.gpt.enqueue(opened.wait, *steps)
        async with world.client.responses.stream(model="gpt", input="Hi") as stream:
            opened.set()
            if steps != [TRUNCATED]:
                assert (await stream.get_final_response()).output_text == "Hi"
                return
            with pytest.raises(openai.APIError, match="stopped before its end"):
                await stream.until_done()


async def test_client_that_leaves_ends_the_chat(world: World) -> None:
    """The vendor's stream is closed."""
    world.gateway.gpt.enqueue([Text("Hel")], silence)
    stream = await world.client.responses.create(model="gpt", input="Hi", stream=True)
    async for event in stream:
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    (asked,) = world.gateway.gpt.history
    async with asyncio.timeout(10):
        await asked.closed.wait()


async def test_unknown_model_is_not_found(world: World) -> None:
    """With the names that there are."""
    with pytest.raises(openai.NotFoundError) as raised:
        await world.client.responses.create(model="unheard-of", input="Hi")
    assert raised.value.code == "model_not_found"
    assert "gpt" in raised.value.message


async def test_stored_responses_are_not_found(world: World) -> None:
    """Nothing is stored; the error is in OpenAI's shape."""
    with pytest.raises(openai.NotFoundError):
        await world.client.responses.retrieve("resp_1")
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        await ask_whole(world, previous_response_id="resp_1")
