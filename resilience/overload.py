"""Ten times as many chats as there are slots for: those that are let in must not suffer.

The chats come at a steady rate whatever happens to earlier ones, first as many as the gateway has
room for, then ten times as many. What a refusal costs is the CPU time that the second phase takes
more, for each refused chat: it includes accepting the connection and reading the request.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from resilience.client import Chat, ask
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
    return judge("overload", list(_promises(fair, over)))


async def _load(running: RunningGateway, count: int, rate: float) -> Phase:
    now = asyncio.get_running_loop().time
    with probing(running.port) as probes:
        began, used = now(), running.process.cpu_seconds()
        chats: list[Chat] = await ask_many(lambda _: ask(running.port, "groq"), count, rate)
        seconds, used = now() - began, running.process.cpu_seconds() - used
    endings = Counter[str](chat.ending for chat in chats)
    whole = [chat.ended_at - chat.asked_at for chat in chats if chat.ending == "end"]
    return Phase(endings, seconds, used, statistics.median(whole), probes)


def _promises(fair: Phase, over: Phase) -> list[Promise]:
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
            f"{cost:.0f} µs",
        ),
        Promise(
            "99 in 100 answers of /health take 100 ms", health < _HEALTH_MS, f"{health:.1f} ms"
        ),
        Promise("chats take no longer", longer < _LONGER, f"{longer:.2f} times as long"),
    ]
