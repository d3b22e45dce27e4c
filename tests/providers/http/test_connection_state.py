"""The states of a connection to a vendor, as dialogues: what is received, and the state after it."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from models import GatewayError
from providers.http.connection import Connection
from providers.http.connection_state import State, close, explain_end, is_receiving

REQUEST = b"GET / HTTP/1.1\r\nHost: vendor\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
OPEN_ENDED = b"HTTP/1.1 200 OK\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RESET = ConnectionResetError()


class Wire(asyncio.Transport):
    """The other end of the dialogue."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_aborted = False
        self.is_paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


Received = bytes | Exception | None  # data, a reset, or the end of the connection


def receive(connection: Connection, received: Received) -> State:
    """The state after this."""
    if isinstance(received, bytes):
        connection.data_received(received)
    else:
        connection.connection_lost(received)
    return connection.state


async def ask() -> tuple[Connection, Wire, asyncio.Task[object]]:
    """A connection that has sent a request."""
    connection, wire = Connection(), Wire()
    connection.connection_made(wire)
    assert connection.state is State.IDLE
    asking = asyncio.create_task(connection.ask(REQUEST, 30))
    await asyncio.sleep(0)
    assert (connection.state, wire.written) == (State.HEAD, [REQUEST])
    return connection, wire, cast("asyncio.Task[object]", asking)


DIALOGUES: dict[str, list[tuple[Received, State]]] = {
    "a response": [(HEAD, State.BODY), (b"{", State.BODY), (b"}", State.IDLE)],
    "a response at once": [(HEAD + b"{}", State.IDLE)],
    "a head in two reads": [(HEAD[:20], State.HEAD), (HEAD[20:], State.BODY)],
    "a head in advance": [(b"HTTP/1.1 103 Early Hints\r\n\r\n", State.HEAD), (HEAD, State.BODY)],
    "chunks": [(CHUNKED, State.BODY), (b"2\r\n{}\r\n", State.BODY), (b"0\r\n\r\n", State.IDLE)],
    "the last response": [(LAST, State.BODY), (b"{}", State.COMPLETE), (None, State.CLOSED)],
    "a body that the close ends": [
        (OPEN_ENDED, State.BODY),
        (b"{}", State.BODY),
        (None, State.CLOSED),
    ],
    "a body that a reset ends": [(OPEN_ENDED, State.BODY), (RESET, State.LOST)],
    "a body that is too short": [(HEAD, State.BODY), (b"{", State.BODY), (None, State.LOST)],
    "no response": [(None, State.LOST)],
    "half a head": [(HEAD[:20], State.HEAD), (None, State.LOST)],
    "not HTTP": [(b"SSH-2.0\r\n", State.LOST)],
    "more than the response": [(HEAD, State.BODY), (b"{}}", State.CLOSED)],
    "more, later": [(HEAD + b"{}", State.IDLE), (b"}", State.CLOSED)],
    "a second response": [(HEAD + b"{}" + HEAD, State.CLOSED)],
    "an odd head": [
        (b"HTTP/1.1 200 OK\n", State.ODD_HEAD),
        (b"Content-Length: 2\n\n", State.BODY),
        (b"{}", State.COMPLETE),
    ],
    "an odd head in advance": [
        (b"HTTP/1.1 103 Early Hints\n\n", State.ODD_HEAD),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{", State.BODY),
        (b"}", State.COMPLETE),
    ],
    "an odd head that is unclear": [
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n", State.ODD_HEAD),
        (b"Content-Length: 3\n\n", State.LOST),
    ],
}


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=DIALOGUES.keys())
async def test_state_follows_what_is_received(dialogue: list[tuple[Received, State]]) -> None:
    """The connection is open in all states but two, and is closed by us if they were not the vendor's doing."""
    connection, wire, asking = await ask()
    for received, state in dialogue:
        assert receive(connection, received) is state
        assert connection.is_open is (state not in (State.CLOSED, State.LOST))
    received, state = dialogue[-1]
    assert wire.is_aborted is (isinstance(received, bytes) and not connection.is_open)
    await asyncio.wait([asking])
    has_head = any(
        state is not State.LOST and state not in (State.HEAD, State.ODD_HEAD)
        for _, state in dialogue
    )
    assert (asking.exception() is None) is has_head


async def test_second_request_is_sent_when_the_response_is_complete() -> None:
    """With a new parser: nothing of the first response is left."""
    connection, wire, asking = await ask()
    receive(connection, HEAD + b"{}")
    await asking
    assert await connection.read() == b"{}"
    assert await connection.read() is None
    again = asyncio.create_task(connection.ask(REQUEST, 30))
    await asyncio.sleep(0)
    assert (connection.state, wire.written) == (State.HEAD, [REQUEST] * 2)
    receive(connection, HEAD)
    assert (await again).status == 200


async def test_body_is_read_before_its_failure_is_raised() -> None:
    connection, _, asking = await ask()
    receive(connection, CHUNKED + b"2\r\n{}\r\n")
    await asking
    receive(connection, None)
    assert await connection.read() == b"{}"
    with pytest.raises(GatewayError, match="upstream_truncated"):
        await connection.read()


async def test_rest_of_a_body_is_discarded() -> None:
    """Until its end, after which the connection may be used again."""
    connection, _, asking = await ask()
    over = asyncio.Event()
    receive(connection, CHUNKED + b"2\r\n{}\r\n")
    await asking
    connection.finish(over.set, seconds=60)
    assert receive(connection, b"2\r\n{}\r\n") is State.REST
    assert receive(connection, b"0\r\n\r\n") is State.IDLE
    await over.wait()


async def test_slow_reader_pauses_the_vendor() -> None:
    """The socket is read again once the reader has taken what is buffered."""
    connection, wire, asking = await ask()
    receive(connection, CHUNKED)
    receive(connection, b"20000\r\n" + b"x" * 0x20000)
    await asking
    assert wire.is_paused
    assert len(await connection.read() or b"") == 0x20000
    assert not wire.is_paused


async def test_closed_connection_takes_no_request() -> None:
    connection = Connection()
    connection.connection_made(Wire())
    assert receive(connection, RESET) is State.CLOSED
    with pytest.raises(ConnectionResetError):
        await connection.ask(REQUEST, 30)


@pytest.mark.parametrize("state", State)
def test_closing_loses_only_a_response_in_progress(state: State) -> None:
    """A connection that is closed already keeps its state."""
    assert close(state) is (
        State.LOST if is_receiving(state) or state is State.LOST else State.CLOSED
    )
    assert close(state) in (State.CLOSED, State.LOST)


@pytest.mark.parametrize(
    ("state", "head", "code"),
    [
        (State.BODY, b"", "upstream_truncated"),
        (State.REST, b"", "upstream_truncated"),
        (State.HEAD, b"HTTP/1.1 2", "upstream_bad_response"),
        (State.ODD_HEAD, b"HTTP/1.1 2", "upstream_bad_response"),
    ],
)
def test_early_close_is_a_failure_of_the_vendor(state: State, head: bytes, code: str) -> None:
    error = explain_end(state, head)
    assert isinstance(error, GatewayError)
    assert error.code == code


def test_close_before_any_answer_is_a_failure_of_the_connection() -> None:
    assert isinstance(explain_end(State.HEAD, b""), ConnectionResetError)
