"""The UI message door through the AI SDK itself, as pages use it: versions 5, 6 and 7, in node."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from models import GatewayError, Image, Reasoning, State, Text, ToolCallDelta
from simulator import Demo, Scripted
from tests.clients.ui_page import VERSIONS, Shown, needs_ai_sdk, show
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway, silence
from tests.vendors.simulated_vendor import DEFAULT, simulated_vendor

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_ai_sdk
versions = pytest.mark.parametrize("version", VERSIONS)

HELLO = {"text": "Hello?"}
STATE = State("gpt", "luna", '{"signed": true}')
BREAK = GatewayError("upstream_truncated")
WELL = {"isAbort": False, "isDisconnect": False, "isError": False}
ADD = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


async def ask(gateway: ScriptedGateway, version: str, *says: Any, **asked: Any) -> Shown:
    return await show(version, f"{gateway.running.url}/ui/chat/gpt", *says, **asked)


@versions
async def test_answer_is_shown_whole(tmp_path: Path, version: str) -> None:
    """Reasoning and text as parts of one message, and the gateway's facts as its metadata."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(GatewayError("upstream_timeout"))
        gateway.gpt.enqueue([Reasoning("Hm")], *answer("Hel", "lo", " \U0001f600"), model="nova")
        shown = await ask(gateway, version, HELLO)
    assert (shown.status, shown.error, shown.finished) == ("ready", None, [WELL])
    assert [message["role"] for message in shown.messages] == ["user", "assistant"]
    assert shown.text == "Hello \U0001f600"
    kinds = [(part["type"], part.get("state")) for part in shown.answer["parts"]]
    assert kinds == [("step-start", None), ("reasoning", "done"), ("text", "done")]
    facts = shown.answer["metadata"]["gateway"]
    assert shown.answer["id"] == facts["id"]
    assert (facts["model"], facts["finish_reason"]) == ("nova", "stop")
    assert facts["usage"]["output_tokens"] == 12
    assert facts["fallback"]["reason"] == "upstream_timeout"


@versions
async def test_conversation_goes_on(tmp_path: Path, version: str) -> None:
    """A second question has the first answer before it, in the same conversation; an image is one."""
    image = {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,aGk="}
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Reasoning("Hm"), Reasoning("", STATE)], *answer("Hi"))
        gateway.gpt.enqueue(*answer("A cat"))
        shown = await ask(gateway, version, HELLO, {"text": "And this?", "files": [image]})
        _, second = gateway.gpt.history
    assert (shown.error, shown.text) == (None, "A cat")
    _, said, asked = second.prompt.turns
    assert said.parts == (Reasoning("", STATE), Text("Hi"))
    assert set(asked.parts) == {Text("And this?"), Image("image/png", "aGk=")}
    assert shown.answer["metadata"]["gateway"]["conversation_id"] == "chat-1"


@versions
async def test_tools_of_the_page_are_run(tmp_path: Path, version: str) -> None:
    """The page runs the call, asks again by itself, and shows both steps in one message; state comes back."""
    call = [ToolCallDelta(0, "call_1", "add", '{"a"'), ToolCallDelta(0, arguments=": 1}")]
    stated = ToolCallDelta(1, "call_2", "add", "{}", STATE)
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Let me see."), *call], [stated], *answer())
        gateway.gpt.enqueue(*answer("Three"))
        tools = {"add": {"output": {"sum": 3}}}
        shown = await ask(gateway, version, HELLO, body={"tools": [ADD]}, tools=tools)
        _, second = gateway.gpt.history
    assert (shown.status, shown.error) == ("ready", None)
    assert [message["role"] for message in shown.messages] == ["user", "assistant"]
    assert [part["type"] for part in shown.answer["parts"]] == [
        *("step-start", "text", "tool-add", "tool-add", "step-start", "text")
    ]
    _, said, answered = second.prompt.turns
    arguments = [part.arguments for part in said.parts if not isinstance(part, Text)]  # type: ignore[union-attr]
    assert arguments == ['{"a":1}', "{}"]
    assert said.parts[-1].state == STATE  # type: ignore[union-attr]
    assert [part.parts for part in answered.parts] == [(Text('{"sum":3}'),)] * 2  # type: ignore[union-attr]


@versions
async def test_vendors_tools_are_run(tmp_path: Path, version: str) -> None:
    """The whole way, with a real SDK and a simulated vendor: the answer is made of the result."""
    async with simulated_vendor(tmp_path, "claude") as vendor:
        vendor.simulator.behaviours[DEFAULT] = Demo(pace=0, first=0)
        shown = await show(
            version,
            f"{vendor.gateway.url}/ui/chat/claude",
            {"text": "What is the weather in Rome?"},
            body={"tools": [WEATHER]},
            tools={"get_weather": {"output": "It is mild there."}},
        )
    assert (shown.status, shown.error) == ("ready", None)
    assert "mild" in shown.text
    (call,) = (part for part in shown.answer["parts"] if part["type"] == "tool-get_weather")
    assert (call["state"], call["input"]) == ("output-available", {"city": "Rome"})


@versions
async def test_bad_arguments_are_not_run(tmp_path: Path, version: str) -> None:
    """The call is an error, which the page sends back; the model answers to that."""
    bad = ToolCallDelta(0, "call_1", "add", '{"a": ')
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([bad], *answer())
        gateway.gpt.enqueue(*answer("Sorry"))
        tools = {"add": {"output": "never"}}
        shown = await ask(gateway, version, HELLO, body={"tools": [ADD]}, tools=tools)
        _, second = gateway.gpt.history
    assert (shown.error, shown.text) == (None, "Sorry")
    _, said, answered = second.prompt.turns
    assert said.parts[0].arguments == '{"a": '  # type: ignore[union-attr]
    assert answered.parts[0].is_error  # type: ignore[union-attr]


@versions
async def test_refused_chat_shows_words_for_a_person(tmp_path: Path, version: str) -> None:
    """Not JSON; and there is no empty answer."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(GatewayError("rejected_by_provider"))
        headers = {"X-Request-ID": "r-1"}
        shown = await ask(gateway, version, HELLO, headers=headers)
    assert shown.status == "error"
    assert shown.error == "The provider rejected the request. (Request r-1)"
    assert [message["role"] for message in shown.messages] == ["user"]


@versions
async def test_late_failure_shows_no_answer(tmp_path: Path, version: str) -> None:
    """The status was 200 already; the page shows the error all the same."""
    async with scripted_gateway(tmp_path, status_hold_seconds=0.02) as gateway:
        gateway.gpt.enqueue(0.3, GatewayError("rejected_by_provider"))
        shown = await ask(gateway, version, HELLO)
    assert shown.status == "error"
    assert (shown.error or "").startswith("The provider rejected the request.")


@versions
async def test_broken_answer_is_no_whole_one(tmp_path: Path, version: str) -> None:
    """What came is shown, with the error; the part is not done, and its message knows the code."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], BREAK)
        shown = await ask(gateway, version, HELLO)
    assert shown.status == "error"
    assert (shown.error or "").startswith("The provider's answer stopped before its end.")
    assert [finish["isError"] for finish in shown.finished] == [True]
    assert shown.answer["parts"][-1] == {"type": "text", "text": "Hel", "state": "streaming"}
    assert shown.answer["metadata"]["gateway"]["error"]["code"] == "upstream_truncated"


@versions
async def test_cut_answer_is_no_whole_one(tmp_path: Path, version: str) -> None:
    """The vendor's stream ends without its mark; the gateway says so, where the reader alone would not."""
    async with simulated_vendor(tmp_path, "gpt", fallback=None) as vendor:
        vendor.simulator.behaviours[DEFAULT] = Scripted(("Hel", "lo"), 0, then="close")
        shown = await show(version, f"{vendor.gateway.url}/ui/chat/gpt", HELLO)
    assert shown.status == "error"
    assert shown.text
    assert "stopped before its end" in (shown.error or "")


@versions
async def test_page_that_stops_ends_the_chat(tmp_path: Path, version: str) -> None:
    """The vendor's stream is closed, and what was shown stays."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], silence)
        shown = await ask(gateway, version, HELLO, stop=True)
        (asked,) = gateway.gpt.history
        async with asyncio.timeout(10):
            await asked.closed.wait()
    assert (shown.status, shown.error, shown.text) == ("ready", None, "Hel")
    assert [finish["isAbort"] for finish in shown.finished] == [True]


@versions
async def test_nothing_is_resumed(tmp_path: Path, version: str) -> None:
    """A page that tries, as many do when they open, is ready at once."""
    async with scripted_gateway(tmp_path) as gateway:
        shown = await ask(gateway, version, "resume")
    assert (shown.status, shown.error, shown.messages) == ("ready", None, [])


async def test_restart_shows_the_next_models_answer_alone(tmp_path: Path) -> None:
    """Version 7 throws away what it has of the step."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Reasoning("Hm"), Text("Hel")], BREAK)
        gateway.gpt.enqueue(*answer("Bonjour"))
        body = {"gateway": {"on_break": "restart", "ai_sdk": 7}}
        shown = await ask(gateway, "ai-7", HELLO, body=body)
    assert (shown.status, shown.error, shown.text) == ("ready", None, "Bonjour")
    assert [part["type"] for part in shown.answer["parts"]] == ["step-start", "text"]
    assert shown.answer["metadata"]["gateway"]["fallback"]["to"] == "nova"


@versions
async def test_held_answer_hides_a_break(tmp_path: Path, version: str) -> None:
    """Any version can have that."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], BREAK)
        gateway.gpt.enqueue(*answer("Bonjour"))
        body = {"gateway": {"on_break": "hold"}}
        shown = await ask(gateway, version, HELLO, body=body)
    assert (shown.status, shown.text) == ("ready", "Bonjour")
