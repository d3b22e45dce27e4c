"""Scenarios of our gateway alone: start, memory, a long history, two workers, its dependencies."""

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
_HISTORIES = {ONE_MESSAGE: 1, LONG_HISTORY: 50}
_HELD = 300
_PACED = "stamped-200x50"
_BURST = "burst-100"
_REST_SECONDS = 1.0
_GREETINGS = 32  # on new connections: all reach the same one of two workers once in 10^9 times
_TURN = (
    "This is what one person writes to another: a few dozen words, as people write them in chats. "
    * 3
)


def run_history(field: Field) -> None:
    """The gateway's CPU up to the first content, of a chat of one message and one of 50."""
    with gateways(field.vendor, "stall-1", field.folder) as (ours,):
        port = ours.process.port
        targets = {}
        for name, count in _HISTORIES.items():
            roles = [("user", "assistant")[number % 2] for number in range(count - 1)] + ["user"]
            targets[name] = Target.gateway(
                port, OURS, [{"role": role, "content": _TURN} for role in roles]
            )
        # a process's first chats allocate what later ones reuse
        uvloop.run(_begin(ours, targets[ONE_MESSAGE]))
        for _ in range(field.rounds):
            for name, target in targets.items():
                field.record.add(
                    HISTORY, name, {"cpu_us_before_content": uvloop.run(_begin(ours, target))}
                )


async def _begin(contender: Contender, target: Target) -> float:
    before = contender.process.cpu_seconds()
    async with held(target, _HELD, at_once=8):
        return 1e6 * (contender.process.cpu_seconds() - before) / _HELD


def run_start(field: Field) -> None:
    """Seconds from the command to the first ready answer, and the memory a second later."""
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
    """One worker and two: CPU a paced delta, bursts a second, the busiest worker's share."""
    for _ in range(field.rounds):
        for workers in (1, 2):
            variables = {"WORKERS": str(workers)}
            name = f"{workers} worker" + "s" * (workers > 1)
            with gateways(field.vendor, _PACED, field.folder, variables=variables) as (ours,):
                load = partial(run, streams=200, at_once=200, stagger_seconds=0.5)
                measured, share = _share_out(field, ours, load, _PACED)
                cost = measured.costs(deltas_of(_PACED))["cpu_us_a_delta"]
                field.record.add(
                    WORKERS, name, {"cpu_us_a_delta": cost, "busiest_workers_share": share}
                )
            with gateways(field.vendor, _BURST, field.folder, variables=variables) as (ours,):
                measured, share = _share_out(field, ours, closed_load, _BURST)
                rate = measured.result.asked / measured.result.seconds
                field.record.add(
                    WORKERS,
                    name,
                    {"streams_a_second": rate, "busiest_workers_share_of_bursts": share},
                )


def _share_out(field: Field, ours: Contender, load: Load, model: str) -> tuple[Measured, float]:
    """The result of the load, and the share of its busiest process in the gateway's CPU."""
    for _ in range(_GREETINGS):
        _wait_until_ready(f"http://127.0.0.1:{ours.process.port}/health")  # every worker serves
    before = ours.process.cpu_by_process()
    measured = uvloop.run(measure(field, ours, load, model))
    spent = [cpu - before.get(pid, 0.0) for pid, cpu in ours.process.cpu_by_process().items()]
    return measured, max(spent) / sum(spent)


def note_dependencies(field: Field) -> None:
    """The size of what is installed with a gateway."""
    field.record.add(DEPENDENCIES, OURS, {"dependencies_mb": our_dependencies_mb()})
    for peer in PEERS:
        if peer.is_installed:
            field.record.add(
                DEPENDENCIES, peer.name, {"dependencies_mb": dependencies_mb(peer.packages)}
            )
