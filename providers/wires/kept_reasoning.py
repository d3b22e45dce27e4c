"""Chat completions of servers that need a model's reasoning back with the results of its calls.

DeepSeek needs `reasoning_content`, OpenRouter `reasoning_details`, in which are the signatures of
the vendor behind it.
"""

from __future__ import annotations

from typing import Any

from models import Reasoning
from providers.wires.chat_completions import ChatCompletionsDecoder
from providers.wires.decoder import Batch
from providers.wires.lenient_json import write_json

_PIECES = ("text", "summary", "data")  # fields of a detail that arrive in pieces


class KeptReasoningDecoder(ChatCompletionsDecoder):
    """Adds the reasoning of an answer as its state, before the first call.

    A detail arrives in pieces, which have one type and index; one without an index is whole.
    """

    __slots__ = ("_details", "_open", "_texts")

    def __init__(self, provider: str = "", model: str = "") -> None:
        super().__init__(provider, model)
        self._texts: list[str] = []
        self._details: list[Any] = []
        # details by type and index, each with the pieces of its texts
        self._open: dict[tuple[str, int], tuple[dict[str, Any], dict[str, list[str]]]] = {}

    def take_choice(self, choice: Any, batch: Batch) -> None:
        delta = choice.delta or choice.message
        if delta and delta.reasoning_content:
            self._texts.append(delta.reasoning_content)
        for piece in (delta and delta.reasoning_details) or ():
            self.hold(len(str(piece)))
            match piece:
                case {"type": str(kind), "index": int(index)}:
                    if (kind, index) not in self._open:
                        self._open[kind, index] = (dict(piece), {})
                        self._details.append(self._open[kind, index][0])
                    known, texts = self._open[kind, index]
                    for name, value in piece.items():
                        if name in _PIECES and isinstance(value, str):
                            texts.setdefault(name, []).append(value)
                        elif value is not None:
                            known[name] = value
                case _:
                    self._details.append(piece)
        super().take_choice(choice, batch)

    def take_calls(self, delta: Any, batch: Batch) -> None:
        field: dict[str, object] = {}
        for detail, texts in self._open.values():
            detail.update({name: "".join(pieces) for name, pieces in texts.items()})
        if self._details:
            field = {"reasoning_details": self._details}
        elif self._texts:
            field = {"reasoning_content": "".join(self._texts)}
        if field:
            batch.append(Reasoning("", self.make_state(write_json(field))))
            self._details, self._texts = [], []
            self._open.clear()
        super().take_calls(delta, batch)
