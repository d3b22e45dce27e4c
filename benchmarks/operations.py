"""What keys, limits, budgets, metrics and traces cost together, and what a chat costs without."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256

import uvloop

from benchmarks.contenders import Contender, gateways
from benchmarks.load import run
from benchmarks.measuring import Field, deltas_of, measure, take_turns
from benchmarks.processes import free_port, started
from benchmarks.streams import Load, closed_load

OPERATIONS = "operations"
OFF, ON = "nothing on", "all on"
TYPICAL, SHORTEST = "cpu_us_a_chat", "cpu_us_a_chat_of_one_delta"
_MODELS = {TYPICAL: "stamped-200x50", SHORTEST: "burst-1"}
_LOADS: Mapping[str, Load] = {
    TYPICAL: partial(run, streams=200, at_once=200, stagger_seconds=0.5),
    SHORTEST: closed_load,
}
_KEY = "benchmark-key"  # which the load shows
# Far from being reached: what is measured is that they are counted.
_KEYS_FILE = f"""
[keys.benchmark]
sha256 = "{sha256(_KEY.encode()).hexdigest()}"
requests_per_minute = 1_000_000
streams = 1_000
tokens_per_day = 1_000_000_000
usd_per_month = 100_000
"""


def run_operations(field: Field) -> None:
    """A chat of 200 paced deltas and one of a single delta, with everything on and without."""
    for figure, model in _MODELS.items():
        with ExitStack() as stack:
            off = stack.enter_context(_named(field, model, OFF, {}))
            on = stack.enter_context(_named(field, model, ON, _everything(field, stack)))
            for contender in take_turns(field, [off, on]):
                measured = uvloop.run(measure(field, contender, _LOADS[figure], model))
                cost = measured.costs(deltas_of(model))["cpu_us_a_stream"]
                field.record.add(OPERATIONS, contender.name, {figure: cost})


@contextmanager
def _named(
    field: Field, model: str, name: str, variables: Mapping[str, str]
) -> Iterator[Contender]:
    with gateways(field.vendor, model, field.folder, variables=variables) as (ours,):
        yield replace(ours, name=name)


def _everything(field: Field, stack: ExitStack) -> dict[str, str]:
    keys = field.folder / "keys.toml"
    keys.write_text(_KEYS_FILE)
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.collector", "--port", str(port)]
    stack.enter_context(started(command, port, {}))
    return {
        "KEYS_FILE": str(keys),
        "METRICS_PORT": str(free_port()),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
    }
