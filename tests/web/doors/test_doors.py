"""The table of doors, and what it takes to add one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from starlette.datastructures import Headers

from models import Chat, GatewayError, Text, Turn
from tests.gateways.scripted import answer, scripted_gateway
from web.doors import DOORS, NATIVE, find_door
from web.doors.base import EVENT_STREAM, DoorRequest, ErrorBody
from web.routes import add_doors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from configuration import Settings
    from models import Event
    from streams.answer import Answer
    from tests.gateways.scripted import ScriptedGateway
    from web.doors.base import Reply


@pytest.mark.parametrize("path", ["/chat/gpt", "/chat/unheard-of", "/", "/health", "/nowhere", ""])
def test_every_path_has_a_door(path: str) -> None:
    """A path of no other door is answered in the gateway's own protocol."""
    assert find_door(path, Headers()) is NATIVE


@pytest.mark.parametrize("route", DOORS)
def test_door_answers_errors_on_its_own_paths(route: str) -> None:
    """The door of a route is found for its errors too, whose body names the request."""
    door = find_door(route.format(provider="gpt"), Headers())
    assert door is DOORS[route]
    body = door.error(GatewayError("rate_limited"), "r-1")
    assert body.status == 429
    assert b"r-1" in body.content


def test_doors_have_names_of_their_own() -> None:
    """A record says by which door its chat came."""
    names = [door.name for door in DOORS.values()]
    assert len(set(names)) == len(names)


class PlainDoor:
    """A door of plain text: `!` before a question asks for a whole answer, and `?` for capitals."""

    name = "plain"

    def read(self, body: bytes, settings: Settings, headers: Headers) -> DoorRequest:
        question = body.decode().strip('"')
        if question == "bad":
            raise GatewayError("invalid_request")
        chat = Chat(
            turns=(Turn("user", (Text(question),)),),
            on_break="hold" if question[0] == "!" else "error",
        )
        return DoorRequest(chat, is_stream=question[0] != "!", options=question[0] == "?")

    def encoder(self, reply: Reply) -> PlainEncoder:
        return PlainEncoder(reply)

    def render(self, answer: Answer, reply: Reply) -> bytes:
        return json.dumps([answer.text, answer.end.finish_reason]).encode()

    def error(self, error: GatewayError, request_id: str) -> ErrorBody:
        return ErrorBody(
            418, f"{error.code} in {request_id}".encode(), {"X-Retry": "no"}, "text/plain"
        )


class PlainEncoder:
    """The text alone."""

    media_type = EVENT_STREAM

    def __init__(self, reply: Reply) -> None:
        self._is_loud = reply.options

    def encode(self, batch: list[Event]) -> bytes:
        text = "".join(event.text for event in batch if isinstance(event, Text))
        return (text.upper() if self._is_loud else text).encode()

    def encode_error(self, error: GatewayError) -> bytes:
        return f"<{error.code}>".encode()


@pytest.fixture
async def gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ScriptedGateway]:
    """A gateway with the plain door, which is one row more."""
    plain = {"/plain/{provider}": PlainDoor()}
    monkeypatch.setattr("web.doors.DOORS", {**DOORS, **plain})
    async with scripted_gateway(tmp_path) as gateway:
        add_doors(gateway.running.app.router, plain)
        yield gateway


async def ask(gateway: ScriptedGateway, question: str) -> tuple[int, str]:
    response = await gateway.client.post(
        "/plain/gpt", json=question, headers={"X-Request-ID": "r-1"}
    )
    return response.status_code, response.text


async def test_door_streams_in_its_own_protocol(gateway: ScriptedGateway) -> None:
    """With the options that it has read from the request."""
    gateway.gpt.enqueue(*answer("Hel", "lo"))
    gateway.gpt.enqueue(*answer("Hel", "lo"))
    assert await ask(gateway, "Hi") == (200, "Hello")
    assert await ask(gateway, "?Hi") == (200, "HELLO")
    assert [turn.parts for asked in gateway.gpt.history for turn in asked.prompt.turns] == [
        (Text("Hi"),),
        (Text("?Hi"),),
    ]


async def test_door_answers_as_a_whole(gateway: ScriptedGateway) -> None:
    """Gathered for it."""
    gateway.gpt.enqueue(*answer("Hel", "lo"))
    assert await ask(gateway, "!Hi") == (200, '["Hello", "stop"]')


async def test_door_ends_a_broken_stream_in_its_own_protocol(gateway: ScriptedGateway) -> None:
    """The last frame says how."""
    gateway.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
    assert await ask(gateway, "Hi") == (200, "Hel<upstream_truncated>")


async def test_door_shapes_each_error(gateway: ScriptedGateway) -> None:
    """Of its body, of a vendor, and of the gateway, with a status of its own."""
    assert await ask(gateway, "bad") == (418, "invalid_request in r-1")
    gateway.gpt.enqueue(GatewayError("rejected_by_provider"))
    assert await ask(gateway, "Hi") == (418, "rejected_by_provider in r-1")
    response = await gateway.client.post(
        "/plain/unheard-of", json="Hi", headers={"X-Request-ID": "r-1"}
    )
    assert (response.status_code, response.text) == (418, "unknown_provider in r-1")
    assert (response.headers["x-retry"], response.headers["content-type"]) == (
        "no",
        "text/plain; charset=utf-8",
    )
