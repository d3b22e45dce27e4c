"""`"stream": false`: one JSON answer, whole or not at all."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from models import (
    ChatIdentity,
    End,
    Fallback,
    GatewayError,
    Reasoning,
    Refusal,
    Restart,
    Start,
    State,
    Text,
    Timing,
    ToolCallDelta,
    Usage,
)
from tests.clients.by_hand import Client, Script, leave, now
from tests.virtual_time import in_virtual_time
from web.chats import ChatFrames
from web.doors import NATIVE
from web.doors.base import Reply
from web.doors.held import WholeEncoder
from web.limits import StreamLimit
from web.response import EventStreamResponse
from web.stream_timeouts import StreamTimeouts

if TYPE_CHECKING:
    from models import Event

IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")
START = Start("gpt", "luna")
FALLBACK = Fallback("luna", "nova", "upstream_truncated")
END = End(
    provider="gpt",
    model="luna",
    fallback=None,
    finish_reason="stop",
    raw_finish_reason="stop",
    usage=Usage(input_tokens=9, output_tokens=12),
    attempts=1,
    timing=Timing(310, 900),
)
TIMEOUTS = StreamTimeouts(hold=inf, heartbeat=inf, send=30)


def gather(*batches: list[Event], demo: bool = False) -> Any:
    """The answer to a chat of these batches; all but the last one must give nothing."""
    encoder = WholeEncoder(partial(NATIVE.render, reply=Reply(IDENTITY, demo)))
    *early, last = [encoder.encode(batch) for batch in batches]
    assert not any(early)
    return json.loads(last)


async def respond(chat: Script, client: Client) -> None:
    encoder = WholeEncoder(partial(NATIVE.render, reply=Reply(IDENTITY)))
    source = ChatFrames(chat.play(), encoder)
    response = EventStreamResponse(source, TIMEOUTS, {}, StreamLimit(1))
    await response(client.scope, client.receive, client.send)


def test_answer_has_the_facts_of_the_stream() -> None:
    """The same facts as in start and end, with the texts joined."""
    batches: list[list[Event]] = [[START, Reasoning("Hm"), Text("Hel")], [Text("lo")], [END]]
    assert gather(*batches) == {
        "id": "gpt-1",
        "conversation_id": "c-1",
        "request_id": "r-1",
        "provider": "gpt",
        "model": "luna",
        "fallback": None,
        "content": "Hello",
        "reasoning": "Hm",
        "refusal": None,
        "tool_calls": [],
        "finish_reason": "stop",
        "raw_finish_reason": "stop",
        "usage": {
            "input_tokens": 9,
            "output_tokens": 12,
            "cached_input_tokens": None,
            "cache_write_tokens": None,
            "reasoning_tokens": None,
        },
        "cost": None,
        "attempts": 1,
        "dropped_params": [],
        "timing": {"first_content_ms": 310, "total_ms": 900},
    }


def test_answer_without_text_is_an_answer() -> None:
    """A chat that ended well with nothing to say has an empty content."""
    assert gather([START, END])["content"] == ""


def test_refusal_is_no_content() -> None:
    """A refusal has a field of its own."""
    answer = gather([START, Refusal("I can't "), Refusal("do that.")], [END])
    assert (answer["content"], answer["refusal"]) == ("", "I can't do that.")


def test_tool_calls_have_their_id_name_and_arguments() -> None:
    """And a state, if the vendor needs one back."""
    state = State("gemini", "pro", '"c2ln"')
    calls = [
        ToolCallDelta(0, "call_0", "search", "{}"),
        ToolCallDelta(1, "call_1", "add", '{"a": 1}', state),
    ]
    sent = {"provider": "gemini", "model": "pro", "data": '"c2ln"'}
    assert gather([START, *calls], [END])["tool_calls"] == [
        {"id": "call_0", "name": "search", "arguments": "{}"},
        {"id": "call_1", "name": "add", "arguments": '{"a": 1}', "state": sent},
    ]


def test_states_of_the_reasoning_are_beside_it() -> None:
    """In their order; an answer without any has no such field."""
    states = [State("claude", "haiku", '{"n": 1}'), State("claude", "haiku", '{"n": 2}')]
    reasoning = [Reasoning("Hm"), *(Reasoning("", state) for state in states)]
    answer = gather([START, *reasoning, Text("Hi")], [END])
    assert answer["reasoning"] == "Hm"
    assert [state["data"] for state in answer["states"]] == ['{"n": 1}', '{"n": 2}']
    assert "states" not in gather([START, END])


def test_demo_says_so() -> None:
    """A simulated answer is never taken for a real one."""
    assert gather([START, END], demo=True)["demo"] is True
    assert "demo" not in gather([START, END])


@in_virtual_time
async def test_nothing_is_sent_before_the_end() -> None:
    """However long it takes, the status line waits for the whole answer, which is one write of JSON."""
    client = Client()
    await respond(Script([START, Text("Hel")], 500, [Text("lo")], 99, [END]), client)
    assert [at for at, _ in client.received] == [599] * 3
    assert client.headers["content-type"] == "application/json"
    assert client.headers["x-gateway-model"] == "luna"
    assert json.loads(client.body)["content"] == "Hello"


@in_virtual_time
async def test_headers_name_the_model_of_the_last_restart() -> None:
    """The headers name the model that gave the answer."""
    client = Client()
    await respond(
        Script([START, Text("Hel")], [Restart("gpt", "nova", FALLBACK, 3), Text("Hi")], [END]),
        client,
    )
    assert client.headers["x-gateway-model"] == "nova"
    assert client.headers["x-gateway-fallback"] == "luna; reason=upstream_truncated"


@pytest.mark.parametrize(
    "steps",
    [
        (30.0,),
        ([START, Text("Hel")], 30.0),
        ([START, Text("Hel")], 30.0, [Restart("gpt", "nova", FALLBACK, 3)]),
    ],
    ids=["before content", "after content", "after a restart"],
)
@in_virtual_time
async def test_failure_has_its_true_status(steps: tuple[float | list[Event], ...]) -> None:
    """A chat that fails at whatever point is an error with its status; no part of an answer is ever sent."""
    client = Client()
    with pytest.raises(GatewayError, match="upstream_truncated"):
        await respond(Script(*steps, GatewayError("upstream_truncated")), client)
    assert client.received == []


@in_virtual_time
async def test_client_disconnect_closes_the_chat() -> None:
    """A client that does not wait for the answer costs the vendor nothing more."""
    client, chat = Client(), Script([START, Text("Hel")], 500.0, [END])
    await asyncio.gather(respond(chat, client), leave(client, 7))
    assert (chat.is_closed, now(), client.received) == (True, 7, [])
