"""Notices a second generation in one stream, as of a proxy that asks its model again unseen.

Its text must not be added to the first one's. A stream has no mark of it, only these signs:

- the id that the chunks had in common changes (`AnswerId`)
- a block or an item begins again after one that followed it (`Places`)
"""

from __future__ import annotations

from enum import Enum

from models import GatewayError


class _Ids(Enum):
    """How a server uses ids, as far as its chunks have shown."""

    UNKNOWN = "unknown"  # no two pieces of the answer have had the same id
    SHARED = "shared"  # pieces have had the same id
    CHANGED = "changed"  # the id has changed once; the next piece shows whether each has its own
    UNRELIABLE = "unreliable"  # each piece has an id of its own, or none means anything


_KNOWN_USES = (_Ids.SHARED, _Ids.UNRELIABLE)


class AnswerId:
    """The id of the chunks of one answer."""

    __slots__ = ("_suspect", "_use", "id", "is_use_known")

    def __init__(self) -> None:
        self.id: object = None
        self._suspect: object = None  # the newest other id of an opening that had no piece
        self._use = _Ids.UNKNOWN
        # Whether a further piece with the same id shows nothing new of how the server uses ids. An
        # attribute, because it is looked at for each piece.
        self.is_use_known = False

    def change(self, new: object, *, follows_content: bool, is_opening: bool) -> None:
        """Take an id other than that of the pieces before.

        `is_opening`: the chunk is one with which an answer may begin. Raises GatewayError.
        """
        if follows_content and self.id is not None:
            has_opening = is_opening or new == self._suspect
            if not has_opening or self._use in (_Ids.CHANGED, _Ids.UNRELIABLE):
                self._learn(_Ids.UNRELIABLE)
            elif self._use is _Ids.SHARED or not is_opening:
                raise _second_generation("second_message")
            else:
                self._learn(_Ids.CHANGED)
        self.id = new

    def suspect(self, new: object) -> None:
        """Note another id, of an opening without a piece: one under that id is another answer's.

        Some servers send a last chunk or a sign of life with a role and an id of its own.
        """
        self._suspect = new

    def repeat(self, *, is_opening: bool = False) -> None:
        """Take a further piece with the same id.

        Raises GatewayError if the id has changed once before: it is no number of the chunk. Of
        openings there may be several with each id.
        """
        if self._use is not _Ids.CHANGED:
            self._learn(_Ids.SHARED)
        elif not is_opening:
            raise _second_generation("second_message")

    def _learn(self, use: _Ids) -> None:
        self._use = use
        self.is_use_known = use in _KNOWN_USES


class Places:
    """The places of an answer's blocks or items, by their numbers on the wire.

    Some proxies number all blocks 0, or several with the same number: one may begin again at once,
    but not if a higher one has begun since.
    """

    __slots__ = ("_begun", "_highest", "_reason")

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._begun: set[int] = set()
        self._highest = -1

    def begin(self, place: int | None, *, follows_content: bool) -> None:
        """Take the place of what begins. Raises GatewayError if the numbers begin again."""
        if place is None:
            return
        if follows_content and place < self._highest and place in self._begun:
            raise _second_generation(self._reason)
        self._begun.add(place)
        self._highest = max(self._highest, place)


def _second_generation(reason: str) -> GatewayError:
    return GatewayError("upstream_bad_event", reason=reason)
