"""Counts the metrics of `telemetry/metric_names.py` by prometheus_client, and exposes them.

Imported only if metrics are configured. Each worker counts in files of a folder that all share; the
counters of a worker that is gone stay, its gauges do not. Without the folder, as in an app that
another server runs, the metrics are those of one process.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

from configuration import ProviderSettings
from telemetry.metric_names import BREAKER, KEY_BUDGET, METRICS, Metric
from telemetry.metrics_folder import remove_gauges_of_dead

_KINDS: dict[str, Any] = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
# How the gauges of several workers become one.
_MODES = {BREAKER: "livemax", KEY_BUDGET: "mostrecent"}
_MAX_OTHERS = 50  # further values of a label, beside those that are known

# else each counter has a second series, the time of its creation
disable_created_metrics()  # type: ignore[no-untyped-call]


class BoundedLabel:
    """A label's values: the known ones, and the first few others; the rest are `other`."""

    def __init__(self, known: Iterable[str] = (), others: int = _MAX_OTHERS) -> None:
        self._values = {*known, ""}
        self._left = others

    def value(self, text: str | None) -> str:
        """The value to count a text under."""
        text = text or ""
        if text not in self._values:
            if not self._left:
                return "other"
            self._left -= 1
            self._values.add(text)
        return text


class Metrics:
    """All metrics. They are counted for this process, and exposed for all workers."""

    def __init__(self, providers: Iterable[ProviderSettings] = ()) -> None:
        chains = [provider.chain for provider in providers]
        # clients may name further models: MODELS of a provider are patterns
        self.models = BoundedLabel(model for chain in chains for model in chain)
        self.reasons = BoundedLabel()
        self._registry = CollectorRegistry()
        self._series: dict[Metric, Any] = {}
        self._children: dict[tuple[str, ...], Any] = {}  # by the metric's name and the labels
        for metric in METRICS:
            own: dict[str, Any] = {"buckets": metric.buckets} if metric.kind == "histogram" else {}
            if metric.kind == "gauge":
                own["multiprocess_mode"] = _MODES.get(metric, "livesum")
            self._series[metric] = _KINDS[metric.kind](
                metric.name, metric.meaning, metric.labels, registry=self._registry, **own
            )

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter or a gauge."""
        self._of(metric, labels).inc(by)

    def observe(self, metric: Metric, *labels: str, value: float) -> None:
        """Add a value to a histogram."""
        self._of(metric, labels).observe(value)

    def set(self, metric: Metric, *labels: str, value: float) -> None:
        """Set a gauge."""
        self._of(metric, labels).set(value)

    def expose(self) -> bytes:
        """The text that Prometheus reads. Takes some milliseconds a worker: call it in a thread."""
        return expose_all() if is_shared() else generate_latest(self._registry)

    def _of(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        # Not by `labels` each time: it takes a lock and makes texts of them.
        series = self._children.get((metric.name, *labels))
        if series is None:
            series = self._series[metric].labels(*labels) if labels else self._series[metric]
            self._children[(metric.name, *labels)] = series
        return series


def is_shared() -> bool:
    """Whether several processes count together."""
    return values.ValueClass is not values.MutexValue


def expose_all() -> bytes:
    """The metrics of all processes that count together."""
    remove_gauges_of_dead()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
