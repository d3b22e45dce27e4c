"""Every recorded stream through the real path: the same answer, whatever the network's cuts.

The recordings are of the three wires that the gateway speaks: chat completions (OpenAI, Groq), Anthropic's messages,
Gemini's streamGenerateContent.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import Delta, Finish, GatewayError, ToolCallDelta, Usage
from providers.anthropic_provider import MessagesDecoder
from providers.chat_completions import ChatCompletionsDecoder
from providers.gemini_provider import GenerateContentDecoder
from providers.vendor_stream import Decoder, read_batches
from tests.conftest import CORPUS, CORPUS_ABSENT
from tests.recordings import FINISH_REASONS
from tests.scripted_response import ScriptedResponse

DECODERS: dict[str, type[Decoder]] = {
    "chat.completions": ChatCompletionsDecoder,
    "messages": MessagesDecoder,
    "streamGenerateContent": GenerateContentDecoder,
    "streamGenerateContent(vertex)": GenerateContentDecoder,
}
RECORDINGS = 181  # of these wires; the others are of OpenAI's Responses
LIMIT = 8_000_000  # bytes: recorded images come in one event


def find_recordings() -> list[str]:
    """Folders of the wires that are spoken here."""
    metas = sorted(path for path in CORPUS.glob("*/*/meta.json") if path.parts[-3] != "errors")
    return [str(path.parent.relative_to(CORPUS)) for path in metas if json.loads(path.read_text())["api"] in DECODERS]


NAMES = find_recordings()
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=CORPUS_ABSENT)


@cache
def load(name: str) -> tuple[bytes, dict[str, Any]]:
    folder = CORPUS / name
    return (folder / "response.sse").read_bytes(), json.loads((folder / "meta.json").read_text())


@dataclass
class Answer:
    """What a stream amounts to: its deltas, and their pieces joined."""

    deltas: list[Delta] = field(default_factory=list)
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: dict[int, list[str]] = field(default_factory=dict)  # name and arguments
    finish: Finish | None = None
    error: str | None = None

    def take(self, event: Delta | Finish) -> None:
        if isinstance(event, Finish):
            self.finish = event
            return
        self.deltas.append(event)
        self.text += event.content
        self.reasoning += event.reasoning
        self.refusal += event.refusal
        if call := event.tool_call:
            named = self.calls.setdefault(call.index, ["", ""])
            named[0] += call.name or ""
            named[1] += call.arguments


async def play(name: str, chunks: list[bytes]) -> Answer:
    answer = Answer()
    decoder = DECODERS[load(name)[1]["api"]]()
    try:
        async for batch in read_batches(ScriptedResponse(*chunks).open, decoder, LIMIT):
            for event in batch:
                answer.take(event)
    except GatewayError as error:
        answer.error = error.code
    return answer


def whole(stream: bytes) -> list[bytes]:
    return [stream]


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[place : place + 1] for place in range(len(stream))]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(stream), *places})
    return [stream[start:end] for start, end in pairwise(ends)]


def seeded(stream: bytes) -> list[bytes]:
    """Cuts in mean distances of 40 bytes, the same in every run."""
    chance = random.Random(len(stream))
    return cut(stream, [chance.randrange(len(stream)) for _ in range(len(stream) // 40)])


CUTS = {"whole": whole, "bytewise": bytewise, "seeded": seeded}

# Recordings that end in an error.
ERRORS = {
    "gemini/043": "content_filtered",  # blockReason
    "gemini/076": "upstream_unavailable",  # 499 in mid-stream, as bare JSON
    "gemini/081": "upstream_truncated",  # the recording stops early
    "groq/030": "rejected_by_provider",  # event: error with status_code 400
    "groq/031": "rejected_by_provider",
}


# Several messages in one recording, whose description counts their calls as one.
JOINED_CALLS = ("anthropic/085",)


def expected_error(name: str) -> str | None:
    return ERRORS.get(name[: name.index("/") + 4])


def expected_finish(meta: dict[str, Any]) -> str:
    if meta.get("expected_refusal_text"):
        return "content_filter"
    return FINISH_REASONS[meta["finish_reason"]]


def expected_usage(meta: dict[str, Any]) -> Usage | None:
    """The vendor's own numbers as the contract counts: cached input in the input, reasoning in the output."""
    raw = meta["usage_raw"]
    if raw is None:
        return None
    if meta["api"] == "messages":
        cached = (raw.get("cache_creation_input_tokens") or 0) + (raw.get("cache_read_input_tokens") or 0)
        return Usage(
            input_tokens=raw["input_tokens"] + cached,
            output_tokens=raw["output_tokens"],
            cached_input_tokens=raw.get("cache_read_input_tokens"),
            reasoning_tokens=(raw.get("output_tokens_details") or {}).get("thinking_tokens"),
        )
    if meta["api"] == "chat.completions":
        return Usage(
            input_tokens=raw["prompt_tokens"],
            output_tokens=raw["completion_tokens"],
            cached_input_tokens=(raw.get("prompt_tokens_details") or {}).get("cached_tokens"),
            reasoning_tokens=(raw.get("completion_tokens_details") or {}).get("reasoning_tokens"),
        )
    outputs = [raw[key] for key in ("candidatesTokenCount", "thoughtsTokenCount") if key in raw]
    return Usage(
        input_tokens=raw.get("promptTokenCount"),
        output_tokens=sum(outputs) if outputs else None,
        cached_input_tokens=raw.get("cachedContentTokenCount"),
        reasoning_tokens=raw.get("thoughtsTokenCount"),
    )


def read_arguments(text: str) -> Any:
    """A call's arguments, whichever way their JSON was written; as they are where the answer broke off in them."""
    try:
        return json.loads(text or "{}") or {}
    except json.JSONDecodeError:
        return text


def check(answer: Answer, name: str) -> None:
    """The answer against what is known of its recording."""
    _, meta = load(name)
    assert answer.text == meta["expected_text"]
    assert answer.reasoning == meta["expected_reasoning_text"]
    assert answer.refusal == meta.get("expected_refusal_text", "")
    calls = [(call["name"] or "", read_arguments(call["arguments"])) for call in meta.get("expected_tool_calls", [])]
    if not name.startswith(JOINED_CALLS):
        assert [(name, read_arguments(given)) for _, (name, given) in sorted(answer.calls.items())] == calls
    assert answer.error == expected_error(name)
    if answer.error is None:
        assert answer.finish
        assert answer.finish.finish_reason == expected_finish(meta)
        assert answer.finish.raw_finish_reason == meta["finish_reason"]
        assert answer.finish.usage == expected_usage(meta)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cutting", CUTS.values(), ids=CUTS)
async def test_recording_is_told_as_it_was_said(name: str, cutting: Callable[[bytes], list[bytes]]) -> None:
    """Text, reasoning, refusal, calls, ending and usage, each as the vendor sent it: nothing missing, nothing twice."""
    check(await play(name, cutting(load(name)[0])), name)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("name", NAMES[::6])
async def test_recording_with_other_line_ends_says_the_same(name: str, line_end: bytes) -> None:
    """A BOM before it and another line end are no difference, whichever the vendor used."""
    stream = load(name)[0].replace(b"\r\n", b"\n").replace(b"\n", line_end)
    check(await play(name, seeded(b"\xef\xbb\xbf" + stream)), name)


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(NAMES or [""]), st.lists(st.integers(min_value=0, max_value=2**20), max_size=30))
async def test_any_cut_of_any_recording_says_the_same(name: str, places: list[int]) -> None:
    """Wherever the network cuts: the same deltas and the same end as from the whole in one read."""
    stream, _ = load(name)
    chunks = cut(stream, [place % len(stream) for place in places])
    assert await play(name, chunks) == await play(name, [stream])


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(NAMES or [""]), st.integers(min_value=0, max_value=2**20))
async def test_recording_that_stops_early_is_no_success(name: str, place: int) -> None:
    """Cut off anywhere: what was said is a beginning of the whole text, and either whole or a failure."""
    stream, meta = load(name)
    answer = await play(name, [stream[: place % len(stream)]])
    assert meta["expected_text"].startswith(answer.text)
    assert answer.error or answer.finish


async def test_every_recording_is_played(corpus: Path, record_property: Callable[[str, object], None]) -> None:
    """All recordings of these wires, without a list of exceptions."""
    played = 0
    for name in NAMES:
        check(await play(name, whole(load(name)[0])), name)
        played += 1
    record_property("recordings", f"{played} of {RECORDINGS}")
    assert played == RECORDINGS


async def test_call_of_the_older_kind_is_a_tool_call() -> None:
    """Before tool calls there were function calls, one an answer, and servers of one's own may still send them."""
    pieces = ('{"name": "look_up"}', '{"arguments": "{}"}')
    events = [f'data: {{"choices": [{{"index": 0, "delta": {{"function_call": {piece}}}}}]}}\n\n' for piece in pieces]
    ending = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "function_call"}]}\n\ndata: [DONE]\n\n'
    response = ScriptedResponse(*(event.encode() for event in events), ending.encode())
    batches = [batch async for batch in read_batches(response.open, ChatCompletionsDecoder(), 1_000)]
    calls = [event.tool_call for batch in batches for event in batch if isinstance(event, Delta)]
    assert calls == [ToolCallDelta(0, "look_up", ""), ToolCallDelta(0, None, "{}")]
