"""Gemini's streamGenerateContent: the turns of a conversation as contents.

Results are alone in their content. With other parts beside them, gemini-3.5-flash answers nothing,
and Vertex refuses the request. So the user's text follows in a content of its own, as do images
and files that a model does not take within a result, or not in their format. The API has no place
for the name of a file.

The text of a result is always sent as a text, even if it is JSON: the newer models resolve any
`$ref` in an object, and refuse the request if it leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

import msgspec

from models import File, Image, Part, Reasoning, State, Text, ToolCall, ToolResult, Turn
from providers.answer_calls import MADE_ID
from providers.capabilities import Capability
from providers.wires.tool_calls import decode_arguments, find_newest_message, media_word

# For a call that another model made: the vendor's documentation names it, in base64.
DUMMY_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

_ROLES = {"user": "user", "assistant": "model"}
_IN_RESULTS = ("image/png", "image/jpeg", "image/webp", "application/pdf")


class _Signature(msgspec.Struct, rename="camel"):
    thought_signature: str


def to_contents(turns: Sequence[Turn], capability: Capability) -> list[dict[str, object]]:
    """The turns as contents."""
    names: dict[str, str] = {}  # of the tools, by the ids of their calls
    newest = find_newest_message(turns) if capability.signed_calls else len(turns)
    contents: list[dict[str, object]] = []
    for place, turn in enumerate(turns):
        names |= {part.id: part.name for part in turn.parts if isinstance(part, ToolCall)}
        results = [
            _to_result(part, names[part.call_id], capability)
            for part in turn.parts
            if isinstance(part, ToolResult)
        ]
        within = [result for result, _ in results]
        others = [part for _, beside in results for part in beside]
        others += _to_parts(turn.parts, is_signed=place > newest)
        role = _ROLES[turn.role]
        contents += [{"role": role, "parts": parts} for parts in (within, others) if parts]
    return contents


def _to_parts(parts: Iterable[Part], *, is_signed: bool) -> list[dict[str, object]]:
    """The parts but results, each with the signature that it came with.

    The signature of a text mostly comes after it, with an empty text. If `is_signed`, the first
    call needs one.
    """
    made: list[dict[str, object]] = []
    for part in parts:
        match part:
            case Text():
                made.append({"text": part.text})
            case Image() | File():
                made.append(_to_data(part))
            case Reasoning(state=state):
                if state and (signature := _read_signature(state)):
                    if not made or "text" not in made[-1] or "thoughtSignature" in made[-1]:
                        made.append({"text": ""})
                    made[-1] |= signature
            case ToolCall(call_id, name, arguments, state):
                call = _name_call(call_id, name) | {"args": decode_arguments(arguments)}
                signature = _read_signature(state) if state else {}
                if is_signed and not signature:
                    signature = {"thoughtSignature": DUMMY_SIGNATURE}
                made.append({"functionCall": call, **signature})
                is_signed = False
            case ToolResult():
                pass
            case _:
                assert_never(part)
    return made


def _to_result(
    result: ToolResult, name: str, capability: Capability
) -> tuple[dict[str, object], list[dict[str, object]]]:
    """A result, and those of its images and files that are not within it, after a text."""
    text = "".join(part.text for part in result.parts if isinstance(part, Text))
    response = {"error" if result.is_error else "result": text}
    made = _name_call(result.call_id, name) | {"response": response}
    media = [part for part in result.parts if not isinstance(part, Text)]
    taken = _IN_RESULTS if capability.images_in_results else ()
    if within := [_to_data(piece) for piece in media if piece.media_type in taken]:
        made["parts"] = within
    rest = [piece for piece in media if piece.media_type not in taken]
    beside: list[dict[str, object]] = list(map(_to_data, rest))
    if beside:
        beside.insert(0, {"text": f"The {media_word(rest)} of the result of {name}:"})
    return {"functionResponse": made}, beside


def _to_data(piece: Image | File) -> dict[str, object]:
    return {"inlineData": {"mimeType": piece.media_type, "data": piece.data}}


def _name_call(call_id: str, name: str) -> dict[str, object]:
    """What names a call, in itself and in its result: an id only if some vendor gave it."""
    return {"name": name} if call_id.startswith(MADE_ID) else {"id": call_id, "name": name}


def _read_signature(state: State) -> dict[str, str]:
    """The signature in a state; empty if it is not this wire's."""
    try:
        signature = msgspec.json.decode(state.data, type=_Signature)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return {"thoughtSignature": signature.thought_signature}
