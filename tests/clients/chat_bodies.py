"""Chats as a client writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from configuration import Settings
from web.doors.base import DoorRequest
from web.doors.native import decode_chat

if TYPE_CHECKING:
    from models import Chat, Turn

DEFAULT_SETTINGS = Settings(vendors={})


def read_request(body: object) -> DoorRequest:
    """What is read of a body that is given as Python has it. Raises GatewayError as for a client's."""
    return decode_chat(json.dumps(body).encode(), DEFAULT_SETTINGS)


def read_chat(body: object) -> Chat:
    """The chat of such a body."""
    return read_request(body).chat


def read_turn(content: Any, role: Any = "user", **fields: Any) -> Turn:
    """The turn of a chat that has just this one."""
    return read_chat({"messages": [{"role": role, "content": content, **fields}]}).turns[0]
