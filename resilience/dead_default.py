"""The default model fails and its fallback does not: what clients notice, and the recovery."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import load
from benchmarks.load import Target
from benchmarks.processes import free_port, gateway
from resilience.client import Chat, ask
from resilience.doors import Door
from resilience.load import ask_many, tick
from resilience.promises import Promise, judge
from simulator import Behaviour, Error, Plan, Scripted, Silence, Simulator, Wire

DEFAULT, FALLBACK = "default", "fallback"
HEALTHY = Scripted(("An answer ", "in three ", "pieces."), 0.01)
_VENDOR_PATH = "/openai/v1/chat/completions"
_DIRECT_EACH = 10  # each tenth chat asks the fallback directly
_RATE = 50.0  # chats a second
_PROMISED_SECONDS = {"silent": 30.0, "503": 10.0, "refused": 10.0}
_A_CHAT_SECONDS = 0.5  # for the first chat after that to be answered
_TIMEOUT_SECONDS = 180.0


@dataclass
class Dead:
    """A dead model's behaviour, with the number of its calls."""

    behaviour: Behaviour
    asked: int = 0

    def plan(self, wire: Wire) -> Plan:
        self.asked += 1
        return self.behaviour.plan(wire)


@dataclass
class BrokenModel:
    """A default model that answers with an error, or not at all, until it recovers."""

    simulator: Simulator
    dead: Dead
    is_silent: bool = False

    async def die(self) -> None:
        """Fail from now on."""
        self.simulator.behaviours[DEFAULT] = self.dead

    async def recover(self) -> None:
        """Answer from now on."""
        self.simulator.behaviours[DEFAULT] = HEALTHY


@dataclass
class RefusingVendor:
    """A default model whose vendor's address refuses connections."""

    port: int = field(default_factory=free_port)
    dead: Dead = field(default_factory=lambda: Dead(HEALTHY))
    is_silent: bool = False

    def __post_init__(self) -> None:
        self._open = AsyncExitStack()

    async def die(self) -> None:
        """Fail from now on."""
        await self._open.aclose()

    async def recover(self) -> None:
        """Listen from now on."""
        await self._open.enter_async_context(Simulator(self.port, default=HEALTHY, remembered=0))


Vendor = BrokenModel | RefusingVendor


@dataclass(frozen=True)
class Outcome:
    """The chats with a dead default, those after the breaker had opened, and the recovery."""

    chats: Sequence[Chat]
    detected_seconds: float
    after: Sequence[Chat]
    direct_ms: Sequence[float]
    recovered_seconds: float
    promised_seconds: float

    @property
    def promises(self) -> list[Promise]:
        """The promises, and whether they were kept."""
        good = sum(chat.ending == "end" for chat in self.chats)
        first_content = [
            (chat.first_content_at or float("inf")) - chat.asked_at for chat in self.after
        ]
        added = 1000 * statistics.median(first_content) - statistics.median(self.direct_ms)
        calls = statistics.fmean(chat.attempts for chat in self.after)
        limit = self.promised_seconds + _A_CHAT_SECONDS
        return [
            Promise(
                "success at least 99.9 %",
                good >= 0.999 * len(self.chats),
                f"{good} of {len(self.chats)}",
            ),
            Promise(
                "after detection at most 300 ms more at the median", added <= 300, f"{added:.1f} ms"
            ),
            Promise("at most 1.2 calls a chat with an open breaker", calls <= 1.2, f"{calls:.3f}"),
            Promise(
                f"serves within {self.promised_seconds:.0f} s of recovering",
                self.recovered_seconds <= limit,
                f"{self.recovered_seconds:.1f} s",
            ),
        ]


async def measure(
    port: int, vendor: Vendor, direct: Target, count: int, promised_seconds: float, door: Door
) -> Outcome:
    """Ask a gateway whose default is dead for `count` chats, then let the default recover.

    It recovers at the worst moment: just after it was asked in vain.
    """
    now = asyncio.get_running_loop().time
    direct_ms: list[float] = []

    async def ask_one(number: int) -> Chat:
        if number % _DIRECT_EACH == 0:
            direct_ms.extend((await load.run(direct, 1, at_once=1)).first_content_ms)
        return await ask(port, "gpt", door)

    await vendor.die()
    began = now()
    chats = await ask_many(ask_one, count, _RATE)
    detected = min(chat.ended_at for chat in chats if chat.has_fallen_back)
    more = await _ask_until_probed(port, vendor, door)
    await vendor.recover()
    recovered_at = now()
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        async for _ in tick(_RATE):
            if (await ask(port, "gpt", door)).model == DEFAULT:
                break
    recovered = now() - recovered_at
    chats += await asyncio.gather(*more)
    after = [chat for chat in chats if chat.asked_at > detected and chat.ending == "end"]
    return Outcome(chats, detected - began, after, direct_ms, recovered, promised_seconds)


async def _ask_until_probed(port: int, vendor: Vendor, door: Door) -> list[asyncio.Task[Chat]]:
    """Chats until the default has just been asked in vain: now the breaker waits for longest.

    A silent default is noticed by its call, since the chat's timeout takes seconds.
    """
    asked = vendor.dead.asked
    chats: list[asyncio.Task[Chat]] = []
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        async for _ in tick(_RATE):
            chats.append(asyncio.create_task(ask(port, "gpt", door)))
            newest = (chat.result() for chat in chats[-int(_RATE) :] if chat.done())
            if (
                vendor.dead.asked > asked
                if vendor.is_silent
                else any(chat.attempts > 1 for chat in newest)
            ):
                break
    return chats


async def run(folder: Path, count: int, door: Door) -> int:
    """Run the three variants, one after the other. Returns the exit status."""
    models, status = {"OPENAI": DEFAULT, "LOCAL": FALLBACK}, 0
    for name in ("503", "refused", "silent"):
        (folder / name).mkdir()
        behaviours: dict[str, Behaviour | list[Behaviour]] = {DEFAULT: HEALTHY, FALLBACK: HEALTHY}
        async with Simulator(behaviours=behaviours, remembered=0) as simulator:
            variables = {"OPENAI_MODEL_FALLBACK": FALLBACK}
            vendor: Vendor
            if name == "refused":  # an address is a vendor's, so the fallback is another's
                vendor = RefusingVendor()
                address = f"http://127.0.0.1:{vendor.port}/openai/v1"
                variables = {"OPENAI_BASE_URL": address, "OPENAI_MODEL_FALLBACK": DEFAULT}
                variables["OPENAI_FALLBACK_PROVIDERS"] = "local"
            else:
                dead = Dead(Silence() if name == "silent" else Error(503))
                vendor = BrokenModel(simulator, dead, is_silent=name == "silent")
            direct = Target.vendor("direct", simulator.port, _VENDOR_PATH, FALLBACK)
            with gateway(simulator.port, models, folder / name, variables) as process:
                promised = _PROMISED_SECONDS[name]
                outcome = await measure(process.port, vendor, direct, count, promised, door)
        counted = f"{len(outcome.chats)} chats, {len(outcome.after)} of them after detection"
        asked = f"; the dead model was asked {vendor.dead.asked} times" if vendor.dead.asked else ""
        print(f"default {name}: {counted}, which took {outcome.detected_seconds:.1f} s{asked}")
        status = max(status, judge(f"default {name}", outcome.promises))
    return status
