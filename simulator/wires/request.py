"""What a request says, whatever its format: the conversation, and what is asked of the answer."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Any, NamedTuple, Self

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)


class Turn(NamedTuple):
    """One turn of the conversation, as far as an answer depends on it."""

    role: str
    texts: list[str]
    images: int = 0
    calls: tuple[str, ...] = ()  # the names of the tools
    results: tuple[str, ...] = ()
    files: int = 0


class Prompt(NamedTuple):
    """The last question of the user, and the images, files and words in all.

    `called` and `results` are of the turn that is not answered yet: the names of the tools that
    were called, and what they returned.
    """

    question: str
    images: int
    words: int
    called: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    files: int = 0


def read_prompt(turns: Iterable[Turn]) -> Prompt:
    """The prompt of a conversation. An assistant's turn without a call ends what is open."""
    question, images, files, words = "", 0, 0, 0
    called: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    for turn in turns:
        images += turn.images
        files += turn.files
        words += sum(len(text.split()) for text in (*turn.texts, *turn.results))
        if turn.role in ("assistant", "model") and not turn.calls:
            called = results = ()
        called, results = called + turn.calls, results + turn.results
        # Agents put their instructions into the user's turns, too: they are no question.
        asked = list(filter(None, (_REMINDER.sub("", text).strip() for text in turn.texts)))
        if turn.role == "user" and (asked or not (turn.texts or turn.results)):
            question = " ".join(asked)
    return Prompt(question, images, words, called, results, files)


class Tool(NamedTuple):
    """A function that the model may call."""

    name: str
    description: str
    schema: dict[str, Any]


class Offer(NamedTuple):
    """The tools that may be called, whether one must be, and the schema of a structured answer."""

    tools: tuple[Tool, ...] = ()
    is_required: bool = False
    is_parallel: bool = True
    output: dict[str, Any] | None = None

    def only(self, names: Container[str]) -> Self:
        """The offer of those tools alone."""
        return self._replace(tools=tuple(tool for tool in self.tools if tool.name in names))
