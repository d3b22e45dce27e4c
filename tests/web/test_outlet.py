"""How a response reaches its client: by our own server, whose connection is played by hand, or by plain ASGI."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from server.outlet import DirectOutlet
from web.outlet import OUTLET, TAKE_OVER, PlainOutlet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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


def make_outlet(*, takes_over: bool = True) -> tuple[Transport, DirectOutlet]:
    kept = Transport()
    transport = cast(asyncio.Transport, kept)
    return kept, DirectOutlet(transport, FlowControl(transport), takes_over=takes_over)


def test_write_is_a_chunk_at_once() -> None:
    """A piece of a body goes straight to the transport, in the framing of HTTP/1.1."""
    transport, outlet = make_outlet()
    assert outlet.write(b"x" * 26)
    assert transport.written == b"1a\r\n" + b"x" * 26 + b"\r\n"


@pytest.mark.parametrize("state", ["full", "closing"])
def test_write_that_must_wait_is_refused(state: str) -> None:
    """If the client has to read first, or is gone, nothing is written, and `write` returns False."""
    transport = Transport()
    flow = FlowControl(cast(asyncio.Transport, transport))
    outlet = DirectOutlet(cast(asyncio.Transport, transport), flow)
    flow.write_paused = state == "full"
    transport.closing = state == "closing"
    assert not outlet.write(b"data")
    assert transport.written == b""


def test_disconnect_is_reported_once() -> None:
    """At most once, and not after the response has ended."""
    _, outlet = make_outlet()
    reports: list[str] = []
    outlet.watch(lambda: reports.append("first"))
    outlet.report_disconnect()
    outlet.report_disconnect()
    assert reports == ["first"]
    _, outlet = make_outlet()
    outlet.watch(lambda: reports.append("second"))
    outlet.close()
    outlet.report_disconnect()
    assert reports == ["first"]


async def test_disconnect_before_the_response_is_reported_too() -> None:
    """In the next turn: what its watcher has started by then can begin, and leave its record."""
    _, outlet = make_outlet()
    reports: list[str] = []
    outlet.report_disconnect()
    outlet.watch(lambda: reports.append("gone"))
    assert reports == []
    await asyncio.sleep(0)
    assert reports == ["gone"]


async def test_disconnect_before_the_response_is_not_reported_after_its_end() -> None:
    """A response that ends in its first turn is watched no more."""
    _, outlet = make_outlet()
    reports: list[str] = []
    outlet.report_disconnect()
    outlet.watch(lambda: reports.append("gone"))
    outlet.close()
    await asyncio.sleep(0)
    assert reports == []


def rest_of(order: list[str]) -> Callable[[], Awaitable[None]]:
    async def rest() -> None:
        order.append("rest")

    return rest


async def test_rest_runs_when_the_app_has_returned() -> None:
    """What the app leaves is done after it, and what the app put into the scope is gone by then."""
    _, outlet = make_outlet()
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["router"] = "large"
        scope["extensions"][TAKE_OVER](rest_of(order))
        order.append("app")

    scope = {"type": "http"}
    await outlet.run(app, scope, never, nowhere)
    assert order == ["app", "rest"]
    assert scope == {"type": "http"}


async def test_rest_runs_even_if_the_app_fails() -> None:
    """A bug in a middleware leaves no stream open; it is raised when the rest is done."""
    _, outlet = make_outlet()
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][TAKE_OVER](rest_of(order))
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await outlet.run(app, {}, never, nowhere)
    assert order == ["rest"]


async def test_taking_over_is_an_option_of_our_server() -> None:
    """With the option off the app finds the outlet alone, beside what else the server offers."""
    _, outlet = make_outlet(takes_over=False)
    offers: dict[str, object] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        offers.update(scope["extensions"])

    await outlet.run(app, {"extensions": {"other": 1}}, never, nowhere)
    assert offers == {"other": 1, OUTLET: outlet}


async def test_plain_asgi_writes_by_send_alone() -> None:
    """It has no way to write at once."""
    outlet = PlainOutlet(never, nowhere)
    assert not outlet.write(b"data")
    assert outlet.send is nowhere


async def test_plain_asgi_reports_a_disconnect() -> None:
    """Whatever of the request is received before it; and none after the response has ended."""
    messages = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    outlet, left = PlainOutlet(receive, nowhere), asyncio.Event()
    outlet.watch(left.set)
    await left.wait()
    ended = PlainOutlet(receive, nowhere)
    messages += [{"type": "http.disconnect"}]
    reports: list[str] = []
    ended.watch(lambda: reports.append("disconnect"))
    ended.close()
    await asyncio.sleep(0)
    assert reports == []
