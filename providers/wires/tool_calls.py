"""Tool calls on the wires: arguments, steps, and whose pieces they are in OpenAI's wires.

`ToolCalls` works with any indexes that a server uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from models import File, FinishReason, Image, ToolCallDelta, ToolResult, Turn
from providers.wires.lenient_json import write_json

_MANY_LEVELS = 200  # of objects and lists; what has fewer is not too deep
_NO_ARGUMENTS = ("null", "[]")  # which servers write for a call that has none


def media_word(media: Iterable[Image | File]) -> str:
    """What images and files are together, in the text before them."""
    return "images" if all(isinstance(piece, Image) for piece in media) else "files"


class _Call:
    """An open call, with what distinguishes its next piece from another call's first piece."""

    __slots__ = ("id", "index", "last", "name")

    def __init__(self, index: int, call_id: str | None, name: str | None) -> None:
        self.index = index
        self.id = call_id
        self.name = name
        self.last = ""  # the last character of its arguments; empty if it has none


class ToolCalls:
    """Gives each call its index within the answer. One per stream.

    A new id at the same index opens another call, as does a new name without an id, or a complete
    call after a complete one. A piece with neither id nor name continues the newest call of its
    index.
    """

    __slots__ = ("_by_index", "_calls")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int | str | None, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(
        self, index: int | str | None, call_id: str | None, name: str | None, arguments: str
    ) -> ToolCallDelta | None:
        """The piece as an event of the gateway; None if it adds nothing."""
        call = self._by_index.get(index) or (
            self._calls[-1] if self._calls and index is None else None
        )
        is_new = call is None or _is_another(call, call_id, name, arguments)
        if arguments.strip() in _NO_ARGUMENTS and (is_new or not (call and call.last)):
            arguments = ""
        if call is None or is_new:
            if not (call_id or name or arguments):
                return None
            call = _Call(len(self._calls), call_id or None, name or None)
            self._calls.append(call)
            self._by_index[index] = call
            piece = ToolCallDelta(call.index, call_id or None, name or None, arguments)
        else:
            piece = _go_on(call, call_id, name, arguments)
        call.last = arguments.rstrip()[-1:] or call.last
        return piece if piece != ToolCallDelta(call.index) else None

    def finish(self, reason: FinishReason) -> list[ToolCallDelta]:
        """Arguments `{}` for the calls that had none, but for a last one that `length` has cut."""
        calls = self._calls[:-1] if reason == "length" else self._calls
        bare = [call for call in calls if not call.last]
        for call in bare:
            call.last = "}"
        return [ToolCallDelta(call.index, arguments="{}") for call in bare]


def _is_another(call: _Call, call_id: str | None, name: str | None, arguments: str) -> bool:
    if call_id and call.id:
        return call_id != call.id
    if not name or not call.name:
        return False
    return name != call.name or (call.last == "}" and arguments.lstrip().startswith("{"))


def _go_on(call: _Call, call_id: str | None, name: str | None, arguments: str) -> ToolCallDelta:
    """A further piece of a call, without an id or name that was already sent."""
    new_id = None if call.id else call_id or None
    new_name = None if call.name else name or None
    call.id, call.name = call.id or new_id, call.name or new_name
    return ToolCallDelta(call.index, new_id, new_name, arguments)


def encode_arguments(arguments: object) -> str:
    """The arguments as JSON text: most servers send text, some the object itself."""
    if isinstance(arguments, str):
        return arguments
    return write_json(arguments) if arguments else ""


def decode_arguments(arguments: str) -> Mapping[str, object]:
    """The arguments as an object, for vendors that take no text.

    What a model wrote may be no JSON object, or too deep to be sent: it is then sent as the value
    of INVALID_JSON, so that the model can see its mistake.
    """
    try:
        decoded = msgspec.json.decode(arguments or "{}", type=dict[str, object])
        if arguments.count("{") + arguments.count("[") > _MANY_LEVELS:
            # as deep as they will be in a request, and a few levels more
            msgspec.json.encode([[[[[[[[[[[[[[[[decoded]]]]]]]]]]]]]]]])
        return decoded
    except (msgspec.MsgspecError, RecursionError):
        return {"INVALID_JSON": arguments}


def find_newest_message(turns: Sequence[Turn]) -> int:
    """The place of the newest turn in which the user says something, beside results."""
    place = len(turns) - 1
    while place and (
        turns[place].role == "assistant"
        or all(isinstance(part, ToolResult) for part in turns[place].parts)
    ):
        place -= 1
    return place
