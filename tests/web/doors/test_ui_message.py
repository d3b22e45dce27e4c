"""The UI message door over HTTP: whole and broken answers, errors as text, and what a page finds beside them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from configuration import GatewayKey
from models import ERROR_KINDS, GatewayError, Image, Reasoning, State, Text, ToolCallDelta
from tests.clients.simple_client import read_events
from tests.clients.ui_reader import BrokenAnswerError, read_message
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway
from tests.vendors.simulated_vendor import simulated_vendor
from web.doors.state_token import write_state

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

KEY = GatewayKey("phone", "65e7c884acfb26ee88bc691eec57b9bca581dc8af87485aab42fa2e9c1d05370")
STATE = State("gpt", "luna", '{"signed": true}')
HELLO = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello?"}]}
BREAK = GatewayError("upstream_truncated")
FRIEND = "https://chat.example.com"


async def ask(
    running: ScriptedGateway, provider: str = "gpt", *, origin: str = "", **fields: Any
) -> httpx.Response:
    """The response to a page's chat."""
    headers = {"X-Request-ID": "r-1"} | ({"Origin": origin} if origin else {})
    body = {"id": "c-1", "messages": [HELLO], "trigger": "submit-message"} | fields
    return await running.client.post(f"/ui/chat/{provider}", json=body, headers=headers)


async def test_answer_streams(tmp_path: Path) -> None:
    """With the header by which the protocol is known; the message has the facts of the chat."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Reasoning("Hm")], *answer("Hel", "lo"))
        response = await ask(gateway)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert response.headers["x-gateway-model"] == "luna"
    message = read_message(response.text)
    facts = message["metadata"]["gateway"]
    assert message["id"] == facts["id"]
    assert (facts["conversation_id"], facts["request_id"], facts["model"]) == ("c-1", "r-1", "luna")
    assert (facts["finish_reason"], facts["usage"]["output_tokens"]) == ("stop", 12)
    assert message["parts"] == [
        {"type": "step-start"},
        {"type": "reasoning", "text": "Hm", "state": "done"},
        {"type": "text", "text": "Hello", "state": "done"},
    ]


async def test_page_gets_the_generic_system_prompt(tmp_path: Path) -> None:
    """A page has no system prompt of its own, unless it sends one."""
    async with scripted_gateway(tmp_path) as gateway:
        for system in ({}, {"system": "Be brief."}):
            gateway.gpt.enqueue(*answer("Hi"))
            await ask(gateway, **system)
        first, second = (asked.prompt.system for asked in gateway.gpt.history)
    assert first.startswith("You are a helpful assistant.")
    assert second == f"{first}\n\nBe brief."


async def test_image_reaches_the_provider(tmp_path: Path) -> None:
    """As the bytes that the page has read."""
    file = {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,aGk="}
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("A cat"))
        await ask(gateway, messages=[HELLO | {"parts": [*HELLO["parts"], file]}])
        (asked,) = gateway.gpt.history
    assert asked.prompt.turns[0].parts == (Text("Hello?"), Image("image/png", "aGk="))


async def test_second_step_continues_the_message(tmp_path: Path) -> None:
    """The results of the calls go to the model that made them, with its state; the page keeps one message."""
    call = ToolCallDelta(0, "call_1", "add", '{"a": 1}', STATE)
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Let me see."), call], *answer())
        message = read_message((await ask(gateway)).text)
        kept = message["parts"][-1]
        assert kept["callProviderMetadata"] == {"gateway": {"state": write_state(STATE)}}
        kept |= {"state": "output-available", "output": {"sum": 3}}
        gateway.gpt.enqueue(*answer("Three"))
        whole = read_message((await ask(gateway, messages=[HELLO, message])).text, message)
        _, second = gateway.gpt.history
    assert whole["id"] == message["id"]
    assert [part["type"] for part in whole["parts"]] == [
        *("step-start", "text", "tool-add", "step-start", "text")
    ]
    _, said, answered = second.prompt.turns
    assert said.parts[-1].state == STATE  # type: ignore[union-attr]
    assert answered.parts[0].parts == (Text('{"sum":3}'),)  # type: ignore[union-attr]


async def test_whole_answer_is_a_message(tmp_path: Path) -> None:
    """With `"stream": false` it is the message that a page would make of the stream."""
    content: list[Any] = [
        [Reasoning("Hm"), Reasoning("", STATE), Text("Hi")],
        [ToolCallDelta(0, "call_1", "add", '{"a": 1}', STATE)],
    ]
    async with scripted_gateway(tmp_path) as gateway:
        for _ in range(2):
            gateway.gpt.enqueue(*content, *answer())
        whole = (await ask(gateway, stream=False)).json()
        streamed = read_message((await ask(gateway)).text)
    assert whole["parts"] == streamed["parts"]
    facts, seen = whole["metadata"]["gateway"], streamed["metadata"]["gateway"]
    assert facts.keys() == seen.keys()
    assert (facts["usage"], facts["model"]) == (seen["usage"], "luna")


async def test_break_after_content_ends_without_a_finish(tmp_path: Path) -> None:
    """The last part is the error, in words for a person."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], BREAK)
        response = await ask(gateway)
    *parts, facts, error = read_events(response.text)
    assert [part["type"] for part in parts] == ["start", "start-step", "text-start", "text-delta"]
    assert facts["messageMetadata"]["gateway"]["error"]["code"] == "upstream_truncated"
    assert error == {
        "type": "error",
        "errorText": "The provider's answer stopped before its end. (Request r-1)",
    }
    with pytest.raises(BrokenAnswerError):
        read_message(response.text)


async def test_failure_past_the_hold_is_the_only_part(tmp_path: Path) -> None:
    """The response had begun with a heartbeat; there is no message."""
    late = asyncio.Event()
    async with scripted_gateway(tmp_path, status_hold_seconds=0.02) as gateway:
        gateway.gpt.enqueue(late.wait, GatewayError("rejected_by_provider"))
        body = {"messages": [HELLO]}
        async with gateway.client.stream("POST", "/ui/chat/gpt", json=body) as response:
            pieces = response.aiter_text()
            assert await anext(pieces) == ": keep-alive\n\n"
            late.set()
            rest = "".join([piece async for piece in pieces])
    (error,) = read_events(rest)
    assert error["errorText"].startswith("The provider rejected the request. (Request ")


async def test_held_answer_hides_a_break(tmp_path: Path) -> None:
    """The next model's answer is the only one that the page sees."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], BREAK)
        gateway.gpt.enqueue(*answer("Bonjour"))
        response = await ask(gateway, gateway={"on_break": "hold"})
    message = read_message(response.text)
    assert message["parts"][1]["text"] == "Bonjour"
    assert message["metadata"]["gateway"]["fallback"] == {
        "from": "luna",
        "to": "nova",
        "reason": "upstream_truncated",
    }


async def test_restart_discards_the_step(tmp_path: Path) -> None:
    """For a page that says it knows the part."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], BREAK)
        gateway.gpt.enqueue(*answer("Bonjour"))
        response = await ask(gateway, gateway={"on_break": "restart", "ai_sdk": 7})
    kinds = [part if part == "[DONE]" else part["type"] for part in read_events(response.text)]
    assert kinds[4:] == [
        *("message-metadata", "reset-step", "text-start", "text-delta", "text-end"),
        *("finish-step", "finish", "[DONE]"),
    ]


@pytest.mark.parametrize("code", ["rejected_by_provider", "rate_limited", "upstream_auth"])
async def test_failure_before_content_is_text_for_a_person(tmp_path: Path, code: str) -> None:
    """Pages show the body as it is. The code is in a header, the status is the true one."""
    async with scripted_gateway(tmp_path) as gateway:
        for _ in range(2):
            gateway.gpt.enqueue(
                GatewayError(code, retry_after=7 if code == "rate_limited" else None)
            )
        response = await ask(gateway)
    retry = " Try again in 7 s." if code == "rate_limited" else ""
    assert response.status_code == ERROR_KINDS[code].status
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == f"{ERROR_KINDS[code].message}{retry} (Request r-1)"
    assert response.headers["x-gateway-error"] == code
    assert response.headers.get("retry-after") == ("7" if retry else None)


@pytest.mark.parametrize(
    ("provider", "fields", "code"),
    [
        ("unheard-of", {}, "unknown_provider"),
        ("gpt", {"messages": []}, "invalid_request"),
        ("gpt", {"gateway": {"on_break": "restart"}}, "invalid_request"),
        ("claude", {}, "provider_not_configured"),
    ],
)
async def test_refused_request_is_text_for_a_person(
    tmp_path: Path, provider: str, fields: dict[str, Any], code: str
) -> None:
    """Also one of which no vendor hears."""
    async with scripted_gateway(tmp_path) as gateway:
        response = await ask(gateway, provider, **fields)
    assert response.status_code == ERROR_KINDS[code].status
    assert response.headers["x-gateway-error"] == code
    assert response.text.endswith(" (Request r-1)")
    assert "{" not in response.text


async def test_page_of_another_origin_reads_the_code(tmp_path: Path) -> None:
    """The header is exposed, on refusals too."""
    async with scripted_gateway(
        tmp_path, gateway_api_keys=(KEY,), cors_origins=(FRIEND,)
    ) as gateway:
        response = await ask(gateway, origin=FRIEND)
    assert (response.status_code, response.headers["x-gateway-error"]) == (401, "unauthorized")
    assert "X-Gateway-Error" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(("provider", "status"), [("gpt", 204), ("unheard-of", 404)])
async def test_there_is_nothing_to_resume(tmp_path: Path, provider: str, status: int) -> None:
    """A page that asks for a stream to resume goes on without one."""
    async with scripted_gateway(tmp_path) as gateway:
        response = await gateway.client.get(f"/ui/chat/{provider}/chat-1/stream")
    assert response.status_code == status
    assert response.headers.get("x-gateway-error") == (
        None if status == 204 else "unknown_provider"
    )


async def test_record_names_the_door(tmp_path: Path) -> None:
    """With a real SDK and a simulated vendor."""
    async with simulated_vendor(tmp_path, "gpt") as vendor:
        body = {"id": "c-1", "messages": [HELLO]}
        response = await vendor.client.post("/ui/chat/gpt", json=body)
        record = await vendor.final_record()
    assert read_message(response.text)["parts"][-1]["text"]
    assert (record["door"], record["outcome"]) == ("ui_message", "ok")
