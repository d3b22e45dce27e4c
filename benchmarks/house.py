"""What our gateway is like to run: its start, its memory, a long history, two workers, the size of what it needs."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import uvloop

from benchmarks.contenders import OURS, PROVIDERS, Contender, gateways
from benchmarks.load import Target, held, run
from benchmarks.measuring import Field, Measured, deltas_of, measure
from benchmarks.peers import PEERS, dependencies_mb, our_dependencies_mb
from benchmarks.streams import Load, closed_load

HISTORY, START, WORKERS, DEPENDENCIES = "history", "start", "workers", "dependencies"
ONE_MESSAGE, LONG_HISTORY = "1 message", "50 messages"
_HELD = 300
_PACED = "stamped-200x50"
_BURST = "burst-100"
_REST_SECONDS = 1.0
_GREETINGS = 32  # on connections of their own: that none of them goes to one of two workers happens once in 10^9 times
_TURN = "This is what one of them says to the other: a few dozen words, as people write them in a chat. " * 3


def run_history(field: Field) -> None:
    """The gateway's CPU up to the first content, of a chat of one message and one of 50."""
    with gateways(field.vendor, "stall-1", field.folder) as (ours,):
        port = ours.process.port
        targets = {name: Target.gateway(port, OURS, _turns(count)) for name, count in _HISTORIES.items()}
        uvloop.run(_begin(ours, targets[ONE_MESSAGE]))  # the first chats of a process pay for what stays
        for _ in range(field.rounds):
            for name, target in targets.items():
                field.record.add(HISTORY, name, {"cpu_us_before_content": uvloop.run(_begin(ours, target))})


_HISTORIES = {ONE_MESSAGE: 1, LONG_HISTORY: 50}


def _turns(count: int) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[number % 2], "content": _TURN} for number in range(count - 1)] + [
        {"role": "user", "content": _TURN}
    ]


async def _begin(contender: Contender, target: Target) -> float:
    before = contender.process.cpu_seconds()
    async with held(target, _HELD, at_once=8):
        return 1e6 * (contender.process.cpu_seconds() - before) / _HELD


def run_start(field: Field) -> None:
    """From the command to the first answer that says ready, and the memory a second later; one provider each."""
    for _ in range(field.rounds):
        for name in PROVIDERS:
            gateway = partial(gateways, field.vendor, _BURST, field.folder, (name,))
            field.record.add(START, name, _start(gateway, "/health"))
        installed = {contender.name for contender in field.others}
        for peer in PEERS:
            if peer.name in installed:
                opener = partial(peer.start, field.vendor.port, field.folder)
                field.record.add(START, peer.name, _start(opener, peer.ready_path))


def _start(
    opener: Callable[[], AbstractContextManager[Contender | list[Contender]]], ready_path: str
) -> dict[str, float]:
    began = time.monotonic()
    with opener() as opened:
        contender = opened[0] if isinstance(opened, list) else opened
        _wait_until_ready(f"http://127.0.0.1:{contender.process.port}{ready_path}")
        seconds = time.monotonic() - began
        time.sleep(_REST_SECONDS)
        return {"start_seconds": seconds, "memory_mb": contender.process.memory_mb()}


def _wait_until_ready(url: str) -> None:
    while True:
        try:
            urllib.request.urlopen(url, timeout=30).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.01)


def run_workers(field: Field) -> None:
    """One worker and two: what a delta costs where it is paced, how many bursts a second go through, who did it."""
    for _ in range(field.rounds):
        for workers in (1, 2):
            variables = {"WORKERS": str(workers)}
            name = f"{workers} worker" + "s" * (workers > 1)
            with gateways(field.vendor, _PACED, field.folder, variables=variables) as (ours,):
                load = partial(run, streams=200, at_once=200, stagger_seconds=0.5)
                measured, share = _share_out(field, ours, load, _PACED)
                cost = measured.costs(deltas_of(_PACED))["cpu_us_a_delta"]
                field.record.add(WORKERS, name, {"cpu_us_a_delta": cost, "busiest_workers_share": share})
            with gateways(field.vendor, _BURST, field.folder, variables=variables) as (ours,):
                measured, share = _share_out(field, ours, closed_load, _BURST)
                rate = measured.result.asked / measured.result.seconds
                field.record.add(WORKERS, name, {"streams_a_second": rate, "busiest_workers_share_of_bursts": share})


def _share_out(field: Field, ours: Contender, load: Load, model: str) -> tuple[Measured, float]:
    """What the load brought, and which part of the gateway's CPU its busiest process spent."""
    for _ in range(_GREETINGS):
        _wait_until_ready(f"http://127.0.0.1:{ours.process.port}/health")  # every worker is up
    before = ours.process.cpu_by_process()
    measured = uvloop.run(measure(field, ours, load, model))
    spent = [cpu - before.get(pid, 0.0) for pid, cpu in ours.process.cpu_by_process().items()]
    return measured, max(spent) / sum(spent)


def note_dependencies(field: Field) -> None:
    """The size of what is installed with it."""
    field.record.add(DEPENDENCIES, OURS, {"dependencies_mb": our_dependencies_mb()})
    for peer in PEERS:
        if peer.is_installed:
            field.record.add(DEPENDENCIES, peer.name, {"dependencies_mb": dependencies_mb(peer.packages)})
