"""The request id around everything, and the answer to a bug; then both in the whole gateway."""

from __future__ import annotations

import json
import logging
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.log_line import conversation_id_context, request_id_context
from tests.gateways.scripted import scripted_gateway
from web.middleware import LastResortMiddleware, RequestIdMiddleware

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECRET = "the prompt, and sk-a-key"
KEPT = ["a", "A-b_c.9", "0" * 128, str(uuid.UUID(int=7))]
REPLACED = [
    b"",
    b" ",
    b"a b",
    b"a\tb",
    b'a"b',
    b"a\\b",
    b"a/b",
    b"a%0d%0ab",
    b"a\x1b[31m",
    b"a\x85b",
    b"a\n",
    b"\xe2\x80\xa8",
    b"\xc3\xa9",
    b"0" * 129,
    b"0" * 100_000,
]


async def call(app: ASGIApp, *headers: tuple[bytes, bytes], kind: str = "http") -> list[Message]:
    """The app's response to one request."""
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        said.append(message)

    await app({"type": kind, "path": "/", "headers": list(headers)}, receive, send)
    return said


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the request's id as the context has it."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": request_id_context.get().encode()})


async def learn_id(*given_ids: bytes) -> str:
    """The id that a request with these headers gets, which header and context agree on."""
    start, body = await call(
        RequestIdMiddleware(echo), *((b"x-request-id", value) for value in given_ids)
    )
    (*others, (name, value), other) = start["headers"]
    assert (others, name, other) == ([(b"a", b"b")], b"x-request-id", (b"request-id", value))
    assert body["body"] == value
    return str(value.decode())


@pytest.mark.parametrize("request_id", KEPT)
async def test_valid_request_id_is_kept(request_id: str) -> None:
    """A client's own id goes through the log and back."""
    assert await learn_id(request_id.encode()) == request_id


@pytest.mark.parametrize("request_id", REPLACED)
async def test_invalid_request_id_is_replaced(request_id: bytes) -> None:
    """Anything else, and anything that could forge a log line, is replaced by a UUID."""
    assert uuid.UUID(await learn_id(request_id)).version == 4


@pytest.mark.parametrize(
    "request_ids", [(), (b"a", b"b"), (b"a", b"a")], ids=["none", "two", "twice the same"]
)
async def test_request_without_one_clear_id_gets_one(request_ids: tuple[bytes, ...]) -> None:
    """None, or more than one, is none."""
    assert uuid.UUID(await learn_id(*request_ids)).version == 4


@given(request_id=st.binary(max_size=200))
async def test_any_header_gives_a_clean_id(request_id: bytes) -> None:
    """Whatever bytes come, the id fits into one word of a log line."""
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", await learn_id(request_id))


async def test_request_starts_without_a_conversation() -> None:
    """A conversation's id does not leak from one request into the next of the same context."""
    conversation_id_context.set("of another request")
    await learn_id()
    assert conversation_id_context.get() is None


async def test_lifespan_passes_untouched() -> None:
    """Only requests have an id."""
    (start, _) = await call(RequestIdMiddleware(echo), kind="lifespan")
    assert start["headers"] == [(b"a", b"b")]


async def break_down(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError(SECRET)


async def break_down_midway(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError(SECRET)


async def test_bug_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    """The client learns that it was our fault and the request's id, and nothing of the exception; the log has it."""
    with caplog.at_level(logging.ERROR):
        start, body = await call(
            RequestIdMiddleware(LastResortMiddleware(break_down)), (b"x-request-id", b"r-1")
        )
    error = json.loads(body["body"])["error"]
    assert (start["status"], error["code"], error["request_id"]) == (500, "internal_error", "r-1")
    assert SECRET.encode() not in body["body"]
    assert b"RuntimeError" not in body["body"]
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_bug_after_the_status_line_is_raised() -> None:
    """If the response has begun, no second one can follow: the server cuts the connection."""
    with pytest.raises(RuntimeError):
        await call(LastResortMiddleware(break_down_midway))


async def test_bug_of_the_lifespan_is_raised() -> None:
    """A gateway that cannot start says so."""
    with pytest.raises(RuntimeError):
        await call(LastResortMiddleware(break_down), kind="lifespan")


FOREIGN = {"Origin": "https://foreign.example.com"}


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/health/live", {}, 200),
        ("GET", "/", {}, 200),
        ("GET", "/static/page.js", {}, 200),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/static/nowhere.js", {}, 404),
        ("GET", "/chat/gpt", {}, 405),
        ("POST", "/chat/unheard-of", {"json": {}}, 404),
        ("POST", "/chat/gpt", {"json": {}}, 422),
        ("POST", "/chat/gpt", {"content": b"hi"}, 415),
        ("POST", "/chat/gpt", {"json": "x" * 2_000}, 413),
        ("POST", "/chat/gpt", {"json": {}, "headers": FOREIGN}, 403),
        ("GET", "/", {"headers": {"Host": "foreign.example.com"}}, 421),
        (
            "OPTIONS",
            "/chat/gpt",
            {"headers": FOREIGN | {"Access-Control-Request-Method": "POST"}},
            403,
        ),
        ("GET", "/sentry-debug", {}, 500),
    ],
)
async def test_every_response_has_the_request_id(
    tmp_path: Path, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    """Whatever the answer is and wherever it comes from, its id is in the header, once, and in an error's body."""
    async with scripted_gateway(tmp_path, max_body_bytes=1_000) as gateway:
        gateway.client.headers["X-Request-ID"] = "r-1"
        response = await gateway.client.request(method, path, **options)
    assert response.status_code == status
    assert response.headers.get_list("x-request-id") == ["r-1"]
    if status >= 400:
        assert response.json()["error"]["request_id"] == "r-1"
