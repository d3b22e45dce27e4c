"""Every recorded stream through the running gateway: the simulator sends its bytes, an HTTP client gets the answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from configuration import load_settings
from simulator import Replay, Simulator
from tests.clients.plain_http import make_client
from tests.conftest import CORPUS_ABSENT
from tests.exhaustive import exhaustive, split_by_kind
from tests.gateways.loopback import running_gateway
from tests.vendors.recordings import PLAYERS, Recording, cut, kind_of, recordings

if TYPE_CHECKING:
    from pathlib import Path

RECORDINGS = recordings()
FEW, OTHERS = split_by_kind(kind_of, RECORDINGS)
SMALL = 10_000  # bytes: below it a recording is played at a byte a read over HTTP, too
SEEDS = (1, 2)
MODEL = "recorded"
PREFIXES = {"gpt": "OPENAI", "claude": "ANTHROPIC", "gemini": "GEMINI", "groq": "GROQ"}

pytestmark = pytest.mark.skipif(not RECORDINGS, reason=CORPUS_ABSENT)


class Answer(NamedTuple):
    """What a client has after a stream: the deltas joined, the last event, and whether `[DONE]` came."""

    content: str
    reasoning: str
    refusal: str
    last: dict[str, Any]
    is_done: bool


def read_stream(body: bytes) -> Answer:
    """The stream as the simplest client reads it."""
    frames = [block[6:] for block in body.decode().split("\n\n") if block.startswith("data: ")]
    is_done = frames[-1:] == ["[DONE]"]
    events = [json.loads(frame) for frame in (frames[:-1] if is_done else frames)]
    assert [event["seq"] for event in events] == list(range(len(events)))
    joined = {
        kind: "".join(event["delta"].get(kind, "") for event in events)
        for kind in ("content", "reasoning", "refusal")
    }
    return Answer(**joined, last=events[-1], is_done=is_done)


def check(recording: Recording, response: httpx.Response) -> None:
    """The answer is the recording's, to the byte."""
    if response.status_code != 200:
        assert response.json()["error"]["code"] == recording.error_code
        return
    answer = read_stream(response.content)
    assert (answer.content, answer.reasoning, answer.refusal) == (
        recording.text,
        recording.reasoning,
        recording.refusal,
    )
    if recording.error_code:
        assert answer.last["type"] == "error"
        assert answer.last["error"]["code"] == recording.error_code
        assert answer.last["error"]["partial_chars"] == len(recording.text)
        assert not answer.is_done
        return
    assert answer.last["type"] == "end"
    assert answer.is_done
    assert answer.last["finish_reason"] == recording.finish_reason
    usage = answer.last["usage"] or {}
    assert (usage.get("input_tokens"), usage.get("output_tokens")) == recording.tokens


def segmentations(recording: Recording) -> list[tuple[int, ...] | int | None]:
    """How the recording is cut for its plays: not at all, by each seed, and at every byte if it is small."""
    plays: list[tuple[int, ...] | int | None] = [None]
    for seed in SEEDS:
        pieces = cut(recording.body, seed)
        plays.append(tuple(sum(map(len, pieces[:count])) for count in range(1, len(pieces))))
    return [*plays, 1] if len(recording.body) < SMALL else plays


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize(
    "played", [FEW, *exhaustive(OTHERS)], ids=["one of each kind", "the others"]
)
async def test_every_recording_comes_through_the_running_gateway(
    player: str, played: list[Recording], tmp_path: Path
) -> None:
    """Whole, at seeded cuts, and the small ones a byte a read: text, thinking, refusal, finish and usage agree."""
    chosen = [recording for recording in played if recording.player == player]
    provider = chosen[0].provider
    plays = 0
    async with Simulator() as simulator:
        prefix = PREFIXES[provider]
        options = {
            f"{prefix}_API_KEY": "key-of-a-test",
            f"{prefix}_BASE_URL": simulator.base_urls[provider],
        }
        options |= {f"{prefix}_MODEL_DEFAULT": MODEL, f"{prefix}_MODEL_FALLBACK": MODEL}
        options |= {"OPENAI_API": "responses"} if player == "responses" else {}
        settings = load_settings(
            None, log_dir=str(tmp_path), conversation_log="off", **_lower(options)
        )
        async with (
            running_gateway(settings) as gateway,
            make_client(gateway.url, timeout=60) as client,
        ):
            for recording in chosen:
                for cuts in segmentations(recording):
                    simulator.behaviours[MODEL] = Replay(recording.body, cuts)
                    response = await client.post(f"/chat/{provider}", json=_question())
                    check(recording, response)
                    plays += 1
    print(f"{player}: {len(chosen)} recordings, {plays} plays came through")


def test_all_recordings_of_the_spoken_wires_are_there() -> None:
    """The plays above are of all 225 recordings: none is missing, none is skipped."""
    assert len(FEW + OTHERS) == len(RECORDINGS) == 225


def _question() -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "What was recorded?"}]}


def _lower(options: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in options.items()}
