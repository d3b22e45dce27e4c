"""An agent behind the native door: many turns of tools with every vendor, whatever its client keeps of an answer."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from configuration import load_settings
from simulator import SIMULATED_KEY, Demo, Error, Simulator
from tests.clients.plain_http import make_client
from tests.clients.simple_client import read_events
from tests.exhaustive import exhaustive
from tests.gateways.loopback import running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

PREFIXES = {
    "gpt": "openai",
    "claude": "anthropic",
    "gemini": "gemini",
    "groq": "groq",
    "local": "local",
}
PAIRS = [*permutations(PREFIXES, 2)]
OF_LOCAL = [pair for pair in PAIRS if "local" in pair]  # which speaks as groq does
CITIES = ("Rome", "Oslo", "Lima", "Cairo", "Delhi", "Quito", "Paris", "Tokyo", "Accra", "Sofia")
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


class World(NamedTuple):
    """A gateway in front of the simulated vendors, and a client of it."""

    simulator: Simulator
    client: httpx.AsyncClient


class Answer(NamedTuple):
    """One answer, as a client gathers it."""

    text: str
    calls: list[dict[str, Any]]
    states: list[dict[str, Any]]
    end: dict[str, Any]


@asynccontextmanager
async def open_world(folder: Path, **variables: Any) -> AsyncIterator[World]:
    async with Simulator(default=Demo(pace=0, first=0)) as simulator:
        for name, prefix in PREFIXES.items():
            variables[f"{prefix}_api_key"] = SIMULATED_KEY
            variables[f"{prefix}_base_url"] = simulator.base_urls[name]
        variables["local_model_default"] = "local-a"
        settings = load_settings(None, log_dir=folder, demo="off", **variables)
        async with (
            running_gateway(settings) as gateway,
            make_client(gateway.url, timeout=30) as client,
        ):
            yield World(simulator, client)


async def ask(world: World, provider: str, messages: list[Any], **fields: Any) -> Answer:
    """One request. The answer must be whole."""
    response = await world.client.post(
        f"/chat/{provider}", json={"messages": messages, "tools": [WEATHER], **fields}
    )
    assert response.status_code == 200, response.text
    *events, end, done = read_events(response.text)
    assert (end["type"], done) == ("end", "[DONE]")
    text, states = "", []
    calls: dict[int, dict[str, Any]] = {}
    for delta in (event["delta"] for event in events):
        text += delta["content"]
        if "tool_call" in delta:
            piece = dict(delta["tool_call"])
            call = calls.setdefault(piece.pop("index"), {**piece, "arguments": ""})
            call["arguments"] += piece["arguments"]
        elif "state" in delta:
            states.append(delta["state"])
    return Answer(text, list(calls.values()), states, end)


def keep_everything(answer: Answer) -> dict[str, Any]:
    """The answer as a message, with all that the gateway sent."""
    said = {"role": "assistant", "content": answer.text, "tool_calls": answer.calls}
    return said | {"states": answer.states}


def keep_the_ids_alone(answer: Answer) -> dict[str, Any]:
    """What most clients keep: text, ids, names, and the arguments, which are written anew."""
    functions = [
        {"name": call["name"], "arguments": json.dumps(json.loads(call["arguments"]), indent=1)}
        for call in answer.calls
    ]
    calls = [
        {"id": call["id"], "type": "function", "function": function}
        for call, function in zip(answer.calls, functions, strict=True)
    ]
    return {"role": "assistant", "content": answer.text or None, "tool_calls": calls}


CLIENTS = pytest.mark.parametrize("keep", [keep_everything, keep_the_ids_alone])


def results_of(answer: Answer, word: str) -> list[dict[str, Any]]:
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": f"It is {word} there."}
        for call in answer.calls
    ]


@CLIENTS
@pytest.mark.parametrize("provider", PREFIXES)
async def test_ten_turns_of_tools_with_reasoning(tmp_path: Path, provider: str, keep: Any) -> None:
    """Each turn calls the tool, and answers with what it returned; ids are unique in the conversation."""
    efforts = {f"{prefix}_reasoning_effort": "low" for prefix in PREFIXES.values()}
    async with open_world(tmp_path, openai_api="responses", **efforts) as world:
        messages: list[Any] = []
        ids: list[str] = []
        for number, city in enumerate(CITIES):
            messages.append({"role": "user", "content": f"What is the weather in {city}?"})
            asked = await ask(world, provider, messages)
            assert asked.end["finish_reason"] == "tool_calls"
            assert [call["name"] for call in asked.calls] == ["get_weather"]
            ids += [call["id"] for call in asked.calls]
            word = f"mild{number}"
            messages += [keep(asked), *results_of(asked, word)]
            answered = await ask(world, provider, messages)
            assert answered.end["finish_reason"] == "stop"
            assert word in answered.text
            assert answered.calls == []
            messages.append(keep(answered))
        assert len(set(ids)) == len(CITIES)
        assert all(call.finished for call in world.simulator.calls)


@CLIENTS
@pytest.mark.parametrize(
    ("first", "second"),
    [*(pair for pair in PAIRS if pair not in OF_LOCAL[1:]), *exhaustive(*OF_LOCAL[1:])],
)
async def test_another_vendor_can_finish_a_turn(
    tmp_path: Path, first: str, second: str, keep: Any
) -> None:
    """The second vendor gets the calls without the first one's state; the first one goes on after it."""
    variables = {f"{PREFIXES[first]}_fallback_providers": second}
    async with open_world(tmp_path, max_attempts=10, **variables) as world:
        messages: list[Any] = [{"role": "user", "content": "What is the weather in Rome?"}]
        asked = await ask(world, first, messages)
        messages += [keep(asked), *results_of(asked, "mild")]
        models = [call.model for call in world.simulator.calls]
        health = (await world.client.get(f"/health/{first}")).json()["model"]
        broken = {health["default"], health["fallback"]} - {None}
        assert broken >= set(models)
        world.simulator.behaviours |= dict.fromkeys(broken, Error(529))
        answered = await ask(world, first, messages)
        assert answered.end["provider"] == second
        assert "mild" in answered.text
        for model in broken:
            del world.simulator.behaviours[model]
        messages += [keep(answered), {"role": "user", "content": "And the weather in Oslo?"}]
        again = await ask(world, second, messages)
        messages += [keep(again), *results_of(again, "cold")]
        assert "cold" in (await ask(world, first, messages)).text
