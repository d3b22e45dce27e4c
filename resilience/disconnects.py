"""Clients that disconnect at any moment and in any way: nothing of them may remain."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from resilience.client import WAYS, ask
from resilience.doors import Door
from resilience.gateway_process import DEFAULT, FALLBACK, PROVIDERS, RunningGateway, start_gateway
from resilience.load import ask_many
from resilience.promises import Promise, judge
from simulator import Behaviour, Plan, Scripted, Silence, Wire

_SEED = 33
_RATE = 200.0  # clients a second
_LONGEST_SECONDS = 0.5  # until a client disconnects anyway
_WARM_UP_SHARE = 5  # a fifth of the clients come before the measurement
_AFTER = 100
_GROWTH_MB = 5.0  # a few of the allocator's arenas
_ANSWER = tuple(f"word {number} " for number in range(10))
_HEALTHY = Scripted(_ANSWER, 0.01)
_BEFORE_SENDING = ("connected", "half a head", "half a body")
_MARKED = ("content", "end", "last")
MOMENTS = (*_BEFORE_SENDING, "asked", "waiting", *_MARKED)


@dataclass
class AnyAnswer:
    """A vendor that answers at once, slowly, only in part, or not at all."""

    chance: random.Random = field(default_factory=lambda: random.Random(_SEED))
    choices: tuple[Behaviour, ...] = (
        Scripted(_ANSWER),
        _HEALTHY,
        Silence(),
        Silence("events"),
        Silence("content", after=3),
    )

    def plan(self, wire: Wire) -> Plan:
        return self.chance.choice(self.choices).plan(wire)


async def leave(port: int, chance: random.Random, moments: Counter[str], door: Door) -> None:
    """Connect, and disconnect at a random moment of a chat."""
    moment, way = chance.choice(MOMENTS), chance.choice(WAYS)
    asked = door.request(chance.choice(tuple(PROVIDERS)))
    wait = chance.random() * _LONGEST_SECONDS
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            asked[: {"connected": 0, "half a head": 40, "half a body": len(asked) - 20}.get(moment)]
        )
        async with asyncio.timeout(_LONGEST_SECONDS):
            if moment == "waiting":
                await asyncio.sleep(wait)
            elif moment in _MARKED:
                await reader.readuntil(getattr(door, moment))
        moments[moment] += 1
    except (TimeoutError, EOFError):
        moments["in silence"] += 1  # the vendor sends no more
    finally:
        way(writer)


async def _leave_often(port: int, count: int, seed: int, door: Door) -> Counter[str]:
    moments: Counter[str] = Counter()
    chance = random.Random(seed)

    def leave_once(_: int) -> Coroutine[object, object, None]:
        return leave(port, random.Random(chance.random()), moments, door)

    await ask_many(leave_once, count, _RATE)
    return moments


async def _measure(running: RunningGateway, count: int, door: Door) -> list[Promise]:
    await _leave_often(running.port, count // _WARM_UP_SHARE, _SEED - 1, door)
    before = await running.rest()
    moments = await _leave_often(running.port, count, _SEED, door)
    counted = ", ".join(f"{number} {moment}" for moment, number in moments.most_common())
    print(f"{count} clients left: {counted}")
    after = await running.rest()
    running.simulator.behaviours[DEFAULT] = _HEALTHY
    providers = tuple(PROVIDERS) * (_AFTER // len(PROVIDERS))
    chats = await asyncio.gather(*(ask(running.port, provider, door) for provider in providers))
    whole = sum(chat.ending == "end" for chat in chats)
    lost, traces = running.console.count("never retrieved"), running.console.count("Traceback")
    grown = after.memory_mb - before.memory_mb
    tasks = len(after.alive.tasks) - len(before.alive.tasks)
    return [
        Promise("no open stream is left", after.streams == 0, f"{after.streams}"),
        Promise("no stream is left open at a vendor", after.at_vendors == 0, f"{after.at_vendors}"),
        Promise(
            "tasks as before",
            tasks == 0,
            f"{len(before.alive.tasks)}, then {len(after.alive.tasks)}",
        ),
        Promise(
            "sockets as before",
            after.sockets <= before.sockets,
            f"{before.sockets}, then {after.sockets}",
        ),
        Promise(
            "memory as before", grown <= _GROWTH_MB, f"{before.memory_mb:.1f} MB, then {grown:+.1f}"
        ),
        Promise(
            "no exception is lost or shown", lost + traces == 0, f"{lost} lost, {traces} shown"
        ),
        Promise("chats after it are whole", whole == _AFTER, f"{whole}"),
    ]


async def run(folder: Path, count: int, door: Door) -> int:
    """Run. Returns the exit status."""
    answers: dict[str, Behaviour | list[Behaviour]] = {DEFAULT: AnyAnswer(), FALLBACK: _HEALTHY}
    variables = {"MAX_STREAMS": "200"}  # and so few connections, so that a lost one is noticed
    async with start_gateway(folder, answers, variables) as running:
        return judge("disconnects", await _measure(running, count, door))
