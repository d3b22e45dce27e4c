"""`"stream": false`: one JSON answer, whole or not at all."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from models import ChatIdentity, Delta, End, Fallback, GatewayError, Restart, Start, Timing, ToolCallDelta, Usage
from tests.by_hand import Chat, Client, leave, now
from tests.virtual_time import in_virtual_time
from web.guards import StreamLimit
from web.protocols.whole import WholeAnswerEncoder
from web.sse import EventStreamResponse, StreamClocks

if TYPE_CHECKING:
    from models import Event
    from tests.by_hand import Step

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
CLOCKS = StreamClocks(hold=float("inf"), heartbeat=0, send=30)


def gather(*batches: list[Event], demo: bool = False) -> Any:
    """The answer to a chat of these batches; all but the last one must give nothing."""
    encoder = WholeAnswerEncoder(IDENTITY, demo=demo)
    *early, last = [encoder.encode(batch) for batch in batches]
    assert not any(early)
    return json.loads(last)


async def respond(chat: Chat, client: Client) -> None:
    response = EventStreamResponse(chat.batches(), WholeAnswerEncoder(IDENTITY), CLOCKS, {}, StreamLimit(1))
    await response(client.scope, client.receive, client.send)


def test_answer_has_the_facts_of_the_stream() -> None:
    """The same facts as in start and end, with the texts joined."""
    batches: list[list[Event]] = [[START, Delta(reasoning="Hm"), Delta("Hel")], [Delta("lo")], [END]]
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
        "usage": {"input_tokens": 9, "output_tokens": 12, "cached_input_tokens": None, "reasoning_tokens": None},
        "attempts": 1,
        "dropped_params": [],
        "timing": {"first_content_ms": 310, "total_ms": 900},
    }


def test_answer_without_text_is_an_answer() -> None:
    """A chat that ended well with nothing to say has an empty content."""
    assert gather([START, END])["content"] == ""


def test_refusal_is_told_apart() -> None:
    """A refusal is no content."""
    answer = gather([START, Delta(refusal="I can't "), Delta(refusal="do that.")], [END])
    assert (answer["content"], answer["refusal"]) == ("", "I can't do that.")


def test_tool_calls_are_joined_by_their_index() -> None:
    """Pieces of several calls, interleaved, come out as whole calls in their order."""
    pieces = [
        ToolCallDelta(1, "add", '{"a"'),
        ToolCallDelta(0, "search", '{"q":'),
        ToolCallDelta(1, None, ": 1}"),
        ToolCallDelta(0, None, ' "x"}'),
    ]
    assert gather([START, *(Delta(tool_call=piece) for piece in pieces)], [END])["tool_calls"] == [
        {"name": "search", "arguments": '{"q": "x"}'},
        {"name": "add", "arguments": '{"a": 1}'},
    ]


def test_restart_throws_away_what_came() -> None:
    """Of an answer that broke nothing is left: no text, no reasoning, no tool call."""
    broken: list[Event] = [START, Delta("Hel", "Hm", "No", ToolCallDelta(0, "search"))]
    answer = gather(broken, [Restart("gpt", "nova", FALLBACK, 3), Delta("Hi")], [END])
    assert (answer["content"], answer["reasoning"], answer["refusal"], answer["tool_calls"]) == ("Hi", None, None, [])


def test_demo_says_so() -> None:
    """A simulated answer is never taken for a real one."""
    assert gather([START, END], demo=True)["demo"] is True
    assert "demo" not in gather([START, END])


@in_virtual_time
async def test_nothing_is_sent_before_the_end() -> None:
    """However long it takes, the status line waits for the whole answer, which is one write of JSON."""
    client = Client()
    await respond(Chat([START, Delta("Hel")], 500, [Delta("lo")], 99, [END]), client)
    assert [at for at, _ in client.writes] == [599] * 3
    assert client.headers["content-type"] == "application/json"
    assert client.headers["x-gateway-model"] == "luna"
    assert json.loads(b"".join(body for _, body in client.bodies))["content"] == "Hello"


@in_virtual_time
async def test_headers_name_the_model_of_the_last_restart() -> None:
    """Who answered in the end is who the headers name."""
    client = Client()
    await respond(Chat([START, Delta("Hel")], [Restart("gpt", "nova", FALLBACK, 3), Delta("Hi")], [END]), client)
    assert client.headers["x-gateway-model"] == "nova"
    assert client.headers["x-gateway-fallback"] == "luna; reason=upstream_truncated"


@pytest.mark.parametrize(
    "steps",
    [(30.0,), ([START, Delta("Hel")], 30.0), ([START, Delta("Hel")], 30.0, [Restart("gpt", "nova", FALLBACK, 3)])],
    ids=["before content", "after content", "after a restart"],
)
@in_virtual_time
async def test_failure_has_its_true_status(steps: tuple[Step, ...]) -> None:
    """A chat that fails at whatever point is an error with its status; no part of an answer is ever sent."""
    client = Client()
    with pytest.raises(GatewayError, match="upstream_truncated"):
        await respond(Chat(*steps, GatewayError("upstream_truncated")), client)
    assert client.writes == []


@in_virtual_time
async def test_client_leaving_closes_the_chat() -> None:
    """A client that does not wait for the answer costs the vendor nothing more."""
    client, chat = Client(), Chat([START, Delta("Hel")], 500.0, [END])
    await asyncio.gather(respond(chat, client), leave(client, 7))
    assert (chat.is_closed, now(), client.writes) == (True, 7, [])
