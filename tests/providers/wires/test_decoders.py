"""Every recorded stream through the real path: the same answer, whatever the network's cuts.

The recordings are of the wires that the gateway speaks: chat completions (OpenAI, Groq), OpenAI's Responses,
Anthropic's messages, Gemini's streamGenerateContent.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Delta, GatewayError, Reasoning, Refusal, Text, ToolCallDelta, Usage
from providers.wires.chat_completions import ChatCompletionsDecoder
from providers.wires.decoder import Decoder
from providers.wires.finish_reasons import Finish
from providers.wires.generate_content import GenerateContentDecoder
from providers.wires.messages import MessagesDecoder
from providers.wires.responses import ResponsesDecoder
from providers.wires.vendor_stream import read_batches
from tests.conftest import CORPUS_ABSENT
from tests.exhaustive import exhaustive, split_by_kind
from tests.fuzzing import EXAMPLES, fuzzed
from tests.vendors.recordings import kind_of, recordings
from tests.vendors.scripted_response import ScriptedResponse

DECODERS: dict[str, type[Decoder]] = {
    "chat.completions": ChatCompletionsDecoder,
    "responses": ResponsesDecoder,
    "messages": MessagesDecoder,
    "streamGenerateContent": GenerateContentDecoder,
    "streamGenerateContent(vertex)": GenerateContentDecoder,
}
RECORDINGS = {recording.name: recording for recording in recordings()}
NAMES = list(RECORDINGS)
NUMBER = 225
LIMIT = 8_000_000  # bytes: recorded images come in one event

pytestmark = pytest.mark.skipif(not RECORDINGS, reason=CORPUS_ABSENT)


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

    def take(self, event: Delta | Finish | Usage) -> None:
        if isinstance(event, Usage):
            return
        if isinstance(event, Finish):
            self.finish = event
            return
        self.deltas.append(event)
        match event:
            case Text():
                self.text += event.text
            case Reasoning():
                self.reasoning += event.text
            case Refusal():
                self.refusal += event.text
            case ToolCallDelta():
                named = self.calls.setdefault(event.index, ["", ""])
                named[0] += event.name or ""
                named[1] += event.arguments


async def play(name: str, chunks: list[bytes]) -> Answer:
    answer = Answer()
    decoder = DECODERS[RECORDINGS[name].meta["api"]]
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


# Every run cuts the shortest recording of each kind, `make test-all` the others too.
FEW, OTHERS = split_by_kind(lambda name: kind_of(RECORDINGS[name]), NAMES)

# Calls that are described otherwise: one whose arguments come in pieces.
OTHER_CALLS = ("gemini/084",)


def expected_usage(meta: dict[str, Any]) -> Usage | None:
    """The vendor's own numbers as the contract counts: cached input in the input, reasoning in the output."""
    raw = meta["usage_raw"]
    if raw is None:
        return None
    if meta["api"] == "messages":
        cached = (raw.get("cache_creation_input_tokens") or 0) + (
            raw.get("cache_read_input_tokens") or 0
        )
        return Usage(
            input_tokens=raw["input_tokens"] + cached,
            output_tokens=raw["output_tokens"],
            cached_input_tokens=raw.get("cache_read_input_tokens"),
            cache_write_tokens=raw.get("cache_creation_input_tokens"),
            reasoning_tokens=(raw.get("output_tokens_details") or {}).get("thinking_tokens"),
        )
    if meta["api"] == "chat.completions":
        return Usage(
            input_tokens=raw["prompt_tokens"],
            output_tokens=raw["completion_tokens"],
            cached_input_tokens=(raw.get("prompt_tokens_details") or {}).get("cached_tokens"),
            reasoning_tokens=(raw.get("completion_tokens_details") or {}).get("reasoning_tokens"),
        )
    if meta["api"] == "responses":
        return Usage(
            input_tokens=raw["input_tokens"],
            output_tokens=raw["output_tokens"],
            cached_input_tokens=raw["input_tokens_details"]["cached_tokens"],
            cache_write_tokens=raw["input_tokens_details"].get("cache_write_tokens"),
            reasoning_tokens=raw["output_tokens_details"]["reasoning_tokens"],
        )
    outputs = [raw[key] for key in ("candidatesTokenCount", "thoughtsTokenCount") if key in raw]
    inputs = [raw[key] for key in ("promptTokenCount", "toolUsePromptTokenCount") if key in raw]
    return Usage(
        input_tokens=sum(inputs) if inputs else None,
        output_tokens=sum(outputs) if outputs else None,
        cached_input_tokens=raw.get("cachedContentTokenCount"),
        reasoning_tokens=raw.get("thoughtsTokenCount"),
    )


def read_arguments(text: str) -> Any:
    """A call's arguments, whichever way their JSON was written; as they are if the answer broke off in them."""
    try:
        return json.loads(text or "{}") or {}
    except json.JSONDecodeError:
        return text


def check(answer: Answer, name: str) -> None:
    """The answer against what is known of its recording."""
    recording, meta = RECORDINGS[name], RECORDINGS[name].meta
    assert answer.text == meta["expected_text"]
    assert answer.reasoning == meta["expected_reasoning_text"]
    assert answer.refusal == meta.get("expected_refusal_text", "")
    calls = [
        (call["name"] or "", read_arguments(call["arguments"]))
        for call in meta.get("expected_tool_calls", [])
    ]
    if not name.startswith(OTHER_CALLS):
        assert [
            (name, read_arguments(given)) for _, (name, given) in sorted(answer.calls.items())
        ] == calls
    assert answer.error == recording.error_code
    if answer.error is None:
        assert answer.finish
        assert answer.finish.finish_reason == recording.finish_reason
        assert answer.finish.raw_finish_reason == meta["finish_reason"].removeprefix("incomplete:")
        assert answer.finish.usage == expected_usage(meta)


@pytest.mark.parametrize("cutting", [bytewise, seeded])
@pytest.mark.parametrize(
    "names", [FEW, *exhaustive(OTHERS)], ids=["one of each kind", "the others"]
)
async def test_cut_recording_says_the_same(
    names: list[str], cutting: Callable[[bytes], list[bytes]]
) -> None:
    """At a byte a read, and at other cuts: nothing is missing, and nothing is there twice."""
    for name in names:
        check(await play(name, cutting(RECORDINGS[name].body)), name)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
async def test_recording_with_other_line_ends_says_the_same(line_end: bytes) -> None:
    """A BOM before it and another line end are no difference, whichever the vendor used."""
    for name in NAMES[::6]:
        stream = RECORDINGS[name].body.replace(b"\r\n", b"\n").replace(b"\n", line_end)
        check(await play(name, seeded(b"\xef\xbb\xbf" + stream)), name)


@settings(fuzzed, max_examples=12 * EXAMPLES)
@given(
    st.sampled_from(NAMES or [""]), st.lists(st.integers(min_value=0, max_value=2**20), max_size=30)
)
async def test_any_cut_of_any_recording_says_the_same(name: str, places: list[int]) -> None:
    """Wherever the network cuts: the same deltas and the same end as from the whole in one read."""
    stream = RECORDINGS[name].body
    chunks = cut(stream, [place % len(stream) for place in places])
    assert await play(name, chunks) == await play(name, [stream])


@settings(fuzzed, max_examples=3 * EXAMPLES)
@given(st.sampled_from(NAMES or [""]), st.integers(min_value=0, max_value=2**20))
async def test_recording_that_stops_early_is_no_success(name: str, place: int) -> None:
    """Cut off anywhere: what was said is a beginning of the whole text, and either whole or a failure."""
    stream, meta = RECORDINGS[name].body, RECORDINGS[name].meta
    answer = await play(name, [stream[: place % len(stream)]])
    assert meta["expected_text"].startswith(answer.text)
    assert answer.error or answer.finish


async def test_recording_is_decoded_as_it_was_sent(
    corpus: Path, record_property: Callable[[str, object], None]
) -> None:
    """Text, reasoning, refusal, calls, ending and usage of all recordings, each as the vendor sent it."""
    played = 0
    for name in NAMES:
        check(await play(name, whole(RECORDINGS[name].body)), name)
        played += 1
    record_property("recordings", f"{played} of {NUMBER}")
    assert played == NUMBER


async def test_call_of_the_older_kind_is_a_tool_call() -> None:
    """Before tool calls there were function calls, one an answer, and self-hosted servers may still send them."""
    pieces = ('{"name": "look_up"}', '{"arguments": "{}"}')
    events = [
        f'data: {{"choices": [{{"index": 0, "delta": {{"function_call": {piece}}}}}]}}\n\n'
        for piece in pieces
    ]
    ending = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "function_call"}]}\n\ndata: [DONE]\n\n'
    response = ScriptedResponse(*(event.encode() for event in events), ending.encode())
    batches = [batch async for batch in read_batches(response.open, ChatCompletionsDecoder, 1_000)]
    calls = [event for batch in batches for event in batch if isinstance(event, ToolCallDelta)]
    assert calls == [ToolCallDelta(0, None, "look_up"), ToolCallDelta(0, arguments="{}")]


async def test_recorded_call_in_pieces_is_one_call() -> None:
    """Gemini on Vertex streams a call's arguments as values by their paths: they become one object."""
    (name,) = [name for name in NAMES if name.startswith("gemini/084")]
    answer = await play(name, whole(RECORDINGS[name].body))
    ((called, arguments),) = answer.calls.values()
    recipe = json.loads(arguments)["recipe"]
    assert (called, sorted(recipe), len(recipe["steps"])) == (
        "cookRecipe",
        ["ingredients", "name", "steps"],
        10,
    )
    assert recipe["ingredients"][0] == {"amount": "16 oz", "name": "Lasagna noodles"}
    assert (
        recipe["steps"][1]
        == "Cook lasagna noodles according to package directions, drain and set aside."
    )
