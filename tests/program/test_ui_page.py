"""A page with tools in front of every vendor: the UI message door, the gateway, the vendor's SDK, and the simulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from configuration import load_settings
from simulator import SIMULATED_KEY, Demo, Simulator
from tests.clients.plain_http import make_client
from tests.clients.ui_reader import read_message
from tests.gateways.loopback import running_gateway
from web.doors.state_token import read_state

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

PREFIXES = {"gpt": "openai", "claude": "anthropic", "gemini": "gemini", "groq": "groq"}
STATEFUL = {"gpt", "gemini"}  # whose demo answers have some
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


async def ask(client: httpx.AsyncClient, provider: str, messages: list[Any]) -> None:
    """One request of the page. The answer must be whole; it is added to the messages, or continues the last one."""
    body = {"id": "c-1", "messages": messages, "trigger": "submit-message", "tools": [WEATHER]}
    response = await client.post(f"/ui/chat/{provider}", json=body)
    assert response.status_code == 200, response.text
    last = messages[-1]
    if last["role"] == "assistant":
        del messages[-1]
    messages.append(read_message(response.text, last))


def run_tools(message: dict[str, Any], word: str) -> None:
    """What a page does with the calls of an answer: their results become part of the message."""
    for part in message["parts"]:
        if part.get("state") == "input-available":
            part |= {"state": "output-available", "output": f"It is {word} there."}


def find_states(message: dict[str, Any]) -> list[Any]:
    """The opaque state in a message."""
    metadata = [
        part.get("callProviderMetadata") or part.get("providerMetadata") or {}
        for part in message["parts"]
    ]
    tokens = [given["gateway"]["state"] for given in metadata if "gateway" in given]
    states = (read_state(token, 100_000) for token in tokens)
    return [state and json.loads(state.data) for state in states]


def find_longest(value: object) -> str:
    """The longest text in a value, which is the signed or encrypted one in opaque state."""
    match value:
        case dict():
            return max(map(find_longest, value.values()), key=len, default="")
        case list():
            return max(map(find_longest, value), key=len, default="")
        case str():
            return value
        case _:
            return ""


@pytest.mark.parametrize("provider", PREFIXES)
async def test_page_keeps_the_state_of_the_model(tmp_path: Path, provider: str) -> None:
    """Each question is one message of two steps. The gateway keeps no state here: the page alone does."""
    variables: dict[str, Any] = {"openai_api": "responses", "max_state_bytes": 1}
    async with Simulator(default=Demo(pace=0, first=0)) as simulator:
        for name, prefix in PREFIXES.items():
            variables[f"{prefix}_api_key"] = SIMULATED_KEY
            variables[f"{prefix}_base_url"] = simulator.base_urls[name]
            variables[f"{prefix}_reasoning_effort"] = "low"
        settings = load_settings(None, log_dir=tmp_path, demo="off", **variables)
        async with (
            running_gateway(settings) as gateway,
            make_client(gateway.url, timeout=30) as client,
        ):
            messages: list[Any] = []
            for city, word in (("Rome", "mild"), ("Oslo", "cold")):
                text = f"What is the weather in {city}?"
                messages.append({"role": "user", "parts": [{"type": "text", "text": text}]})
                await ask(client, provider, messages)
                asked = messages[-1]
                assert asked["metadata"]["gateway"]["finish_reason"] == "tool_calls"
                states = find_states(asked)
                assert bool(states) is (provider in STATEFUL)
                run_tools(asked, word)
                await ask(client, provider, messages)
                sent = json.dumps(simulator.calls[-1].body)
                assert [state for state in states if find_longest(state) not in sent] == []
                assert word in messages[-1]["parts"][-1]["text"]
                assert messages[-1]["id"] == asked["id"]
            assert [message["role"] for message in messages] == ["user", "assistant"] * 2
            assert all(call.finished for call in simulator.calls)
