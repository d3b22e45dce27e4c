"""Anthropic's wire: what each event looks like, in which order, and that a whole answer has the same blocks."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import (
    ERROR_KINDS,
    ChatIdentity,
    End,
    Fallback,
    GatewayError,
    Reasoning,
    Refusal,
    Start,
    State,
    Text,
    Timing,
    ToolCallDelta,
    Usage,
)
from streams.failure import FailedAttempt, Failure
from tests.clients.named_events import read_named
from web.doors.anthropic import AnthropicDoor, AnthropicEncoder
from web.doors.anthropic_options import MessageOptions
from web.doors.base import Reply
from web.doors.held import WholeEncoder
from web.doors.state_token import read_state, write_state

if TYPE_CHECKING:
    from models import Event

IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")
START = Start("gpt", "luna")
FALLBACK = Fallback("luna", "nova", "upstream_timeout")
STATE = State("claude", "haiku", '{"signature":"c2ln"}')
USAGE = Usage(
    input_tokens=100,
    output_tokens=12,
    cached_input_tokens=60,
    cache_write_tokens=30,
    reasoning_tokens=5,
)


def end(**fields: Any) -> End:
    return End(
        **{
            "provider": "gpt",
            "model": "luna",
            "fallback": None,
            "finish_reason": "stop",
            "raw_finish_reason": "stop",
            "usage": USAGE,
            "cost": None,
            "attempts": 1,
            "timing": Timing(310, 900),
            **fields,
        }
    )


END = end()


def encode(*batches: list[Event], demo: bool = False, **options: Any) -> list[dict[str, Any]]:
    """The events of a stream, read as a client reads them."""
    encoder = AnthropicEncoder(Reply(IDENTITY, demo, MessageOptions(**options)))
    return read_named(b"".join(map(encoder.encode, batches)).decode())


def render(*events: Event, demo: bool = False, **options: Any) -> Any:
    """The whole answer of the same events."""
    reply = Reply(IDENTITY, demo, MessageOptions(**options))
    return json.loads(
        WholeEncoder(partial(AnthropicDoor().render, reply=reply)).encode([START, *events])
    )


def blocks_of(*events: Event, **options: Any) -> list[Any]:
    """What lies between `message_start` and `message_delta`, in short."""
    (first, *between, _, last) = encode([START, *events, END], **options)
    assert (first["type"], last) == ("message_start", {"type": "message_stop"})
    return [
        (event["index"], event.get("content_block") or event.get("delta") or "stop")
        for event in between
    ]


def joined_blocks(*events: Event, **options: Any) -> list[dict[str, Any]]:
    """The blocks as a client gathers them from a stream, strictly one after another."""
    blocks: list[dict[str, Any]] = []
    arguments: dict[int, str] = {}
    is_open = False
    for index, said in blocks_of(*events, **options):
        if said == "stop":
            assert is_open
            is_open = False
            if index in arguments:
                blocks[index]["input"] = json.loads(arguments[index])
        elif "delta" not in said["type"]:
            assert (is_open, index) == (False, len(blocks))
            blocks.append(said)
            is_open = True
        else:
            assert (is_open, index) == (True, len(blocks) - 1)
            kind = said.pop("type")
            ((field, piece),) = said.items()
            if kind == "input_json_delta":
                arguments[index] = arguments.get(index, "") + piece
            else:
                blocks[index][field] += piece
    assert not is_open
    return blocks


# The stream


def test_message_start_has_what_clients_need() -> None:
    """Numbers for the usage, without which some SDKs break, and what the gateway knows in `gateway`."""
    assert encode([START])[0] == {
        "type": "message_start",
        "message": {
            "id": "gpt-1",
            "type": "message",
            "role": "assistant",
            "model": "luna",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 0,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 0,
            },
            "gateway": {
                "conversation_id": "c-1",
                "request_id": "r-1",
                "provider": "gpt",
                "model": "luna",
                "fallback": None,
            },
        },
    }


def test_text_is_one_block() -> None:
    """Opened before its first piece, over all batches, and closed before the end."""
    events = encode([START, Text("Hel")], [Text("lo")], [END])
    assert events[1:5] == [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hel"},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "lo"},
        },
        {"type": "content_block_stop", "index": 0},
    ]


def test_message_delta_has_the_real_usage() -> None:
    """Input without what came from the cache or went to it, which Anthropic counts apart."""
    *_, delta, stop = encode([START, Text("Hi")], [END])
    gateway = delta.pop("gateway")
    assert delta == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 30,
            "cache_read_input_tokens": 60,
            "output_tokens": 12,
            "output_tokens_details": {"thinking_tokens": 5},
        },
    }
    assert (gateway["usage"]["input_tokens"], gateway["timing"]["total_ms"]) == (100, 900)
    assert stop == {"type": "message_stop"}


def test_unknown_usage_is_zero_for_clients_and_null_in_the_facts() -> None:
    """Clients add the numbers up."""
    delta = encode([START, end(usage=None)])[-2]
    assert set(delta["usage"].values()) == {0}
    assert delta["gateway"]["usage"] is None


@pytest.mark.parametrize(
    ("reason", "word", "stops", "expected"),
    [
        ("stop", "stop", (), ("end_turn", None)),
        ("length", "MAX_TOKENS", (), ("max_tokens", None)),
        ("length", "model_context_window_exceeded", (), ("model_context_window_exceeded", None)),
        ("content_filter", "SAFETY", (), ("refusal", None)),
        ("tool_calls", "tool_calls", (), ("tool_use", None)),
        ("other", "LANGUAGE", (), ("end_turn", None)),
        ("other", "pause_turn", (), ("pause_turn", None)),
        ("stop", "stop_sequence", ("END",), ("stop_sequence", "END")),
        ("stop", "stop_sequence", ("END", "STOP"), ("stop_sequence", None)),
        ("stop", "stop", ("END",), ("end_turn", None)),
    ],
)
def test_finish_reasons_have_anthropics_words(
    reason: Any, word: str, stops: Any, expected: tuple[str, str | None]
) -> None:
    """In a stream and in a whole answer; the sequence that stopped it only if it is known."""
    ended = end(finish_reason=reason, raw_finish_reason=word)
    delta = encode([START, ended], stops=stops)[-2]["delta"]
    whole = render(ended, stops=stops)
    assert (delta["stop_reason"], delta["stop_sequence"]) == expected
    assert (whole["stop_reason"], whole["stop_sequence"]) == expected


def test_refusal_is_text_with_its_own_stop_reason() -> None:
    """The text of the refusal is what the client shows."""
    refused = end(finish_reason="content_filter")
    events = encode([START, Refusal("I can't "), Refusal("do that.")], [refused])
    texts = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert ("".join(texts), events[-2]["delta"]["stop_reason"]) == (
        "I can't do that.",
        "refusal",
    )
    whole = render(Refusal("I can't "), Refusal("do that."), refused)
    assert whole["content"] == [{"type": "text", "text": "I can't do that."}]
    assert whole["stop_reason"] == "refusal"


def test_call_is_a_block_with_its_arguments_in_pieces() -> None:
    """The id and the name once, an empty input, then pieces of JSON."""
    pieces = [
        ToolCallDelta(0, "call_0", "search"),
        ToolCallDelta(0, arguments='{"q":'),
        ToolCallDelta(0, arguments='"x"}'),
        ToolCallDelta(1, "call_1", "now"),
        ToolCallDelta(1, arguments="{}"),
    ]
    assert blocks_of(Text("Let me see."), *pieces)[3:] == [
        (1, {"type": "tool_use", "id": "call_0", "name": "search", "input": {}}),
        (1, {"type": "input_json_delta", "partial_json": '{"q":'}),
        (1, {"type": "input_json_delta", "partial_json": '"x"}'}),
        (1, "stop"),
        (2, {"type": "tool_use", "id": "call_1", "name": "now", "input": {}}),
        (2, {"type": "input_json_delta", "partial_json": "{}"}),
        (2, "stop"),
    ]


def test_thinking_is_signed_with_its_state() -> None:
    """The signature is all that the vendor needs back; it ends the block, and the next thought has one of its own."""
    token = write_state(STATE)
    assert blocks_of(Reasoning("H"), Reasoning("m"), Reasoning("", STATE), Reasoning("So")) == [
        (0, {"type": "thinking", "thinking": "", "signature": ""}),
        (0, {"type": "thinking_delta", "thinking": "H"}),
        (0, {"type": "thinking_delta", "thinking": "m"}),
        (0, {"type": "signature_delta", "signature": token}),
        (0, "stop"),
        (1, {"type": "thinking", "thinking": "", "signature": ""}),
        (1, {"type": "thinking_delta", "thinking": "So"}),
        (1, "stop"),
    ]
    assert read_state(token, 10_000) == STATE


def test_state_of_a_call_is_a_thinking_block_before_it() -> None:
    """Clients keep the thinking before a call, and of the call itself only Anthropic's own fields."""
    call = ToolCallDelta(0, "call_0", "search", "{}", STATE)
    (thinking, tool_use) = joined_blocks(Reasoning("Hm"), call)[1:]
    assert thinking == {
        "type": "thinking",
        "thinking": "",
        "signature": write_state(STATE, of_call=True),
    }
    assert tool_use["id"] == "call_0"


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ("shown", [("Hm", True), ("So", False), ("", True)]),
        ("omitted", [("", True), ("", True)]),
        ("disabled", []),
    ],
)
def test_thinking_is_shown_as_the_client_asks(
    thinking: str, expected: list[tuple[str, bool]]
) -> None:
    """Omitted, only what the vendor needs back is left; disabled, not even that."""
    events: list[Event] = [
        Reasoning("Hm", STATE),
        Text("Hi"),
        Reasoning("So"),
        ToolCallDelta(0, "call_0", "search", "{}", STATE),
    ]
    blocks = joined_blocks(*events, thinking=thinking)
    shown = [
        (block["thinking"], bool(block["signature"]))
        for block in blocks
        if block["type"] == "thinking"
    ]
    assert shown == expected
    assert [block["type"] for block in blocks if block["type"] != "thinking"] == [
        "text",
        "tool_use",
    ]


def test_answer_without_content_is_a_message() -> None:
    """With no block at all."""
    assert [event["type"] for event in encode([START, END])] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert render(END)["content"] == []


def test_fallback_and_dropped_fields_are_in_the_facts() -> None:
    """What was dropped has Anthropic's names, the fields that no model is sent among them."""
    dropped = ("max_tokens", "reasoning_effort", "stop", "tools.0.strict")
    ended = end(model="nova", fallback=FALLBACK, dropped_params=dropped)
    events = encode([Start("gpt", "nova", FALLBACK), ended], dropped=("top_k",), demo=True)
    start, facts = events[0]["message"]["gateway"], events[1]["gateway"]
    assert start["fallback"] == {"from": "luna", "to": "nova", "reason": "upstream_timeout"}
    assert (start["demo"], facts["demo"]) == (True, True)
    assert facts["dropped_params"] == [
        "max_tokens",
        "output_config.effort",
        "stop_sequences",
        "tools.0.strict",
        "top_k",
    ]


@given(st.lists(st.text()), st.text())
def test_any_text_comes_back(texts: list[str], name: str) -> None:
    """No text, and no name of a model, can pass for a frame."""
    events = encode([Start("gpt", name), *map(Text, texts), END])
    pieces = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(pieces) == "".join(texts)
    assert events[0]["message"]["model"] == name


# The whole answer


def test_whole_answer_is_a_message() -> None:
    """With the facts of the stream."""
    message = render(Text("Hel"), Text("lo"), END)
    gateway = message.pop("gateway")
    assert message == {
        "id": "gpt-1",
        "type": "message",
        "role": "assistant",
        "model": "luna",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 30,
            "cache_read_input_tokens": 60,
            "output_tokens": 12,
            "output_tokens_details": {"thinking_tokens": 5},
        },
    }
    assert (gateway["attempts"], gateway["request_id"]) == (1, "r-1")


ANSWERS: dict[str, list[Event]] = {
    "text": [Text("Hel"), Text("lo")],
    "thought": [Reasoning("Hm"), Reasoning("", STATE), Text("Hi")],
    "thoughts": [Reasoning("A", STATE), Reasoning("", STATE), Text("Hi"), Reasoning("B", STATE)],
    "unsigned": [Reasoning("A"), Text("Hi")],
    "call": [ToolCallDelta(0, "call_0", "search"), ToolCallDelta(0, arguments='{"q": "x"}')],
    "calls": [
        Reasoning("Hm", STATE),
        Text("Let me see."),
        ToolCallDelta(0, "call_0", "search", '{"q": {"n": 1}}', STATE),
        ToolCallDelta(1, "call_1", "now", "{}"),
    ],
}


@pytest.mark.parametrize("thinking", ["shown", "omitted", "disabled"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_whole_answer_has_the_blocks_of_the_stream(answer: list[Event], thinking: str) -> None:
    """In the same order: a client that keeps them must be able to send them back."""
    whole = render(*answer, END, thinking=thinking)
    assert whole["content"] == joined_blocks(*answer, thinking=thinking)


@pytest.mark.parametrize("arguments", ["", '{"q": "x', "[]", "none", "[" * 5_000])
def test_arguments_that_are_no_object_are_shown_as_they_are(arguments: str) -> None:
    """So that the client can let the model know."""
    whole = render(ToolCallDelta(0, "call_0", "search", arguments), END)
    assert whole["content"][0]["input"] == {"INVALID_JSON": arguments}


def test_count_has_the_one_field_of_a_count() -> None:
    """As Anthropic's SDKs read it."""
    assert json.loads(AnthropicDoor().render_count(42)) == {"input_tokens": 42}


# Errors


def failure() -> Failure:
    error = GatewayError("upstream_truncated", provider="gpt", model="luna")
    attempts = [FailedAttempt("luna", "upstream_truncated", "stalled")]
    return Failure(error, stage="after_content", sent_chars=5, attempts=attempts)


def test_error_is_the_last_event() -> None:
    """With an official type, the id of the request, and the gateway's own words beside them."""
    encoder = AnthropicEncoder(Reply(IDENTITY, options=MessageOptions()))
    encoder.encode([START, Text("Hello")])
    (event,) = read_named(encoder.encode_error(failure()).decode())
    gateway = event.pop("gateway")
    assert event == {
        "type": "error",
        "error": {
            "type": "api_error",
            "message": "The provider's answer stopped before its end.",
        },
        "request_id": "r-1",
    }
    assert (gateway["code"], gateway["stage"], gateway["partial_chars"]) == (
        "upstream_truncated",
        "after_content",
        5,
    )


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("invalid_json", 400, "invalid_request_error"),
        ("invalid_request", 400, "invalid_request_error"),
        ("unsupported", 400, "invalid_request_error"),
        ("rejected_by_provider", 400, "invalid_request_error"),
        ("context_length_exceeded", 400, "invalid_request_error"),
        ("content_filtered", 400, "invalid_request_error"),
        ("unauthorized", 401, "authentication_error"),
        ("upstream_quota", 402, "billing_error"),
        ("forbidden_origin", 403, "permission_error"),
        ("unknown_provider", 404, "not_found_error"),
        ("not_found", 404, "not_found_error"),
        ("payload_too_large", 413, "request_too_large"),
        ("rate_limited", 429, "rate_limit_error"),
        ("overloaded", 529, "overloaded_error"),
        ("draining", 529, "overloaded_error"),
        ("upstream_timeout", 504, "timeout_error"),
        ("upstream_unavailable", 500, "api_error"),
        ("upstream_auth", 500, "api_error"),
        ("upstream_truncated", 500, "api_error"),
        ("provider_not_configured", 500, "api_error"),
        ("internal_error", 500, "api_error"),
    ],
)
def test_errors_have_anthropics_status_and_type(code: str, status: int, kind: str) -> None:
    """Clients choose by them."""
    body = AnthropicDoor().error(GatewayError(code), "r-1")
    content = json.loads(body.content)
    assert (body.status, content["type"], content["error"]["type"]) == (status, "error", kind)
    assert (content["request_id"], content["gateway"]["code"]) == ("r-1", code)


@pytest.mark.parametrize("code", ERROR_KINDS)
def test_every_error_stays_the_clients_or_the_servers(code: str) -> None:
    """Whatever its status here."""
    error = GatewayError(code)
    status = AnthropicDoor().error(error, "r-1").status
    assert (status < 500) == (error.kind.status < 500 or code == "upstream_quota")
