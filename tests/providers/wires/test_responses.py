"""OpenAI's Responses: each text once, whatever events bring it, and calls of the client's tools alone."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from models import Reasoning, Text, ToolCallDelta
from providers.wires.finish_reasons import Finish
from providers.wires.responses import ResponsesDecoder
from providers.wires.vendor_stream import read_batches
from tests.vendors.scripted_response import EVENT_STREAM, ScriptedResponse
from tests.vendors.wire_streams import (
    JSON_BODY,
    RESPONSES,
    data,
    message_item,
    named,
    play,
    response_end,
)

PLACE = {"output_index": 1, "item_id": "item_1"}
COMPLETED = response_end("completed")


def deltas(kind: str, text: str) -> bytes:
    """A text in two pieces."""
    pieces = text[:2], text[2:]
    return b"".join(named(f"response.{kind}.delta", **PLACE, delta=piece) for piece in pieces)


def part_done(kind: str, text: str) -> bytes:
    """A text once more, at the end of its part."""
    field = {"refusal": text} if kind == "refusal" else {"text": text}
    return named(f"response.{kind}.done", **PLACE, **field)


def item_done(item: dict[str, Any]) -> bytes:
    return named("response.output_item.done", **PLACE, item=item)


def reasoning_item(*summaries: str, text: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"id": "rs_1", "type": "reasoning"}
    item["summary"] = [{"type": "summary_text", "text": summary} for summary in summaries]
    return item | ({"content": [{"type": "reasoning_text", "text": text}]} if text else {})


def refusal_item(refusal: str) -> dict[str, Any]:
    return message_item("") | {"content": [{"type": "refusal", "refusal": refusal}]}


HELLO, MORE, SUMMARY, NO = (
    message_item("Hello"),
    message_item("!"),
    reasoning_item("Hmm"),
    refusal_item("No way"),
)
# The events of an answer, and the texts that they amount to: text, reasoning, refusal.
SOURCES: dict[str, tuple[bytes, tuple[str, str, str]]] = {
    "deltas, and all that repeats them": (
        deltas("output_text", "Hello")
        + part_done("output_text", "Hello")
        + item_done(HELLO)
        + response_end("completed", HELLO),
        ("Hello", "", ""),
    ),
    "deltas alone": (deltas("output_text", "Hello") + COMPLETED, ("Hello", "", "")),
    "done parts": (
        part_done("output_text", "Hello")
        + part_done("output_text", "!")
        + item_done(message_item("Hello!"))
        + response_end("completed", message_item("Hello!")),
        ("Hello!", "", ""),
    ),
    "done parts alone": (part_done("output_text", "Hello") + COMPLETED, ("Hello", "", "")),
    "done items": (
        item_done(HELLO) + item_done(MORE) + response_end("completed", HELLO, MORE),
        ("Hello!", "", ""),
    ),
    "the response": (response_end("completed", HELLO, MORE), ("Hello!", "", "")),
    "a summary in deltas": (
        deltas("reasoning_summary_text", "Hmm")
        + part_done("reasoning_summary_text", "Hmm")
        + item_done(SUMMARY)
        + deltas("output_text", "Hello")
        + response_end("completed", SUMMARY, HELLO),
        ("Hello", "Hmm", ""),
    ),
    "parts of a summary": (
        deltas("reasoning_summary_text", "Hmm.")
        + part_done("reasoning_summary_text", "Hmm.")
        + deltas("reasoning_summary_text", "Yes.")
        + COMPLETED,
        ("", "Hmm.Yes.", ""),
    ),
    "a summary when it is done, a text in deltas": (
        item_done(reasoning_item("Hmm", ".")) + deltas("output_text", "Hello") + COMPLETED,
        ("Hello", "Hmm.", ""),
    ),
    "reasoning text": (
        deltas("reasoning_text", "Hmm") + item_done(reasoning_item(text="Hmm")) + COMPLETED,
        ("", "Hmm", ""),
    ),
    "reasoning text when it is done": (
        item_done(reasoning_item(text="Hmm")) + COMPLETED,
        ("", "Hmm", ""),
    ),
    "a refusal in deltas": (
        deltas("refusal", "No way") + item_done(NO) + response_end("completed", NO),
        ("", "", "No way"),
    ),
    "a refusal when it is done": (
        part_done("refusal", "No way") + response_end("completed", NO),
        ("", "", "No way"),
    ),
    "a refusal in the response": (response_end("completed", NO), ("", "", "No way")),
}


def split(stream: bytes) -> list[bytes]:
    """Each event as a read of its own."""
    return [event + b"\n\n" for event in stream.split(b"\n\n") if event]


@pytest.mark.parametrize(("events", "texts"), SOURCES.values(), ids=SOURCES)
async def test_each_text_arrives_once(events: bytes, texts: tuple[str, str, str]) -> None:
    """Servers without deltas send it when a part, an item or the whole response is done."""
    for reads in [events], split(events):
        played = await play(RESPONSES, RESPONSES.opening, *reads)
        assert (played.text, played.reasoning, played.refusal) == texts
        assert played.ending == ("content_filter" if played.refusal else "stop")
        assert played.finish
        assert played.finish.raw_finish_reason == "completed"


async def test_a_response_that_is_no_stream_has_all_its_items() -> None:
    """Reasoning, text and a call of one JSON object, in their order."""
    item = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"x":1}'}
    body = RESPONSES.whole("Hello", "completed")
    body["output"] = [reasoning_item("Hmm"), *body["output"], item]
    played = await play(RESPONSES, data(body)[6:], headers=JSON_BODY)
    assert (played.reasoning, played.text, played.ending) == ("Hmm", "Hello", "tool_calls")
    assert played.calls == [["call_1", "f", '{"x":1}']]


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled", None])
async def test_a_response_that_is_no_stream_and_not_over_is_not_whole(status: str | None) -> None:
    """It may have text: the answer is not complete for all that."""
    body = RESPONSES.whole("Hello", "completed") | {"status": status}
    assert (await play(RESPONSES, data(body)[6:], headers=JSON_BODY)).ending == "upstream_truncated"


# --- the state of reasoning ----------------------------------------------------------------------------

THOUGHT = reasoning_item("Hm", "So.") | {
    "encrypted_content": "gAAAA",
    "status": None,
    "content": [],
}
STATE = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm"}, {"type": "summary_text", "text": "So."}],
    "encrypted_content": "gAAAA",
}


async def deltas_of(*events: bytes) -> list[Any]:
    """The deltas of a stream, or what came of it before it failed."""
    decoder = partial(ResponsesDecoder, "gpt", "m")
    reads = ScriptedResponse(b"".join(events), headers=EVENT_STREAM)
    return [delta async for batch in read_batches(reads.open, decoder, 2**20) for delta in batch]


async def test_state_of_reasoning_comes_before_what_followed_it() -> None:
    """It is what the vendor needs back, and no more; it comes once, with the model that made it."""
    events = deltas("reasoning_summary_text", "Hm"), deltas("reasoning_summary_text", "So.")
    ending = response_end("completed", THOUGHT, HELLO)
    begun = named("response.output_item.added", output_index=2, item=message_item(""))
    received = await deltas_of(
        *events, item_done(THOUGHT), begun, deltas("output_text", "Hello"), ending
    )
    (place,) = [place for place, delta in enumerate(received) if getattr(delta, "state", None)]
    state = received[place].state
    assert (state.provider, state.model, json.loads(state.data)) == ("gpt", "m", STATE)
    kinds = [type(delta) for delta in received]
    assert kinds == [Reasoning] * 4 + [Text, Text, Finish]
    assert place == 3


async def test_state_comes_before_a_call() -> None:
    """Also in a response whose items come only when they are done."""
    for events in item_done(THOUGHT) + call("added first more all done end"), call("end"):
        whole = events.replace(
            b'"output": [', b'"output": [' + json.dumps(THOUGHT).encode() + b", "
        )
        kinds = [type(delta) for delta in await deltas_of(whole)]
        assert kinds.index(ToolCallDelta) == kinds.count(Reasoning) == 3


async def test_state_that_nothing_follows_is_not_content() -> None:
    """It commits no answer, and the vendor would refuse it."""
    hidden = THOUGHT | {"summary": []}
    received = await deltas_of(item_done(hidden), response_end("max_output_tokens", hidden))
    assert [type(delta) for delta in received] == [Finish]


# --- calls -------------------------------------------------------------------------------------------


def call(events: str, call_id: str = "call_1", arguments: str = '{"x":1}', **more: Any) -> bytes:
    """These events of one call."""
    place = {"output_index": more.get("index", 1), "item_id": f"fc_{call_id}"}
    item = {"id": f"fc_{call_id}", "type": "function_call", "call_id": call_id}
    item["name"] = more.get("name", "f")
    whole = item | {"arguments": arguments}
    known = {
        "added": named("response.output_item.added", **place, item=item | {"arguments": ""}),
        "first": named("response.function_call_arguments.delta", **place, delta=arguments[:3]),
        "more": named("response.function_call_arguments.delta", **place, delta=arguments[3:]),
        "all": named("response.function_call_arguments.done", **place, arguments=arguments),
        "done": named("response.output_item.done", **place, item=whole),
        "end": response_end("completed", whole),
    }
    return b"".join(known[name] for name in events.split())


ONE: list[list[str | None]] = [["call_1", "f", '{"x":1}']]
EMPTY: list[list[str | None]] = [["call_1", "f", "{}"]]
TWO: list[list[str | None]] = [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']]
FIRST: dict[str, Any] = {"call_id": "a"}
SECOND: dict[str, Any] = {"call_id": "b", "name": "g", "arguments": '{"y":2}', "index": 2}
NO_INDEX = {"index": None}
CALLS: dict[str, tuple[bytes, list[list[str | None]]]] = {
    "as OpenAI sends it": (call("added first more all done end"), ONE),
    "without deltas": (call("added all done end"), ONE),
    "whole when it is done": (call("done end"), ONE),
    "whole in the response": (call("end"), ONE),
    "deltas alone": (call("added first more") + COMPLETED, ONE),
    "its name when it is done": (call("first more done end"), ONE),
    "no arguments": (call("added all done end", arguments=""), EMPTY),
    "empty arguments": (call("added first all done end", arguments="{}"), EMPTY),
    "two calls": (
        call("added first more all done", **FIRST)
        + call("added first more all done", **SECOND)
        + COMPLETED,
        TWO,
    ),
    "interleaved": (
        call("added", **FIRST)
        + call("added first", **SECOND)
        + call("first more all done", **FIRST)
        + call("more all done", **SECOND)
        + COMPLETED,
        TWO,
    ),
    "two calls without an index": (
        call("added first more all done", **FIRST | NO_INDEX)
        + call("added all done", **SECOND | NO_INDEX)
        + COMPLETED,
        TWO,
    ),
}


@pytest.mark.parametrize(("events", "calls"), CALLS.values(), ids=CALLS)
async def test_a_call_arrives_once(events: bytes, calls: list[list[str | None]]) -> None:
    """With the id by which its result goes back, and the arguments as the model wrote them."""
    for reads in [events], split(events):
        played = await play(RESPONSES, RESPONSES.opening, *reads)
        assert played.calls == calls
        assert played.ending == "tool_calls"


async def test_a_call_in_an_incomplete_response_is_cut_off() -> None:
    """Its arguments may be half of what the model meant."""
    events = call("added first") + response_end("max_output_tokens")
    played = await play(RESPONSES, RESPONSES.opening, events)
    assert (played.calls, played.ending) == ([["call_1", "f", '{"x']], "length")


VENDORS_OWN = [
    {"type": "web_search_call", "action": {"type": "search", "query": "?"}},
    {"type": "code_interpreter_call", "code": "1 + 1", "outputs": []},
    {"type": "mcp_call", "name": "look", "arguments": "{}", "output": "?", "error": None},
    {"type": "mcp_list_tools", "tools": [{"name": "look"}]},
    {"type": "custom_tool_call", "call_id": "call_1", "name": "look", "input": "?"},
    {"type": "tool_search_call", "call_id": None, "arguments": {"paths": ["?"]}},
    {"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}},
    {"type": "image_generation_call", "result": "aGk="},
    {"type": "new_call", "call_id": "call_1", "name": "look", "arguments": "{}", "content": "?"},
]


@pytest.mark.parametrize("item", VENDORS_OWN, ids=lambda item: str(item["type"]))
async def test_a_tool_of_the_vendors_own_is_no_call(item: dict[str, Any]) -> None:
    """The client has no such tool, and could not answer."""
    events = [
        named("response.output_item.added", **PLACE, item=item),
        named(f"response.{item['type']}_arguments.delta", **PLACE, delta="{}"),
        named(f"response.{item['type']}.failed", **PLACE),
        item_done(item),
        named("response.output_text.annotation.added", **PLACE, annotation={"url": "?"}),
    ]
    played = await play(RESPONSES, RESPONSES.answer(*events))
    assert (played.text, played.calls, played.ending) == ("Hello", [], "stop")
