"""Clients that leave, at any moment and in any way: what stays of them in the gateway. It should be nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from resilience.client import WAYS, ask, request
from resilience.house import DEFAULT, FALLBACK, PROVIDERS, Holdings, RunningHouse, house
from resilience.load import ask_many
from resilience.promises import Promise, judge
from simulator import Behaviour, Plan, Scripted, Silence, Wire

_SEED = 33
_RATE = 200.0  # clients a second
_LONGEST_SECONDS = 0.5  # that a client stays where its moment does not come
_WARM_UP_SHARE = 5  # one in so many clients comes before the count
_AFTER = 100
_GROWTH_MB = 5.0  # a few of the allocator's arenas
_ANSWER = tuple(f"word {number} " for number in range(10))
_HEALTHY = Scripted(_ANSWER, 0.01)
_BEFORE_SENDING = ("connected", "half a head", "half a body")
_MARKS = {"content": b'"type":"delta"', "end": b'"type":"end"', "terminator": b"[DONE]"}
MOMENTS = (*_BEFORE_SENDING, "asked", "waiting", *_MARKS)


@dataclass
class AnyAnswer:
    """A vendor that answers at once, in a while, only in part, or not at all."""

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


async def leave(port: int, chance: random.Random, moments: Counter[str]) -> None:
    """Connect, come as far as a moment that chance chooses, and leave."""
    moment, way = chance.choice(MOMENTS), chance.choice(WAYS)
    asked = request(chance.choice(tuple(PROVIDERS)))
    wait = chance.random() * _LONGEST_SECONDS
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(_cut(asked, moment))
        async with asyncio.timeout(_LONGEST_SECONDS):
            if moment == "waiting":
                await asyncio.sleep(wait)
            elif moment in _MARKS:
                await reader.readuntil(_MARKS[moment])
        moments[moment] += 1
    except (TimeoutError, EOFError):
        moments["in silence"] += 1  # the vendor says no more: its moment does not come
    finally:
        way(writer)


def _cut(asked: bytes, moment: str) -> bytes:
    ends = {"connected": 0, "half a head": 40, "half a body": len(asked) - 20}
    return asked[: ends.get(moment)]


async def _leave_often(port: int, count: int, seed: int) -> Counter[str]:
    moments: Counter[str] = Counter()
    chance = random.Random(seed)
    await ask_many(lambda _: leave(port, random.Random(chance.random()), moments), count, _RATE)
    return moments


async def _measure(running: RunningHouse, count: int) -> list[Promise]:
    await _leave_often(running.port, count // _WARM_UP_SHARE, seed=_SEED - 1)
    before = await running.rest()
    moments = await _leave_often(running.port, count, seed=_SEED)
    print(f"{count} clients left: {', '.join(f'{number} {moment}' for moment, number in moments.most_common())}")
    after = await running.rest()
    running.simulator.behaviours[DEFAULT] = _HEALTHY
    providers = tuple(PROVIDERS) * (_AFTER // len(PROVIDERS))
    chats = await asyncio.gather(*(ask(running.port, provider) for provider in providers))
    whole = sum(chat.ending == "end" for chat in chats)
    return [*_compare(before, after, running.console), Promise("chats after it are whole", whole == _AFTER, f"{whole}")]


def _compare(before: Holdings, after: Holdings, console: str) -> list[Promise]:
    lost, traces = console.count("never retrieved"), console.count("Traceback")
    grown = after.memory_mb - before.memory_mb
    tasks = len(after.alive.tasks) - len(before.alive.tasks)
    return [
        Promise("no open stream is left", after.streams == 0, f"{after.streams}"),
        Promise("no stream is left open at a vendor", after.at_vendors == 0, f"{after.at_vendors}"),
        Promise("tasks as before", tasks == 0, f"{len(before.alive.tasks)}, then {len(after.alive.tasks)}"),
        Promise("sockets as before", after.sockets <= before.sockets, f"{before.sockets}, then {after.sockets}"),
        Promise("memory as before", grown <= _GROWTH_MB, f"{before.memory_mb:.1f} MB, then {grown:+.1f}"),
        Promise("no exception is lost or shown", lost + traces == 0, f"{lost} lost, {traces} shown"),
    ]


async def _run(folder: Path, count: int) -> int:
    answers: dict[str, Behaviour | list[Behaviour]] = {DEFAULT: AnyAnswer(), FALLBACK: _HEALTHY}
    variables = {"MAX_STREAMS": "200"}  # and so a pool of few connections, in which a lost one is missed
    async with house(folder, answers, variables) as running:
        return judge("disconnects", await _measure(running, count))


def main(folder: Path, count: int) -> int:
    """Run. Returns the exit status."""
    return uvloop.run(_run(folder, count))
