"""Ten times as many chats as there are slots for: those that are let in must not suffer.

The chats come at a steady rate whatever happens to earlier ones, first as many as the gateway has
room for, then ten times as many. The CPU time that the second phase takes more, for each refused
chat, is that of a refusal with a connection of its own, and is judged. Beside it stands that of
refusals on one connection, one after the other, while another chat has the only slot.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import NamedTuple

from resilience.client import Chat, ask, ask_in_vain, hold
from resilience.gateway_process import DEFAULT, FALLBACK, RunningGateway, start_gateway
from resilience.load import ask_many
from resilience.prober import Probes, probing
from resilience.promises import Promise, judge
from simulator import Scripted

_SLOTS = 40
_PIECES = tuple(f"word {number} " for number in range(20))
_PACE = 0.05  # so that a chat takes a second
_TIMES = 10
_LEAST_GOODPUT = 0.8  # of what it is without overload
_REFUSAL_MICROSECONDS = 200.0
_HEALTH_MS = 100.0
_REFUSALS = 3_000  # on one connection
_IDLE_SECONDS = 1.0
_HELD_SECONDS = 25.0
_LONGER = 1.1  # a chat that was let in, against one without overload


class Phase(NamedTuple):
    """What was measured at one rate."""

    endings: Counter[str]
    seconds: float
    cpu_seconds: float
    chat_seconds: float  # of a whole chat, the median
    probes: Probes

    @property
    def goodput(self) -> float:
        """Whole chats a second."""
        return self.endings["end"] / self.seconds


async def run(folder: Path, seconds: int) -> int:
    """Run, judge, and return the exit status."""
    behaviours = {name: Scripted(_PIECES, _PACE) for name in (DEFAULT, FALLBACK)}
    variables = {"MAX_STREAMS": str(_SLOTS), "CONVERSATION_LOG": "off"}
    async with start_gateway(folder, dict(behaviours), variables) as running:
        await _load(running, _SLOTS, rate=_SLOTS)  # loads the SDK, opens the connections
        fair = await _load(running, seconds * _SLOTS, rate=0.9 * _SLOTS)
        over = await _load(running, seconds * _SLOTS * _TIMES, rate=_TIMES * _SLOTS)
    alone = await _measure_refusals(folder)
    return judge("overload", _promises(fair, over, alone))


async def _measure_refusals(folder: Path) -> float:
    """The CPU seconds of a refusal, without its connection."""
    answer = Scripted(("word ", "word "), _HELD_SECONDS)
    async with start_gateway(folder, {DEFAULT: answer}, {"MAX_STREAMS": "1"}) as running:
        holder = await hold(running.port, "groq")
        idle = await _cpu_a_second(running, asyncio.sleep(_IDLE_SECONDS))
        began = time.monotonic()
        used = await _cpu_a_second(running, ask_in_vain(running.port, "groq", _REFUSALS))
        seconds = time.monotonic() - began
        holder.transport.abort()
    return (used - idle) * seconds / _REFUSALS


async def _cpu_a_second(running: RunningGateway, work: Awaitable[None]) -> float:
    began, used = time.monotonic(), running.process.cpu_seconds()
    await work
    return (running.process.cpu_seconds() - used) / (time.monotonic() - began)


async def _load(running: RunningGateway, count: int, rate: float) -> Phase:
    now = asyncio.get_running_loop().time
    with probing(running.port) as probes:
        began, used = now(), running.process.cpu_seconds()
        chats: list[Chat] = await ask_many(lambda _: ask(running.port, "groq"), count, rate)
        seconds, used = now() - began, running.process.cpu_seconds() - used
    endings = Counter[str](chat.ending for chat in chats)
    whole = [chat.ended_at - chat.asked_at for chat in chats if chat.ending == "end"]
    return Phase(endings, seconds, used, statistics.median(whole), probes)


def _promises(fair: Phase, over: Phase, alone: float) -> list[Promise]:
    share = over.goodput / fair.goodput
    refused = over.endings["refused"]
    for_chats = fair.cpu_seconds / fair.endings["end"] * over.endings["end"]
    cost = 1e6 * (over.cpu_seconds - for_chats) / max(1, refused)
    health = statistics.quantiles(over.probes.answered_ms, n=100)[98]
    longer = over.chat_seconds / fair.chat_seconds
    others = {name: count for name, count in over.endings.items() if name not in ("end", "refused")}
    return [
        Promise(
            "goodput stays above 80 %",
            share >= _LEAST_GOODPUT,
            f"{share:.0%} of {fair.goodput:.1f} chats a second",
        ),
        Promise("every other chat is refused", not others, f"{refused} refused, others {others}"),
        Promise(
            "a refusal costs less than 200 µs of CPU",
            cost < _REFUSAL_MICROSECONDS,
            f"{cost:.0f} µs with its connection; {1e6 * alone:.0f} on a kept one, if alone",
        ),
        Promise(
            "99 in 100 answers of /health take 100 ms", health < _HEALTH_MS, f"{health:.1f} ms"
        ),
        Promise("chats take no longer", longer < _LONGER, f"{longer:.2f} times as long"),
    ]
