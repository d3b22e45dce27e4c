"""What a stream costs: paced, many, in bursts, with one delta; and how long its start takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import uvloop

from benchmarks.contenders import (
    DIRECT,
    NGINX,
    OURS,
    PORTKEY,
    PROVIDERS,
    Contender,
    by_doors,
    gateways,
)
from benchmarks.load import Result, Target, run, run_for
from benchmarks.measuring import Field, delays, deltas_of, measure, quantiles, take_turns

PACED, MANY, BURST, SHORT, FIRST = "paced", "many", "burst", "short", "first_content"
_CLIENTS = 32
_BURST_SECONDS = 2.0
_FAST_STREAMS, _SLOW_STREAMS = "stamped-200x50", "stamped-50x50"
_MANY_STREAMS = "stamped-50x10"

Load = Callable[[Target], Awaitable[Result]]


def run_paced(field: Field) -> None:
    """200 streams of 50 deltas a second, for four seconds, or one for a slow contender."""
    with gateways(field.vendor, _FAST_STREAMS, field.folder, tuple(PROVIDERS)) as ours:
        for contender in take_turns(field, [*field.others, *ours, *by_doors(ours[0])]):
            model = _SLOW_STREAMS if contender.is_slow else _FAST_STREAMS
            streams = min(200, contender.limit)
            _note_paced(
                field,
                PACED,
                contender,
                partial(run, streams=streams, at_once=streams, stagger_seconds=0.5),
                model,
            )


def run_many(field: Field) -> None:
    """1,000 streams of 10 deltas a second, for five seconds."""
    variables = {"MAX_STREAMS": "2000", "MAX_CONNECTIONS_PER_ADDRESS": "4000"}
    with gateways(field.vendor, _MANY_STREAMS, field.folder, variables=variables) as ours:
        for contender in take_turns(field, [*field.chosen(DIRECT, NGINX, PORTKEY), *ours]):
            load = partial(run, streams=1000, at_once=1000, stagger_seconds=2.0)
            _note_paced(field, MANY, contender, load, _MANY_STREAMS)


def _note_paced(field: Field, scenario: str, contender: Contender, load: Load, model: str) -> None:
    measured = uvloop.run(measure(field, contender, load, model))
    figures = measured.costs(deltas_of(model)) | delays(measured.result)
    field.record.add(scenario, contender.name, figures)


def run_burst(field: Field) -> None:
    """32 clients that ask again and again; the vendor writes 100 deltas at once."""
    _run_closed(field, BURST, "burst-100", tuple(PROVIDERS))


def run_short(field: Field) -> None:
    """The same with one delta: what a stream costs without its deltas."""
    _run_closed(field, SHORT, "burst-1", (OURS,))


def _run_closed(field: Field, scenario: str, model: str, providers: tuple[str, ...]) -> None:
    with gateways(field.vendor, model, field.folder, providers) as ours:
        doors = by_doors(ours[0]) if scenario == BURST else []
        for contender in take_turns(field, [*field.others, *ours, *doors]):
            load = partial(closed_load, clients=min(_CLIENTS, contender.limit))
            measured = uvloop.run(measure(field, contender, load, model))
            field.record.add(scenario, contender.name, measured.costs(deltas_of(model)))


async def closed_load(target: Target, clients: int = _CLIENTS) -> Result:
    """Clients that ask again as soon as they have their answer."""
    return await run_for(target, clients, _BURST_SECONDS)


def run_first_content(field: Field) -> None:
    """How long a new stream waits, while 20 streams of 50 deltas a second are open."""
    with gateways(field.vendor, _SLOW_STREAMS, field.folder) as ours:
        load = partial(run, streams=80, at_once=80, stagger_seconds=4.0)
        able = [contender for contender in field.others if contender.limit > 20]
        for contender in take_turns(field, [*able, *ours]):
            measured = uvloop.run(measure(field, contender, load, _SLOW_STREAMS))
            field.record.add(
                FIRST, contender.name, quantiles("first_content", measured.result.first_content_ms)
            )
