"""OpenAI's Responses, on the way out: the events of an answer, and the response that they end with."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response
from starlette.datastructures import Headers

from models import (
    Chat,
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
    ToolCall,
    ToolCallDelta,
    Turn,
    Usage,
)
from streams.failure import FailedAttempt, Failure
from tests.clients.chat_bodies import DEFAULT_SETTINGS
from tests.clients.response_events import join_deltas, kinds, read_events
from web.doors.base import Reply
from web.doors.held import HeldEncoder, WholeEncoder
from web.doors.openai_responses import OpenAIResponsesDoor
from web.doors.responses_body import ResponseOptions
from web.doors.responses_tools import ToolName
from web.doors.state_token import is_of_call, read_state

if TYPE_CHECKING:
    from models import Event

DOOR = OpenAIResponsesDoor()
IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")
START = Start("gpt", "luna")
FALLBACK = Fallback("luna", "nova", "upstream_timeout")
END = End(
    provider="gpt",
    model="luna",
    fallback=None,
    finish_reason="stop",
    raw_finish_reason="completed",
    usage=Usage(
        input_tokens=9,
        output_tokens=12,
        cached_input_tokens=3,
        cache_write_tokens=2,
        reasoning_tokens=5,
    ),
    attempts=1,
    dropped_params=("max_tokens",),
    timing=Timing(310, 900),
)
STATE = State("gpt", "luna", '{"type":"reasoning"}')
OPENING = ["created", "in_progress"]
TEXT_END = ["output_text.done", "content_part.done", "output_item.done"]
# What a response has whatever its request.
KNOWN = {
    "id": "resp_gpt-1",
    "object": "response",
    "model": "luna",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
NO_OPTIONS = ResponseOptions()


def end(**changes: Any) -> End:
    return msgspec.structs.replace(END, **changes)


def stream(
    *events: Event, options: ResponseOptions = NO_OPTIONS, demo: bool = False
) -> list[dict[str, Any]]:
    """The events of a stream; the whole answer must be the response at its end."""
    reply = Reply(IDENTITY, demo, options)
    given = list(events)
    sent = read_events(DOOR.encoder(reply).encode(given).decode())
    if isinstance(given[-1], End):
        whole = WholeEncoder(partial(DOOR.render, reply=reply)).encode(given)
        assert without_times(json.loads(whole)) == without_times(sent[-1]["response"])
    return sent


def without_times(response: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if not name.endswith("_at")}


def fail(
    *events: Event, error: GatewayError, options: ResponseOptions = NO_OPTIONS
) -> list[dict[str, Any]]:
    """The events of a stream that fails after these."""
    encoder = DOOR.encoder(Reply(IDENTITY, options=options))
    sent = encoder.encode(list(events)) if events else b""
    return read_events((sent + encoder.encode_error(error)).decode())


def item_of(events: list[dict[str, Any]], index: int = 0) -> dict[str, Any]:
    """An item of the whole response; that of its last event must be the same."""
    (done,) = [
        event["item"]
        for event in events
        if event["type"] == "response.output_item.done" and event["output_index"] == index
    ]
    assert done == events[-1]["response"]["output"][index]
    return dict(done)


def test_text_has_the_events_of_its_item_and_its_part() -> None:
    """In OpenAI's order, the response at both ends, and every text joined at the end of its part."""
    events = stream(START, Text("Hel"), Text("lo"), END)
    assert kinds(events) == [
        *OPENING,
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        *TEXT_END,
        "completed",
    ]
    place = {"item_id": "msg_gpt-1_0", "output_index": 0, "content_index": 0}
    assert events[2]["item"] == {
        "id": "msg_gpt-1_0",
        "type": "message",
        "status": "in_progress",
        "role": "assistant",
        "content": [],
    }
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    assert events[3] == {**event_of(events[3]), **place, "part": empty}
    assert events[4] == {**event_of(events[4]), **place, "logprobs": [], "delta": "Hel"}
    assert events[6] == {**event_of(events[6]), **place, "logprobs": [], "text": "Hello"}
    part = empty | {"text": "Hello"}
    assert events[7] == {**event_of(events[7]), **place, "part": part}
    message = events[2]["item"] | {"status": "completed", "content": [part]}
    assert events[8] == {**event_of(events[8]), "output_index": 0, "item": message}
    assert events[9]["response"]["output"] == [message]


def event_of(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("type", "sequence_number")}


def test_response_has_every_field_that_clients_read() -> None:
    """At the start nothing but what is known; at the end the output, the usage and our facts."""
    events = stream(START, Text("Hi"), END)
    created, completed = events[0]["response"], events[-1]["response"]
    assert events[1]["response"] == created
    ids = {"conversation_id": "c-1", "request_id": "r-1"}
    assert without_times(created) == {
        **KNOWN,
        "status": "in_progress",
        "output": [],
        "usage": None,
        "gateway": ids | {"provider": "gpt", "model": "luna", "fallback": None},
    }
    assert without_times(completed) == {
        **KNOWN,
        "status": "completed",
        "output": completed["output"],
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 21,
        },
        "gateway": ids
        | json.loads(msgspec.json.encode(END))
        | {"dropped_params": ["max_output_tokens"]},
    }
    assert created["completed_at"] is None
    assert created["created_at"] == completed["created_at"] <= completed["completed_at"]
    assert Response.model_validate(completed).output_text == "Hi"


def test_response_repeats_what_was_asked() -> None:
    """As it was sent; what was left out goes by its names in a request."""
    echo = {"temperature": msgspec.Raw(b"0.50"), "metadata": msgspec.Raw(b'{"a":"b"}')}
    options = ResponseOptions("gpt", echo, dropped=("tools.web_search",))
    events = stream(START, END, options=options)
    for event in (events[0], events[-1]):
        assert event["response"]["temperature"] == 0.5
        assert event["response"]["metadata"] == {"a": "b"}
    facts = events[-1]["response"]["gateway"]
    assert facts["dropped_params"] == ["max_output_tokens", "tools.web_search"]


def test_fallback_and_demo_are_said() -> None:
    """The model that answers is the response's; which one it replaced, and that none did, is ours."""
    events = stream(Start("gpt", "nova", FALLBACK), end(model="nova", fallback=FALLBACK), demo=True)
    for event in events:
        assert event["response"]["model"] == "nova"
        facts = event["response"]["gateway"]
        assert facts["fallback"] == {"from": "luna", "to": "nova", "reason": "upstream_timeout"}
        assert facts["demo"] is True


@given(st.lists(st.text()))
def test_text_is_what_the_deltas_join_to(texts: list[str]) -> None:
    """Whatever is in it: no text can pass for the end of an event."""
    events = stream(START, *map(Text, texts), END)
    assert join_deltas(events) == "".join(texts)
    if texts:
        assert item_of(events)["content"][0]["text"] == "".join(texts)


def test_answer_without_content_has_no_item() -> None:
    """A chat that ended well with nothing to say."""
    events = stream(START, END)
    assert kinds(events) == [*OPENING, "completed"]
    assert events[-1]["response"]["output"] == []


def test_reasoning_is_an_item_with_a_summary() -> None:
    """Before the message, with its own events."""
    events = stream(START, Reasoning("H"), Reasoning("m"), Text("Hi"), END)
    assert kinds(events)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    place = {"item_id": "rs_gpt-1_0", "output_index": 0, "summary_index": 0}
    assert events[4] == {**event_of(events[4]), **place, "delta": "H"}
    summary = [{"type": "summary_text", "text": "Hm"}]
    assert item_of(events) == {"id": "rs_gpt-1_0", "type": "reasoning", "summary": summary}
    assert item_of(events, 1)["id"] == "msg_gpt-1_1"


def test_state_is_the_encrypted_content_of_its_reasoning() -> None:
    """It ends its item; one without text has an item of its own."""
    second = State("gpt", "luna", '{"n":2}')
    events = stream(
        START, Reasoning("Hm"), Reasoning("", STATE), Reasoning("", second), Text("Hi"), END
    )
    items = [item_of(events, index) for index in range(2)]
    assert [read_state(item["encrypted_content"], 10_000) for item in items] == [STATE, second]
    assert [len(item["summary"]) for item in items] == [1, 0]
    assert kinds(events)[7:11] == ["output_item.done", "output_item.added"] * 2


def test_state_after_text_comes_after_its_message() -> None:
    """As some models send it; what follows is a message of its own."""
    events = stream(START, Text("Hi"), Reasoning("", STATE), Text("!"), END)
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "reasoning", "message"]
    assert Response.model_validate(events[-1]["response"]).output_text == "Hi!"


def test_call_is_an_item_with_its_arguments() -> None:
    """In pieces, and whole at the end."""
    pieces = [
        ToolCallDelta(0, "call_1", "search"),
        ToolCallDelta(0, arguments='{"q":'),
        ToolCallDelta(0, arguments='"x"}'),
    ]
    events = stream(START, *pieces, end(finish_reason="tool_calls"))
    assert kinds(events)[2:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    opening = {
        "id": "fc_gpt-1_0",
        "type": "function_call",
        "status": "in_progress",
        "arguments": "",
        "call_id": "call_1",
        "name": "search",
    }
    place = {"item_id": "fc_gpt-1_0", "output_index": 0}
    assert events[2]["item"] == opening
    assert events[3] == {**event_of(events[3]), **place, "delta": '{"q":'}
    assert events[5] == {**event_of(events[5]), **place, "arguments": '{"q":"x"}'}
    assert item_of(events) == opening | {"status": "completed", "arguments": '{"q":"x"}'}


def test_calls_follow_text_and_one_another() -> None:
    """One item after another: each ends before the next one begins."""
    events = stream(
        START,
        Text("I look."),
        ToolCallDelta(0, "call_1", "search"),
        ToolCallDelta(0, arguments="{}"),
        ToolCallDelta(1, "call_2", "add"),
        ToolCallDelta(1, arguments='{"a":1}'),
        end(finish_reason="tool_calls"),
    )
    indexes = [event["output_index"] for event in events if "output_index" in event]
    assert indexes == sorted(indexes)
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
    assert [item["arguments"] for item in output[1:]] == ["{}", '{"a":1}']


def test_state_of_a_call_is_in_reasoning_before_it() -> None:
    """A call has no field for it. It is marked, so that it comes back to its call."""
    events = stream(START, ToolCallDelta(0, "call_1", "search", "{}", STATE), END)
    before = item_of(events)
    assert (before["type"], before["summary"]) == ("reasoning", [])
    assert read_state(before["encrypted_content"], 10_000) == STATE
    assert is_of_call(before["encrypted_content"])
    assert item_of(events, 1)["call_id"] == "call_1"


def test_call_has_the_names_that_the_client_gave() -> None:
    """A tool of a namespace has both of them again."""
    options = ResponseOptions(names={"files__read": ToolName("read", "files")})
    events = stream(START, ToolCallDelta(0, "call_1", "files__read", "{}"), END, options=options)
    item = item_of(events)
    assert (item["type"], item["name"], item["namespace"]) == ("function_call", "read", "files")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [('{"input":"*** Begin\\n"}', "*** Begin\n"), ('{"other":1}', '{"other":1}'), ("{}", "{}")],
)
def test_custom_tool_is_called_with_its_text(arguments: str, text: str) -> None:
    """The text is known once all arguments are; what is no text is passed on as it is."""
    options = ResponseOptions(names={"patch": ToolName("patch", is_custom=True)})
    pieces = [ToolCallDelta(0, arguments=letter) for letter in arguments]
    events = stream(START, ToolCallDelta(0, "call_1", "patch"), *pieces, END, options=options)
    assert kinds(events)[2:] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]
    assert join_deltas(events, "custom_tool_call_input") == events[4]["input"] == text
    assert item_of(events) == {
        "id": "ctc_gpt-1_0",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "patch",
        "input": text,
    }


def test_refusal_is_a_part_of_a_complete_message() -> None:
    """By which OpenAI's clients read it; what was said before it is another part."""
    events = stream(
        START, Text("Hm."), Refusal("I "), Refusal("won't."), end(finish_reason="content_filter")
    )
    assert kinds(events)[-6:] == [
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    parts = item_of(events)["content"]
    assert [part["type"] for part in parts] == ["output_text", "refusal"]
    assert parts[1] == {"type": "refusal", "refusal": "I won't."}
    assert events[-6]["content_index"] == 1


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_incomplete_response_says_why(finish_reason: Any, reason: str) -> None:
    """Its open item is incomplete, too."""
    events = stream(START, Text("Hel"), end(finish_reason=finish_reason))
    response = events[-1]["response"]
    assert kinds(events)[-1] == response["status"] == "incomplete"
    assert (response["incomplete_details"], response["completed_at"]) == ({"reason": reason}, None)
    assert item_of(events)["status"] == "incomplete"


def test_calls_before_the_last_one_are_complete() -> None:
    """Only the item that was cut is incomplete."""
    calls = [ToolCallDelta(index, f"call_{index}", "add", "{}") for index in range(2)]
    events = stream(START, *calls, end(finish_reason="length"))
    assert [item_of(events, index)["status"] for index in range(2)] == ["completed", "incomplete"]


@pytest.mark.parametrize("usage", [None, Usage()])
def test_usage_is_numbers(usage: Usage | None) -> None:
    """Clients read no end without them; the facts say that the vendor sent none."""
    response = stream(START, end(usage=usage))[-1]["response"]
    assert response["usage"]["total_tokens"] == response["usage"]["input_tokens"] == 0
    assert not any((response["gateway"]["usage"] or {}).values())


def test_failure_is_an_error_and_then_a_failed_response() -> None:
    """In both shapes of the error, with what there is of the output, and no end of an item."""
    error = GatewayError("upstream_truncated", provider="gpt", model="luna")
    attempts = [FailedAttempt("luna", "upstream_truncated", "stalled")]
    failure = Failure(error, stage="after_content", sent_chars=3, attempts=attempts)
    events = fail(START, Text("Hel"), error=failure)
    assert kinds(events)[-3:] == ["output_text.delta", "error", "failed"]
    said, response = events[-2], events[-1]["response"]
    assert said["code"] == said["error"]["code"] == "upstream_truncated"
    assert said["message"] == said["error"]["message"] == failure.safe_message
    assert (said["error"]["type"], said["param"], said["error"]["param"]) == (
        "server_error",
        None,
        None,
    )
    assert response["status"] == "failed"
    assert response["error"] == {
        "code": "upstream_truncated",
        "message": failure.safe_message,
        "type": "server_error",
    }
    assert response["output"][0]["status"] == "incomplete"
    assert response["output"][0]["content"][0]["text"] == "Hel"
    assert (response["gateway"]["stage"], response["gateway"]["partial_chars"]) == (
        "after_content",
        3,
    )


def test_failure_between_items_has_those_that_ended() -> None:
    """Nothing is made up."""
    error = GatewayError("upstream_truncated")
    response = fail(START, Reasoning("", STATE), error=error)[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["reasoning"]
    assert "status" not in response["output"][0]


def test_failure_before_content_begins_a_response_first() -> None:
    """Clients that have had heartbeats take no error without one."""
    error = GatewayError("upstream_timeout")
    events = fail(error=error, options=ResponseOptions("gpt"))
    assert kinds(events) == [*OPENING, "error", "failed"]
    assert {event["response"]["model"] for event in events if "response" in event} == {"gpt"}
    assert events[-1]["response"]["output"] == []


def test_rate_limit_says_when_to_try_again() -> None:
    """In the words that Codex reads."""
    events = fail(error=GatewayError("rate_limited", retry_after=6.2))
    error = events[-1]["response"]["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert error["message"].endswith("Please try again in 7s.")
    assert events[-2]["message"] == error["message"]


def test_error_before_a_response_is_an_http_error() -> None:
    """OpenAI's object, and beside it the gateway's own words."""
    body = DOOR.error(GatewayError("unknown_provider"), "r-1")
    content = json.loads(body.content)
    assert body.status == 404
    assert content["error"] == {
        "message": "There is no such provider.",
        "type": "invalid_request_error",
        "code": "model_not_found",
        "param": None,
    }
    assert (content["gateway"]["code"], content["gateway"]["request_id"]) == (
        "unknown_provider",
        "r-1",
    )


def test_items_are_kept_for_references_to_them() -> None:
    """Those of a whole answer, unless it was asked not to; the client gets the same as if it had sent them."""
    door = OpenAIResponsesDoor()
    events: list[Event] = [
        START,
        Reasoning("", STATE),
        Text("I look."),
        ToolCallDelta(0, "call_1", "search", "{}"),
        end(finish_reason="tool_calls"),
    ]
    options = ResponseOptions(max_kept_bytes=10_000)
    door.encoder(Reply(IDENTITY, options=options)).encode(events)
    ids = ["rs_gpt-1_0", "msg_gpt-1_1", "fc_gpt-1_2"]
    turns = read_references(door, *ids).turns
    call = ToolCall("call_1", "search", "{}")
    assert turns == (Turn("assistant", (Reasoning("", STATE), Text("I look."), call)),)
    door.encoder(Reply(ChatIdentity("gpt-2", "c", "r"))).encode(events)
    with pytest.raises(GatewayError, match="not kept"):
        read_references(door, "msg_gpt-2_1")


def test_broken_answer_is_not_kept() -> None:
    """Its client was not to rely on it."""
    door = OpenAIResponsesDoor()
    encoder = door.encoder(Reply(IDENTITY, options=ResponseOptions(max_kept_bytes=10_000)))
    encoder.encode([START, Text("Hel"), Reasoning("", STATE)])
    encoder.encode_error(GatewayError("upstream_truncated"))
    with pytest.raises(GatewayError, match="not kept"):
        read_references(door, "msg_gpt-1_0")


def test_references_are_limited_like_a_body() -> None:
    """Each is short, whatever it refers to."""
    door = OpenAIResponsesDoor()
    options = ResponseOptions(max_kept_bytes=2 * 2**20)
    door.encoder(Reply(IDENTITY, options=options)).encode([START, Text("a" * 2**17), END])
    assert read_references(door, *["msg_gpt-1_0"] * 60).turns
    with pytest.raises(GatewayError, match="MAX_BODY_BYTES"):
        read_references(door, *["msg_gpt-1_0"] * 70)


def read_references(door: OpenAIResponsesDoor, *ids: str) -> Chat:
    items = [{"type": "item_reference", "id": item_id} for item_id in ids]
    body = json.dumps({"model": "gpt", "input": items}).encode()
    return door.read(body, DEFAULT_SETTINGS, Headers()).chat


def test_held_answer_is_numbered_from_its_own_beginning() -> None:
    """Nothing is left of the one that broke."""
    encoder = HeldEncoder(partial(DOOR.encoder, Reply(IDENTITY)))
    assert encoder.encode([START, Text("Hel")]) == b""
    frames = encoder.encode([Restart("gpt", "nova", FALLBACK, 3), Text("Hi"), end(model="nova")])
    events = read_events(frames.decode())
    assert join_deltas(events) == "Hi"
    assert events[0]["response"]["model"] == "nova"
