"""Joins surrogate pairs whose halves arrive in adjacent pieces of text.

Some servers cut JSON text between the two `\\uXXXX` escapes of one character. A lone half becomes
U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from models import Delta, Reasoning, Refusal, Text, ToolCallDelta, Usage
from providers.wires.finish_reasons import Finish

_SURROGATE = re.compile("[\ud800-\udfff]")
# A pair, a half, or another escape.
_ESCAPE = re.compile(r"(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|\\u[dD][89a-fA-F]..|(\\.)")

TextKind = type[Text] | type[Reasoning] | type[Refusal]


def has_surrogates(data: bytes) -> bool:
    """Whether JSON text contains escapes of surrogates, paired or not."""
    return b"\\ud" in data.lower()


def replace_surrogates(text: str) -> str:
    """Join surrogate pairs and replace lone halves."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def replace_escapes(text: str) -> str:
    """JSON text in which escapes of halves are replaced."""
    return _ESCAPE.sub(lambda match: match[1] or match[2] or "\\ufffd", text)


class Surrogates:
    """Holds back half a pair at the end of a piece until the next piece of the same kind.

    One per stream.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        # By kind of text; a call's arguments by the call's index.
        self._held: dict[TextKind | int, str] = {}

    def join(self, batch: Iterable[Delta | Finish | Usage]) -> list[Delta | Finish]:
        """Join the halves in a batch; a delta of which nothing is left is removed."""
        events = (event for event in batch if not isinstance(event, Usage))
        return [event for before in events for event in self._join(before)]

    def flush(self) -> list[Delta]:
        """The halves that are still held at the end of the answer, replaced."""
        held, self._held = self._held, {}
        deltas: list[Delta] = []
        for kind, half in held.items():
            text = replace_surrogates(half)
            deltas.append(
                ToolCallDelta(kind, arguments=text) if isinstance(kind, int) else kind(text)
            )
        return deltas

    def _join(self, event: Delta | Finish) -> Iterable[Delta | Finish]:
        if isinstance(event, Finish):
            return *self.flush(), event
        if isinstance(event, ToolCallDelta):
            piece = ToolCallDelta(
                event.index,
                id=event.id and replace_surrogates(event.id),
                name=event.name and replace_surrogates(event.name),
                arguments=self._take(event.index, event.arguments),
                state=event.state,
            )
            return (piece,) if piece != ToolCallDelta(event.index) else ()
        kind = type(event)
        text = self._take(kind, event.text)
        if isinstance(event, Reasoning) and event.state:
            return (Reasoning(text, event.state),)
        return (kind(text),) if text else ()

    def _take(self, kind: TextKind | int, text: str) -> str:
        """The text without a half at its end, which is held."""
        if not text:
            return text
        text = self._held.pop(kind, "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            self._held[kind], text = text[-1], text[:-1]
        return replace_surrogates(text) if _SURROGATE.search(text) else text
