"""A straight line through samples, and the confidence of its slope."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

_BATCHES = 20
_STUDENT = 2.10  # 95 % of Student's distribution with 18 degrees of freedom


class Slope(NamedTuple):
    """A slope, and the half width of its 95 % interval."""

    value: float
    margin: float


def fit(times: Sequence[float], values: Sequence[float]) -> Slope:
    """The slope of values over times, by least squares over the means of 20 batches.

    Neighbouring samples of a process's memory are nearly equal: alone, they would make the interval
    too narrow.
    """
    xs, ys = _average(times), _average(values)
    slope, intercept = statistics.linear_regression(xs, ys)
    squares = sum((y - intercept - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
    return Slope(slope, _STUDENT * math.sqrt(squares / (len(xs) - 2) / spread))


def _average(samples: Sequence[float]) -> list[float]:
    places = [len(samples) * batch // _BATCHES for batch in range(_BATCHES + 1)]
    return [statistics.fmean(samples[start:end]) for start, end in pairwise(places)]
