"""The way out to a response's client: our own server's, whose connection is played by hand, and any other's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from web.outlet import EXTENSION, DirectOutlet, PlainOutlet, find_outlet

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


class Transport:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = False

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing


async def never() -> Message:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def nowhere(message: Message) -> None:
    raise AssertionError(message)


def make_outlet() -> tuple[Transport, DirectOutlet]:
    transport = Transport()
    return transport, DirectOutlet(cast(asyncio.Transport, transport), FlowControl(cast(asyncio.Transport, transport)))


def test_write_is_a_chunk_at_once() -> None:
    """A piece of a body goes straight to the transport, in the framing of HTTP/1.1."""
    transport, outlet = make_outlet()
    assert outlet.write(b"x" * 26)
    assert transport.written == b"1a\r\n" + b"x" * 26 + b"\r\n"


@pytest.mark.parametrize("state", ["full", "closing"])
def test_write_that_must_wait_is_refused(state: str) -> None:
    """Where the client has to read first, or is gone, nothing is written, and the caller is told."""
    transport = Transport()
    flow = FlowControl(cast(asyncio.Transport, transport))
    outlet = DirectOutlet(cast(asyncio.Transport, transport), flow)
    flow.write_paused = state == "full"
    transport.closing = state == "closing"
    assert not outlet.write(b"data")
    assert transport.written == b""


def test_leaving_is_told_once() -> None:
    """Whoever watches hears of the client's leaving once, and not after the response has ended."""
    _, outlet = make_outlet()
    told: list[str] = []
    outlet.watch(lambda: told.append("first"))
    outlet.lose()
    outlet.lose()
    outlet.watch(lambda: told.append("second"))
    outlet.close()
    outlet.lose()
    assert told == ["first"]


async def test_rest_runs_when_the_app_has_returned() -> None:
    """What the app leaves to be done is done after it, and what it put into the scope is gone by then."""
    _, outlet = make_outlet()
    order: list[str] = []

    async def rest() -> None:
        order.append("rest")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["router"] = "large"
        assert outlet.take_over(rest)
        order.append("app")

    scope = {"type": "http"}
    await outlet.run(app, scope, never, nowhere)
    assert order == ["app", "rest"]
    assert scope == {"type": "http"}


async def test_rest_runs_even_if_the_app_fails() -> None:
    """A bug in a middleware on its way back leaves no stream open; it is raised when the rest is done."""
    _, outlet = make_outlet()
    done = asyncio.Event()

    async def rest() -> None:
        done.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        outlet.take_over(rest)
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await outlet.run(app, {}, never, nowhere)
    assert done.is_set()


async def test_any_server_is_good_enough() -> None:
    """Without an outlet of the server's own all is sent, and the app keeps its response to the end."""
    outlet = find_outlet({"type": "http"}, never, nowhere)
    assert isinstance(outlet, PlainOutlet)
    assert not outlet.write(b"data")
    assert not outlet.take_over(never)  # type: ignore[arg-type]
    own = make_outlet()[1]
    assert find_outlet({"type": "http", "extensions": {EXTENSION: own}}, never, nowhere) is own
