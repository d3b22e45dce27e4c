"""What proves that an answer is whole, on each wire, and what says that it broke: marks, finish reasons, the socket."""

from __future__ import annotations

import pytest

from tests.vendors.wire_streams import (
    CHAT,
    CLAUDE,
    DONE,
    GEMINI,
    JSON_BODY,
    MESSAGE,
    RESPONSES,
    WIRES,
    Wire,
    data,
    message_item,
    named,
    play,
)

RESET = ConnectionResetError()
TRUNCATED = "upstream_truncated"
AGAIN = named("message_start", message={**MESSAGE, "id": "msg_2"})

each_wire = pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)


@each_wire
async def test_a_whole_answer_is_whole(wire: Wire) -> None:
    played = await play(wire, wire.answer())
    assert (played.text, played.ending) == ("Hello", "stop")


AFTER_THE_MARK: dict[str, bytes | Exception] = {
    "[DONE]": DONE,
    "a named [DONE]": b"event: data\n" + DONE,
    "junk": b"data: {junk\n\n",
    "other bytes": b"\xff\xfe\x00",
    "an error": data({"error": {"message": "late"}}),
    "an error's event": b"event: error\ndata: x\n\n",
    "text": data({"choices": [{"index": 0, "delta": {"content": "more"}}]}),
    "another generation": AGAIN + CLAUDE.text("more"),
    "a reset": RESET,
}


@pytest.mark.parametrize("wire", [CHAT, CLAUDE, RESPONSES], ids=["chat", "claude", "responses"])
@pytest.mark.parametrize("more", AFTER_THE_MARK.values(), ids=AFTER_THE_MARK)
async def test_nothing_after_the_mark_counts(wire: Wire, more: bytes | Exception) -> None:
    """In the same read or in a later one, it neither adds to a whole answer nor takes from it."""
    assert (await play(wire, wire.answer(), more)).ending == "stop"
    if isinstance(more, bytes):
        played = await play(wire, wire.answer() + more)
        assert (played.text, played.ending) == ("Hello", "stop")


MARKS = [
    b"data:  [DONE]\n\n",
    b"data:[DONE]\n\n",
    b"data: [DONE] \n\n",
    b"data:\t[DONE]\n\n",
    b"[DONE]\n\n",
]


@pytest.mark.parametrize("mark", [*MARKS, b"data: [DONE]\r\r", b"event: done\ndata: [DONE]\n\n"])
async def test_white_space_around_the_mark_does_not_matter(mark: bytes) -> None:
    """The mark ends the stream at once: what follows is not read."""
    stream = (
        CHAT.opening + CHAT.text("Hello") + CHAT.finish("stop") + mark + data({"error": "late"})
    )
    assert (await play(CHAT, stream)).ending == "stop"
    assert (await play(CHAT, CHAT.text("Hel"), mark)).ending == TRUNCATED


@pytest.mark.parametrize(
    "line", [b'data: {"x": 1}', b"event: close\ndata: {}", b"data: bye", b"data: [DONE]", b"id: 1"]
)
async def test_the_mark_needs_no_blank_line(line: bytes) -> None:
    """What follows it on the next line is not read."""
    stream = (
        CHAT.opening + CHAT.text("Hello") + CHAT.finish("stop") + b"data: [DONE]\n" + line + b"\n\n"
    )
    assert (await play(CHAT, stream)).ending == "stop"
    assert (await play(CHAT, *(bytes([byte]) for byte in stream))).ending == "stop"


@pytest.mark.parametrize(
    "rest", [b"", b"data:\n", b"data: \n", b"data: [DONE]\n", b"data: {}\n", b"data: null\n"]
)
async def test_anthropics_stop_is_proven_by_its_name(rest: bytes) -> None:
    """Proxies leave out its data, or write another wire's mark into it; damaged data proves nothing."""
    reads = [
        CLAUDE.opening + CLAUDE.text("Hello"),
        CLAUDE.finish("end_turn"),
        b"event: message_stop\n",
    ]
    assert (await play(CLAUDE, *reads, rest, b"\n")).ending == "stop"
    assert (await play(CLAUDE, *reads, rest)).ending == "stop"
    assert (await play(CLAUDE, reads[0], reads[2], rest, b"\n")).ending == TRUNCATED
    assert (await play(CLAUDE, *reads, b'data: {"type"\n\n')).ending == "upstream_bad_event"


CHAT_HELLO, CLAUDE_HELLO, GEMINI_HELLO, RESPONSES_HELLO = (
    wire.opening + wire.text("Hello") for wire in WIRES.values()
)
COMPLETED = RESPONSES.finish("completed")


def response_failed(code: str) -> bytes:
    """A response that failed."""
    return named("response.failed", response={"status": "failed", "error": {"code": code}})


ENDINGS: dict[str, tuple[Wire, list[bytes | Exception], str]] = {
    "chat: finish reason, EOF": (CHAT, [CHAT_HELLO, CHAT.finish("stop")], "stop"),
    "chat: finish reason, reset": (CHAT, [CHAT_HELLO, CHAT.finish("stop"), RESET], "stop"),
    "chat: finish reason alone, EOF": (CHAT, [CHAT.opening, CHAT.finish("stop")], "stop"),
    "chat: finish reason alone, reset": (
        CHAT,
        [CHAT.opening, CHAT.finish("stop"), RESET],
        "upstream_unavailable",
    ),
    "chat: finish reason, half a mark": (
        CHAT,
        [CHAT_HELLO, CHAT.finish("stop"), b"data: [DO"],
        "stop",
    ),
    "chat: finish reason, half an event": (
        CHAT,
        [CHAT_HELLO, CHAT.finish("stop"), b'data: {"id'],
        "stop",
    ),
    "chat: mark": (CHAT, [CHAT_HELLO, DONE], TRUNCATED),
    "chat: EOF": (CHAT, [CHAT_HELLO], TRUNCATED),
    "chat: reset": (CHAT, [CHAT_HELLO, RESET], "upstream_unavailable"),
    "chat: half an event": (CHAT, [CHAT_HELLO, b'data: {"choices": [{"del'], TRUNCATED),
    "chat: an event cut short": (
        CHAT,
        [CHAT_HELLO, b'data: {"choices": [{"del\n\n', DONE],
        "upstream_bad_event",
    ),
    "chat: the end of an event": (
        CHAT,
        [CHAT_HELLO, b'data: lo"}}]}\n\n', DONE],
        "upstream_bad_event",
    ),
    "chat: bytes that are no text": (
        CHAT,
        [CHAT_HELLO, b"data: \xff\n\n", DONE],
        "upstream_bad_event",
    ),
    "chat: the same in text": (
        CHAT,
        [CHAT.text("?").replace(b"?", b"\xff"), DONE],
        "upstream_bad_event",
    ),
    "claude: stop reason, stop": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.finish("end_turn"), CLAUDE.mark],
        "stop",
    ),
    "claude: stop reason beside the delta": (
        CLAUDE,
        [CLAUDE_HELLO, named("message_delta", delta={}, stop_reason="end_turn"), CLAUDE.mark],
        "stop",
    ),
    "claude: stop reason, EOF": (CLAUDE, [CLAUDE_HELLO, CLAUDE.finish("end_turn")], TRUNCATED),
    "claude: stop reason, reset": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.finish("end_turn"), RESET],
        "upstream_unavailable",
    ),
    "claude: stop reason, [DONE]": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.finish("end_turn"), DONE],
        TRUNCATED,
    ),
    "claude: stop alone": (CLAUDE, [CLAUDE_HELLO, CLAUDE.mark], TRUNCATED),
    "claude: no stop reason, stop": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.finish(None), CLAUDE.mark],
        TRUNCATED,
    ),
    "claude: [DONE]": (CLAUDE, [CLAUDE_HELLO, DONE], TRUNCATED),
    "claude: EOF": (CLAUDE, [CLAUDE_HELLO], TRUNCATED),
    "claude: a damaged delta": (
        CLAUDE,
        [
            CLAUDE_HELLO,
            b"event: content_block_delta\ndata: {oops\n\n",
            CLAUDE.finish("end_turn"),
            CLAUDE.mark,
        ],
        "upstream_bad_event",
    ),
    "claude: another generation": (
        CLAUDE,
        [CLAUDE_HELLO, AGAIN, CLAUDE.text("42"), CLAUDE.finish("end_turn"), CLAUDE.mark],
        "upstream_bad_event",
    ),
    "claude: another one before content": (
        CLAUDE,
        [CLAUDE.opening, AGAIN, CLAUDE.text("42")],
        "upstream_bad_event",
    ),
    "claude: the same start after text": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.opening, CLAUDE.text("42")],
        "upstream_bad_event",
    ),
    "claude: the same start after text in one read": (
        CLAUDE,
        [CLAUDE_HELLO + CLAUDE.opening + CLAUDE.text("42")],
        "upstream_bad_event",
    ),
    "claude: the same start twice": (
        CLAUDE,
        [
            CLAUDE.opening,
            CLAUDE.opening,
            CLAUDE.text("Hello"),
            CLAUDE.finish("end_turn"),
            CLAUDE.mark,
        ],
        "stop",
    ),
    "claude: a tool's stop, EOF": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.finish("tool_use"), CLAUDE.mark],
        "tool_calls",
    ),
    "claude: a tool's stop, reset": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.finish("tool_use"), CLAUDE.mark, RESET],
        "tool_calls",
    ),
    "claude: a tool's stop, another message": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.finish("tool_use"), CLAUDE.mark, AGAIN + CLAUDE.text("42"), RESET],
        "tool_calls",
    ),
    "claude: the same in one read": (
        CLAUDE,
        [CLAUDE_HELLO + CLAUDE.finish("tool_use") + CLAUDE.mark + AGAIN + CLAUDE.text("42")],
        "tool_calls",
    ),
    "claude: a pause's stop, another message": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.finish("pause_turn") + CLAUDE.mark + AGAIN + CLAUDE.text("42")],
        "other",
    ),
    "claude: a tool's stop, an error": (
        CLAUDE,
        [
            CLAUDE_HELLO,
            CLAUDE.finish("tool_use"),
            CLAUDE.mark,
            named("error", error={"type": "overloaded_error"}),
        ],
        "tool_calls",
    ),
    "claude: a tool's stop, [DONE]": (
        CLAUDE,
        [CLAUDE_HELLO, CLAUDE.finish("tool_use"), CLAUDE.mark, DONE, RESET],
        "tool_calls",
    ),
    "gemini: finish reason, EOF": (GEMINI, [GEMINI_HELLO, GEMINI.finish("STOP")], "stop"),
    "gemini: finish reason, [DONE]": (
        GEMINI,
        [GEMINI_HELLO, GEMINI.finish("STOP"), DONE, RESET],
        "stop",
    ),
    "gemini: finish reason, reset": (
        GEMINI,
        [GEMINI_HELLO, GEMINI.finish("STOP"), RESET],
        "upstream_unavailable",
    ),
    "gemini: EOF": (GEMINI, [GEMINI_HELLO], TRUNCATED),
    "gemini: [DONE]": (GEMINI, [GEMINI_HELLO, DONE], TRUNCATED),
    "gemini: no finish reason": (
        GEMINI,
        [GEMINI_HELLO, GEMINI.finish("FINISH_REASON_UNSPECIFIED")],
        TRUNCATED,
    ),
    "gemini: early finish reason": (
        GEMINI,
        [GEMINI.finish("STOP"), GEMINI_HELLO, GEMINI.finish("MAX_TOKENS")],
        "length",
    ),
    "gemini: early finish reason alone": (GEMINI, [GEMINI.finish("STOP"), GEMINI_HELLO], "stop"),
    "gemini: blocked before content": (
        GEMINI,
        [data({"promptFeedback": {"blockReason": "SAFETY"}})],
        "content_filtered",
    ),
    "gemini: blocked after content": (
        GEMINI,
        [GEMINI_HELLO, data({"promptFeedback": {"blockReason": "OTHER"}})],
        "content_filter",
    ),
    "gemini: not blocked": (
        GEMINI,
        [GEMINI_HELLO, data({"promptFeedback": {"blockReason": "BLOCKED_REASON_UNSPECIFIED"}})],
        TRUNCATED,
    ),
    "responses: completed": (RESPONSES, [RESPONSES_HELLO, COMPLETED], "stop"),
    "responses: completed, reset": (RESPONSES, [RESPONSES_HELLO, COMPLETED, RESET], "stop"),
    "responses: completed, [DONE]": (RESPONSES, [RESPONSES_HELLO, COMPLETED, DONE], "stop"),
    "responses: incomplete": (
        RESPONSES,
        [RESPONSES_HELLO, RESPONSES.finish("max_output_tokens")],
        "length",
    ),
    "responses: incomplete without a reason": (
        RESPONSES,
        [RESPONSES_HELLO, named("response.incomplete", response={"status": "incomplete"})],
        "other",
    ),
    "responses: completed with another status": (
        RESPONSES,
        [RESPONSES_HELLO, COMPLETED.replace(b'"status": "completed"', b'"status": "incomplete"')],
        "other",
    ),
    "responses: an end that is the response itself": (
        RESPONSES,
        [RESPONSES_HELLO, b"event: response.completed\n" + data({"status": "completed"})],
        "stop",
    ),
    "responses: failed": (
        RESPONSES,
        [RESPONSES_HELLO, response_failed("rate_limit_exceeded")],
        "rate_limited",
    ),
    "responses: failed without an error": (
        RESPONSES,
        [RESPONSES_HELLO, named("response.failed", response={"status": "failed"})],
        "upstream_unavailable",
    ),
    "responses: completed with a failure's status": (
        RESPONSES,
        [RESPONSES_HELLO, COMPLETED.replace(b'"status": "completed"', b'"status": "failed"')],
        "upstream_unavailable",
    ),
    "responses: an error, then failed": (
        RESPONSES,
        [
            RESPONSES_HELLO,
            named("error", error={"type": "tokens", "code": "rate_limit_exceeded"}),
            response_failed("server_error"),
        ],
        "rate_limited",
    ),
    "responses: a bare error": (
        RESPONSES,
        [RESPONSES_HELLO, named("error", code="context_length_exceeded", message="", param=None)],
        "context_length_exceeded",
    ),
    "responses: an error without a name": (
        RESPONSES,
        [RESPONSES_HELLO, data({"type": "response.error", "message": "?"}), COMPLETED],
        "upstream_unavailable",
    ),
    "responses: cancelled": (
        RESPONSES,
        [RESPONSES_HELLO, named("response.cancelled", response={"status": "cancelled"})],
        TRUNCATED,
    ),
    "responses: a failed call of the vendor's own tools": (
        RESPONSES,
        [RESPONSES_HELLO, named("response.mcp_call.failed", item_id="mcp_1"), COMPLETED],
        "stop",
    ),
    "responses: [DONE]": (RESPONSES, [RESPONSES_HELLO, DONE], TRUNCATED),
    "responses: EOF": (RESPONSES, [RESPONSES_HELLO], TRUNCATED),
    "responses: all items done, EOF": (
        RESPONSES,
        [RESPONSES_HELLO, named("response.output_item.done", item=message_item("Hello"))],
        TRUNCATED,
    ),
    "responses: reset": (RESPONSES, [RESPONSES_HELLO, RESET], "upstream_unavailable"),
    "responses: a damaged delta": (
        RESPONSES,
        [RESPONSES_HELLO, b"event: response.output_text.delta\ndata: {oops\n\n", COMPLETED],
        "upstream_bad_event",
    ),
    "responses: another generation": (
        RESPONSES,
        [RESPONSES_HELLO, named("response.created", response={"id": "resp_2"}), COMPLETED],
        "upstream_bad_event",
    ),
    "responses: another one before content": (
        RESPONSES,
        [RESPONSES.opening, named("response.created", response={"id": "resp_2"}), COMPLETED],
        "upstream_bad_event",
    ),
    "responses: the same start twice": (
        RESPONSES,
        [RESPONSES.opening, RESPONSES_HELLO, COMPLETED],
        "stop",
    ),
}


@pytest.mark.parametrize(("wire", "reads", "ending"), ENDINGS.values(), ids=ENDINGS)
async def test_ending_follows_from_the_wires_own_proof(
    wire: Wire, reads: list[bytes | Exception], ending: str
) -> None:
    """A finish reason and then the wire's mark or end; without that proof the answer failed, with its text kept."""
    played = await play(wire, *reads)
    assert played.ending == ending
    assert played.text in ("Hello", "")


# --- finish reasons ----------------------------------------------------------------------------------

BROKEN = [
    "error",
    "ERROR",
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "network_error",
    "insufficient_system_resource",
    "failed",
    "timeout",
    "time_out",
    "server_error",
    "interrupted",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "incomplete",
    "overloaded",
    *(
        "rate_limit",
        "rate_limited",
        "RateLimitReached",
        "throttled",
        "quota_exceeded",
        "RESOURCE_EXHAUSTED",
    ),
    *(
        "oom",
        "out_of_memory",
        "killed",
        "SIGTERM",
        "worker_died",
        "dead",
        "panic",
        "internal_server",
        "bad_gateway",
    ),
    *(
        "shutdown",
        "engine_shutdown",
        "shutting_down",
        "busy",
        "server_busy",
        "stalled",
        "deadline_exceeded",
        "expired",
    ),
    *(
        "connection_lost",
        "connection_closed",
        "connection_reset",
        "unreachable",
        "dropped",
        "truncated",
        "partial",
    ),
    *("broken_pipe", "halted", "no_capacity", "load_shed"),
]


@each_wire
async def test_a_finish_reason_that_says_broken_is_a_failure(wire: Wire) -> None:
    """Before content and after it, in a stream and in one object; the text that came is kept, nothing ends well."""
    for word in BROKEN:
        await check_broken(wire, word)


async def check_broken(wire: Wire, word: str) -> None:
    ending = wire.finish(word) + wire.mark + DONE
    for reads, text in (
        ([wire.opening + ending], ""),
        ([wire.opening + wire.text("Hel"), ending], "Hel"),
    ):
        played = await play(wire, *reads)
        assert (played.text, played.ending, played.finish) == (text, TRUNCATED, None)
        assert played.error
        assert played.error.reason == "broken_finish"
        assert played.error.detail == {"vendor_finish_reason": word}
    for text in "", "Hel":
        played = await play(wire, *[data(wire.whole(text, word))[6:]], headers=JSON_BODY)
        assert (played.text, played.ending, played.finish) == (text, TRUNCATED, None)


async def test_the_word_of_the_vendor_behind_a_server_may_say_broken() -> None:
    """OpenRouter writes `stop` for some of these, and adds the vendor's own word."""
    for word, ending in (
        ("MALFORMED_FUNCTION_CALL", TRUNCATED),
        ("error", TRUNCATED),
        ("STOP", "stop"),
        ("completed", "stop"),
        ("end_turn", "stop"),
        (None, "stop"),
        (7, "stop"),
    ):
        choice = {"index": 0, "delta": {}, "finish_reason": "stop", "native_finish_reason": word}
        played = await play(CHAT, CHAT.text("Hel") + data({"choices": [choice]}) + DONE)
        assert (played.text, played.ending) == ("Hel", ending)


REASONS = {
    "stop": ["stop", "STOP", "end_turn", "stop_sequence", "eos", "eos_token"],
    "length": [
        "length",
        "max_tokens",
        "MAX_TOKENS",
        "model_context_window_exceeded",
        "max_output_tokens",
        "max_length",
        "context_length_exceeded",
    ],
    "content_filter": [
        "content_filter",
        "refusal",
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "SPII",
        "IMAGE_SAFETY",
        "guardrail_intervened",
    ],
    "tool_calls": ["tool_calls", "function_call"],
    "other": [
        "pause_turn",
        "LANGUAGE",
        "OTHER",
        "something_new",
        "user_stop",
        "room",
        "\N{SNOWMAN}",
    ],
}


@each_wire
@pytest.mark.parametrize("reason", REASONS)
async def test_finish_reason_is_translated_to_the_gateways_words(wire: Wire, reason: str) -> None:
    """Servers that speak one wire use another's words; the vendor's own is kept beside ours."""
    for word in REASONS[reason]:
        played = await play(wire, wire.opening + wire.text("Hello") + wire.finish(word) + wire.mark)
        assert played.ending == reason, word
        assert played.finish
        assert played.finish.raw_finish_reason == word
        played = await play(wire, data(wire.whole("Hello", word))[6:], headers=JSON_BODY)
        assert (played.text, played.ending) == ("Hello", reason), word


@each_wire
@pytest.mark.parametrize("word", ["OTHER", "other", "unknown", "NO_IMAGE"])
async def test_other_without_content_is_a_failure(wire: Wire, word: str) -> None:
    """Nothing was said and the reason is none: the next model may do better."""
    assert (await play(wire, wire.opening + wire.finish(word) + wire.mark)).ending == TRUNCATED


@pytest.mark.parametrize("wire", [CHAT, CLAUDE, GEMINI], ids=["chat", "claude", "gemini"])
@pytest.mark.parametrize("word", ["", "null", "none", "FINISH_REASON_UNSPECIFIED"])
async def test_a_word_that_says_nothing_is_no_finish_reason(wire: Wire, word: str) -> None:
    """Some servers write it into every chunk."""
    assert (
        await play(wire, wire.opening + wire.text("Hel") + wire.finish(word) + wire.mark)
    ).ending == TRUNCATED
    assert (await play(wire, wire.answer(wire.finish(word)))).ending == "stop"


@each_wire
async def test_an_answer_without_text_is_whole(wire: Wire) -> None:
    """A model may have nothing to say."""
    played = await play(wire, wire.opening + wire.finish(wire.stop) + wire.mark)
    assert (played.text, played.ending) == ("", "stop")


@pytest.mark.parametrize(
    ("word", "ending"), [("stop", "stop"), ("abort", TRUNCATED), ("length", "length")]
)
async def test_a_finish_reason_as_an_object_is_read_by_its_type(word: str, ending: str) -> None:
    """SGLang writes `{"type": "abort", "message": …}`."""
    stream = CHAT.opening + CHAT.text("Hello") + CHAT.finish({"type": word, "matched": 1}) + DONE
    assert (await play(CHAT, stream)).ending == ending


# --- one object in place of a stream -----------------------------------------------------------------


@each_wire
@pytest.mark.parametrize("as_list", [False, True])
async def test_one_object_is_an_answer(wire: Wire, *, as_list: bool) -> None:
    """Whatever its layout and cuts: a server that ignored `stream` has answered all the same."""
    answer = wire.whole("Hello", wire.stop)
    body = data([answer] if as_list else answer)[6:].replace(b": ", b":\n\n")
    for reads in [body], [b"\n ", body[:1], body[1:40], body[40:]]:
        played = await play(wire, *reads, headers=JSON_BODY)
        assert (played.text, played.ending) == ("Hello", "stop")


@each_wire
@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"ok":true}', b'[{"a":1}]', b'{"choices":[]}', b'{"candidates":[]}']
)
async def test_an_object_that_is_neither_answer_nor_error_is_a_bad_response(
    wire: Wire, body: bytes
) -> None:
    played = await play(wire, body, headers=JSON_BODY)
    assert played.error
    assert (played.error.code, played.error.reason) == ("upstream_bad_response", "content_type")


@each_wire
async def test_an_object_without_a_finish_reason_is_not_whole(wire: Wire) -> None:
    """Nor is one that is cut off."""
    whole = wire.whole("Hello", "")
    assert (await play(wire, data(whole)[6:], headers=JSON_BODY)).ending == TRUNCATED
    cut = await play(wire, data(whole)[6:-20], headers=JSON_BODY)
    assert (cut.text, cut.ending) == ("", "upstream_bad_response")
