"""The names and numbers in a question, from which a simulated answer makes its arguments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_WORD = r"[A-ZÀ-ÖØ-Þ][\w'\u2019-]*"
_NAME = rf"{_WORD}(?: {_WORD})*"
_NUMBER = r"-?\d+(?:\.\d+)?"
_JOINT = r"(?:\s*,\s*and\s+|\s*,\s*|\s+and\s+)"
_SENTENCE_START = re.compile(rf"(?:^|[.!?:]\s+){_NAME}")


@dataclass(slots=True)
class _Supply:
    """Values in the order of the question; the last one is given again if no other is left.

    The first `joined` of them are a list: "Paris, Rome and Oslo".
    """

    values: list[str]
    joined: int
    taken: int = 0

    @classmethod
    def find(cls, value: str, text: str) -> _Supply:
        """Find the values in a text: those of the longest list first."""
        lists = re.findall(rf"{value}(?:{_JOINT}{value})+", text)
        longest = max((re.findall(value, found) for found in lists), key=len, default=[])
        others = [found for found in re.findall(value, text) if found not in longest]
        return cls(longest + others, len(longest))

    def take(self) -> str | None:
        """The next value; None if the question has none at all."""
        self.taken += 1
        return self.values[min(self.taken, len(self.values)) - 1] if self.values else None


@dataclass(slots=True)
class Question:
    """Gives the question's names and numbers to one argument after another."""

    text: str
    _names: _Supply = field(init=False)
    _numbers: _Supply = field(init=False)

    def __post_init__(self) -> None:
        self.text = " ".join(self.text.split())
        self._numbers = _Supply.find(_NUMBER, self.text)
        self._names = _Supply.find(_NAME, self.text)
        if not self._names.joined:  # a name that begins a sentence is mostly another word
            self._names.values = re.findall(_NAME, _SENTENCE_START.sub(" ", self.text))

    def take_text(self) -> str:
        """The next name; the whole question if it has none."""
        return self._names.take() or self.text

    def take_number(self) -> float:
        """The next number; 1 if the question has none."""
        return float(self._numbers.take() or 1)

    @property
    def has_more(self) -> bool:
        """Whether a list, of which something was taken, has values left."""
        return any(0 < found.taken < found.joined for found in (self._names, self._numbers))
