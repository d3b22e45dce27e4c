"""Mixed chats over two workers: the metrics, the logs and the vendors must agree to the unit.

The vendors of all providers but one fail some answers, before and after the first content. The
clients of that one leave in the middle of an answer, which never ends by itself.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.processes import free_port, gateway
from resilience.client import ask, reset
from resilience.doors import NATIVE
from resilience.gateway_process import DEFAULT, FALLBACK, PROVIDERS
from resilience.load import ask_many, tick
from resilience.promises import Promise, judge
from simulator import Behaviour, Error, Plan, Scripted, Silence, Simulator, Wire
from telemetry.exposition import Sample, read_samples, total

_SEED = 16
_RATE = 60.0  # chats a second
_WORKERS = 2
_LEFT = "groq"  # the provider whose clients leave
_LEAVING_SHARE = 0.1
_LEFT_MODEL = "left"
_FAULTY_SHARE = 0.08
_SETTLE_SECONDS = 60.0
_WHOLE = tuple(Scripted(tuple(f"word {n} " for n in range(count))) for count in (1, 5, 30))
_FAULTS = (Error(503), Error(400), Scripted(("Hel", "lo"), finish=False), Error(429))
_PRICES = "[{}.default]\ninput = 1.5\noutput = 7\n"
_WHOLE_OUTCOMES = ("ok", "fallback_ok")
_CALL_NAME = "gen_ai_client_inference_duration_seconds_count"
_TOKENS_NAME = "gen_ai_client_inference_usage_{}_tokens_total"


@dataclass
class CountedVendor:
    """Fails some answers. Counts the tokens of the whole ones."""

    chance: random.Random = field(default_factory=lambda: random.Random(_SEED))
    input_tokens: int = 0
    output_tokens: int = 0

    def plan(self, wire: Wire) -> Plan:
        """The answer to the wire's request."""
        if self.chance.random() < _FAULTY_SHARE:
            return self.chance.choice(_FAULTS).plan(wire)
        plan = self.chance.choice(_WHOLE).plan(wire)
        self.input_tokens += wire.prompt.words
        self.output_tokens += plan.tokens
        return plan


@dataclass(frozen=True)
class Counts:
    """What one party has counted."""

    chats: int
    outcomes: Counter[str]
    calls: int
    inputs: int  # tokens
    outputs: int
    cost: float

    @property
    def tokens(self) -> str:
        """Those of the prompts and those of the answers."""
        return f"{self.inputs} and {self.outputs}"


async def _chat(port: int, chance: random.Random) -> None:
    """Ask, and read to the end or disconnect after the first content."""
    if chance.random() >= _LEAVING_SHARE:
        await ask(port, chance.choice([name for name in PROVIDERS if name != _LEFT]))
        return
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(NATIVE.request(_LEFT))
    await reader.readuntil(b'"type":"delta"')
    reset(writer)


async def wait_for_chats(port: int, chats: int) -> list[Sample]:
    """The metrics once so many chats have ended, or after a minute."""
    samples: list[Sample] = []
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        async for second in tick(1):
            text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            samples = list(read_samples(text))
            if total(samples, "chat_gateway_chats_total") >= chats or second > _SETTLE_SECONDS:
                break
    return samples


def read_records(logs: Path) -> Iterator[dict[str, Any]]:
    """The final records of all chats."""
    for file in logs.glob("app.log*"):
        for line in file.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["message"] == "chat finished":
                yield entry["context"]


def count_logs(records: Iterable[dict[str, Any]]) -> Counts:
    """What the final records of chats say."""
    listed = list(records)
    return Counts(
        chats=len(listed),
        outcomes=Counter(record["outcome"] for record in listed),
        calls=sum(record["attempts"] for record in listed),
        inputs=sum(record["input_tokens"] or 0 for record in listed),
        outputs=sum(record["output_tokens"] or 0 for record in listed),
        cost=sum(record["cost"] or 0 for record in listed),
    )


def count_metrics(samples: list[Sample]) -> Counts:
    """What the metrics say."""
    outcomes: Counter[str] = Counter()
    for sample in samples:
        if sample.name == "chat_gateway_chats_total":
            outcomes[sample.labels["outcome"]] += int(sample.value)
    return Counts(
        chats=outcomes.total(),
        outcomes=outcomes,
        calls=int(total(samples, _CALL_NAME)),
        inputs=int(total(samples, _TOKENS_NAME.format("input"))),
        outputs=int(total(samples, _TOKENS_NAME.format("output"))),
        cost=total(samples, "chat_gateway_cost_usd_total"),
    )


def compare(
    asked: int, metrics: Counts, logs: Counts, whole: Counts, calls: int, vendor: CountedVendor
) -> list[Promise]:
    """The promises that all parties have counted the same.

    `whole` is of the whole answers alone: of the others the gateway knows what the vendor had
    reported when they ended, and the vendor what it would have sent.
    """

    def agree(text: str, *seen: object) -> Promise:
        return Promise(text, len(set(map(str, seen))) == 1, ", ".join(map(str, seen)))

    made = f"{vendor.input_tokens} and {vendor.output_tokens}"
    return [
        agree("chats asked, in the metrics and in the logs", asked, metrics.chats, logs.chats),
        agree("outcomes in both", *(sorted(each.outcomes.items()) for each in (metrics, logs))),
        agree("calls at the vendors, in both", calls, metrics.calls, logs.calls),
        agree("tokens of whole answers, at the vendors and in the logs", made, whole.tokens),
        agree("all tokens, in the metrics and in the logs", metrics.tokens, logs.tokens),
        agree("cost in US dollars, in both", f"{metrics.cost:.9f}", f"{logs.cost:.9f}"),
    ]


async def run(folder: Path, count: int, rate: float = _RATE) -> int:
    """Run. Returns the exit status."""
    prices = folder / "prices.toml"
    prices.write_text("".join(map(_PRICES.format, PROVIDERS)))
    chance, vendor, port = random.Random(_SEED), CountedVendor(), free_port()
    variables = {
        "WORKERS": str(_WORKERS),
        "METRICS_PORT": str(port),
        "PRICES_FILE": str(prices),
        "LOG_BACKUP_COUNT": "100",
        **{f"{prefix}_MODEL_FALLBACK": FALLBACK for prefix in PROVIDERS.values()},
    }
    models = dict.fromkeys(PROVIDERS.values(), DEFAULT) | {PROVIDERS[_LEFT]: _LEFT_MODEL}
    behaviours: dict[str, Behaviour | list[Behaviour]] = {
        DEFAULT: vendor,
        FALLBACK: vendor,
        _LEFT_MODEL: Silence("content", after=3),
    }
    async with Simulator(behaviours=behaviours, remembered=0) as simulator:
        with gateway(simulator.port, models, folder, variables) as process:
            await ask_many(lambda _: _chat(process.port, chance), count, rate)
            metrics = count_metrics(await wait_for_chats(port, count))
        # the logs are complete when the gateway has stopped
        records = list(read_records(folder / "logs"))
        calls = simulator.count()
    whole = count_logs(record for record in records if record["outcome"] in _WHOLE_OUTCOMES)
    logs = count_logs(records)
    return judge("agreement", compare(count, metrics, logs, whole, calls, vendor))
