"""From a client's chat to the prompt that a provider receives. Pure functions, no vendor.

The rules, in their order:

1. System prompt: the provider's own (`<VENDOR>_SYSTEM_PROMPT`) if it is set, else SYSTEM_PROMPT,
   else the generic one, which clients of other vendors' protocols do not get;
   below it, after an empty line, the client's system messages in their order.
2. Empty turns are left out: a text of white space alone is empty, an image, a file, a call or a
   result is not. A turn of reasoning alone is empty, too.
3. Adjacent turns of one role become one, their texts joined by an empty line.
4. The first turn is the user's: an assistant's greeting before it is left out.
5. The last turn is the user's: a final turn of the assistant is left out, since no default model
   continues it.
6. The results of a turn's calls are the first parts of the next turn, in the order of the calls.
   Each call has one: of several the first, if there is none an error. The parts of any other result
   become parts of the user's turn.
7. A call's id is unique, and in the characters and length that every vendor accepts; any other is
   replaced in the call and in its result. So is the call's name, which a model may have made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from itertools import groupby

import msgspec

from models import (
    Chat,
    File,
    GatewayError,
    Image,
    Part,
    Prompt,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

GENERIC_SYSTEM_PROMPT = (
    "You are a helpful assistant. Answer truthfully and to the point, in the language of the "
    "question, and say so when you do not know. Use Markdown where it helps the reader."
)

_PLAIN = {Text, Image, File}
_FITTING_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_ODD_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64
_NO_RESULT = "The tool returned no result."


def build_prompt(chat: Chat, system_prompt: str | None) -> Prompt:
    """Build the prompt for a provider with this configured system prompt.

    Raises GatewayError `invalid_request` if the user has said nothing.
    """
    filled: list[Turn] = []
    kinds: set[type] = set()
    for turn in chat.turns:
        parts = tuple(part for part in turn.parts if type(part) is not Text or part.text.strip())
        of_turn = {type(part) for part in parts}
        if of_turn - {Reasoning}:
            filled.append(Turn(turn.role, parts))
            kinds |= of_turn
    turns = [
        Turn(role, tuple(_join([turn.parts for turn in adjacent])))
        for role, adjacent in groupby(filled, key=lambda turn: turn.role)
    ]
    if turns and turns[0].role == "assistant":
        del turns[0]
    if turns and turns[-1].role == "assistant":
        del turns[-1]
    if not turns:
        raise GatewayError("invalid_request", "There is no user message with content.")
    is_plain = kinds <= _PLAIN
    if not is_plain:
        turns = _pair_calls(turns)
    generic = GENERIC_SYSTEM_PROMPT if chat.has_generic_prompt else ""
    system = combine_system(generic if system_prompt is None else system_prompt, chat.system)
    return Prompt(
        system, tuple(turns), chat.options, is_plain, conversation_id=chat.conversation_id
    )


def combine_system(first: str, texts: Iterable[str]) -> str:
    """Apply rule 1. If the first prompt is an empty string, only the client's remain."""
    return "\n\n".join(text.strip() for text in (first, *texts) if text.strip())


def fitting_id(call_id: str) -> str:
    """The id itself if every vendor accepts it, else one that is derived from it."""
    if _FITTING_ID.fullmatch(call_id):
        return call_id
    return f"call_{sha256(call_id.encode()).hexdigest()[:24]}"


def _join(turns: list[tuple[Part, ...]]) -> list[Part]:
    """Join the parts of several turns; adjacent texts of two turns become one.

    Takes linear time, and no step per part: there may be thousands of turns, or of parts.
    """
    joined: list[Part] = []
    adjacent: list[str] = []  # the text of the last part, and the texts that continue it
    for parts in turns:
        first, rest = parts[0], parts
        if adjacent and isinstance(first, Text):
            adjacent.append(first.text)
            rest = parts[1:]
        if rest:
            _join_texts(joined, adjacent)
            joined.extend(rest)
            last = rest[-1]
            adjacent = [last.text] if isinstance(last, Text) else []
    _join_texts(joined, adjacent)
    return joined


def _join_texts(joined: list[Part], adjacent: list[str]) -> None:
    if len(adjacent) > 1:
        joined[-1] = Text("\n\n".join(adjacent))


def _pair_calls(turns: list[Turn]) -> list[Turn]:
    """Apply rules 6 and 7 to turns that alternate, from the user's first to the user's last."""
    paired = [Turn("user", _free_results(turns[0].parts))]
    ids: set[str] = set()
    for asked, answered in zip(turns[1::2], turns[2::2], strict=True):
        results: dict[str, list[ToolResult]] = {}
        for part in answered.parts:
            if isinstance(part, ToolResult):
                results.setdefault(part.call_id, []).append(part)
        parts: list[Part] = []
        pairs: list[ToolResult] = []
        for part in asked.parts:
            if not isinstance(part, ToolCall):
                parts.append(part)
                continue
            given = results.get(part.id)
            result = given.pop(0) if given else ToolResult(part.id, (Text(_NO_RESULT),), True)
            call_id = _unique_id(part.id, ids)
            name = _ODD_IN_NAME.sub("_", part.name)[:_LONGEST_NAME]
            parts.append(msgspec.structs.replace(part, id=call_id, name=name))
            pairs.append(msgspec.structs.replace(result, call_id=call_id))
        left = {id(result) for given in results.values() for result in given}
        others = tuple(
            part for part in answered.parts if type(part) is not ToolResult or id(part) in left
        )
        paired.append(Turn("assistant", tuple(parts)))
        paired.append(Turn("user", (*pairs, *_free_results(others))))
    return paired


def _free_results(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts of a user's turn, with those of its results in the place of each."""
    freed: list[Part] = []
    for part in parts:
        match part:
            case ToolResult(parts=inner):
                freed.extend(inner or (Text(_NO_RESULT),))
            case _:
                freed.append(part)
    return tuple(freed)


def _unique_id(call_id: str, taken: set[str]) -> str:
    """An id that fits and is not taken, and is taken from now on; the same for the same history."""
    unique = fitting_id(call_id)
    while unique in taken:
        unique = fitting_id(f"{unique} {len(taken)}")  # another one each time
    taken.add(unique)
    return unique
