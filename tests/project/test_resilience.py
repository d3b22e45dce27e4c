"""What the long runs judge by: a slope and how sure it is, a verdict, and requests that are the same in every run."""

from __future__ import annotations

import random
from itertools import islice, starmap
from typing import TYPE_CHECKING

import pytest

from resilience.promises import Promise, judge
from resilience.regression import fit
from resilience.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_requests_are_the_same_in_every_run() -> None:
    """A seed gives its requests, of which about half are chats as they should be; another gives others."""

    def make(seed: int) -> Iterator[bytes]:
        requests = Requests(seed)
        while True:
            yield requests.make()

    first, again, other = (list(islice(make(seed), ENOUGH)) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) > 0.9 * ENOUGH
