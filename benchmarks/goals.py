"""The goals: ratios within one run, so that they hold on any machine, and what a user notices."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.contenders import (
    CHAT_DOOR,
    DIRECT,
    DOORS,
    LITELLM,
    NGINX,
    OURS,
    PORTKEY,
    PROVIDERS,
)
from benchmarks.limits import IDLE
from benchmarks.operations import OFF, ON, OPERATIONS, TYPICAL
from benchmarks.own_scenarios import HISTORY, LONG_HISTORY, ONE_MESSAGE, START
from benchmarks.record import Record
from benchmarks.streams import BURST, FIRST, PACED


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit, and the value of each round; without a round, it was not measured."""

    text: str
    limit: float
    values: list[float]
    unit: str = ""  # none: a ratio
    is_least: bool = False

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool:
        """Whether the median is on the right side of the limit."""
        return self.value >= self.limit if self.is_least else self.value <= self.limit

    @property
    def verdict(self) -> str:
        """Whether it is met, or by how much it is missed."""
        if not self.values:
            return "not measured"
        if self.is_met:
            return "met"
        return f"missed by {abs(self.value / self.limit - 1):.0%}" if self.limit else "missed"


def _ratio(record: Record, scenario: str, figure: str, contender: str, other: str) -> list[float]:
    """The contender's figure to the other's, by round."""
    values = record.values(scenario, contender, figure)
    others = record.values(scenario, other, figure)
    return [ours / theirs for ours, theirs in zip(values, others, strict=False)]


def _added(record: Record, scenario: str, figure: str) -> list[float]:
    """What the gateway adds to the figure without it, by round."""
    values = record.values(scenario, OURS, figure)
    others = record.values(scenario, DIRECT, figure)
    return [ours - direct for ours, direct in zip(values, others, strict=True)]


def goals(record: Record) -> Iterator[Goal]:
    """All of them, in the order of the page."""
    cpu = partial(_ratio, record, PACED, "cpu_us_a_delta")
    yield Goal("CPU a delta, to nginx's", 3.0, cpu(OURS, NGINX))
    yield Goal("CPU a delta, to nginx's (stretch)", 2.0, cpu(OURS, NGINX))
    yield Goal("CPU a delta, to Portkey's", 0.5, cpu(OURS, PORTKEY))
    yield Goal("CPU a delta, to LiteLLM's", 0.05, cpu(OURS, LITELLM))
    for name in list(PROVIDERS)[1:]:
        text = f"CPU a delta of the wire of `{name}`, to that of `{OURS}`"
        yield Goal(text, 1.3, cpu(name, OURS))
    for name, (path, *_) in DOORS.items():
        text = f"CPU a delta by `{path}`, to the native protocol's"
        yield Goal(text, 1.3, cpu(name, OURS))
    yield Goal("CPU a delta by chat completions, to Portkey's", 0.5, cpu(CHAT_DOOR, PORTKEY))
    yield Goal("CPU a delta by chat completions, to LiteLLM's", 0.05, cpu(CHAT_DOOR, LITELLM))
    rate = partial(_ratio, record, BURST, "streams_a_second", OURS)
    yield Goal("Bursts a second, to Portkey's", 2.0, rate(PORTKEY), is_least=True)
    yield Goal("Bursts a second, to LiteLLM's", 40.0, rate(LITELLM), is_least=True)
    text = "First content at 20 streams, added at the median"
    yield Goal(text, 3.0, _added(record, FIRST, "first_content_p50_ms"), "ms")
    text = "A delta's delay at 200 streams, added at the 99th percentile"
    yield Goal(text, 10.0, _added(record, PACED, "delay_p99_ms"), "ms")
    chat = _ratio(record, OPERATIONS, TYPICAL, ON, OFF)
    yield Goal("CPU a chat with keys, limits, metrics and traces, to without", 1.1, chat)
    history = _ratio(record, HISTORY, "cpu_us_before_content", LONG_HISTORY, ONE_MESSAGE)
    yield Goal("CPU before the first content, 50 messages to one", 1.5, history)
    yield Goal("5,000 open streams: dropped", 0, record.values(IDLE, OURS, "streams_dropped"))
    memory = record.values(IDLE, OURS, "memory_kb_a_stream")
    yield Goal("5,000 open streams: memory of each", 40, memory, "KB")
    for name in PROVIDERS:
        limit = 2.5 if name == "claude" else 1.5  # Anthropic's SDK alone takes 1.3 s to import
        seconds = record.values(START, name, "start_seconds")
        yield Goal(f"Start to ready with `{name}` alone", limit, seconds, "s")
    for name in PROVIDERS:
        memory = record.values(START, name, "memory_mb")
        yield Goal(f"Memory at rest with `{name}` alone", 110, memory, "MB")
