"""The doors: the client protocols, by the paths of their chats."""

from __future__ import annotations

from collections.abc import Mapping

from web.doors.base import Door
from web.doors.native import NativeDoor

NATIVE = NativeDoor()

# The route of each door's chats.
DOORS: Mapping[str, Door] = {
    "/chat/{provider}": NATIVE,
}


def find_door(path: str) -> Door:
    """The door that a path belongs to; for all other paths the gateway's own."""
    for route, door in DOORS.items():
        if path.startswith(route.partition("{")[0]):
            return door
    return NATIVE
