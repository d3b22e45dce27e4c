"""Reads metrics as Prometheus does, without its library: names, labels and values of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


class Sample(NamedTuple):
    """One number."""

    name: str
    labels: dict[str, str]
    value: float


def read_samples(text: str) -> Iterator[Sample]:
    """The samples of an exposition in the text format, in their order."""
    for line in text.splitlines():
        if found := _SAMPLE.match(line):
            labels = {
                name: _ESCAPED.sub(lambda sign: "\n" if sign[1] == "n" else sign[1], value)
                for name, value in _LABEL.findall(found["labels"] or "")
            }
            yield Sample(found["name"], labels, float(found["value"]))


def total(samples: list[Sample], name: str, **labels: str) -> float:
    """The sum of the samples with this name and these labels."""
    return sum(
        sample.value
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
