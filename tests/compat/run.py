"""Runs cells, a scenario after the other, and judges each."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from tests.compat.cells import MODELS, SCENARIOS
from tests.compat.driver import DriverError, start_driver
from tests.compat.drivers.jobs import Job, Tool
from tests.compat.environments import command_of
from tests.compat.judge import TIME, WEATHER, Verdict, judge
from tests.compat.rig import open_rig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.compat.cells import Cell
    from tests.compat.driver import Driver
    from tests.compat.rig import Rig

_AT_ONCE = 16  # cells, of all clients

TOOLS = {
    "get_weather": Tool(
        "get_weather",
        "The weather of a city",
        {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        WEATHER,
    ),
    "get_time": Tool(
        "get_time",
        "The time of day",
        {"type": "object", "properties": {}, "additionalProperties": False},
        TIME,
    ),
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
# One black pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="


async def run(
    cells: list[Cell], folder: Path, say: Callable[[str], object] = lambda _: None
) -> tuple[list[Verdict], list[str]]:
    """Each cell's verdict, in the order of the cells, and what is wrong with a scenario as a whole."""
    verdicts: dict[str, Verdict] = {}
    wrong: list[str] = []
    async with AsyncExitStack() as stack:
        drivers = {
            client.name: await stack.enter_async_context(
                start_driver(command_of(client.environment, client.driver), client.at_once)
            )
            for client in {cell.client.name: cell.client for cell in cells}.values()
        }
        for name, scenario in SCENARIOS.items():
            chosen = [cell for cell in cells if cell.case.scenario == name]
            if chosen:
                async with open_rig(scenario, chosen, folder / name) as rig:
                    found = await _run_in(rig, chosen, drivers)
                    verdicts |= {repr(verdict.cell): verdict for verdict in found}
                    wrong += [f"{name}: {what}" for what in await rig.find_leftovers()]
                say(f"{name}: {sum(not each.wrong for each in found)} of {len(found)} are right")
    return [verdicts[repr(cell)] for cell in cells], wrong


async def _run_in(rig: Rig, cells: list[Cell], drivers: dict[str, Driver]) -> list[Verdict]:
    places = asyncio.Semaphore(_AT_ONCE)
    numbered = list(zip(rig.keys, cells, strict=True))

    async def ask(key: str, cell: Cell) -> dict[str, Any] | DriverError:
        try:
            return await drivers[cell.client.name].ask(make_job(rig, key, cell), places)
        except DriverError as error:
            return error

    answers = await asyncio.gather(*(ask(key, cell) for key, cell in numbered))
    records = await rig.read_records()
    return [
        Verdict(cell, {}, [str(seen)])
        if isinstance(seen, DriverError)
        else judge(cell, seen, records[key], rig.models[cell.provider])
        for (key, cell), seen in zip(numbered, answers, strict=True)
    ]


def make_job(rig: Rig, key: str, cell: Cell) -> Job:
    """The cell as its client is asked to run it."""
    case = cell.case
    return Job(
        name=key,
        way=cell.way.name,
        base_url=rig.url,
        api_key=rig.keys[key],
        model=MODELS[cell.provider],
        provider=cell.provider,
        question=case.question.format(cell=key),
        image=PNG if case.has_image else None,
        tools=tuple(TOOLS[name] for name in case.tools),
        calls_back=case.calls_back,
        schema=SCHEMA if case.has_schema else None,
        headers=case.headers,
        leaves=case.leaves,
    )
