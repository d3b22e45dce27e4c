"""OpenAI's SDK in front of every vendor, by Responses: the door, the gateway, the vendor's SDK, and the simulator."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import openai
import pytest
from pydantic import BaseModel

from simulator import Demo, Error, Scripted, Thought, ToolCall
from tests.clients.openai_sdk import connect_openai, openai_client
from tests.program.test_agent_loop import PREFIXES
from tests.program.test_agent_loop import open_world as open_agents
from tests.vendors.simulated_vendor import DEFAULT, FALLBACK, SimulatedVendor, simulated_vendor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from openai.resources.responses import AsyncResponses
    from openai.types.responses import Response

    from simulator import Behaviour

QUESTION = "What is the weather in Rome?"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
NOW: Any = {"type": "function", "name": "now"}

every_vendor = pytest.mark.parametrize("provider", ["gpt", "claude", "gemini", "groq", "local"])


class Place(BaseModel):
    """What an answer is to be."""

    city: str


class World(NamedTuple):
    """A vendor behind the gateway, and the Responses of the SDK in front."""

    vendor: SimulatedVendor
    responses: AsyncResponses

    def behave(self, behaviour: Behaviour, *models: str) -> None:
        """How the vendor's models answer from now on; the default one if none is named."""
        for model in models or (DEFAULT,):
            self.vendor.simulator.behaviours[model] = behaviour

    async def stream(self, **fields: Any) -> Response:
        """The response that the SDK's helper puts together."""
        asked = {"model": self.vendor.provider, "input": QUESTION} | fields
        async with self.responses.stream(**asked) as stream:
            return await stream.get_final_response()


@asynccontextmanager
async def open_world(folder: Path, provider: str, **options: Any) -> AsyncIterator[World]:
    async with (
        simulated_vendor(folder, provider, openai_api="responses", **options) as vendor,
        openai_client(vendor.gateway) as sdk,
    ):
        yield World(vendor, sdk.responses)


@every_vendor
async def test_answer_of_any_vendor_is_streamed_and_whole(tmp_path: Path, provider: str) -> None:
    """The same text, with its reasoning and its usage."""
    async with open_world(tmp_path, provider) as world:
        world.behave(Scripted((Thought("Hm"), "Hel", "lo")))
        streamed = await world.stream()
        whole = await world.responses.create(model=provider, input=QUESTION)
    for response in (streamed, whole):
        assert (response.output_text, response.status, response.model) == (
            "Hello",
            "completed",
            DEFAULT,
        )
        summaries = [item.summary[0].text for item in response.output if item.type == "reasoning"]
        # OpenAI sends a summary of a reasoning model alone, which the test's model is not.
        assert summaries == ([] if provider == "gpt" else ["Hm"])
        assert response.usage
        assert response.usage.output_tokens > 0


@every_vendor
async def test_tools_of_any_vendor_are_called_and_answered(tmp_path: Path, provider: str) -> None:
    """Two at once, one without arguments, and a second turn with the items as they came."""
    async with open_world(tmp_path, provider) as world:
        calls = (ToolCall("get_weather", '{"city": "Rome"}'), ToolCall("now"))
        world.behave(Scripted((Thought("Hm"), *calls)))
        first = await world.stream(tools=[WEATHER, NOW])
        called = [item for item in first.output if item.type == "function_call"]
        world.behave(Demo(pace=0, first=0))
        results = [
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": f"of {call.name}",
            }
            for call in called
        ]
        history = [{"role": "user", "content": QUESTION}, *first.to_dict()["output"], *results]  # type: ignore[misc]
        second = await world.stream(tools=[WEATHER, NOW], input=history)
    assert [(call.name, call.arguments.replace(" ", "")) for call in called] == [
        ("get_weather", '{"city":"Rome"}'),
        ("now", "{}"),
    ]
    assert "of get_weather" in second.output_text
    assert "of now" in second.output_text


@pytest.mark.parametrize("keeps_reasoning", [True, False])
@pytest.mark.parametrize("provider", PREFIXES)
async def test_turns_of_tools_with_reasoning(
    tmp_path: Path, provider: str, keeps_reasoning: bool
) -> None:
    """Its state goes back with each step, or is remembered; some vendors refuse a step without."""
    async with (
        open_agents(tmp_path, openai_api="responses") as agents,
        connect_openai(str(agents.client.base_url)) as client,
    ):

        async def ask(items: list[Any]) -> Response:
            async with client.responses.stream(
                model=provider, input=items, tools=[WEATHER], reasoning={"effort": "high"}
            ) as stream:
                return await stream.get_final_response()

        history: list[Any] = []
        for city in ("Rome", "Oslo", "Lima"):
            history.append({"role": "user", "content": f"What is the weather in {city}?"})
            asked = await ask(history)
            (call,) = [item for item in asked.output if item.type == "function_call"]
            history += [
                item for item in asked.output if keeps_reasoning or item.type != "reasoning"
            ]
            result = {"call_id": call.call_id, "output": f"mild in {city}"}
            history.append({"type": "function_call_output", **result})
            answered = await ask(history)
            assert f"mild in {city}" in answered.output_text
            history += answered.output
        assert all(call.finished for call in agents.simulator.calls)


@every_vendor
async def test_custom_tool_of_any_vendor_gets_its_text(tmp_path: Path, provider: str) -> None:
    """Through the arguments of a function, in a namespace as Codex sends it."""
    tool = {"type": "custom", "name": "exec", "description": "Run code."}
    offer = {"type": "namespace", "name": "functions", "description": "", "tools": [tool]}
    async with open_world(tmp_path, provider) as world:
        world.behave(Scripted((ToolCall("functions__exec", '{"input": "print(1)\\n"}'),)))
        response = await world.responses.create(
            model=provider,
            input=QUESTION,
            tools=[offer],  # type: ignore[list-item]
        )
    (call,) = response.output
    assert call.type == "custom_tool_call"
    assert (call.name, call.namespace, call.input) == ("exec", "functions", "print(1)\n")


@pytest.mark.parametrize("provider", ["gpt", "claude", "gemini", "local"])
async def test_schema_is_kept_by_any_vendor(tmp_path: Path, provider: str) -> None:
    """As the SDK sends that of a class."""
    async with open_world(tmp_path, provider) as world:
        world.behave(Demo(pace=0, first=0))
        parsed = await world.responses.parse(model=provider, input=QUESTION, text_format=Place)
    assert isinstance(parsed.output_parsed, Place)


@every_vendor
@pytest.mark.parametrize("then", ["end", "close", "reset"])
async def test_cut_answer_of_any_vendor_is_an_error(
    tmp_path: Path, provider: str, then: Any
) -> None:
    """However it is cut, and however it is read."""
    async with open_world(tmp_path, provider) as world:
        world.behave(Scripted(("Hel", "lo"), finish=False, then=then), DEFAULT, FALLBACK)
        stream = await world.responses.create(model=provider, input=QUESTION, stream=True)
        with pytest.raises(openai.APIError) as raised:
            [event async for event in stream]
        with pytest.raises(openai.APIError):
            await world.stream()
        with pytest.raises(openai.InternalServerError):
            await world.responses.create(model=provider, input=QUESTION)
    assert str(raised.value.code).startswith("upstream_")


@every_vendor
async def test_next_model_of_any_vendor_answers_unseen(tmp_path: Path, provider: str) -> None:
    """After an error before content in a stream, and after a break in one that is held."""
    held = {"gateway": {"on_break": "hold"}}
    async with open_world(tmp_path, provider) as world:
        world.behave(Scripted(("Bon", "jour")), FALLBACK)
        for failing, body in ((Error(500), {}), (Scripted(("Hel",), finish=False), held)):
            world.behave(failing)
            response = await world.stream(extra_body=body)
            assert (response.output_text, response.model) == ("Bonjour", FALLBACK)


async def test_vendor_counts_the_tokens(tmp_path: Path) -> None:
    """By a free call; the simulator's tokens are words."""
    async with open_world(tmp_path, "gpt") as world:
        counted = await world.responses.input_tokens.count(model="gpt", input="one two three")
        (call,) = world.vendor.simulator.calls
    assert (counted.object, counted.input_tokens) == ("response.input_tokens", 3)
    assert call.is_check


async def test_provider_that_cannot_count_has_no_such_page(tmp_path: Path) -> None:
    """In OpenAI's shape."""
    async with open_world(tmp_path, "groq") as world:
        with pytest.raises(openai.NotFoundError, match="counts no tokens"):
            await world.responses.input_tokens.count(model="groq", input="one")


async def test_record_names_the_door(tmp_path: Path) -> None:
    async with open_world(tmp_path, "gpt") as world:
        world.behave(Scripted(("Hello",)))
        await world.responses.create(model="gpt-6-luna", input=QUESTION)
        record = await world.vendor.final_record()
    assert (record["door"], record["provider"], record["outcome"]) == (
        "openai_responses",
        "gpt",
        "ok",
    )
