"""Agents with Anthropic's SDK in front of every vendor: turns of tools, pictures, schemas, another vendor's help."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple

import pydantic
import pytest

from simulator import Error
from tests.clients.anthropic_sdk import connect_anthropic
from tests.exhaustive import exhaustive
from tests.program.test_agent_loop import PREFIXES, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import anthropic

    from simulator import Simulator

CITIES = ("Rome", "Oslo", "Lima")
PNG = "iVBORw0KGgo="
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
THINKING: Any = {"type": "adaptive"}
PAIRS = [("claude", "gpt"), ("gemini", "claude"), ("gpt", "gemini")]
OTHER_PAIRS = [pair for pair in permutations(PREFIXES, 2) if pair not in PAIRS]
THREE = [{"role": "user", "content": "What is the weather in Rome, Oslo and Lima?"}]


class World(NamedTuple):
    """The simulated vendors behind a gateway, and the SDK in front of it."""

    simulator: Simulator
    client: anthropic.AsyncAnthropic


class Weather(pydantic.BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


@asynccontextmanager
async def open_sdk(folder: Path, **variables: Any) -> AsyncIterator[World]:
    async with (
        open_world(folder, openai_api="responses", **variables) as world,
        connect_anthropic(str(world.client.base_url)) as client,
    ):
        yield World(world.simulator, client)


async def stream_message(world: World, model: str, messages: list[Any], **fields: Any) -> Any:
    """The message that the SDK's helper gathers of a stream."""
    asked = {"model": model, "max_tokens": 128_000, "messages": messages, "tools": [WEATHER]}
    async with world.client.messages.stream(**{**asked, **fields}) as stream:
        return await stream.get_final_message()


async def create_message(world: World, model: str, messages: list[Any], **fields: Any) -> Any:
    """The message of a request without streaming."""
    asked = {"model": model, "max_tokens": 128_000, "messages": messages, "tools": [WEATHER]}
    return await world.client.messages.create(**{**asked, **fields}, timeout=60)


WAYS = pytest.mark.parametrize("ask", [stream_message, create_message])


def results_of(message: Any, word: str) -> dict[str, Any]:
    """The user's message with a result for each call."""
    calls = [block for block in message.content if block.type == "tool_use"]
    assert calls
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"It is {word} there."}
        for call in calls
    ]
    return {"role": "user", "content": results}


def keep(message: Any) -> dict[str, Any]:
    """The message as an agent keeps it."""
    return {"role": "assistant", "content": message.content}


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@WAYS
@pytest.mark.parametrize("provider", PREFIXES)
async def test_turns_of_tools_with_thinking(tmp_path: Path, provider: str, ask: Any) -> None:
    """Each turn calls the tool and answers with its result. The thinking goes back, which some vendors check."""
    fields = {"thinking": THINKING, "output_config": {"effort": "high"}}
    async with open_sdk(tmp_path) as world:
        messages: list[Any] = []
        for number, city in enumerate(CITIES):
            messages.append({"role": "user", "content": f"What is the weather in {city}?"})
            asked = await ask(world, provider, messages, **fields)
            assert asked.stop_reason == "tool_use"
            word = f"mild{number}"
            messages += [keep(asked), results_of(asked, word)]
            answered = await ask(world, provider, messages, **fields)
            assert (answered.stop_reason, word in text_of(answered)) == ("end_turn", True)
            messages.append(keep(answered))
        assert all(call.finished for call in world.simulator.calls)


@WAYS
@pytest.mark.parametrize("provider", PREFIXES)
async def test_parallel_calls_are_blocks_one_after_another(
    tmp_path: Path, provider: str, ask: Any
) -> None:
    """Each with an id of its own."""
    async with open_sdk(tmp_path) as world:
        message = await ask(world, provider, THREE)
        calls = [block for block in message.content if block.type == "tool_use"]
        assert [call.input["city"] for call in calls] == ["Rome", "Oslo", "Lima"]
        assert len({call.id for call in calls}) == 3


@pytest.mark.parametrize("provider", PREFIXES)
async def test_parallel_calls_can_be_disabled(tmp_path: Path, provider: str) -> None:
    """A vendor that has no such switch is reported."""
    one = {"type": "auto", "disable_parallel_tool_use": True}
    async with open_sdk(tmp_path) as world:
        message = await create_message(world, provider, THREE, tool_choice=one)
        calls = [block for block in message.content if block.type == "tool_use"]
        is_taken = "tool_choice.disable_parallel_tool_use" not in message.gateway["dropped_params"]
        assert (len(calls) == 1) == is_taken


@pytest.mark.parametrize(("first", "second"), [*PAIRS, *exhaustive(*OTHER_PAIRS)])
async def test_another_vendor_can_finish_a_turn(tmp_path: Path, first: str, second: str) -> None:
    """The client keeps the thinking of all, and each vendor gets its own."""
    variables = {f"{PREFIXES[first]}_fallback_providers": second}
    async with open_sdk(tmp_path, max_attempts=10, **variables) as world:
        messages: list[Any] = [{"role": "user", "content": "What is the weather in Rome?"}]
        asked = await stream_message(world, first, messages, thinking=THINKING)
        messages += [keep(asked), results_of(asked, "mild")]
        broken = {call.model for call in world.simulator.calls}
        listed = await world.client.with_options().get(f"/health/{first}", cast_to=object)
        broken |= {listed["model"]["default"], listed["model"]["fallback"]}  # type: ignore[index]
        world.simulator.behaviours |= dict.fromkeys(broken, Error(529))
        answered = await create_message(world, first, messages, thinking=THINKING)
        assert answered.gateway["provider"] == second
        assert "mild" in text_of(answered)
        for model in broken:
            del world.simulator.behaviours[model]
        messages += [keep(answered), {"role": "user", "content": "And the weather in Oslo?"}]
        again = await stream_message(world, second, messages, thinking=THINKING)
        messages += [keep(again), results_of(again, "cold")]
        assert "cold" in text_of(await create_message(world, first, messages, thinking=THINKING))


@pytest.mark.parametrize("provider", ["gpt", "claude", "gemini"])
async def test_picture_is_seen(tmp_path: Path, provider: str) -> None:
    """By each vendor whose models see."""
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    async with open_sdk(tmp_path) as world:
        message = await create_message(world, provider, [{"role": "user", "content": content}])
        assert "1 image" in text_of(message)


@pytest.mark.parametrize("provider", PREFIXES)
async def test_answer_fits_the_clients_type(tmp_path: Path, provider: str) -> None:
    """By the vendor's own mechanism."""
    async with open_sdk(tmp_path) as world:
        message = await world.client.messages.parse(
            model=provider,
            max_tokens=1_000,
            messages=[{"role": "user", "content": "What is the weather in Rome?"}],
            output_format=Weather,
        )
        assert isinstance(message.parsed_output, Weather)


@pytest.mark.parametrize("provider", PREFIXES)
async def test_thinking_is_shown_only_if_it_is_asked_for(tmp_path: Path, provider: str) -> None:
    """Disabled, there is no such block; omitted, none has a text."""
    messages = [{"role": "user", "content": "Please think: what is the weather in Rome?"}]
    async with open_sdk(tmp_path) as world:
        for thinking in ({"type": "disabled"}, {"type": "adaptive", "display": "omitted"}):
            message = await stream_message(
                world, provider, messages, thinking=thinking, output_config={"effort": "high"}
            )
            thoughts = [block for block in message.content if block.type == "thinking"]
            assert not any(block.thinking for block in thoughts)
            assert thinking["type"] == "adaptive" or not thoughts
            assert message.stop_reason == "tool_use"
