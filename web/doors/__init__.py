"""The doors: the client protocols, by the paths of their chats."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers

from web.doors.anthropic import AnthropicDoor
from web.doors.base import CountingDoor, Door
from web.doors.model_lists import speaks_anthropic
from web.doors.native import NativeDoor
from web.doors.openai_chat import OpenAIChatDoor
from web.doors.openai_responses import OpenAIResponsesDoor
from web.doors.ui_message import UiMessageDoor

NATIVE = NativeDoor()
OPENAI_CHAT = OpenAIChatDoor()
OPENAI_RESPONSES = OpenAIResponsesDoor()
ANTHROPIC = AnthropicDoor()

# The route of each door's chats.
DOORS: Mapping[str, Door] = {
    "/chat/{provider}": NATIVE,
    "/v1/chat/completions": OPENAI_CHAT,
    "/v1/messages": ANTHROPIC,
    "/v1/responses": OPENAI_RESPONSES,
    "/ui/chat/{provider}": UiMessageDoor(),
}

# The routes at which clients ask for the input tokens of a chat.
COUNTS: Mapping[str, CountingDoor] = {
    "/v1/messages/count_tokens": ANTHROPIC,
    "/v1/responses/input_tokens": OPENAI_RESPONSES,
}


def find_door(path: str, headers: Headers) -> Door:
    """The door that a path belongs to, which shapes the errors there.

    Other paths below /v1 are Anthropic's or OpenAI's; all others are the gateway's own.
    """
    for route, door in DOORS.items():
        if path.startswith(route.partition("{")[0]):
            return door
    if path != "/v1" and not path.startswith("/v1/"):
        return NATIVE
    return ANTHROPIC if speaks_anthropic(headers) else OPENAI_CHAT
