"""The sixteen scenarios of failoverbench 0.1, a public test of gateways, through the chat completions door.

A model's name chooses how its vendor fails, and each has the same healthy fallback. As there, a chat that the client
was spared of the failure passes; one that ends in a clean error within its time is safe; an answer that is cut but
looks whole, a hang, and a vendor that is asked too often fail. The times of the vendors are its own, but for the
outage, which is shorter; the limits allow for a slow machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import openai
import pytest

from configuration import load_settings
from simulator import Error, Raw, Scripted, Silence, Simulator
from simulator.plan import Plan, Step, stream
from tests.clients.openai_sdk import openai_client
from tests.gateways.loopback import running_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from simulator import Behaviour, Wire
    from simulator.server import Call

WORDS = tuple(f"word-{number} " for number in range(24))  # it has 60
WHOLE = "".join(WORDS)
FALLBACK = "healthy"
ANSWER = Scripted(WORDS, pace=0.015)
DOWN_SECONDS = 12.0  # of the outage; it has 60
REQUESTS = 25  # during and after it, one each second


def refusal(code: str, message: str) -> Error:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Error(400, body=msgspec.json.encode({"error": error}))


class Healthy:
    """The fallback; like some models, it takes no beginning of its answer."""

    def plan(self, wire: Wire) -> Plan:
        if wire.body["messages"][-1]["role"] == "assistant":
            return refusal("invalid_prefill", "It must end with a user message.").plan(wire)
        return ANSWER.plan(wire)


@dataclass(frozen=True)
class Stalling:
    """Says a third of its words, is silent for half a minute, and closes."""

    def plan(self, wire: Wire) -> Plan:
        said = [Step(0.015, wire.piece(word)) for word in WORDS[:8]]
        return stream(wire.headers, [*said, Step(30, b": closing\n\n")], b"", "cut")


@dataclass
class Down:
    """Overloaded at first, healthy later."""

    began: float = field(default_factory=time.monotonic)

    def plan(self, wire: Wire) -> Plan:
        is_down = time.monotonic() < self.began + DOWN_SECONDS
        return (Error(503) if is_down else ANSWER).plan(wire)


@dataclass
class Seen:
    """What the client has of one chat."""

    text: str = ""
    model: str | None = None
    usage: Any = None
    error: str | None = None
    seconds: float = 0.0

    @property
    def is_whole(self) -> bool:
        return self.error is None and self.text == WHOLE

    @property
    def looks_whole(self) -> bool:
        """Whether it is cut, and nothing says so."""
        return self.error is None and self.text != WHOLE


Check = Callable[[Seen, list["Call"]], bool]


def within(seconds: float, times: int) -> Check:
    """The model was asked at most so often, so soon after the first time."""

    def check(_: Seen, calls: list[Call]) -> bool:
        return sum(call.opened_at - calls[0].opened_at < seconds for call in calls) <= times

    return check


def asked(least: int, most: int) -> Check:
    return lambda _, calls: least <= len(calls) <= most


def lasts(seconds: float) -> Check:
    return lambda seen, _: seen.seconds <= seconds


def waited(_: Seen, calls: list[Call]) -> bool:
    return len(calls) > 1 and calls[1].opened_at - calls[0].opened_at >= 1.8


def has_usage(seen: Seen, _: list[Call]) -> bool:
    return seen.usage is not None


def names_the_fallback(seen: Seen, _: list[Call]) -> bool:
    return seen.model == FALLBACK


def is_whole(seen: Seen, _: list[Call]) -> bool:
    return seen.is_whole


@dataclass(frozen=True)
class Scenario:
    """A model's failure, how long the chat may take, and what has to hold.

    Without what is `advised` a chat does not pass, without what is `required` it fails.
    """

    vendor: list[Behaviour]
    seconds: float
    required: tuple[Check, ...] = ()
    advised: tuple[Check, ...] = ()
    wants_error: bool = False


SCENARIOS = {
    "01 rate limit with retry-after": Scenario(
        [Error(429, {"retry-after": "2"}), ANSWER], 20, (within(1.5, 2),), (asked(2, 9), waited)
    ),
    "02 rate limit": Scenario([Error(429)], 40, (within(3, 4), asked(1, 6))),
    "03 error 500 once": Scenario([Error(500), ANSWER], 20, (), (asked(2, 9),)),
    "04 error 503": Scenario([Error(503)], 40, (asked(1, 6),)),
    "05 reset once": Scenario([Raw(then="reset"), ANSWER], 20),
    "06 silence": Scenario([Silence()], 130, (lasts(100),), (asked(1, 1),)),
    "07 slow first token": Scenario([Scripted(WORDS, first=20)], 60, (), (lasts(19),)),
    "08 cut": Scenario([Scripted(WORDS[:16], 0.015, then="cut")], 40),
    "09 stall": Scenario([Stalling()], 70, (lasts(45),)),
    "10 malformed event": Scenario(
        [Scripted((*WORDS[:9], b'data: {"choices": [{"delta\n\n', *WORDS[10:]))],
        30,
        (),
        (is_whole,),
    ),
    "11 no end mark": Scenario([Scripted(WORDS, 0.015, "reason")], 30, (lasts(20),), (has_usage,)),
    "12 context length": Scenario(
        [refusal("context_length_exceeded", "The maximum context length is 8192 tokens.")],
        20,
        (asked(1, 1),),
    ),
    "13 content filter": Scenario(
        [refusal("content_policy_violation", "It was refused by the safety system.")],
        20,
        (asked(1, 1),),
        wants_error=True,
    ),
    "14 cut, and no prefill": Scenario([Scripted(WORDS[:16], 0.015, then="cut")], 40),
    "16 error 503, and who answered": Scenario(
        [Error(503)], 40, (names_the_fallback, asked(1, 6)), (has_usage,)
    ),
}
OUTAGE = "15 outage"
SAFE = {"08 cut", "09 stall", "10 malformed event", "14 cut, and no prefill"}


def judge(scenario: Scenario, seen: Seen, calls: list[Call]) -> str:
    """The verdict, in failoverbench's words."""
    is_rescued = bool(seen.error) if scenario.wants_error else seen.is_whole
    holds = all(check(seen, calls) for check in scenario.required)
    if not holds or seen.looks_whole or seen.seconds > scenario.seconds:
        return "fail"
    if not is_rescued:
        return "safe" if seen.error else "partial"
    return "pass" if all(check(seen, calls) for check in scenario.advised) else "partial"


class Client:
    """Asks as a careful client does: an error event is an error."""

    def __init__(self, client: openai.AsyncOpenAI, on_break: str | None) -> None:
        self._client = client
        self._body = {"gateway": {"on_break": on_break}} if on_break else {}

    async def ask(self, model: str) -> Seen:
        seen, began = Seen(), time.monotonic()
        try:
            stream = await self._client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": f"Explain {model}."}],
                stream=True,
                stream_options={"include_usage": True},
                extra_body=self._body,
            )
            async for chunk in stream:
                seen.model, seen.usage = chunk.model, chunk.usage or seen.usage
                seen.text += "".join(choice.delta.content or "" for choice in chunk.choices)
        except openai.OpenAIError as error:
            seen.error = repr(error)
        seen.seconds = time.monotonic() - began
        return seen

    async def live_through(self, model: str) -> list[Seen]:
        """Ask once a second."""
        began = time.monotonic()
        seen = []
        for number in range(REQUESTS):
            await asyncio.sleep(began + number - time.monotonic())
            seen.append(await self.ask(model))
        return seen


async def run(scenario: Scenario, model: str, client: Client, vendor: Simulator) -> str:
    seen = await client.ask(model)
    verdict = judge(scenario, seen, find_calls(vendor, model))
    assert (await client.ask(FALLBACK)).is_whole, "the gateway does not serve any more"
    return verdict


def find_calls(vendor: Simulator, model: str) -> list[Call]:
    return [call for call in vendor.calls if call.model == model and not call.is_check]


async def run_outage(client: Client, vendor: Simulator) -> str:
    """All are answered during the outage, and the model is asked again within 30 s after it."""
    outage = Down()
    vendor.behaviours[OUTAGE] = outage
    seen = await client.live_through(OUTAGE)
    is_recovered = any(chat.model == OUTAGE for chat in seen)
    return "pass" if is_recovered and all(chat.is_whole for chat in seen) else "fail"


@pytest.mark.parametrize(
    ("on_break", "safe"), [(None, SAFE), ("hold", set())], ids=["error", "hold"]
)
async def test_scenario_passes(on_break: str | None, safe: set[str], tmp_path: Path) -> None:
    """With the defaults what broke after its first words is safe, and all others pass; with `hold` all do."""
    async with Simulator() as vendor:
        settings = load_settings(
            None,
            demo="off",
            log_dir=str(tmp_path),
            local_base_url=vendor.base_urls["local"],
            local_model_default=FALLBACK,
            local_models="*",  # what a client names is asked first
        )
        vendor.behaviours[FALLBACK] = Healthy()
        vendor.behaviours |= {name: list(each.vendor) for name, each in SCENARIOS.items()}
        async with running_gateway(settings) as gateway, openai_client(gateway) as sdk:
            client = Client(sdk, on_break)
            *verdicts, outage = await asyncio.gather(
                *(run(each, name, client, vendor) for name, each in SCENARIOS.items()),
                run_outage(client, vendor),
            )
    found = dict(zip(SCENARIOS, verdicts, strict=True)) | {OUTAGE: outage}
    assert found == {name: "safe" if name in safe else "pass" for name in found}
