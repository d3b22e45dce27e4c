"""OpenAI's SDK in front of every vendor: the OpenAI door, the gateway, the vendor's SDK, and the simulator."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import openai
import pytest
from pydantic import BaseModel

from simulator import Demo, Error, Scripted, Thought, ToolCall
from tests.clients.openai_sdk import openai_client
from tests.vendors.simulated_vendor import DEFAULT, FALLBACK, SimulatedVendor, simulated_vendor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from openai.resources.chat.completions import AsyncCompletions
    from openai.types.chat import ChatCompletionMessageParam

    from simulator import Behaviour

PROVIDERS = ("gpt", "claude", "gemini", "groq", "local")
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}

every_vendor = pytest.mark.parametrize("provider", PROVIDERS)


class Place(BaseModel):
    """What an answer is to be."""

    city: str


class World(NamedTuple):
    """A vendor behind the gateway, and the chats of the SDK in front."""

    vendor: SimulatedVendor
    chat: AsyncCompletions

    def behave(self, behaviour: Behaviour, model: str = DEFAULT) -> None:
        """How the vendor's model answers from now on."""
        self.vendor.simulator.behaviours[model] = behaviour


@asynccontextmanager
async def open_world(folder: Path, provider: str, **options: Any) -> AsyncIterator[World]:
    async with (
        simulated_vendor(folder, provider, **options) as vendor,
        openai_client(vendor.gateway) as sdk,
    ):
        yield World(vendor, sdk.chat.completions)


@every_vendor
async def test_answer_of_any_vendor_is_streamed_and_whole(tmp_path: Path, provider: str) -> None:
    """The same text, with its reasoning, finish reason and usage."""
    async with open_world(tmp_path, provider) as world:
        world.behave(Scripted(("Hel", "lo")))
        stream = await world.chat.create(model=provider, messages=HELLO, stream=True)
        chunks = [chunk async for chunk in stream]
        whole = await world.chat.create(model=provider, messages=HELLO)
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(texts) == whole.choices[0].message.content == "Hello"
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
    assert {chunk.model for chunk in chunks} == {whole.model} == {DEFAULT}
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 2


@every_vendor
async def test_tools_of_any_vendor_are_called_and_answered(tmp_path: Path, provider: str) -> None:
    """Two at once, one without arguments, and a second turn with what the helper gathered."""
    async with open_world(tmp_path, provider) as world:
        world.behave(Scripted((ToolCall("get_weather", '{"city": "Rome"}'), ToolCall("now"))))
        tools = [WEATHER, {"type": "function", "function": {"name": "now"}}]
        async with world.chat.stream(model=provider, messages=HELLO, tools=tools) as stream:
            first = await stream.get_final_completion()
        message = first.choices[0].message
        called = message.tool_calls or []
        world.behave(Demo(pace=0, first=0))
        messages = [*HELLO, message.to_dict()]
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": f"of {call.function.name}"}
            for call in called
        ]
        second = await world.chat.create(
            model=provider, messages=cast("Any", messages), tools=tools
        )
    assert first.choices[0].finish_reason == "tool_calls"
    assert [(call.function.name, call.function.arguments.replace(" ", "")) for call in called] == [
        ("get_weather", '{"city":"Rome"}'),
        ("now", "{}"),
    ]
    text = second.choices[0].message.content or ""
    assert "of get_weather" in text
    assert "of now" in text


@pytest.mark.parametrize("provider", ["gpt", "claude", "gemini", "local"])
async def test_schema_is_kept_by_any_vendor(tmp_path: Path, provider: str) -> None:
    """As the SDK sends that of a class; of Groq's models only those of the table take one."""
    async with open_world(tmp_path, provider) as world:
        world.behave(Demo(pace=0, first=0))
        parsed = await world.chat.parse(model=provider, messages=HELLO, response_format=Place)
    assert isinstance(parsed.choices[0].message.parsed, Place)


@every_vendor
@pytest.mark.parametrize("then", ["end", "close", "reset"])
async def test_cut_answer_of_any_vendor_is_an_error(
    tmp_path: Path, provider: str, then: Any
) -> None:
    """However it is cut: the SDK's raw stream would take a clean end for the end of the answer."""
    async with open_world(tmp_path, provider) as world:
        world.behave(Scripted(("Hel", "lo"), finish=False, then=then))
        world.behave(Scripted(("Hel", "lo"), finish=False, then=then), FALLBACK)
        stream = await world.chat.create(model=provider, messages=HELLO, stream=True)
        with pytest.raises(openai.APIError) as raised:
            async for _ in stream:
                pass
        with pytest.raises(openai.InternalServerError):
            await world.chat.create(model=provider, messages=HELLO)
    assert str(raised.value.code).startswith("upstream_")


@every_vendor
async def test_next_model_of_any_vendor_answers_unseen(tmp_path: Path, provider: str) -> None:
    """After an error before content in a stream, and after a break in one that is held."""
    held = {"gateway": {"on_break": "hold"}}
    async with open_world(tmp_path, provider) as world:
        world.behave(Scripted(("Bon", "jour")), FALLBACK)
        for failing, body in ((Error(500), {}), (Scripted(("Hel",), finish=False), held)):
            world.behave(failing)
            stream = await world.chat.create(
                model=provider, messages=HELLO, stream=True, extra_body=body
            )
            chunks = [chunk async for chunk in stream]
            texts = [chunk.choices[0].delta.content or "" for chunk in chunks]
            assert ("".join(texts), chunks[0].model) == ("Bonjour", FALLBACK)


@every_vendor
async def test_rate_limit_of_any_vendor_has_its_wait(tmp_path: Path, provider: str) -> None:
    async with open_world(tmp_path, provider, fallback=None) as world:
        world.behave(Error(429, {"retry-after": "9"}))
        with pytest.raises(openai.RateLimitError) as raised:
            await world.chat.create(model=provider, messages=HELLO)
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 9


@pytest.mark.parametrize("provider", ["claude", "gemini", "groq", "local"])
async def test_reasoning_of_any_vendor_is_no_content(tmp_path: Path, provider: str) -> None:
    """It is beside the text, under the names that clients know."""
    async with open_world(tmp_path, provider) as world:
        world.behave(Scripted((Thought("Hm"), "Hello")))
        whole = await world.chat.create(model=provider, messages=HELLO)
    message = whole.choices[0].message
    assert message.content == "Hello"
    extra = message.model_extra or {}
    assert extra["reasoning_content"] == extra["reasoning"] == "Hm"


async def test_record_names_the_door(tmp_path: Path) -> None:
    async with open_world(tmp_path, "gpt") as world:
        world.behave(Scripted(("Hello",)))
        await world.chat.create(model="gpt-6-luna", messages=HELLO)
        record = await world.vendor.final_record()
    assert (record["door"], record["provider"], record["outcome"]) == ("openai_chat", "gpt", "ok")
