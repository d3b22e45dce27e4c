"""Mixed chats for a long time, some of which fail or are left by their clients: does it grow?

The first half of the time is a warm-up. Memory is sampled each second of the second half, and a
line is fitted to the samples. Memory grows in steps: with the highest number of chats in flight,
for each of which a connection to a vendor is kept, and with the allocators, which reach their size
only after some 50,000 chats. After a shorter warm-up the growth is not judged. What is alive is
counted too, after a full collection, when those connections are closed: a leak has a type, or
bytes.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from resilience.client import Chat, ask
from resilience.disconnects import leave
from resilience.doors import Door
from resilience.gateway_process import (
    DEFAULT,
    FALLBACK,
    PROVIDERS,
    Holdings,
    RunningGateway,
    start_gateway,
)
from resilience.load import tick
from resilience.promises import Promise, judge, judge_open
from resilience.regression import fit
from simulator import Plan, Scripted, Wire
from simulator.behaviours import named_behaviour
from simulator.faults import fault_behaviour

_SEED = 51
_RATE = 40.0  # chats a second
_WARM_UP_CHATS = 50_000  # in a run of 104,000 all growth, 4.5 MB, was in the first half
_FAULTY_SHARE, _LEAVING_SHARE = 0.05, 0.1
_FAULTS = (
    "error-503",
    "error-429",
    "truncated",
    "reset",
    "stall",
    "fault-bad-json@after",
    "fault-half-headers",
)
_ANSWERS = tuple(
    Scripted(tuple(f"word {number} " for number in range(count)), pace)
    for count, pace in ((5, 0), (30, 0.02), (100, 0.01), (10, 0.2))
)
_PROMISED_MB_AN_HOUR = 1.0
_HOUR_SECONDS = 3600.0
_OBJECTS_A_THOUSAND_CHATS = 50  # of one type; a leak leaves at least one a chat
_FEW_OBJECTS = 100
_BYTES_A_CHAT = 50.0  # of both allocators; a real leak keeps kilobytes
_LISTED_TYPES = 5


@dataclass
class Mixed:
    """A vendor that fails some answers."""

    chance: random.Random = field(default_factory=lambda: random.Random(_SEED))

    def plan(self, wire: Wire) -> Plan:
        if self.chance.random() >= _FAULTY_SHARE:
            return self.chance.choice(_ANSWERS).plan(wire)
        name = self.chance.choice(_FAULTS)
        behaviour = named_behaviour(name) or fault_behaviour(name)
        if behaviour is None:
            raise ValueError(f"there is no behaviour {name}")
        return behaviour.plan(wire)


@dataclass
class Soak:
    """A load in progress, and its samples: the loop's time, and MB."""

    port: int
    door: Door
    chance: random.Random = field(default_factory=lambda: random.Random(_SEED))
    endings: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    async def load(self, running: RunningGateway, seconds: float) -> None:
        """Ask for `seconds` seconds, and wait for the last chat."""
        now = asyncio.get_running_loop().time
        until = now() + seconds
        sampling = asyncio.create_task(self._sample(running))
        try:
            async with asyncio.TaskGroup() as group:
                async for _ in tick(_RATE):
                    if now() >= until:
                        break
                    group.create_task(self._ask())
        finally:
            sampling.cancel()

    async def _ask(self) -> None:
        if self.chance.random() < _LEAVING_SHARE:
            await leave(self.port, random.Random(self.chance.random()), self.moments, self.door)
            return
        provider = self.chance.choice(tuple(PROVIDERS))
        chat: Chat = await ask(self.port, provider, self.door)
        self.endings[f"{chat.ending} {chat.cause}".strip()] += 1

    async def _sample(self, running: RunningGateway) -> None:
        now = asyncio.get_running_loop().time
        async for _ in tick(1):
            self.times.append(now())
            self.memory_mb.append(running.process.memory_mb())

    @property
    def chats(self) -> int:
        """The number of chats, including those with a disconnect."""
        return self.endings.total() + self.moments.total()


async def _measure(running: RunningGateway, seconds: float, door: Door) -> list[Promise]:
    warm_up, soak = Soak(running.port, door), Soak(running.port, door)
    await warm_up.load(running, seconds / 2)
    before = await running.sleep()
    await soak.load(running, seconds / 2)
    after = await running.sleep()
    left = soak.moments.total()
    print(f"{warm_up.chats} chats to warm up, then {soak.chats}; {left} of their clients left")
    endings = ", ".join(f"{number} {ending}" for ending, number in soak.endings.most_common())
    print(f"the others' endings: {endings}")
    honest = sum(
        number for ending, number in soak.endings.items() if ending.startswith(("end", "error"))
    )
    grown = (after.alive.allocated_bytes - before.alive.allocated_bytes) / soak.chats
    blocks = after.alive.blocks - before.alive.blocks
    return [
        Promise(
            "every chat has an honest ending",
            honest == soak.endings.total(),
            f"{honest} of {soak.endings.total()}",
        ),
        *_judge_memory(warm_up, soak, before, after),
        _judge_objects(before, after, soak.chats),
        Promise(
            "no chat leaves bytes behind",
            grown < _BYTES_A_CHAT,
            f"{grown:+.1f} bytes a chat, {blocks:+d} of Python's blocks in all",
        ),
        *judge_open(before, after),
        Promise(
            "sockets as before",
            after.sockets <= before.sockets,
            f"{before.sockets}, then {after.sockets}",
        ),
    ]


def _judge_memory(warm_up: Soak, soak: Soak, before: Holdings, after: Holdings) -> list[Promise]:
    """The promise about growth; none after a warm-up that is too short."""
    slope, margin = fit(soak.times, [_HOUR_SECONDS * memory for memory in soak.memory_mb])
    # the beginning, each third, the end
    places = (0, len(soak.memory_mb) // 3, 2 * len(soak.memory_mb) // 3, -1)
    thirds = ", ".join(f"{soak.memory_mb[place]:.1f}" for place in places)
    print(f"at rest {before.memory_mb:.1f} MB, then {after.memory_mb:.1f}; {thirds} under load")
    seen = f"{slope:+.2f} MB an hour, give or take {margin:.2f} (95 %)"
    if warm_up.chats < _WARM_UP_CHATS:
        print(f"growth is not judged after a warm-up of {warm_up.chats} chats: {seen}")
        print(f"{_WARM_UP_CHATS} chats of warm-up are needed")
        return []
    return [Promise("memory grows by less than 1 MB an hour", slope < _PROMISED_MB_AN_HOUR, seen)]


def _judge_objects(before: Holdings, after: Holdings, chats: int) -> Promise:
    grown = Counter(after.alive.objects)
    grown.subtract(before.alive.objects)
    most = grown.most_common(_LISTED_TYPES)
    listed = ", ".join(f"{name} {number:+d}" for name, number in most)
    allowed = max(_FEW_OBJECTS, _OBJECTS_A_THOUSAND_CHATS * chats / 1000)
    return Promise("no type of object grows with the chats", most[0][1] < allowed, listed)


async def run(folder: Path, seconds: float, door: Door) -> int:
    """Run. Returns the exit status."""
    answers = {DEFAULT: Mixed(), FALLBACK: Mixed(random.Random(_SEED + 1))}
    async with start_gateway(folder, answers) as running:
        return judge("soak", await _measure(running, seconds, door))
