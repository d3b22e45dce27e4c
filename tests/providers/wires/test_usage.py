"""Token counts, wherever in a stream and in whatever type a vendor writes them."""

from __future__ import annotations

import pytest

from models import Usage
from tests.vendors.wire_streams import (
    CHAT,
    CLAUDE,
    GEMINI,
    RESPONSES,
    Wire,
    data,
    named,
    play,
    response_end,
)


def usage(given: int | None = None, made: int | None = None, **more: int) -> Usage:
    return Usage(input_tokens=given, output_tokens=made, **more)


def chat_usage(**counts: object) -> bytes:
    return data({"choices": [], "usage": counts})


CHAT_STOP = CHAT.finish("stop")
USAGES: dict[str, tuple[Wire, bytes, Usage | None]] = {
    "chat: none": (CHAT, CHAT_STOP, None),
    "chat: negative counts": (
        CHAT,
        CHAT_STOP + chat_usage(prompt_tokens=-1, completion_tokens=-1),
        None,
    ),
    "chat: a negative count beside others": (
        CHAT,
        CHAT_STOP
        + chat_usage(
            prompt_tokens=3, completion_tokens=-1, prompt_tokens_details={"cached_tokens": -1}
        ),
        usage(3),
    ),
    "chat: a negative count after another": (
        CHAT,
        chat_usage(prompt_tokens=3) + CHAT_STOP + chat_usage(prompt_tokens=-3),
        usage(3),
    ),
    "claude: negative counts": (
        CLAUDE,
        CLAUDE.finish("end_turn", usage={"output_tokens": -1, "cache_read_input_tokens": "-2"}),
        usage(1),
    ),
    "gemini: negative counts": (
        GEMINI,
        GEMINI.finish(
            "STOP",
            usageMetadata={
                "promptTokenCount": -4,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": -9.0,
            },
        ),
        usage(None, 5),
    ),
    "responses: negative counts": (
        RESPONSES,
        RESPONSES.finish("completed", usage={"input_tokens": -1, "output_tokens": 4}),
        usage(None, 4),
    ),
    "chat: empty": (CHAT, CHAT_STOP + chat_usage(), None),
    "chat: null counts": (CHAT, CHAT_STOP + chat_usage(prompt_tokens=None), None),
    "chat: last chunk": (
        CHAT,
        CHAT_STOP + chat_usage(prompt_tokens=3, completion_tokens=4),
        usage(3, 4),
    ),
    "chat: with the finish reason": (
        CHAT,
        CHAT.finish("stop", usage={"prompt_tokens": 3}),
        usage(3),
    ),
    "chat: before the finish reason": (CHAT, chat_usage(prompt_tokens=3) + CHAT_STOP, usage(3)),
    "chat: in a choice": (
        CHAT,
        data(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "finish_reason": "stop",
                        "usage": {"prompt_tokens": 3, "cached_tokens": 2},
                    }
                ]
            }
        ),
        usage(3, cached_input_tokens=2),
    ),
    "chat: in a choice without a finish reason": (
        CHAT,
        data({"choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 3}}]}) + CHAT_STOP,
        usage(3),
    ),
    "chat: x_groq": (CHAT, CHAT.finish("stop", x_groq={"usage": {"prompt_tokens": 3}}), usage(3)),
    "chat: usage_metadata": (
        CHAT,
        CHAT.finish("stop", usage_metadata={"input_tokens": 3, "output_tokens": 4}),
        usage(3, 4),
    ),
    "chat: other names": (
        CHAT,
        CHAT_STOP
        + chat_usage(input_tokens=3, output_tokens=4, input_tokens_details={"cached_tokens": 1}),
        usage(3, 4, cached_input_tokens=1),
    ),
    "chat: DeepSeek's cache": (
        CHAT,
        CHAT_STOP + chat_usage(prompt_tokens=3, prompt_cache_hit_tokens=2),
        usage(3, cached_input_tokens=2),
    ),
    "chat: details": (
        CHAT,
        CHAT_STOP
        + chat_usage(
            prompt_tokens=9,
            completion_tokens=8,
            prompt_tokens_details={"cached_tokens": 5, "cache_write_tokens": 1},
            completion_tokens_details={"reasoning_tokens": 7},
        ),
        usage(9, 8, cached_input_tokens=5, cache_write_tokens=1, reasoning_tokens=7),
    ),
    "chat: a later 0": (
        CHAT,
        chat_usage(prompt_tokens=3, completion_tokens=4)
        + CHAT_STOP
        + chat_usage(prompt_tokens=0, completion_tokens=0),
        usage(3, 4),
    ),
    "chat: a later number": (
        CHAT,
        chat_usage(completion_tokens=1) + CHAT_STOP + chat_usage(completion_tokens=4),
        usage(None, 4),
    ),
    "chat: 0 beside a number": (
        CHAT,
        CHAT_STOP
        + chat_usage(prompt_tokens=0, input_tokens=3, completion_tokens=0, output_tokens=4),
        usage(3, 4),
    ),
    "chat: in a delta": (
        CHAT,
        data({"choices": [{"delta": {"usage": {"prompt_tokens": 3}}}]}) + CHAT_STOP,
        usage(3),
    ),
    "chat: in a delta with content": (
        CHAT,
        data({"choices": [{"delta": {"content": "!", "usage": {"prompt_tokens": 3}}}]}) + CHAT_STOP,
        usage(3),
    ),
    "chat: in a delta with the finish reason": (
        CHAT,
        data(
            {
                "choices": [
                    {
                        "delta": {"content": "", "usage": {"prompt_tokens": 3}},
                        "finish_reason": "stop",
                    }
                ]
            }
        ),
        usage(3),
    ),
    "chat: 0 alone": (CHAT, CHAT_STOP + chat_usage(prompt_tokens=0), usage(0)),
    "chat: 5.0 and text": (
        CHAT,
        CHAT_STOP + chat_usage(prompt_tokens=5.0, completion_tokens="2"),
        usage(5, 2),
    ),
    "chat: a fraction": (
        CHAT,
        CHAT_STOP + chat_usage(prompt_tokens=5.5, completion_tokens="2.0"),
        usage(None, 2),
    ),
    "claude: start and delta": (
        CLAUDE,
        CLAUDE.finish("end_turn", usage={"output_tokens": 7}),
        usage(1, 7),
    ),
    "claude: later zeros": (
        CLAUDE,
        CLAUDE.finish(
            "end_turn", usage={"input_tokens": 0, "output_tokens": 7, "cache_read_input_tokens": 0}
        ),
        usage(1, 7, cached_input_tokens=0),
    ),
    "claude: cached": (
        CLAUDE,
        CLAUDE.finish(
            "end_turn",
            usage={
                "input_tokens": 5,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 2,
                "output_tokens": 7,
            },
        ),
        usage(10, 7, cached_input_tokens=3, cache_write_tokens=2),
    ),
    "claude: with the stop": (
        CLAUDE,
        CLAUDE.finish("end_turn") + named("message_stop", usage={"output_tokens": 7}),
        usage(1, 7),
    ),
    "gemini: none": (GEMINI, GEMINI.finish("STOP"), None),
    "gemini: no counts": (
        GEMINI,
        GEMINI.finish("STOP", usageMetadata={"trafficType": "ON_DEMAND"}),
        None,
    ),
    "gemini: thoughts and tools": (
        GEMINI,
        GEMINI.finish(
            "STOP",
            usageMetadata={
                "promptTokenCount": 4,
                "toolUsePromptTokenCount": 10,
                "candidatesTokenCount": 2,
                "thoughtsTokenCount": 3,
                "cachedContentTokenCount": 1,
            },
        ),
        usage(14, 5, cached_input_tokens=1, reasoning_tokens=3),
    ),
    "gemini: early, then nothing": (
        GEMINI,
        GEMINI.finish("STOP", usageMetadata={"promptTokenCount": 4, "candidatesTokenCount": 2})
        + GEMINI.finish("STOP", usageMetadata={"trafficType": "ON_DEMAND"}),
        usage(4, 2),
    ),
    "gemini: a later 0": (
        GEMINI,
        GEMINI.finish("STOP", usageMetadata={"promptTokenCount": 4, "candidatesTokenCount": 2})
        + GEMINI.finish("STOP", usageMetadata={"promptTokenCount": 4, "candidatesTokenCount": 0})
        + GEMINI.finish("STOP", usageMetadata={"promptTokenCount": 0}),
        usage(4, 2),
    ),
    "responses: none": (RESPONSES, response_end("completed"), None),
    "responses: no counts": (RESPONSES, response_end("completed", usage={"tokens": 1}), None),
    "responses: cached and reasoning": (
        RESPONSES,
        response_end(
            "completed",
            usage={
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
                "output_tokens": 7,
                "output_tokens_details": {"reasoning_tokens": 5},
            },
        ),
        usage(9, 7, cached_input_tokens=4, cache_write_tokens=1, reasoning_tokens=5),
    ),
    "responses: of an incomplete one": (
        RESPONSES,
        response_end("max_output_tokens", usage={"input_tokens": 9.0, "output_tokens": "7"}),
        usage(9, 7),
    ),
}


@pytest.mark.parametrize(("wire", "ending", "expected"), USAGES.values(), ids=USAGES)
async def test_usage_is_read_wherever_a_vendor_puts_it(
    wire: Wire, ending: bytes, expected: Usage | None
) -> None:
    """A later 0 does not replace a number; none at all is null, and no count is made up."""
    played = await play(wire, wire.opening + wire.text("Hello") + ending + wire.mark)
    assert played.finish
    assert played.finish.usage == expected


def running(given: int, made: int) -> bytes:
    """A piece of Gemini's answer with the tokens so far."""
    counts = {"promptTokenCount": given, "candidatesTokenCount": made}
    parts = [{"text": "Hel"}]
    return data({"candidates": [{"content": {"parts": parts}}], "usageMetadata": counts})


STARTED = {"id": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}
CUT: dict[str, tuple[Wire, bytes, Usage | None]] = {
    "chat": (CHAT, CHAT.opening + CHAT.text("Hel"), None),
    "chat with the usage so far": (
        CHAT,
        CHAT.text("Hel") + chat_usage(prompt_tokens=9, completion_tokens=1) + CHAT.text("lo"),
        usage(9, 1),
    ),
    "responses": (RESPONSES, RESPONSES.opening + RESPONSES.text("Hel"), None),
    "claude": (CLAUDE, named("message_start", message=STARTED) + CLAUDE.text("Hel"), usage(9, 1)),
    "claude before its content": (CLAUDE, named("message_start", message=STARTED), usage(9, 1)),
    "gemini": (GEMINI, running(9, 1) + running(9, 2), usage(9, 2)),
}


@pytest.mark.parametrize(("wire", "events", "expected"), CUT.values(), ids=CUT)
async def test_usage_is_known_before_the_end_as_far_as_it_is_reported(
    wire: Wire, events: bytes, expected: Usage | None
) -> None:
    """An answer that is cut has been paid for all the same."""
    played = await play(wire, events, ConnectionResetError())
    assert played.error is not None
    assert played.reported == expected
