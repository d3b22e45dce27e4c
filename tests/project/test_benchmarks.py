"""The benchmarks count truly: what is not whole is not counted whole, and a time is when a thing came."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.answers import Answer
from benchmarks.contenders import DOORS, OURS
from benchmarks.goals import Goal, goals
from benchmarks.load import Result, Target, held, run, run_for
from benchmarks.page import tables
from benchmarks.processes import Process, simulator
from benchmarks.record import Record, begin
from simulator import Raw, Simulator
from simulator.behaviours import Burst
from simulator.faults import fault_behaviour
from simulator.plan import LAST_CHUNK, chunk
from tests.vendors.simulated_vendor import DEFAULT, simulated_vendor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import Popen

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"data: [DONE]\n\n"
PATH = "/openai/v1/chat/completions"


def event(text: str) -> bytes:
    return b'data: {"delta":{"content":"%b"}}\n\n' % text.encode()


EVENTS = [event(""), event(" 000"), event(" 001"), event(" 002")]


def answer(*chunks: bytes, last: bytes = LAST_CHUNK) -> Answer:
    """As it comes in one read."""
    return Answer(0.0, [HEAD + b"".join(map(chunk, chunks)) + last], [1.0])


def test_whole_stream_is_counted() -> None:
    """Every delta, the end mark, and the end of the HTTP message have come."""
    assert answer(*EVENTS, END).is_whole(3)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(answer(*EVENTS), id="no end mark"),
        pytest.param(answer(*EVENTS, END, last=b""), id="the message goes on"),
        pytest.param(answer(EVENTS[0], EVENTS[1], EVENTS[3], END), id="a delta is missing"),
        pytest.param(answer(EVENTS[0], EVENTS[1], *EVENTS[1:], END), id="a delta is doubled"),
        pytest.param(answer(EVENTS[0], EVENTS[2], EVENTS[1], EVENTS[3], END), id="out of order"),
        pytest.param(answer(*EVENTS, event(" 003"), END), id="one too many"),
        pytest.param(answer(*EVENTS, END, event(" 003")), id="text after the end mark"),
        pytest.param(Answer(0.0), id="nothing"),
    ],
)
def test_stream_that_is_not_whole_is_not_counted(broken: Answer) -> None:
    """Whatever is missing or too much."""
    assert not broken.is_whole(3)


def test_cuts_change_nothing() -> None:
    """Wherever the network cuts the bytes, and wherever a proxy puts the borders of its chunks."""
    whole = answer(*EVENTS, END).reads[0]
    for place in range(1, len(whole)):
        assert Answer(0.0, [whole[:place], whole[place:]], [1.0, 2.0]).is_whole(3), place
    body = b"".join((*EVENTS, END))
    for place in range(1, len(body)):
        assert answer(body[:place], body[place:]).is_whole(3), place


def test_times_are_of_the_read_that_completed_them() -> None:
    """The first content is timed by the read that ended it, and a stamped delta from its stamp to its read."""
    first, second = event(f"{2_000_000:016d}"), event(f"{2_500_000:016d}")
    reads = [
        HEAD + chunk(event("")),
        chunk(first)[:-20],
        chunk(first)[-20:] + chunk(second),
        chunk(END) + LAST_CHUNK,
    ]
    stamped = Answer(1.5, reads, [1.9, 2.1, 2.75, 2.8])
    assert stamped.is_whole(2)
    assert stamped.delays_ms() == pytest.approx([750, 250])
    assert stamped.first_content_ms() == pytest.approx(1250)


@pytest.mark.parametrize("stamps", [(2, 1), (1,), (1, 2, 3)])
def test_stamps_must_be_all_and_in_order(stamps: tuple[int, ...]) -> None:
    """The stamps of a stream show that one is missing or came late."""
    assert not answer(*(event(f"{stamp:016d}") for stamp in stamps), END).is_whole(2)


@pytest.mark.parametrize("model", ["paced-20x1000", "stamped-20x1000", "burst-20"])
async def test_load_counts_the_simulators_streams(model: str) -> None:
    """Each of its loads comes whole, on new connections and on kept ones."""
    async with Simulator() as vendor:
        target = Target.vendor("direct", vendor.port, PATH, model)
        results = [await run(target, 5, at_once=3), await run_for(target, 2, 0.1)]
    for result in results:
        assert result.count_whole(20) == result.whole == result.asked > 1


@pytest.mark.parametrize("door", DOORS)
async def test_load_counts_the_streams_of_every_door(door: str, tmp_path: Path) -> None:
    """Whole ones, and none that a fault of the vendor has cut."""
    async with simulated_vendor(tmp_path, OURS) as vendor:
        path, wire, fields = DOORS[door]
        target = Target.door(vendor.gateway.port, path, wire, **fields)
        for behaviour, whole in ((Burst(20), 3), (fault_behaviour("fault-reset@after"), 0)):
            assert behaviour
            vendor.simulator.behaviours[DEFAULT] = behaviour
            result = await run(target, 3, at_once=2)
            assert result.count_whole(20) == result.whole == whole


@pytest.mark.parametrize("model", ["truncated", "reset", "error-503"])
async def test_load_counts_no_broken_stream(model: str) -> None:
    """A vendor that breaks off, or refuses, is no success, and delays no other stream."""
    async with Simulator() as vendor:
        result = await run(Target.vendor("direct", vendor.port, PATH, model), 2, at_once=2)
    assert (result.asked, result.whole) == (2, 0)


async def test_answer_with_a_length_ends_with_it() -> None:
    """An error is an answer though its connection stays open, and though its head comes alone."""
    body = b'{"error":{"code":"invalid_json"}}'
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body)
    cuts = (len(head), len(head) + 5)
    async with Simulator(default=Raw(head + body, then="hang", cuts=cuts, pace=0.01)) as vendor:
        result = await run(Target.vendor("direct", vendor.port, PATH, "model"), 1, at_once=1)
    assert (result.answers[0].status, result.whole) == (400, 0)


async def test_held_streams_have_begun_and_are_left() -> None:
    """They are at their first content, and not longer open than wanted."""
    async with Simulator() as vendor:
        async with held(
            Target.vendor("direct", vendor.port, PATH, "stall-1"), 3, at_once=2
        ) as answers:
            assert [began.text for began in answers] == [b" 000"] * 3
        for call in list(vendor.calls):
            assert await vendor.wait_closed(call)


async def test_delay_is_measured_across_processes() -> None:
    """The vendor's stamp and our clock are the same one."""
    with simulator() as vendor:
        result = await run(
            Target.vendor("direct", vendor.port, PATH, "stamped-20x200"), 1, at_once=1
        )
    delays = result.answers[0].delays_ms()
    assert len(delays) == 20
    assert 0 <= min(delays) < max(delays) < 10_000


def test_cpu_is_the_processs_own() -> None:
    """What the kernel says of a process is what the process says of itself."""

    class Ourselves(Process):
        def pids(self) -> list[int]:
            return [os.getpid()]

    def spend(popen: Popen[bytes] | None = None) -> Iterator[float]:
        process = Ourselves(popen, 0)  # type: ignore[arg-type]
        yield process.cpu_seconds()
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        yield process.cpu_seconds()

    before, after = spend()
    assert before == pytest.approx(after - 0.05, abs=0.02)


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (Goal("", 3.0, [1.0, 2.9, 9.0]), "met"),
        (Goal("", 2.0, [3.0]), "missed by 50%"),
        (Goal("", 40.0, [50.0], is_least=True), "met"),
        (Goal("", 40.0, [30.0], is_least=True), "missed by 25%"),
        (Goal("", 0, [1.0]), "missed"),
        (Goal("", 1.0, []), "not measured"),
    ],
)
def test_goal_is_judged_by_the_median(goal: Goal, verdict: str) -> None:
    """On the right side of its limit, or by how much it is not."""
    assert goal.verdict == verdict


def test_report_is_of_what_was_measured() -> None:
    """A goal whose figures are there has its rounds' ratios, the others say so; an earlier run shows the change."""
    earlier, record = begin(2, {"nginx": "1"}), begin(2, {"nginx": "1"})
    for kept, ours in ((earlier, 20.0), (record, 30.0)):
        for extra in (0.0, 10.0):
            kept.add("paced", "gpt", {"cpu_us_a_delta": ours + extra})
            kept.add("paced", "nginx", {"cpu_us_a_delta": 10.0})
    first, *rest = goals(record)
    assert (first.values, first.verdict) == ([3.0, 4.0], "missed by 17%")
    assert all(goal.verdict == "not measured" for goal in rest[1:])
    assert any("35.0 (30.0 to 40.0) [+40%]" in line for line in tables(record, earlier))


def test_record_keeps_rounds() -> None:
    """Values are kept a round each, to four digits."""
    record = Record("2026-01-01T00:00:00+00:00", "abc", "", 0.0, {}, 2)
    for value in (1.23456, 2.0):
        record.add("paced", "gpt", {"x": value})
    assert record.values("paced", "gpt", "x") == [1.235, 2.0]
    assert record.median("paced", "gpt", "y") is None


def test_empty_result_counts_nothing() -> None:
    """No answer is no success."""
    assert Result([], 1.0, 0.0).whole == Result([], 1.0, 0.0).count_whole(1) == 0
