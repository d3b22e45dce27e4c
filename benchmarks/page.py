"""The tables of a run, for the console and for `docs/benchmarks.md`."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders import ANY_LLM, DIRECT, DOORS, LITELLM, NGINX, OURS, PORTKEY
from benchmarks.goals import goals
from benchmarks.limits import IDLE, MIXED, STALLS
from benchmarks.operations import OPERATIONS, SHORTEST, TYPICAL
from benchmarks.own_scenarios import DEPENDENCIES, HISTORY, START, WORKERS
from benchmarks.record import Record
from benchmarks.streams import BURST, FIRST, MANY, PACED, SHORT

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- tables: written by make bench -->\n", "<!-- end of the tables -->\n"
_NAMES = {
    DIRECT: "no gateway",
    NGINX: "nginx",
    OURS: "this gateway, OpenAI",
    "claude": "this gateway, Anthropic",
    "gemini": "this gateway, Gemini",
    "groq": "this gateway, Groq",
    **{name: f"this gateway, `{path}`" for name, (path, *_) in DOORS.items()},
    PORTKEY: "Portkey",
    LITELLM: "LiteLLM",
    ANY_LLM: "any-llm gateway",
}
_COSTS = {
    "cpu_us_a_delta": "CPU a delta, µs",
    "vendor_cpu_us_a_delta": "vendor's",
    "load_cpu_us_a_delta": "load's",
}
_DELAYS = {"delay_p50_ms": "delay p50, ms", "delay_p99_ms": "p99, ms"}
_RATES = {"streams_a_second": "streams a second", "cpu_us_a_stream": "CPU a stream, µs"}
_TABLES = {
    PACED: ("Paced: 200 streams, 50 deltas a second", _COSTS | _DELAYS),
    MANY: ("Many: 1,000 streams, 10 deltas a second", _COSTS | _DELAYS),
    BURST: ("Bursts: 32 clients, 100 deltas at once", _RATES | _COSTS),
    SHORT: ("Short: 32 clients, one delta", _RATES),
    FIRST: (
        "First content, 20 streams open",
        {"first_content_p50_ms": "p50, ms", "first_content_p99_ms": "p99, ms"},
    ),
    STALLS: ("Most streams of 50 deltas a second without a stall", {"most_streams": "streams"}),
    IDLE: (
        "5,000 streams, a delta each 5 seconds",
        {"memory_kb_a_stream": "KB a stream", "streams_dropped": "dropped"},
    ),
    MIXED: (
        "100 healthy streams beside faults",
        {
            "healthy_lost": "healthy lost",
            "fallbacks_lost": "fallbacks lost",
            "faults_not_reported": "faults not reported",
            **_DELAYS,
        },
    ),
    HISTORY: ("A long history", {"cpu_us_before_content": "CPU before the first content, µs"}),
    START: (
        "Start and memory at rest, one provider",
        {"start_seconds": "start to ready, s", "memory_mb": "memory, MB"},
    ),
    WORKERS: (
        "Two workers",
        {
            "cpu_us_a_delta": "CPU a delta, µs",
            "busiest_workers_share": "busiest worker's share",
            "streams_a_second": "bursts a second",
            "busiest_workers_share_of_bursts": "its share of bursts",
        },
    ),
    OPERATIONS: (
        "Keys, limits, budgets, metrics and traces",
        {TYPICAL: "CPU a chat of 200 deltas, µs", SHORTEST: "of one delta, µs"},
    ),
    DEPENDENCIES: ("Size of the dependencies", {"dependencies_mb": "MB"}),
}


def write_page(record: Record) -> None:
    """Replace the page's tables by the run's."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    written = "\n".join(tables(record))
    PAGE.write_text(f"{before}{_BEGIN}\n{written}\n\n{_END}{after}", encoding="utf-8")


def tables(record: Record, earlier: Record | None = None) -> Iterator[str]:
    """The lines: conditions, goals, and a table for each scenario.

    With an `earlier` run they show how each median has changed.
    """
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    yield f"Taken {record.taken_at} of commit {record.commit}, {record.rounds} rounds,"
    yield f"on {record.machine},"
    yield f"load {record.load_before:.1f} before it began. {versions}."
    yield from (f"\n{note}" for note in record.notes)
    yield from ("", "### Goals", "", *_row("Goal", "wanted", "found", "rounds", ""))
    yield "|---|---|---|---|---|"
    for goal in goals(record):
        wanted = f"{'≥' if goal.is_least else '≤'} {goal.limit:g} {goal.unit}".strip()
        median = f"{_number(goal.value)} {goal.unit}".strip() if goal.values else ""
        rounds = ", ".join(map(_number, goal.values))
        yield from _row(goal.text, wanted, median, rounds, goal.verdict)
    for scenario, (title, columns) in _TABLES.items():
        if found := record.figures.get(scenario):
            shown = {
                name: label
                for name, label in columns.items()
                if any(name in figures for figures in found.values())
            }
            yield from (
                "",
                f"### {title}",
                "",
                *_row("", *shown.values()),
                "|---" * (len(shown) + 1) + "|",
            )
            for contender in sorted(found, key=_place):
                cells = [
                    _describe_figure(record, earlier, scenario, contender, name) for name in shown
                ]
                yield from _row(_NAMES.get(contender, contender), *cells)


def _describe_figure(
    record: Record, earlier: Record | None, scenario: str, contender: str, name: str
) -> str:
    values = record.values(scenario, contender, name)
    if not values:
        return ""
    median = statistics.median(values)
    lowest, highest = min(values), max(values)
    spread = f" ({_number(lowest)} to {_number(highest)})" if lowest < highest else ""
    before = earlier.median(scenario, contender, name) if earlier else None
    change = f" [{median / before - 1:+.0%}]" if before and median != before else ""
    return _number(median) + spread + change


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _row(*cells: str) -> tuple[str]:
    return (f"| {' | '.join(cells)} |",)


def _place(contender: str) -> tuple[int, str]:
    known = list(_NAMES)
    return (known.index(contender) if contender in known else len(known), contender)
