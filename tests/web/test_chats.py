"""The frames of one chat: reading them runs it, closing them ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from models import ChatIdentity, End, Fallback, Restart, Start, Text
from tests.clients.by_hand import TIMEOUTS, Client, Script
from web.chats import ChatFrames
from web.doors import NATIVE
from web.doors.base import Reply
from web.doors.held import HeldEncoder
from web.limits import StreamLimit
from web.response import EventStreamResponse

if TYPE_CHECKING:
    from models import Event
    from web.doors.base import Encoder

REPLY = Reply(ChatIdentity("gpt-1", "c-1", "r-1"))
FALLBACK = Fallback("luna", "nova", "rate_limited")
OPENING: list[Event] = [Start("gpt", "luna"), Text("Hel")]
MORE: list[Event] = [Text("lo")]
END: list[Event] = [
    End(
        provider="gpt",
        model="luna",
        fallback=None,
        finish_reason="stop",
        raw_finish_reason="stop",
        usage=None,
        attempts=1,
    )
]


def hold() -> Encoder:
    return HeldEncoder(lambda: NATIVE.encoder(REPLY))


async def test_each_batch_is_the_frames_of_one_write() -> None:
    """As the door encodes it; a batch without frames is no write."""
    source = ChatFrames(Script(OPENING, [], MORE, END).play(), NATIVE.encoder(REPLY))
    client, encoder = Client(), NATIVE.encoder(REPLY)
    response = EventStreamResponse(source, TIMEOUTS, {}, StreamLimit(1))
    await response(client.scope, client.receive, client.send)
    written = [
        received for _, received in client.received if isinstance(received, bytes) and received
    ]
    assert written == [encoder.encode(batch) for batch in (OPENING, MORE, END)]


@pytest.mark.parametrize(
    ("encoder", "batches", "headers"),
    [
        (
            NATIVE.encoder(REPLY),
            [OPENING],
            {"X-Gateway-Provider": "gpt", "X-Gateway-Model": "luna"},
        ),
        (
            NATIVE.encoder(REPLY),
            [[Start("claude", "nova", FALLBACK)], END],
            {
                "X-Gateway-Provider": "claude",
                "X-Gateway-Model": "nova",
                "X-Gateway-Fallback": "luna; reason=rate_limited",
            },
        ),
        (
            hold(),
            [OPENING, [Restart("gpt", "nova", FALLBACK, 3)], END],
            {
                "X-Gateway-Provider": "gpt",
                "X-Gateway-Model": "nova",
                "X-Gateway-Fallback": "luna; reason=rate_limited",
            },
        ),
    ],
    ids=["asked", "fallback", "held and restarted"],
)
async def test_headers_name_the_model_whose_frames_come_first(
    encoder: Encoder, batches: list[list[Event]], headers: dict[str, str]
) -> None:
    """Which may be another provider's, and for a held answer the last of several."""
    source = ChatFrames(Script(*batches).play(), encoder)
    assert source.headers() == {}
    async for batch in source.batches:
        if source.encode_first(batch):
            break
    assert source.headers() == headers
