"""Errors within a stream, in every shape in which servers write them: each wins over what looks like a good end."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from models import Text
from providers.wires.vendor_stream import read_batches
from tests.vendors.scripted_response import EVENT_STREAM, ScriptedResponse
from tests.vendors.wire_streams import (
    CHAT,
    CLAUDE,
    DONE,
    GEMINI,
    JSON_BODY,
    WIRES,
    Wire,
    data,
    named,
    play,
)

UNAVAILABLE = {"message": "No slot is free.", "code": 503}
SHAPES: dict[str, Any] = {
    "object": {"error": UNAVAILABLE},
    "object with a type": {"error": {"message": "Busy.", "type": "overloaded_error"}},
    "typed object": {"type": "error", "error": {"type": "api_error", "message": "Busy."}},
    "typed object, empty within": {"type": "error", "error": {}},
    "bare with a type": {"type": "error", "message": "Busy."},
    "bare with a type of its own": {"type": "overloaded_error", "message": "Busy."},
    "bare with object": {
        "object": "error",
        "message": "Died.",
        "type": "InternalServerError",
        "code": 500,
    },
    "bare code and message": {"code": 503, "message": "Busy."},
    "code as text": {"code": "503", "message": "Busy."},
    "code as a word": {"code": "engine_dead", "message": "Died."},
    "code and msg": {"code": 50505, "msg": "Busy."},
    "status and message": {"status_code": 503, "message": "Busy."},
    "status error": {"status": "error", "message": "Busy."},
    "event error": {"event": "error", "message": "Busy."},
    "text": {"error": "Engine died."},
    "number": {"error": 1},
    "true": {"error": True, "message": "Busy."},
    "list": {"error": [{"message": "Busy."}]},
    "list of texts": {"errors": ["Busy."]},
    "errors": {"errors": [{"code": 10000, "message": "Busy."}]},
    "detail": {"detail": "Not authenticated"},
    "detail as a list": {"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]},
    "detail as an object": {"detail": {"error": "Busy."}},
    "error_code and error_msg": {"error_code": 17, "error_msg": "Busy."},
    "in a list": [{"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}],
    "beside good choices": {
        "error": UNAVAILABLE,
        "choices": [{"index": 0, "delta": {"content": ""}}],
    },
    "in x_groq": {"x_groq": {"id": "r", "error": "over capacity"}, "choices": []},
    "beside good choices, bare": {
        "object": "error",
        "code": 500,
        "message": "Died.",
        "choices": [{"delta": {}}],
    },
    "beside good choices, as a message": {
        "error_message": "Died.",
        "choices": [{"index": 0, "delta": {}}],
    },
    "in a response": {
        "type": "response.failed",
        "response": {"error": {"code": "server_error", "message": "Died."}},
    },
    "in a response only": {"response": {"error": {"message": "Died."}}},
    "in base_resp": {
        "choices": None,
        "base_resp": {"status_code": 1002, "status_msg": "rate limit"},
    },
    "in base_resp, beside choices": {
        "choices": [{"delta": {}}],
        "base_resp": {"status_code": 1002, "status_msg": "?"},
    },
    "no success": {"success": False, "message": "Died."},
    "no success, without a message": {"success": False},
    "failed": {"status": "failed"},
    "a number of the vendor's": {"error_code": 110, "error_msg": ""},
    "a number of the vendor's and a message": {"error_code": 110, "message": "Token invalid"},
    "problem": {
        "type": "about:blank",
        "title": "Unavailable",
        "status": 503,
        "detail": "No worker.",
    },
    "a status as a number": {"status": 503, "message": "Busy."},
    "a status alone": {"status_code": 502},
    "a title": {"title": "Bad gateway", "status": 502},
    "exception": {"exception": "EngineDead"},
    "exception of a kind": {"modelStreamErrorException": {"message": "Died."}},
    "type of an exception": {"__type": "ThrottlingException", "message": "Slow down."},
    "traceback": {"traceback": ["Died."]},
    "fault": {"fault": {"faultstring": "Died.", "detail": {"errorcode": "x"}}},
    "err": {"err": "Died."},
    "capitals": {"Error": {"Message": "Died."}},
    "capitals, bare": {"Code": "InternalFailure", "Message": "Died."},
    "in x_groq, object": {"x_groq": {"error": {"message": "over capacity", "status_code": 503}}},
}

each_wire = pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)


def frames(shape: Any) -> list[bytes]:
    """The error as data, as an event of that name, as a field of the event stream, and as bare JSON."""
    text = json.dumps(shape).encode()
    written = [data(text), b"event: error\n" + data(text)]
    written += [name + text + b"\n\n" for name in (b"error: ", b"ERROR: ")]
    return [*written, text + b"\n\n"]


ERRORS = [error for shape in SHAPES.values() for error in frames(shape)]


@each_wire
async def test_an_error_of_any_shape_is_an_error(wire: Wire) -> None:
    """Before content and after it, whatever follows it: a finish reason, an end mark, `[DONE]`."""
    good_end = wire.finish(wire.stop) + wire.mark + DONE
    for error, text in product(ERRORS, ("", "Hel")):
        begun = wire.opening + (wire.text(text) if text else b"")
        played = await play(wire, begun + error + good_end)
        assert played.error, error
        assert played.error.code not in (
            "upstream_bad_event",
            "upstream_truncated",
            "internal_error",
        ), error
        assert (played.text, played.finish) == (text, None), error


@pytest.mark.parametrize("wire", [CHAT, CLAUDE, GEMINI], ids=["chat", "claude", "gemini"])
async def test_an_error_after_the_finish_reason_wins(wire: Wire) -> None:
    """Before the end mark, all can still go wrong."""
    for error in ERRORS:
        played = await play(
            wire, wire.opening + wire.text("Hel") + wire.finish(wire.stop) + error + wire.mark
        )
        assert played.error, error


EMPTY = {
    "chat": (CHAT, {"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}),
    "chat, finished": (CHAT, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    "gemini": (GEMINI, {"candidates": [{"index": 0, "content": {"parts": []}}]}),
    "gemini, finished": (GEMINI, {"candidates": [{"index": 0, "finishReason": "STOP"}]}),
}


@pytest.mark.parametrize(("wire", "empty"), EMPTY.values(), ids=EMPTY)
async def test_an_error_beside_an_empty_piece_is_an_error(
    wire: Wire, empty: dict[str, Any]
) -> None:
    """In any shape, before content and after it."""
    for name, shape in SHAPES.items():
        if isinstance(shape, dict):
            for text in "", "Hel":
                begun = wire.opening + (wire.text(text) if text else b"")
                played = await play(
                    wire, begun + data(empty | shape) + wire.finish(wire.stop) + wire.mark
                )
                assert played.error, name
                assert (played.text, played.finish) == (text, None), name


async def test_what_is_not_passed_on_is_no_error() -> None:
    """However long it is, and whatever words are in it."""
    image = {"images": [{"image_url": {"url": "error_code" * 200_000}}]}
    chunk = data({"choices": [{"index": 0, "delta": image}]})
    part = {"inlineData": {"data": "error_code" * 200_000}}
    candidate = data({"candidates": [{"index": 0, "content": {"parts": [part]}}]})
    for wire, event in (CHAT, chunk), (GEMINI, candidate):
        response = ScriptedResponse(wire.answer(event), headers=EVENT_STREAM)
        batches = read_batches(response.open, wire.decoder, 2**23)
        texts = [one.text async for batch in batches for one in batch if isinstance(one, Text)]
        assert "".join(texts) == "Hello"


@each_wire
async def test_an_error_as_the_whole_body_is_an_error(wire: Wire) -> None:
    """With status 200 and as JSON; nothing of it is taken for an answer."""
    for name, shape in SHAPES.items():
        played = await play(wire, json.dumps(shape, indent=1).encode(), headers=JSON_BODY)
        assert played.error, name
        assert played.error.code not in (
            "upstream_bad_response",
            "upstream_truncated",
            "internal_error",
        ), name


@each_wire
@pytest.mark.parametrize(
    "line", [b"", b"oops", b"{half", b'"The model crashed."', b"null", b"{}", b"[DONE]", b"503"]
)
async def test_an_event_called_error_is_one_whatever_its_data(wire: Wire, line: bytes) -> None:
    for name in (
        b"error",
        b"Error",
        b"stream_error",
        b"errors",
        b"error_occurred",
        b"failed",
        b"timeout",
        b"exception",
        b"abort",
        b"cancelled",
    ):
        if line or name == b"error":
            played = await play(wire, wire.answer(b"event: " + name + b"\ndata: " + line + b"\n\n"))
            assert (played.text, played.ending) == ("Hel", "upstream_unavailable")


TEXTS = [
    b"error: upstream connection lost",
    b'error: {"message":"lost"}',
    b"ERROR",
    b"[ERROR] lost",
    b"Internal Server Error",
    b"upstream request timeout",
    b"Traceback (most recent call last):",
    b'"Internal error"',
    b'"{\\"error\\": \\"Died.\\"}"',
    b"<html><body>502 Bad Gateway</body></html>",
    b" <!doctype html>",
]


@each_wire
@pytest.mark.parametrize("text", TEXTS)
async def test_a_text_about_an_error_is_an_error(wire: Wire, text: bytes) -> None:
    """As an event's data; a page also without the field's name."""
    ending = wire.text("lo") + wire.finish(wire.stop) + wire.mark + DONE
    for event in data(text), text.lstrip() + b"\n\n":
        if event.startswith((b"data", b"<")):
            played = await play(wire, wire.opening + wire.text("Hel") + event + ending)
            code = "upstream_bad_response" if b"<" in text else "upstream_unavailable"
            assert (played.text, played.ending) == ("Hel", code)


@each_wire
async def test_a_page_that_says_it_is_a_stream_is_no_answer(wire: Wire) -> None:
    assert (await play(wire, b"<html>Hi</html>")).ending == "upstream_bad_response"


@each_wire
@pytest.mark.parametrize(
    "text", [b"ping", b"keep-alive", b"OK", b"[PING]", b"0", b'"ok"', b"processing"]
)
async def test_another_text_is_no_error(wire: Wire, text: bytes) -> None:
    played = await play(wire, wire.answer(data(text)))
    assert (played.text, played.ending) == ("Hello", "stop")


BESIDE = [
    (
        CHAT,
        data(
            {
                "choices": [
                    {"index": 0, "delta": {"content": "", "error": {"code": 429, "message": "?"}}}
                ]
            }
        ),
    ),
    (
        CHAT,
        data(
            {
                "choices": [{"index": 0, "delta": {"content": "x"}}],
                "success": False,
                "code": 429,
                "message": "?",
            }
        ),
    ),
    (
        CLAUDE,
        named(
            "message_delta", delta={"stop_reason": "end_turn"}, error={"type": "rate_limit_error"}
        ),
    ),
    (
        CLAUDE,
        named(
            "content_block_delta",
            index=0,
            delta={"type": "text_delta", "text": "x"},
            error={"code": 429},
        ),
    ),
    (CLAUDE, named("content_block_delta", index=0, delta={"type": "rate_limit_error"})),
    (
        CLAUDE,
        named(
            "content_block_start", index=1, content_block={"type": "error", "error": {"code": 429}}
        ),
    ),
    (
        CLAUDE,
        named(
            "content_block_start", index=1, content_block={"type": "rate_limit_error", "text": "?"}
        ),
    ),
    (
        GEMINI,
        data(
            {"candidates": [{"content": {"parts": [{"text": "x"}]}}], "code": 429, "message": "?"}
        ),
    ),
]


@pytest.mark.parametrize(("wire", "event"), BESIDE)
async def test_an_error_beside_a_piece_of_the_answer_is_an_error(wire: Wire, event: bytes) -> None:
    played = await play(wire, wire.answer(event))
    assert (played.text, played.ending) == ("Hel", "rate_limited")


CODES = [
    ({"error": {"type": "overloaded_error", "message": "Overloaded"}}, "upstream_unavailable"),
    ({"error": {"type": "rate_limit_error", "message": "Slow down"}}, "rate_limited"),
    ({"error": {"code": 429, "message": "Slow down"}}, "rate_limited"),
    ({"code": 429, "message": "Slow down"}, "rate_limited"),
    ({"object": "error", "code": 429, "message": "Slow down"}, "rate_limited"),
    (
        {"error": {"code": "context_length_exceeded", "message": "Too long"}},
        "context_length_exceeded",
    ),
    ({"error": {"code": 401, "message": "Who?"}}, "upstream_auth"),
    (
        {"type": "error", "error": {"type": "authentication_error", "message": "Who?"}},
        "upstream_auth",
    ),
    ({"x_groq": {"error": {"status_code": 429, "message": "Slow down"}}}, "rate_limited"),
    ({"statusCode": 429, "message": "Slow down"}, "rate_limited"),
    ({"Error": {"Code": "429", "Message": "Slow down"}}, "rate_limited"),
    ({"error": {"message": "?"}}, "upstream_unavailable"),
]


@each_wire
@pytest.mark.parametrize(("body", "code"), CODES)
async def test_error_is_classified_by_its_code_if_that_can_be_read(
    wire: Wire, body: dict[str, Any], code: str
) -> None:
    assert (await play(wire, wire.opening + data(body) + DONE)).ending == code


async def test_error_within_a_choice_is_classified_by_its_code() -> None:
    """OpenRouter writes it beside the finish reason `error`."""
    choice = {
        "index": 0,
        "delta": {"content": ""},
        "finish_reason": "error",
        "error": {"code": 429, "message": "?"},
    }
    played = await play(CHAT, CHAT.opening + CHAT.text("Hel") + data({"choices": [choice]}) + DONE)
    assert (played.text, played.ending) == ("Hel", "rate_limited")


WITHIN_PIECES = {
    "choice": (CHAT, lambda error: {"choices": [{"index": 0, "delta": {}} | error]}),
    "choice without a delta": (CHAT, lambda error: {"choices": [error]}),
    "finished choice": (
        CHAT,
        lambda error: {"choices": [{"delta": {}, "finish_reason": "stop"} | error]},
    ),
    "delta": (CHAT, lambda error: {"choices": [{"index": 0, "delta": error}]}),
    "message": (CHAT, lambda error: {"choices": [{"index": 0, "message": error}]}),
    "candidate": (GEMINI, lambda error: {"candidates": [{"index": 0} | error]}),
}
NAMES = ("error", "errors", "error_message", "error_msg", "exception", "err")


@pytest.mark.parametrize(("wire", "within"), WITHIN_PIECES.values(), ids=WITHIN_PIECES)
@pytest.mark.parametrize("name", NAMES)
async def test_an_error_within_a_piece_without_content_is_an_error(
    wire: Wire, within: Callable[[dict[str, Any]], dict[str, Any]], name: str
) -> None:
    """Under any name that errors have; an empty one is none."""
    ending = wire.finish(wire.stop) + wire.mark
    for error in "Died.", {"code": 503, "message": "Busy."}, [{"message": "Busy."}]:
        event = data(within({name: error}))
        played = await play(wire, wire.opening + wire.text("Hel") + event + ending)
        assert (played.text, played.ending) == ("Hel", "upstream_unavailable")
    nothings: list[Any] = [None, "", {}, [], {"code": None}]
    for nothing in nothings:
        played = await play(wire, wire.answer(data(within({name: nothing}))))
        assert (played.text, played.ending) == ("Hello", "stop")


async def test_words_within_a_piece_are_no_error() -> None:
    """A piece may be about a tool that failed; only an error's own name counts."""
    for words in {"status": "failed"}, {"type": "error"}, {"detail": "high"}, {"code": 500}:
        for choice in words, {"delta": words}, {"message": words}:
            played = await play(CHAT, CHAT.answer(data({"choices": [choice]})))
            assert (played.text, played.ending) == ("Hello", "stop")
    other = data({"choices": [{"index": 1, "delta": {}, "error": "Died."}]})
    assert (await play(CHAT, CHAT.answer(other))).ending == "stop"


@pytest.mark.parametrize("name", ["error", "error_message"])
async def test_an_error_beside_content_within_a_choice_is_an_error(name: str) -> None:
    for choice in (
        {"delta": {"content": "x"}, name: "Died."},
        {"delta": {"content": "x", name: "Died."}},
        {"message": {"content": "x"}, "finish_reason": "stop", name: "Died."},
        {"message": {"content": "x", name: "Died."}, "finish_reason": "stop"},
    ):
        played = await play(CHAT, data({"choices": [choice]}) + CHAT.finish("stop") + DONE)
        assert (played.text, played.ending) == ("x", "upstream_unavailable")


NO_ERRORS: list[Any] = [
    *(None, "", False, 0, {}, [], {"code": None, "message": None}, {"message": ""}, [{}]),
    *("null", "none", "OK", {"code": 0, "message": "success"}, {"code": "200", "message": "OK"}),
]


@each_wire
@pytest.mark.parametrize("nothing", NO_ERRORS)
async def test_an_empty_error_beside_a_good_answer_is_none(wire: Wire, nothing: Any) -> None:
    for event in (
        {"error": nothing},
        {"error": nothing, "choices": []},
        {"errors": nothing},
        {"detail": nothing},
    ):
        played = await play(wire, wire.answer(data(event)))
        assert (played.text, played.ending) == ("Hello", "stop")
    chunk = json.loads(wire.text("!")[wire.text("!").index(b"{") :]) | {"error": nothing}
    played = await play(wire, wire.answer(data(chunk)))
    assert (played.text, played.ending) == ("Hel!lo", "stop")


NO_EVENTS = [
    {"type": "ping"},
    {"type": "status", "message": "Loading the model"},
    {"object": "chat.completion.info", "message": "queued"},
    {"code": 0, "message": "success"},
    {"code": 200, "msg": "ok"},
    {"code": None, "message": "warming up"},
    {"message": "queued"},
    {"status": "ok"},
    {"code": "SUCCESS", "message": "done"},
    {"status": "processing", "code": 102, "message": "queued"},
    {"status_code": 206, "message": "going on"},
    {"detail": "loading model"},
    {"event": "load", "detail": "The model is loaded"},
    {"success": True, "message": "queued"},
    {"base_resp": {"status_code": 0, "status_msg": "success"}},
    {"event": "failover", "message": "Another worker goes on."},
    {"status": 200, "message": "going on"},
    {"type": "statistics", "error_count": 0, "default": "none"},
    {"text": '{"queued": true}'},
]


@each_wire
@pytest.mark.parametrize("event", NO_EVENTS)
async def test_an_unknown_event_is_no_error(wire: Wire, event: dict[str, Any]) -> None:
    """Servers have events of their own, and success codes."""
    played = await play(wire, wire.answer(data(event)))
    assert (played.text, played.ending) == ("Hello", "stop")


@pytest.mark.parametrize("wire", [CLAUDE, GEMINI], ids=["claude", "gemini"])
async def test_a_vendors_prose_is_in_no_error(wire: Wire) -> None:
    """What a vendor writes may quote the prompt."""
    for shape in (
        {"error": "my secret"},
        {"error": {"message": "my secret"}},
        {"code": 503, "message": "my secret"},
    ):
        played = await play(wire, data(shape))
        assert played.error
        assert "secret" not in f"{played.error} {played.error.detail}"
