"""The goals: ratios within one run, so that they hold on any machine, and what a user notices in its own unit."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.contenders import DIRECT, LITELLM, NGINX, OURS, PORTKEY, PROVIDERS
from benchmarks.house import HISTORY, LONG_HISTORY, ONE_MESSAGE, START
from benchmarks.limits import IDLE
from benchmarks.record import Record
from benchmarks.streams import BURST, FIRST, PACED


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted, and what each round found; no round, not measured."""

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
        """Met, or missed by how much."""
        if not self.values:
            return "not measured"
        if self.is_met:
            return "met"
        return f"missed by {abs(self.value / self.limit - 1):.0%}" if self.limit else "missed"


def goals(record: Record) -> Iterator[Goal]:
    """All of them, in the order of the page."""

    def ratio(scenario: str, figure: str, contender: str, other: str) -> list[float]:
        pairs = zip(record.values(scenario, contender, figure), record.values(scenario, other, figure), strict=False)
        return [ours / theirs for ours, theirs in pairs]

    def added(scenario: str, figure: str) -> list[float]:
        pairs = zip(record.values(scenario, OURS, figure), record.values(scenario, DIRECT, figure), strict=True)
        return [ours - direct for ours, direct in pairs]

    cpu, streams = "cpu_us_a_delta", "streams_a_second"
    yield Goal("CPU a delta, to nginx's", 3.0, ratio(PACED, cpu, OURS, NGINX))
    yield Goal("CPU a delta, to nginx's (stretch)", 2.0, ratio(PACED, cpu, OURS, NGINX))
    yield Goal("CPU a delta, to Portkey's", 0.5, ratio(PACED, cpu, OURS, PORTKEY))
    yield Goal("CPU a delta, to LiteLLM's", 0.05, ratio(PACED, cpu, OURS, LITELLM))
    for name in list(PROVIDERS)[1:]:
        yield Goal(f"CPU a delta of the wire of `{name}`, to that of `{OURS}`", 1.3, ratio(PACED, cpu, name, OURS))
    yield Goal("Bursts a second, to Portkey's", 2.0, ratio(BURST, streams, OURS, PORTKEY), is_least=True)
    yield Goal("Bursts a second, to LiteLLM's", 40.0, ratio(BURST, streams, OURS, LITELLM), is_least=True)
    yield Goal("First content at 20 streams, added at the median", 3.0, added(FIRST, "first_content_p50_ms"), "ms")
    yield Goal("A delta's delay at 200 streams, added at the 99th percentile", 10.0, added(PACED, "delay_p99_ms"), "ms")
    history = ratio(HISTORY, "cpu_us_before_content", LONG_HISTORY, ONE_MESSAGE)
    yield Goal("CPU before the first content, 50 messages to one", 1.5, history)
    yield Goal("5,000 open streams: dropped", 0, record.values(IDLE, OURS, "streams_dropped"))
    yield Goal("5,000 open streams: memory of each", 40, record.values(IDLE, OURS, "memory_kb_a_stream"), "KB")
    for name in PROVIDERS:
        limit = 2.5 if name == "claude" else 1.5  # Anthropic's SDK alone takes 1.3 s to import
        yield Goal(f"Start to ready with `{name}` alone", limit, record.values(START, name, "start_seconds"), "s")
    for name in PROVIDERS:
        yield Goal(f"Memory at rest with `{name}` alone", 110, record.values(START, name, "memory_mb"), "MB")
