"""What the long runs judge by: a slope and how sure it is, a verdict, and requests that are the same in every run."""

from __future__ import annotations

import random
from itertools import islice, starmap
from typing import TYPE_CHECKING, Any

import pytest

from models import GatewayError, Text
from resilience.client import ask
from resilience.doors import DOORS
from resilience.promises import Promise, judge
from resilience.regression import fit
from resilience.requests import Requests
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMES = [float(second) for second in range(400)]
ENOUGH = 500


def test_slope_of_a_line_is_found() -> None:
    """Without noise it is exact, and sure."""
    slope, margin = fit(TIMES, [150 + 0.25 * time for time in TIMES])
    assert slope == pytest.approx(0.25)
    assert margin == pytest.approx(0, abs=1e-6)


def test_noise_is_no_growth() -> None:
    """If nothing grows, the interval contains 0; if something does, it contains the growth."""
    chance = random.Random(7)
    noise = [chance.gauss(150, 1) for _ in TIMES]
    slope, margin = fit(TIMES, noise)
    grown, about = fit(
        TIMES, [value + 0.1 * time for value, time in zip(noise, TIMES, strict=True)]
    )
    assert abs(slope) < margin
    assert abs(grown - 0.1) < about < 0.1


@pytest.mark.parametrize(
    ("kept", "status", "verdict"), [(True, 0, "every promise kept"), (False, 1, "1 of 2")]
)
def test_broken_promise_is_the_exit_status(
    capsys: pytest.CaptureFixture[str], kept: bool, status: int, verdict: str
) -> None:
    """One is enough, and the last line says so."""
    promises = starmap(Promise, [("no chat is lost", True, "0"), ("no time is lost", kept, "3 s")])
    assert judge("a run", list(promises)) == status
    assert verdict in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("said", "ending", "cause"),
    [
        (answer("Hel", "lo"), "end", ""),
        ([[Text("Hel")], GatewayError("upstream_truncated")], "error", "upstream_truncated"),
        ([GatewayError("rejected_by_provider")], "error", "rejected_by_provider"),
    ],
)
async def test_load_reads_how_an_answer_ended(
    door: str, said: list[Any], ending: str, cause: str, tmp_path: Path
) -> None:
    """By every door, from the facts that the gateway adds to the protocol."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*said)
        chat = await ask(gateway.running.port, "gpt", DOORS[door])
    assert (chat.ending, chat.cause) == (ending, cause)
    has_content = not isinstance(said[0], GatewayError)
    assert (chat.first_content_at is not None) is has_content
    assert (chat.model, chat.attempts) == (("luna", 1) if ending == "end" else (None, 0))


def test_requests_are_the_same_in_every_run() -> None:
    """A seed gives its requests, of which about half are chats as they should be; another gives others."""

    def make(seed: int) -> Iterator[bytes]:
        requests = Requests(seed)
        while True:
            yield requests.make()

    first, again, other = (list(islice(make(seed), ENOUGH)) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) > 0.9 * ENOUGH
