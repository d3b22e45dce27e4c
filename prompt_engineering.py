"""From a client's messages to the prompt that a provider receives. Pure functions, no vendor.

The rules, in their order:

1. System prompt: the provider's own (`<VENDOR>_SYSTEM_PROMPT`) where it is set, else the generic one; below it, after
   an empty line, the client's system messages in their order, wherever they stand in the list.
2. Empty messages are left out: a text of white space alone is empty, an image is not.
3. Neighbours of one role become one turn, their texts joined by an empty line.
4. The first turn is the user's: an assistant's greeting before it is left out.
5. The last turn is the user's: what an assistant said last is left out, for no default model continues it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models import ChatRequest, GatewayError, ImagePart, Message, Prompt, TextPart, Turn

GENERIC_SYSTEM_PROMPT = (
    "You are a helpful assistant. Answer truthfully and to the point, in the language of the question, and say so "
    "when you do not know. Use Markdown where it helps the reader."
)


def build_prompt(request: ChatRequest, system_prompt: str | None) -> Prompt:
    """The prompt for a provider whose configured system prompt is given. Raises GatewayError `invalid_request`."""
    turns = _trim(_merge(_turns(request.messages)))
    if not turns:
        raise GatewayError("invalid_request", "There is no user message with content.")
    return Prompt(combine_system(system_prompt, request.messages), tuple(turns))


def combine_system(system_prompt: str | None, messages: Iterable[Message]) -> str:
    """Rule 1. An empty string as the configured prompt leaves the client's alone."""
    own = GENERIC_SYSTEM_PROMPT if system_prompt is None else system_prompt
    theirs = (message.text for message in messages if message.role == "system")
    return "\n\n".join(text.strip() for text in (own, *theirs) if text.strip())


def _turns(messages: Iterable[Message]) -> Iterable[Turn]:
    for message in messages:
        parts = _parts(message)
        if parts and message.role != "system":
            yield Turn(message.role, parts)


def _parts(message: Message) -> tuple[TextPart | ImagePart, ...]:
    if isinstance(message.content, str):
        return (TextPart(type="text", text=message.content),) if message.content.strip() else ()
    return tuple(part for part in message.content if isinstance(part, ImagePart) or part.text.strip())


def _merge(turns: Iterable[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1] = Turn(turn.role, _join(merged[-1].parts, turn.parts))
        else:
            merged.append(turn)
    return merged


def _join(
    before: tuple[TextPart | ImagePart, ...], after: tuple[TextPart | ImagePart, ...]
) -> tuple[TextPart | ImagePart, ...]:
    last, first = before[-1], after[0]
    if isinstance(last, TextPart) and isinstance(first, TextPart):
        return (*before[:-1], TextPart(type="text", text=f"{last.text}\n\n{first.text}"), *after[1:])
    return (*before, *after)


def _trim(turns: Sequence[Turn]) -> Sequence[Turn]:
    first = 1 if turns and turns[0].role == "assistant" else 0
    last = len(turns) - 1 if turns and turns[-1].role == "assistant" else len(turns)
    return turns[first:last]
