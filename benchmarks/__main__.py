"""`python -m benchmarks`: the gateway under load against the simulator, beside nginx, their rounds taking turns."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.load import Target, run
from benchmarks.processes import Process, gateway, nginx, simulator

_PATH = "/openai/v1/chat/completions"
_SHORT = "paced-1x50"


@dataclass(frozen=True, slots=True)
class Peer:
    """One under measurement: its process, and where its long and its short streams are asked for."""

    name: str
    process: Process
    long: Target
    short: Target


@dataclass(frozen=True, slots=True)
class Costs:
    """One round's costs of one peer."""

    cpu_us_a_delta: float
    cpu_us_a_stream: float
    deltas_a_second: float
    first_content_ms: float
    memory_mb: float


async def _measure(peer: Peer, streams: int, rate: int, seconds: int) -> Costs:
    deltas = rate * seconds
    before = peer.process.cpu_seconds()
    paced = await run(peer.long, streams, at_once=streams, stagger_seconds=1 / rate)
    cpu = peer.process.cpu_seconds() - before
    memory = peer.process.memory_mb()
    if paced.whole != streams or paced.frames < streams * deltas:
        raise RuntimeError(f"{peer.name}: {paced.whole} of {streams} streams came whole, {paced.frames} frames")
    before = peer.process.cpu_seconds()
    short = await run(peer.short, 10 * streams, at_once=20)
    short_cpu = peer.process.cpu_seconds() - before
    if short.whole != short.asked:
        raise RuntimeError(f"{peer.name}: {short.whole} of {short.asked} short streams came whole")
    return Costs(
        cpu_us_a_delta=1e6 * cpu / (streams * deltas),
        cpu_us_a_stream=1e6 * short_cpu / short.asked,
        deltas_a_second=streams * deltas / paced.seconds,
        first_content_ms=statistics.median(short.first_content_ms),
        memory_mb=memory,
    )


def _median(rounds: Sequence[Costs]) -> Costs:
    return Costs(*(statistics.median(values) for values in zip(*map(_values, rounds), strict=True)))


def _values(costs: Costs) -> tuple[float, ...]:
    return (
        costs.cpu_us_a_delta,
        costs.cpu_us_a_stream,
        costs.deltas_a_second,
        costs.first_content_ms,
        costs.memory_mb,
    )


def _report(costs: dict[str, list[Costs]]) -> None:
    print(f"{'':10}{'CPU us/delta':>14}{'CPU us/stream':>15}{'deltas/s':>10}{'first ms':>10}{'added ms':>10}{'MB':>8}")
    medians = {name: _median(rounds) for name, rounds in costs.items()}
    direct = medians["direct"].first_content_ms
    for name, median in medians.items():
        added = median.first_content_ms - direct
        cpu = f"{median.cpu_us_a_delta:14.1f}{median.cpu_us_a_stream:15.0f}"
        print(
            f"{name:10}{cpu}{median.deltas_a_second:10.0f}{median.first_content_ms:10.1f}{added:10.1f}{median.memory_mb:8.0f}"
        )
    if "nginx" not in medians:
        print("nginx is not installed, so no ratio is claimed; on Debian or Ubuntu: sudo apt-get install nginx-light")
        return
    pairs = zip(costs["gateway"], costs["nginx"], strict=True)
    ratios = [ours.cpu_us_a_delta / theirs.cpu_us_a_delta for ours, theirs in pairs]
    told = ", ".join(f"{ratio:.1f}" for ratio in ratios)
    print(f"CPU a delta, gateway : nginx = {statistics.median(ratios):.1f} (rounds: {told})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rate", type=int, default=50, help="deltas a second of each stream")
    parser.add_argument("--seconds", type=int, default=8, help="length of a stream")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    long = f"paced-{asked.rate * asked.seconds}x{asked.rate}"
    costs: dict[str, list[Costs]] = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        vendor = stack.enter_context(simulator())
        house = stack.enter_context(gateway(vendor.port, {"OPENAI": long, "LOCAL": _SHORT}, folder))
        proxy = stack.enter_context(nginx(vendor.port, folder))
        gpt, local = Target.gateway(house.port, "gpt"), Target.gateway(house.port, "local")
        peers = [Peer("gateway", house, gpt, local), _vendor_peer("direct", vendor, long)]
        if proxy:
            peers.append(_vendor_peer("nginx", proxy, long))
        print(f"{asked.streams} streams of {asked.rate} deltas a second for {asked.seconds} s, {asked.rounds} rounds")
        for _ in range(asked.rounds):
            for peer in peers:
                costs[peer.name].append(uvloop.run(_measure(peer, asked.streams, asked.rate, asked.seconds)))
    _report(costs)


def _vendor_peer(name: str, process: Process, long: str) -> Peer:
    targets = [Target.vendor(name, process.port, _PATH, model) for model in (long, _SHORT)]
    return Peer(name, process, targets[0], targets[1])


if __name__ == "__main__":
    main()
