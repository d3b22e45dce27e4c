"""How much one worker carries: without a stall, with idle streams, beside failing ones."""

from __future__ import annotations

import asyncio
from functools import partial

import uvloop

from benchmarks.contenders import NGINX, OURS, PORTKEY, Contender, gateways
from benchmarks.load import Target, leave_midway, run
from benchmarks.measuring import Field, delays, deltas_of, measure

STALLS, IDLE, MIXED = "stalls", "idle", "mixed"
STALL_MS = 250.0
_STEPS = (100, 200, 400, 600, 800, 1000, 1300)
_SLOW_STEPS = (2, 5, 10, 15, 20, 30, 40, 50)
_STEADY = "stamped-150x50"
_ATTEMPTS = 2  # the machine may have been busy once
_IDLE_STREAMS, _IDLE, _IDLE_STAGGER = 5000, "paced-3x0.2", 8.0
_HEALTHY = "stamped-200x50"
_FAULTS = {"claude": "error-503", "gemini": "reset", "groq": "truncated"}


def run_stalls(field: Field) -> None:
    """More and more streams of 50 deltas a second, until a delta takes 250 ms."""
    variables = {"MAX_STREAMS": "2000", "MAX_CONNECTIONS_PER_ADDRESS": "4000"}
    with gateways(field.vendor, _STEADY, field.folder, variables=variables) as ours:
        for contender in (*field.others, *ours):
            carried = 0
            for streams in _SLOW_STEPS if contender.is_slow else _STEPS:
                load = partial(run, streams=streams, at_once=streams, stagger_seconds=1.5)
                attempts = (
                    uvloop.run(measure(field, contender, load, _STEADY)) for _ in range(_ATTEMPTS)
                )
                longest = (delays(measured.result)["delay_max_ms"] for measured in attempts)
                if streams > contender.limit or not any(delay < STALL_MS for delay in longest):
                    break
                carried = streams
            field.record.add(STALLS, contender.name, {"most_streams": carried})


def run_idle(field: Field) -> None:
    """5,000 streams with a delta each five seconds: the memory of each, and how many were lost."""
    variables = {"MAX_STREAMS": "6000", "MAX_CONNECTIONS_PER_ADDRESS": "8000"}
    with gateways(field.vendor, _IDLE, field.folder, variables=variables) as ours:
        for contender in (*field.chosen(NGINX, PORTKEY), *ours):
            field.record.add(IDLE, contender.name, uvloop.run(_wait_long(contender)))


async def _wait_long(contender: Contender) -> dict[str, float]:
    before = contender.process.memory_mb()
    load = run(
        contender.target(_IDLE), _IDLE_STREAMS, at_once=_IDLE_STREAMS, stagger_seconds=_IDLE_STAGGER
    )
    running = asyncio.create_task(load)
    await asyncio.sleep(_IDLE_STAGGER + 6)  # all are open, and each has had its first delta
    grown = contender.process.memory_mb() - before
    result = await running
    dropped = _IDLE_STREAMS - result.count_whole(deltas_of(_IDLE))
    return {"memory_kb_a_stream": 1024 * grown / _IDLE_STREAMS, "streams_dropped": dropped}


def run_mixed(field: Field) -> None:
    """100 healthy streams while, each second, 45 chats meet a fault and 7 clients disconnect."""
    others = {"ANTHROPIC_MODEL_FALLBACK": "burst-100"}
    models = {"ANTHROPIC": _FAULTS["claude"], "GEMINI": _FAULTS["gemini"], "GROQ": _FAULTS["groq"]}
    for prefix, model in models.items():
        others[f"{prefix}_MODEL_DEFAULT"] = model
        others.setdefault(f"{prefix}_MODEL_FALLBACK", model)
    with gateways(field.vendor, _HEALTHY, field.folder, (OURS, *_FAULTS), others) as ours:
        for _ in range(field.rounds):
            field.record.add(
                MIXED, OURS, uvloop.run(_mix({one.name: one.target("") for one in ours}))
            )


async def _mix(targets: dict[str, Target]) -> dict[str, float]:
    async def leave_often() -> None:
        for _ in range(20):
            await asyncio.gather(leave_midway(targets[OURS], 0.3), leave_midway(targets[OURS], 0.2))

    leaving = asyncio.create_task(leave_often())
    healthy, fallback, *broken = await asyncio.gather(
        run(targets[OURS], 100, at_once=100, stagger_seconds=0.5),
        *(run(targets[name], 60, at_once=60, stagger_seconds=4.0) for name in _FAULTS),
    )
    await leaving
    failed = [answer for result in broken for answer in result.answers]
    return {
        "healthy_lost": 100 - healthy.count_whole(deltas_of(_HEALTHY)),
        "fallbacks_lost": fallback.asked - fallback.count_whole(100),
        "faults_not_reported": sum(
            answer.status < 400 and b'"type":"error"' not in answer.body for answer in failed
        ),
        **delays(healthy),
    }
