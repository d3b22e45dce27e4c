"""One load on one contender: the CPU of each process, the delays, and a check of all deltas."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders import Contender
from benchmarks.load import Result, Target

if TYPE_CHECKING:
    from benchmarks.processes import Process
    from benchmarks.record import Record

_TIMEOUT_SECONDS = 90.0
_SETTLE_SECONDS = 0.2  # for what a contender does after a stream's end


@dataclass(frozen=True)
class Field:
    """What every scenario needs: the vendor, the other contenders, and the record of results."""

    vendor: Process
    others: Sequence[Contender]
    folder: Path
    record: Record
    rounds: int

    def chosen(self, *names: str) -> list[Contender]:
        """Those of the others that are installed."""
        return [contender for contender in self.others if contender.name in names]


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of a load, and the CPU seconds of the contender and of the vendor.

    The contender's are None if the vendor itself is asked.
    """

    result: Result
    cpu_seconds: float | None
    vendor_cpu_seconds: float

    def costs(self, deltas: int) -> dict[str, float]:
        """CPU a delta and a stream, and the rates, given the deltas of each stream."""
        count = self.result.asked * deltas
        own = {}
        if self.cpu_seconds is not None:
            own["cpu_us_a_delta"] = 1e6 * self.cpu_seconds / count
            own["cpu_us_a_stream"] = 1e6 * self.cpu_seconds / self.result.asked
        return own | {
            "vendor_cpu_us_a_delta": 1e6 * self.vendor_cpu_seconds / count,
            "load_cpu_us_a_delta": 1e6 * self.result.cpu_seconds / count,
            "deltas_a_second": count / self.result.seconds,
            "streams_a_second": self.result.asked / self.result.seconds,
        }


async def measure(
    field: Field, contender: Contender, load: Callable[[Target], Awaitable[Result]], model: str
) -> Measured:
    """Put the load on the contender. Raises RuntimeError if a stream is not complete."""
    before, vendor_before = contender.process.cpu_seconds(), field.vendor.cpu_seconds()
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        result = await load(contender.target(model))
    await asyncio.sleep(_SETTLE_SECONDS)
    vendor_cpu = field.vendor.cpu_seconds() - vendor_before
    cpu = None if contender.process is field.vendor else contender.process.cpu_seconds() - before
    deltas = deltas_of(model)
    if (whole := result.count_whole(deltas)) != result.asked:
        broken = next(answer for answer in result.answers if not answer.is_whole(deltas))
        end = b"".join(broken.reads)[-200:]
        raise RuntimeError(
            f"{contender.name}: {whole} of {result.asked} streams of {model} are complete; "
            f"one ends {end!r}"
        )
    return Measured(result, cpu, vendor_cpu)


def deltas_of(model: str) -> int:
    """The number of deltas in an answer of one of the simulator's loads."""
    return int(model.partition("-")[2].partition("x")[0])


def delays(result: Result) -> dict[str, float]:
    """The delays of the stamped deltas."""
    return quantiles("delay", [delay for answer in result.answers for delay in answer.delays_ms()])


def quantiles(name: str, milliseconds: Sequence[float]) -> dict[str, float]:
    """The median, the 99th percentile and the longest."""
    ordered = sorted(milliseconds)
    return {
        f"{name}_p50_ms": statistics.median(ordered),
        f"{name}_p99_ms": ordered[int(0.99 * (len(ordered) - 1))],
        f"{name}_max_ms": ordered[-1],
    }


def take_turns(field: Field, contenders: Sequence[Contender]) -> Iterator[Contender]:
    """Each contender once a round. Each round begins with a different one."""
    for number in range(field.rounds):
        first = number % len(contenders)
        yield from (*contenders[first:], *contenders[:first])
