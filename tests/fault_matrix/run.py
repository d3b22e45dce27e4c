"""Runs cells, several at once, and judges each: right, or what is wrong with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fault_matrix.answer import Answer
from tests.fault_matrix.chats import (
    CANARIES,
    Left,
    ask,
    ask_often,
    state_facts,
    state_often,
)
from tests.fault_matrix.rig import Rig, open_rig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fault_matrix.cells import Cell, Facts, Pace

_AT_ONCE: dict[Pace, int] = {"reading": 1, "working": 4, "waiting": 40}


@dataclass
class Verdict:
    """A cell, what was seen of it, and what is wrong with that."""

    cell: Cell
    seen: Facts
    wrong: list[str]


async def run(cells: list[Cell], folder: Path) -> tuple[list[Verdict], list[str]]:
    """Each cell's verdict, in order, and what is wrong with the whole: leaks, and what was left open."""
    verdicts: list[Verdict] = []
    wrong: list[str] = []
    for past_hold in (False, True):
        chosen = [cell for cell in cells if bool(cell.case.get("past_hold")) == past_hold]
        if chosen:
            async with open_rig(chosen, folder / str(past_hold), past_hold=past_hold) as rig:
                verdicts += await _run_in(rig, chosen)
                wrong += rig.find_leaks(CANARIES) + await rig.find_leftovers()
    return sorted(verdicts, key=lambda verdict: verdict.cell.number), wrong


async def _run_in(rig: Rig, cells: list[Cell]) -> list[Verdict]:
    answers: dict[int, Answer] = {}
    for pace, at_once in _AT_ONCE.items():
        chosen = [cell for cell in cells if cell.pace == pace]
        for first in range(0, len(chosen), at_once):
            batch = chosen[first : first + at_once]
            for cell in batch:
                rig.factory.get(
                    cell.name
                )  # a client takes long to build, and the timeouts of others would run on
            given = await asyncio.gather(*[_run_one(rig, cell) for cell in batch])
            answers |= {cell.number: answer for cell, answer in zip(batch, given, strict=True)}
    lines, events = rig.read_lines(), rig.count_sentry_events()
    left = {
        cell.request_id: Left(lines[cell.request_id], events[cell.request_id]) for cell in cells
    }
    return [_judge(rig, cell, answers[cell.number], left[cell.request_id]) for cell in cells]


async def _run_one(rig: Rig, cell: Cell) -> Answer:
    answer = await (ask if cell.chats == 1 else ask_often)(rig, cell)
    await rig.factory.close_one(cell.name)
    return answer


def _judge(rig: Rig, cell: Cell, answer: Answer, left: Left) -> Verdict:
    seen = (state_facts if cell.chats == 1 else state_often)(rig, cell, answer, left)
    pairs = zip(seen._fields, cell.facts, seen, strict=True)
    wrong = [
        f"{name}: {found} for {expected}" for name, expected, found in pairs if expected != found
    ]
    return Verdict(cell, seen, wrong + answer.complaints)
