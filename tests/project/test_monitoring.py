"""The dashboard and the alert rules: every metric and label in them exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml  # type: ignore[import-untyped]

from models import ERROR_KINDS
from telemetry.chat_record import Outcome
from telemetry.metric_names import METRICS, exposed_names
from telemetry.metrics import Metrics
from tests.project.source_files import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

MONITORING = ROOT / "docs/monitoring"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
RULES = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]] + [
    rule["expr"] for rule in RULES
]
NAMED = re.compile(r"\b(?:chat_gateway|gen_ai_client)_\w+")
BUDGET = {"budget_exceeded"}  # the code of the limits' refusals


def promtool() -> str:
    found = shutil.which("promtool")
    if not found:
        pytest.skip("promtool is not installed: Debian has it in the package prometheus")
    return found


def test_queries_name_metrics_that_exist() -> None:
    """Of all panels and all rules."""
    named = {name for query in QUERIES for name in NAMED.findall(query)}
    assert len(named) > 15
    assert named <= exposed_names()


def test_queries_name_labels_that_exist() -> None:
    """In selectors and in groups."""
    labels = {label for metric in METRICS for label in metric.labels} | {"le"}
    for query in QUERIES:
        groups = ",".join(re.findall(r"by \(([\w, ]+)\)", query))
        named = {name.strip() for name in groups.split(",") if name}
        named |= set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", query))
        assert named <= labels, query


def selected(label: str) -> Iterator[str]:
    for query in QUERIES:
        for value in re.findall(rf'\b{label}(?:=~|!~|=)"([^"]+)"', query):
            yield from value.split("|")


def test_queries_name_values_that_exist() -> None:
    """Outcomes and codes."""
    assert set(selected("outcome")) <= {outcome.value for outcome in Outcome}
    assert {*selected("error_type"), *selected("code")} <= ERROR_KINDS.keys() | BUDGET


def test_metrics_page_has_every_metric() -> None:
    """With its kind and what it means."""
    page = (ROOT / "docs/metrics.md").read_text()
    for metric in METRICS:
        name = metric.name
        assert re.search(
            rf"^\| `{name}` \| {metric.kind} \| .*{re.escape(metric.meaning)} \|$", page, re.M
        ), name


def test_panels_do_not_overlap() -> None:
    """Each place of the grid has one panel, each query a name of its own."""
    places = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for grid in [panel["gridPos"]]
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24


def test_promtool_accepts_the_rules() -> None:
    """Prometheus' own check."""
    subprocess.run([promtool(), "check", "rules", MONITORING / "alerts.yml"], check=True)


def test_promtool_accepts_what_is_exposed() -> None:
    """Names and help texts, as Prometheus recommends them."""
    exposed = Metrics().expose()
    checked = subprocess.run(
        [promtool(), "check", "metrics"], input=exposed, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, b"")
