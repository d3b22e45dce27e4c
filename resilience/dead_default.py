"""The default model is dead and its fallback is not: what its users notice, and when it serves again."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from benchmarks.load import Target, run
from benchmarks.processes import free_port, gateway
from resilience.client import Chat, ask
from resilience.load import ask_many, tick
from resilience.promises import Promise, judge
from simulator import Behaviour, Error, Plan, Scripted, Silence, Simulator, Wire

DEFAULT, FALLBACK = "default", "fallback"
HEALTHY = Scripted(("An answer ", "in three ", "pieces."), 0.01)
_VENDOR_PATH = "/openai/v1/chat/completions"
_DIRECT_EACH = 10  # one in so many is the fallback, asked directly
_RATE = 50.0  # chats a second
_PROMISED_SECONDS = 30.0
_A_CHAT_SECONDS = 0.5  # for the first chat after that to come, and to be answered
_PATIENCE_SECONDS = 180.0


@dataclass
class Dead:
    """What a dead model does, counted."""

    behaviour: Behaviour
    asked: int = 0

    def plan(self, wire: Wire) -> Plan:
        self.asked += 1
        return self.behaviour.plan(wire)


@dataclass
class BrokenModel:
    """A default model that answers with an error, or not at all."""

    simulator: Simulator
    dead: Dead
    is_silent: bool = False

    async def die(self) -> None:
        """From now on."""
        self.simulator.behaviours[DEFAULT] = self.dead

    async def recover(self) -> None:
        """From now on it answers."""
        self.simulator.behaviours[DEFAULT] = HEALTHY


@dataclass
class RefusingVendor:
    """A default model at whose vendor's address nobody listens."""

    port: int = field(default_factory=free_port)
    dead: Dead = field(default_factory=lambda: Dead(HEALTHY))
    is_silent: bool = False

    def __post_init__(self) -> None:
        self._open = AsyncExitStack()

    async def die(self) -> None:
        """From now on."""
        await self._open.aclose()

    async def recover(self) -> None:
        """From now on somebody listens."""
        await self._open.enter_async_context(Simulator(self.port, default=HEALTHY, remembered=0))


Vendor = BrokenModel | RefusingVendor


@dataclass(frozen=True)
class Outcome:
    """The chats while the default was dead, those that came after the breaker had opened, and the way back."""

    chats: Sequence[Chat]
    detected_seconds: float
    after: Sequence[Chat]
    direct_ms: Sequence[float]
    recovered_seconds: float

    @property
    def promises(self) -> list[Promise]:
        """What was promised of it."""
        good = sum(chat.ending == "end" for chat in self.chats)
        added = statistics.median(map(_first_content_ms, self.after)) - statistics.median(self.direct_ms)
        calls = statistics.fmean(chat.attempts for chat in self.after)
        most = _PROMISED_SECONDS + _A_CHAT_SECONDS
        return [
            Promise("success at least 99.9 %", good >= 0.999 * len(self.chats), f"{good} of {len(self.chats)}"),
            Promise("after detection at most 300 ms more at the median", added <= 300, f"{added:.1f} ms"),
            Promise("at most 1.2 calls a chat with an open breaker", calls <= 1.2, f"{calls:.3f}"),
            Promise(
                "serves within 30 s of recovering", self.recovered_seconds <= most, f"{self.recovered_seconds:.1f} s"
            ),
        ]


def _first_content_ms(chat: Chat) -> float:
    return 1000 * ((chat.first_content_at or float("inf")) - chat.asked_at)


async def measure(port: int, vendor: Vendor, direct: Target, count: int) -> Outcome:
    """Ask so many chats of a gateway whose default is dead; let it recover at the worst moment, and wait for it."""
    now = asyncio.get_running_loop().time
    direct_ms: list[float] = []

    async def ask_one(number: int) -> Chat:
        if number % _DIRECT_EACH == 0:
            direct_ms.extend((await run(direct, 1, at_once=1)).first_content_ms)
        return await ask(port, "gpt")

    await vendor.die()
    began = now()
    chats = await ask_many(ask_one, count, _RATE)
    detected = min(chat.ended_at for chat in chats if chat.has_fallen_back)
    more = await _ask_until_probed(port, vendor)
    await vendor.recover()
    recovered = await _wait_for_default(port)
    chats += await asyncio.gather(*more)
    after = [chat for chat in chats if chat.asked_at > detected and chat.ending == "end"]
    return Outcome(chats, detected - began, after, direct_ms, recovered)


async def _ask_until_probed(port: int, vendor: Vendor) -> list[asyncio.Task[Chat]]:
    """Chats until the default has just been asked in vain, which is when it is left alone for longest.

    One that is asked in silence is given up seconds later.
    """
    asked = vendor.dead.asked
    chats: list[asyncio.Task[Chat]] = []
    async with asyncio.timeout(_PATIENCE_SECONDS):
        async for _ in tick(_RATE):
            chats.append(asyncio.create_task(ask(port, "gpt")))
            newest = (chat.result() for chat in chats[-int(_RATE) :] if chat.done())
            if vendor.dead.asked > asked if vendor.is_silent else any(chat.attempts > 1 for chat in newest):
                break
    return chats


async def _wait_for_default(port: int) -> float:
    """Seconds until the default model answers."""
    now = asyncio.get_running_loop().time
    began = now()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        async for _ in tick(_RATE):
            chat = await ask(port, "gpt")
            if chat.model == DEFAULT:
                break
    return now() - began


async def _run_variant(name: str, count: int, folder: Path) -> int:
    async with Simulator(behaviours={DEFAULT: HEALTHY, FALLBACK: HEALTHY}, remembered=0) as simulator:
        vendor, variables = _choose(name, simulator)
        (folder / name).mkdir()
        with gateway(simulator.port, {"OPENAI": DEFAULT, "LOCAL": FALLBACK}, folder / name, variables) as house:
            direct = Target.vendor("direct", simulator.port, _VENDOR_PATH, FALLBACK)
            outcome = await measure(house.port, vendor, direct, count)
    counted = f"{len(outcome.chats)} chats, {len(outcome.after)} of them after detection"
    asked = f"; the dead model was asked {vendor.dead.asked} times" if vendor.dead.asked else ""
    print(f"default {name}: {counted}, which took {outcome.detected_seconds:.1f} s{asked}")
    return judge(f"default {name}", outcome.promises)


def _choose(name: str, simulator: Simulator) -> tuple[Vendor, Mapping[str, str]]:
    if name == "refused":  # an address is a vendor's, so the fallback is another's
        refusing = RefusingVendor()
        address = f"http://127.0.0.1:{refusing.port}/openai/v1"
        others = {"OPENAI_MODEL_FALLBACK": DEFAULT, "OPENAI_FALLBACK_PROVIDERS": "local"}
        return refusing, {"OPENAI_BASE_URL": address, **others}
    dead = Dead(Silence() if name == "silent" else Error(503))
    return BrokenModel(simulator, dead, is_silent=name == "silent"), {"OPENAI_MODEL_FALLBACK": FALLBACK}


def main(folder: Path, count: int) -> int:
    """Run the three variants, one after the other. Returns the exit status."""
    return max(uvloop.run(_run_variant(name, count, folder)) for name in ("503", "refused", "silent"))
