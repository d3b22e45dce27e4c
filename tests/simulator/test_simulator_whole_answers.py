"""Chat completions that are not streamed: the vendors' SDKs read the simulator's one JSON body."""

from __future__ import annotations

import json
from typing import Any

import groq
import httpx
import jsonschema_rs
import openai
import pytest

from simulator import WIRES, Demo, Paced, ResponsesWire, Scripted, Simulator, Thought, ToolCall
from simulator.plan import joined
from simulator.wires.chat_completion import join_chunks
from tests.simulator.test_simulator import connect_sdk
from tests.simulator.test_simulator_tools import JSON_SCHEMA, REPORT, WEATHER

PROVIDERS = ["gpt", "groq", "local"]
QUICK = Demo(pace=0, first=0)
NUMBERS = "".join(f" {number % 1000:03d}" for number in range(1200))


async def ask(
    provider: str, text: str = "Hello?", *, model: str = "any-model", **options: Any
) -> Any:
    """A whole answer of the demo, or of the model of that name."""
    async with Simulator(default=QUICK) as simulator, connect_sdk(simulator, provider) as client:
        messages = [{"role": "user", "content": text}]
        return await client.chat.completions.create(model=model, messages=messages, **options)


@pytest.mark.parametrize("options", [{"stream": False}, {}], ids=["false", "absent"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_sdk_reads_a_whole_answer(provider: str, options: dict[str, Any]) -> None:
    """With its text, its finish reason, and its usage, which no option has to ask for."""
    answer = await ask(provider, "Why is the sky blue?", **options)
    (choice,) = answer.choices
    assert (answer.object, choice.finish_reason) == ("chat.completion", "stop")
    assert "Why is the sky blue?" in choice.message.content
    assert "simulated" in choice.message.content
    assert answer.usage.prompt_tokens == 5
    assert answer.usage.completion_tokens > 50
    assert not choice.message.tool_calls


async def test_groqs_whole_answer_has_its_own_fields() -> None:
    """The request's id alone in `x_groq`, the times in the usage, the reasoning beside the text."""
    answer = await ask("groq", "Think. Why is the sky blue?")
    assert answer.x_groq.model_dump(exclude_none=True) == {"id": answer.x_groq.id}
    assert answer.x_groq.id.startswith("req_")
    assert (answer.service_tier, answer.usage.total_time) == ("on_demand", 0.033)
    assert answer.usage.completion_tokens_details.reasoning_tokens > 5
    message = answer.choices[0].message
    assert "this thought is simulated" in message.reasoning
    assert "this thought" not in message.content


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_whole_answer_calls_tools(provider: str) -> None:
    """Each call once, with its arguments in one text."""
    name, about, schema = WEATHER
    function = {"name": name, "description": about, "parameters": schema}
    answer = await ask(
        provider,
        "What is the weather in Paris and New York?",
        tools=[{"type": "function", "function": function}],
    )
    (choice,) = answer.choices
    calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    assert [(name, json.loads(arguments)["city"]) for name, arguments in calls] == [
        ("get_weather", "Paris"),
        ("get_weather", "New York"),
    ]
    assert len({call.id for call in choice.message.tool_calls}) == 2
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_whole_answer_fits_its_schema(provider: str) -> None:
    """As a streamed one does."""
    answer = await ask(provider, "Report on Rome.", response_format=JSON_SCHEMA)
    jsonschema_rs.validate(REPORT, json.loads(answer.choices[0].message.content))


async def test_whole_answer_may_be_a_refusal() -> None:
    """OpenAI's is in a field of its own."""
    answer = await ask("gpt", model="fault-refusal")
    message = answer.choices[0].message
    assert (message.content, message.refusal[:6]) == (None, "Grüße ")


@pytest.mark.parametrize("model", ["paced-1200x100000", "burst-1200"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_load_in_one_body_has_its_count(provider: str, model: str) -> None:
    """The same text and usage as the stream of that model."""
    answer = await ask(provider, model=model)
    assert answer.choices[0].message.content == NUMBERS
    assert answer.usage.completion_tokens == 1200


@pytest.mark.parametrize("provider", PROVIDERS)
def test_whole_answer_takes_as_long_as_the_stream(provider: str) -> None:
    """To its last byte. Nothing is written before."""
    pieces = (Thought("Hm. "), "Hel", ToolCall("look", '{"city": "Paris"}'), "lo")
    for behaviour in (Scripted(pieces, 0.25, first=0.5), Demo(), Paced(100, 8)):
        waits = []
        for stream in (True, False):
            wire = WIRES[provider]("any", {"stream": stream, "messages": []})
            plan = behaviour.plan(wire)
            plan = plan if stream else joined(plan, wire.headers, join_chunks)
            steps = list(plan.steps)
            waits.append(sum(step.delay for step in steps))
        first = next(place for place, step in enumerate(steps) if step.data)
        assert waits[0] > 1
        assert waits[0] == pytest.approx(waits[1])
        assert sum(step.delay for step in steps[first + 1 :]) == 0


FAILURES: dict[str, type[Exception]] = {
    "error-503": openai.InternalServerError,
    "fault-500": openai.InternalServerError,
    "fault-html-502": openai.InternalServerError,
    "reset": openai.APIConnectionError,
    "fault-reset@after": openai.APIConnectionError,
    "fault-cut@after": openai.APIConnectionError,
    "fault-close": openai.APIConnectionError,
    "fault-no-end": json.JSONDecodeError,
    "fault-no-end@after": json.JSONDecodeError,
    "fault-unproven@after": json.JSONDecodeError,
    "truncated": json.JSONDecodeError,
    "fault-bad-utf8": json.JSONDecodeError,
    "fault-call-cut": json.JSONDecodeError,
}


@pytest.mark.parametrize(("model", "failure"), FAILURES.items(), ids=FAILURES)
async def test_fault_breaks_a_whole_answer_too(model: str, failure: type[Exception]) -> None:
    """By an error status, by a broken connection, or by JSON that is cut."""
    with pytest.raises(failure):
        await ask("local", model=model)


@pytest.mark.parametrize("model", ["silence", "stall-3", "heartbeats", "fault-endless"])
async def test_silent_model_sends_no_whole_answer(model: str) -> None:
    """However much a stream would have sent."""
    with pytest.raises((openai.APITimeoutError, httpx.ReadTimeout)):
        await ask("gpt", model=model, timeout=0.3)


async def test_error_within_a_stream_is_the_whole_answer() -> None:
    """In the body of a response with status 200."""
    answer = await ask("groq", model="fault-error-event@after")
    assert answer.error["status_code"] == 503


async def test_groqs_error_is_that_of_its_sdk() -> None:
    """Its status comes before any body."""
    with pytest.raises(groq.BadRequestError):
        await ask("groq", response_format=JSON_SCHEMA, model="llama-3.3-70b-versatile")


def test_two_calls_of_one_index_are_two() -> None:
    """As in the stream: each has an id of its own."""
    wire = WIRES["gpt"]("any", {})
    events = [*wire.call(ToolCall("look", '{"a": 1}')), *wire.call(ToolCall("wait", '{"b": 2}'))]
    body, is_whole = join_chunks(b"".join([*events, wire.finish()]))
    calls = json.loads(body)["choices"][0]["message"]["tool_calls"]
    assert is_whole
    assert [(call["function"]["name"], call["function"]["arguments"]) for call in calls] == [
        ("look", '{"a": 1}'),
        ("wait", '{"b": 2}'),
    ]


def test_other_formats_are_streams_without_being_asked() -> None:
    """The gateway asks for nothing else, and Gemini's path says it."""
    for wire in (WIRES["claude"], WIRES["gemini"], ResponsesWire):
        assert wire("any", {}).is_streamed
