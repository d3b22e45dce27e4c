"""`AnswerCalls`: the tool calls of one answer, in the order of pieces that clients rely on."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from cluster.state_store import KeptState
from models import (
    Delta,
    Event,
    GatewayError,
    Prompt,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolCallDelta,
)
from prompt_engineering import fitting_id

_MAX_CALLS = 1_000  # of an answer
# Characters of a call's arguments that are read, each time from the beginning, to see whether they
# are complete while another call waits.
_MAX_LOOKED = 1_000_000
MADE_ID = "call_gw"  # the beginning of an id that the gateway made, since the vendor sent none


@dataclass(slots=True)
class _Call:
    """A call: what has arrived of it, and how much of that has been passed on."""

    before: tuple[tuple[int, State], ...]
    id: str | None = None
    name: str = ""
    state: State | None = None
    sent_id: str = ""  # once it has begun
    arguments: list[str] = field(default_factory=list)
    sent: int = 0  # pieces of the arguments
    looked: int = 0  # characters that were read to see whether they are complete
    is_over: bool = False  # another call has begun after it, or text
    repeated: list[str] = field(default_factory=list)  # what comes when they seem complete

    def take(self, piece: ToolCallDelta) -> None:
        """Add a piece."""
        self.id = self.id or piece.id
        self.name = self.name or piece.name or ""
        self.state = self.state or piece.state
        if piece.arguments:
            is_more = self.is_over or self.repeated or self._begins_again(piece.arguments)
            (self.repeated if is_more else self.arguments).append(piece.arguments)

    def complete(self, *, is_cut: bool) -> None:
        """Complete a call at the end of the answer, which `is_cut` if it reached its length here.

        Raises GatewayError for a call that was not sent as the model made it. Some servers send a
        complete call once more: then nothing has changed.
        """
        if not self.name:
            raise GatewayError("upstream_bad_event", reason="call_without_name")
        arguments = "".join(self.arguments)
        if self._goes_on(arguments):
            if self.is_over:
                raise GatewayError("upstream_bad_event", reason="call_goes_on")
            self.arguments += self.repeated
        if not arguments.strip():
            # Many clients take no arguments at all for `{}`, and would run the tool.
            self.arguments.append("{" if is_cut else "{}")

    def _goes_on(self, arguments: str) -> bool:
        """Whether what came after these complete arguments is not just the same once more."""
        return "".join(self.repeated).strip() not in ("", arguments.strip())

    def _begins_again(self, piece: str) -> bool:
        """Whether a piece begins another object after a complete one: perhaps the same again."""
        return piece.lstrip().startswith("{") and self.is_complete()

    def is_complete(self) -> bool:
        """Whether all pieces were passed on and are a complete JSON object together."""
        end = self.arguments[-1].rstrip() if self.sent_id and self.arguments else ""
        if self.looked > _MAX_LOOKED or not end.endswith("}"):
            return False
        arguments = "".join(self.arguments)
        self.looked += len(arguments)
        if not self.is_over and self._goes_on(arguments):
            return False
        try:
            msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, RecursionError):
            return False
        return True


class AnswerCalls:
    """Gives each call an id, and puts the pieces of each together.

    A call's first piece has its id and its name, the others its arguments, `{}` if there are none.
    What arrives among the pieces of a call, be it a piece of another call or text, waits until that
    call's arguments are complete JSON, or until the answer ends. If the answer was cut before the
    arguments of its last call, these are `{`, which is no JSON. An id is made if the vendor sent
    none, or one that does not fit or that the conversation already has.
    """

    __slots__ = ("_calls", "_chars", "_open", "_states", "_taken", "_waiting")

    def __init__(self, taken: Iterable[str], chars: int) -> None:
        """`taken` are the ids of the conversation, `chars` counts the answer's text so far."""
        self._taken = set(taken)
        self._chars = chars
        self._states: list[tuple[int, State]] = []  # since the newest call
        self._calls: dict[int, _Call] = {}
        self._open = 0  # the place of the call whose pieces are passed on
        self._waiting: list[Delta] = []  # what is no call, until no call is open

    def arrange(self, deltas: Iterable[Delta]) -> list[Event]:
        """The deltas of a batch in the order in which they may be sent.

        Raises GatewayError `event_too_large` if the answer has too many calls.
        """
        arranged: list[Event] = []
        for delta in deltas:
            match delta:
                case ToolCallDelta():
                    call = self._calls.get(delta.index)
                    if call is None:
                        if len(self._calls) == _MAX_CALLS:
                            detail = {"limit": _MAX_CALLS}
                            raise GatewayError("event_too_large", reason="calls", detail=detail)
                        call = self._calls[delta.index] = _Call(tuple(self._states))
                        self._states.clear()
                    call.take(delta)
                    arranged += self._pass_on()
                case _:
                    self._waiting.append(delta)
                    if isinstance(delta, Text):
                        self._chars += len(delta.text)
                    elif isinstance(delta, Reasoning) and delta.state:
                        self._states.append((self._chars, delta.state))
            if self._waiting and self._is_between_calls():
                arranged += self._waiting
                self._waiting.clear()
        return arranged

    def close(self, *, is_cut: bool = False) -> list[Event]:
        """What waited, at the end of the answer, which `is_cut` if it reached its length.

        Raises GatewayError for a call without a name, or one that went on after its end.
        """
        closed: list[Event] = []
        for place, call in enumerate(self._calls.values()):
            call.complete(is_cut=is_cut and place == len(self._calls) - 1)
            closed += self._pieces(place, call)
        closed += self._waiting
        return closed

    def kept(self) -> Iterator[tuple[ToolCall, KeptState]]:
        """The calls that have a state, or that one precedes."""
        for call in self._calls.values():
            if call.before or call.state:
                whole = ToolCall(call.sent_id, call.name, "".join(call.arguments))
                yield whole, KeptState(call.before, call.state)

    def _is_between_calls(self) -> bool:
        """Whether no call is open: what has begun is complete, and nothing waits for it."""
        calls = list(self._calls.values())
        if self._open == len(calls) - 1 and calls[self._open].is_complete():
            calls[self._open].is_over = True
            self._open += 1
        return self._open == len(calls)

    def _pass_on(self) -> Iterator[ToolCallDelta]:
        """The pieces that need not wait."""
        calls = list(self._calls.values())
        while self._open < len(calls):
            call = calls[self._open]
            if call.name and (call.id or call.arguments):
                yield from self._pieces(self._open, call)
            if self._open == len(calls) - 1 or not call.is_complete():
                return
            call.is_over = True
            self._open += 1

    def _pieces(self, place: int, call: _Call) -> Iterator[ToolCallDelta]:
        """What has not been passed on of a call whose name is known."""
        if not call.sent_id:
            call.sent_id = fitting_id(call.id) if call.id else ""
            while not call.sent_id or call.sent_id in self._taken:
                call.sent_id = MADE_ID + secrets.token_hex(11)
            self._taken.add(call.sent_id)
            yield ToolCallDelta(place, call.sent_id, call.name, state=call.state)
        for arguments in call.arguments[call.sent :]:
            yield ToolCallDelta(place, arguments=arguments)
        call.sent = len(call.arguments)


def call_ids(prompt: Prompt) -> Iterator[str]:
    """The ids of the calls in a prompt."""
    for turn in prompt.turns:
        for part in turn.parts:
            if isinstance(part, ToolCall):
                yield part.id
