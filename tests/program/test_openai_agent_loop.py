"""An agent with OpenAI's SDK at the OpenAI door: turns of tools with every vendor, whatever it keeps of an answer."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

from configuration import load_settings
from simulator import SIMULATED_KEY, Demo, Simulator
from tests.clients.openai_sdk import openai_client
from tests.gateways.loopback import running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from openai.resources.chat.completions import AsyncCompletions
    from openai.types.chat import ChatCompletion

PREFIXES = {"gpt": "openai", "claude": "anthropic", "gemini": "gemini", "groq": "groq"}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
# A word of what the vendor wants back of its own with the results of its calls.
OPAQUE = {"gpt": "encrypted by ", "claude": "signature", "gemini": "thoughtSignature"}
DUMMY = "c2tpcF90aG91Z2h0"  # how the signature begins that Gemini takes for those of others


class World(NamedTuple):
    """The simulated vendors, and the chats of the SDK in front of the gateway."""

    simulator: Simulator
    chat: AsyncCompletions


@asynccontextmanager
async def open_world(folder: Path, **variables: Any) -> AsyncIterator[World]:
    """Each vendor's own default model, which reasons."""
    variables |= {f"{prefix}_reasoning_effort": "low" for prefix in PREFIXES.values()}
    async with Simulator(default=Demo(pace=0, first=0)) as simulator:
        for name, prefix in PREFIXES.items():
            variables[f"{prefix}_api_key"] = SIMULATED_KEY
            variables[f"{prefix}_base_url"] = simulator.base_urls[name]
        settings = load_settings(
            None, log_dir=folder, demo="off", openai_api="responses", **variables
        )
        async with running_gateway(settings) as gateway, openai_client(gateway) as sdk:
            yield World(simulator, sdk.chat.completions)


async def ask_for_all(chat: AsyncCompletions, model: str, messages: list[Any]) -> Any:
    return await chat.create(model=model, messages=messages, tools=[WEATHER])


async def ask_for_a_stream(chat: AsyncCompletions, model: str, messages: list[Any]) -> Any:
    async with chat.stream(model=model, messages=messages, tools=[WEATHER]) as stream:
        return await stream.get_final_completion()


def keep_everything(completion: ChatCompletion) -> dict[str, Any]:
    """The SDK's message, with the fields that it does not know."""
    return completion.choices[0].message.to_dict()


def keep_the_ids_alone(completion: ChatCompletion) -> dict[str, Any]:
    """What most agents keep; the arguments are written anew."""
    message = completion.choices[0].message
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {
                "name": call.function.name,
                "arguments": json.dumps(json.loads(call.function.arguments), indent=1),
            },
        }
        for call in cast("Any", message.tool_calls or [])
    ]
    return {"role": "assistant", "content": message.content, "tool_calls": calls}


def results_of(completion: ChatCompletion, word: str) -> list[dict[str, Any]]:
    return [
        {"role": "tool", "tool_call_id": call.id, "content": f"It is {word} there."}
        for call in completion.choices[0].message.tool_calls or []
    ]


ASKS = pytest.mark.parametrize("ask", [ask_for_all, ask_for_a_stream])


@ASKS
@pytest.mark.parametrize("keep", [keep_everything, keep_the_ids_alone])
@pytest.mark.parametrize("provider", PREFIXES)
async def test_turns_of_tools_go_on(tmp_path: Path, provider: str, keep: Any, ask: Any) -> None:
    """Each turn calls the tool, and answers with what it returned; ids are unique in the conversation."""
    async with open_world(tmp_path) as world:
        messages: list[Any] = []
        ids: list[str] = []
        for city in ("Rome", "Oslo", "Lima"):
            messages.append({"role": "user", "content": f"What is the weather in {city}?"})
            asked = await ask(world.chat, provider, messages)
            (choice,) = asked.choices
            assert choice.finish_reason == "tool_calls"
            (call,) = choice.message.tool_calls
            assert json.loads(call.function.arguments) == {"city": city}
            ids.append(call.id)
            messages += [keep(asked), *results_of(asked, f"mild in {city}")]
            answered = await ask(world.chat, provider, messages)
            assert answered.choices[0].finish_reason == "stop"
            assert f"mild in {city}" in answered.choices[0].message.content
            messages.append(keep(answered))
    assert len(set(ids)) == 3


@ASKS
@pytest.mark.parametrize("provider", OPAQUE)
async def test_client_that_keeps_everything_keeps_the_opaque_state(
    tmp_path: Path, provider: str, ask: Any
) -> None:
    """So the vendor gets it back from a gateway that has not kept it: another instance, or one that was restarted."""
    async with open_world(tmp_path, max_state_bytes=1) as world:
        question = "Think! What is the weather in Rome?"
        messages: list[Any] = [{"role": "user", "content": question}]
        asked = await ask(world.chat, provider, messages)
        for keep, is_back in ((keep_everything, True), (keep_the_ids_alone, False)):
            await ask(world.chat, provider, [*messages, keep(asked), *results_of(asked, "mild")])
            sent = json.dumps(world.simulator.calls[-1].body)
            assert (OPAQUE[provider] in sent and DUMMY not in sent) is is_back
