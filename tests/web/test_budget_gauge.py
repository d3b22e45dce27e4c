"""The metric of keys' budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.limit_counters import Standing
from settings.gateway_keys import GatewayKey
from settings.new_keys import new_key
from telemetry.exposition import read_samples
from telemetry.metrics import Metrics
from tests.gateways.scripted import answer, scripted_gateway
from web.budget_gauge import BudgetGauge

if TYPE_CHECKING:
    from pathlib import Path

KEY, SHA256 = new_key("phone")
HEADERS = {"Authorization": f"Bearer {KEY}"}
PHONE = GatewayKey("phone", SHA256)
NAME = "chat_gateway_key_budget_used_ratio"


def budgets(exposed: str) -> dict[tuple[str, str], float]:
    """The used parts, by key and limit."""
    return {
        (sample.labels["key"], sample.labels["limit"]): sample.value
        for sample in read_samples(exposed)
        if sample.name == NAME
    }


async def test_used_part_of_each_budget_is_exposed(tmp_path: Path) -> None:
    """By the key's name and the limit, as the key's newest request found it."""
    file = tmp_path / "keys.toml"
    limits = "requests_per_minute = 9\ntokens_per_day = 84\nusd_per_month = 1.0\nmetrics = true"
    file.write_text(f'[keys.phone]\nsha256 = "{SHA256}"\n{limits}\n')
    async with scripted_gateway(tmp_path, keys_file=file, metrics=True) as gateway:
        for _ in range(2):
            gateway.gpt.enqueue(*answer("Hi"))  # 21 tokens
            await gateway.chat(headers=HEADERS)
        scraped = await gateway.client.get("/metrics", headers=HEADERS)
    used = budgets(scraped.text)
    assert used.keys() == {("phone", "tokens_per_day"), ("phone", "usd_per_month")}
    assert used["phone", "tokens_per_day"] == 0.25


def test_budget_is_whole_after_its_period_or_without_its_key() -> None:
    """An alert for it ends even if no request follows."""
    metrics, now = Metrics(), [1000.0]
    gauge = BudgetGauge(metrics, lambda: now[0])
    day = Standing("tokens_per_day", 100, 5, reset=60, window=86_400)
    month = Standing("usd_per_month", 10**9, 0, reset=600, window=2_592_000)

    def used() -> list[float]:
        return list(budgets(metrics.expose().decode()).values())

    gauge.note("phone", [day, month])
    gauge.clear_ended([PHONE])
    assert used() == [0.95, 1]
    now[0] += 60
    gauge.clear_ended([PHONE])
    assert used() == [0, 1]
    gauge.clear_ended([])
    assert used() == [0, 0]
