"""`BudgetGauge`: how much of its budgets each key has used, for the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from cluster.limit_counters import Standing
from settings.gateway_keys import GatewayKey
from telemetry.metric_names import KEY_BUDGET

if TYPE_CHECKING:
    from telemetry.metrics import Metrics


class BudgetGauge:
    """Follows the budgets of keys; anonymous clients would be too many. Its times are monotonic."""

    def __init__(self, metrics: Metrics, now: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._now = now
        self._ends: dict[tuple[str, str], float] = {}  # of the periods, by key and limit

    def note(self, key: str, standings: Iterable[Standing]) -> None:
        """Note how a key stands at a request."""
        for each in standings:
            if each.name.startswith(("tokens", "usd")):
                used = 1 - each.remaining / each.limit if each.limit else 1.0
                self._metrics.set(KEY_BUDGET, key, each.name, value=used)
                self._ends[key, each.name] = self._now() + each.reset

    def clear_ended(self, keys: Iterable[GatewayKey]) -> None:
        """Set to 0 what no request will: budgets whose period is over, and those of keys gone."""
        if not self._ends:
            return
        now, names = self._now(), {key.name for key in keys}
        for labels, end in list(self._ends.items()):
            if now < end and labels[0] in names:
                continue
            del self._ends[labels]
            self._metrics.set(KEY_BUDGET, *labels, value=0)
