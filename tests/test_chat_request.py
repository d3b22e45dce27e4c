"""What a chat's body may be: strict JSON under its limits; whatever else comes gets a small, clear refusal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from configuration import Settings
from models import GatewayError
from web.guards import BodyRoom, read_chat_request

if TYPE_CHECKING:
    from starlette.types import Message

    from models import ChatRequest

LIMITS = Settings(
    vendors={}, max_body_bytes=5_000, max_messages=3, max_message_chars=50, max_image_bytes=10, max_json_depth=8
)
ROOMY = Settings(vendors={})
JSON = ("content-type", "application/json")
SENT = "what-was-sent"


def build_request(chunks: list[bytes], *headers: tuple[str, str]) -> Request:
    """A request whose body is these chunks, taken from the list as they are read."""

    async def receive() -> Message:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


async def read(body: bytes, *headers: tuple[str, str], settings: Settings = ROOMY) -> ChatRequest:
    return await read_chat_request(
        build_request([body], *(headers or (JSON,))), settings, BodyRoom(settings.max_body_bytes)
    )


async def refuse(body: bytes, *headers: tuple[str, str], settings: Settings = ROOMY) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        await read(body, *headers, settings=settings)
    return raised.value


def chat(content: object = "Hi", **fields: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": content}], **fields}).encode()


def saying(content: bytes) -> bytes:
    """A chat whose content is written as given, valid or not."""
    return b'{"messages":[{"role":"user","content":%b}]}' % content


def beside(value: bytes) -> bytes:
    """A good chat with one more value beside its messages, in a field that nobody knows."""
    return b'{"extra":%b,"messages":[{"role":"user","content":"Hi"}]}' % value


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "Application/JSON ; Charset=UTF-8",
        "application/json;",
    ],
)
async def test_json_is_taken(media_type: str) -> None:
    """JSON in UTF-8 is welcome, however its type is spelled."""
    assert (await read(chat(), ("content-type", media_type))).messages[0].content == "Hi"


@pytest.mark.parametrize(
    "headers",
    [
        [("accept", "*/*")],
        [("content-type", "")],
        [("content-type", "text/plain")],
        [("content-type", "application/jsonx")],
        [("content-type", "application/x-www-form-urlencoded")],
        [("content-type", "multipart/form-data; boundary=x")],
        [("content-type", "application/json; charset=latin-1")],
        [("content-type", "application/json; charset=utf-16")],
        [JSON, ("content-encoding", "gzip")],
    ],
    ids=str,
)
async def test_other_types_are_refused(headers: list[tuple[str, str]]) -> None:
    """No other type, charset or encoding is guessed at; another site's form cannot pass for JSON."""
    assert (await refuse(chat(), *headers)).code == "unsupported_media_type"


@pytest.mark.parametrize(
    "body",
    [
        saying(b"NaN"),
        saying(b"Infinity"),
        saying(b"-Infinity"),
        beside(b"NaN"),
        saying(b'"\\ud800"'),
        saying(b'"\\udc00\\ud800"'),
        beside(b'"\\ud800"'),
        beside(b'{"\\udfff":1}'),
        b'{"\\ud800":1,"messages":[]}',
        saying(b'"\xed\xa0\x80"'),
        saying(b'"\xff"'),
        beside(b'"\xff"'),
        b"\xef\xbb\xbf" + chat(),
        chat().decode().encode("utf-16"),
        chat().decode().encode("utf-16-le"),
        saying(b'"a\x00b"'),
        saying(b'"a\nb"'),
        chat() + b"x",
        chat() + b"\x00",
        chat()[:-1],
        b"",
        b"  ",
        saying(b"[" * 99),
    ],
)
async def test_what_is_no_strict_json_is_refused(body: bytes) -> None:
    """NaN, lone surrogates, other encodings, marks, control characters, half bodies: `invalid_json`."""
    assert (await refuse(body)).code == "invalid_json"


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{}",
        b'{"messages":null}',
        b'{"messages":[]}',
        b'{"messages":{"0":{}}}',
        b'{"messages":[null]}',
        saying(b"null"),
        saying(b"1e999"),
        b'{"model":1e999,"messages":[{"role":"user","content":"Hi"}]}',
        b'{"messages":[{"role":"user","content":"Hi","timestamp":%b}]}' % (b"9" * 5_000),
        b'{"messages":[{"role":"tool","content":"Hi"}]}',
        chat([{"type": "text"}]),
        chat([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]),
        chat(on_break="retry"),
        chat(conversation_id="x" * 129),
    ],
)
async def test_json_of_another_shape_is_refused(body: bytes) -> None:
    """Valid JSON that is no chat, or has numbers that nobody can hold: `invalid_request`."""
    assert (await refuse(body)).code == "invalid_request"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"a\\u0000b"', "a\x00b"),
        (b'"' + b"[" * 99 + b'"', "[" * 99),
        (b'"\\"' + b"{" * 99 + b'\\\\"', '"' + "{" * 99 + "\\"),
        (b'"\xe2\x80\xa8"', "\u2028"),
    ],
    ids=["surrogate pair", "escaped NUL", "brackets", "quotes and brackets", "line separator"],
)
async def test_unusual_text_is_taken_as_it_is(written: bytes, text: str) -> None:
    """What JSON allows in a string is text; brackets in it are no depth."""
    assert (await read(saying(written))).messages[0].content == text


@pytest.mark.parametrize("value", [b"1e999", b"9" * 5_000, b'{"a":[1,{"b":null}]}'], ids=["1e999", "long", "object"])
async def test_unknown_fields_are_read_over(value: bytes) -> None:
    """A field that nobody knows is ignored, with any valid JSON in it, and does not reach the chat."""
    assert "extra" not in (await read(beside(value))).model_dump()


@pytest.mark.parametrize("content", [b'"a","content":"b"', b'"a","\\u0063ontent":"b"', b'[{"type":"x","type":"text"}]'])
async def test_same_key_twice_is_refused(content: bytes) -> None:
    """Of two equal keys nobody knows which one is meant, however they are spelled: `invalid_json`."""
    assert (await refuse(saying(content))).code == "invalid_json"
    assert (await refuse(b'{"messages":[],' + chat(content.decode())[1:])).code == "invalid_json"


@pytest.mark.parametrize(
    ("body", "limit", "seen"),
    [
        (json.dumps({"messages": [{"role": "user", "content": "Hi"}] * 4}).encode(), "MAX_MESSAGES is 3", "4 "),
        (b'{"messages":[1,2,3,4]}', "MAX_MESSAGES is 3", "4 "),
        (chat("x" * 51), "MAX_MESSAGE_CHARS is 50", "51 "),
        (chat([{"type": "text", "text": "x" * 30}] * 2), "MAX_MESSAGE_CHARS is 50", "60 "),
        (chat([{"type": "image", "media_type": "image/png", "data": "A" * 16}]), "MAX_IMAGE_BYTES is 10", "12 "),
        (beside(b"[" * 8 + b"]" * 8), "MAX_JSON_DEPTH is 8", "9 "),
        (beside(b'{"a":' * 400 + b"1" + b"}" * 400), "MAX_JSON_DEPTH is 8", "401 "),
        (beside(b"[" * 2_000 + b"]" * 2_000), "MAX_JSON_DEPTH is 8", ""),
    ],
    ids=["messages", "bad messages", "characters", "characters in parts", "image", "depth", "deeper", "deepest"],
)
async def test_limit_is_named_with_what_was_seen(body: bytes, limit: str, seen: str) -> None:
    """Over a limit the client learns which one, its value, and the number it sent."""
    error = await refuse(body, settings=LIMITS)
    assert error.code == "invalid_request"
    assert limit in error.safe_message
    assert seen in error.safe_message


async def test_limits_are_inclusive() -> None:
    """What is exactly at every limit is taken."""
    image = {"type": "image", "media_type": "image/png", "data": "A" * 12}
    messages = [{"role": "user", "content": "x" * 50}] * 2 + [{"role": "user", "content": [image]}]
    body = json.dumps({"messages": messages, "extra": [[[[[[[]]]]]]]}).encode()
    assert len((await read(body, settings=LIMITS)).messages) == 3
    padded = body + b" " * (5_000 - len(body))
    assert len((await read(padded, JSON, ("content-length", "5000"), settings=LIMITS)).messages) == 3


@pytest.mark.parametrize("length", ["5001", "99999999999999999999", "-1", "five", ""])
async def test_announced_size_is_refused_unread(length: str) -> None:
    """A Content-Length over the limit, or none at all that is a number, is refused before a byte is read."""
    left = [chat()]
    with pytest.raises(GatewayError, match="MAX_BODY_BYTES is 5000") as raised:
        await read_chat_request(
            build_request(left, JSON, ("content-length", length)), LIMITS, BodyRoom(LIMITS.max_body_bytes)
        )
    assert (raised.value.code, left) == ("payload_too_large", [chat()])


async def test_unannounced_size_is_refused_at_the_limit() -> None:
    """A chunked body is read no further than the chunk that crosses the limit."""
    left = [b"x" * 3_000] * 9
    with pytest.raises(GatewayError, match="MAX_BODY_BYTES is 5000") as raised:
        await read_chat_request(build_request(left, JSON), LIMITS, BodyRoom(LIMITS.max_body_bytes))
    assert (raised.value.code, len(left)) == ("payload_too_large", 7)


async def test_client_leaving_with_half_a_body_is_no_bug() -> None:
    """A body that never comes to its end is the client's failure, and nobody is asked."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}, receive)
    with pytest.raises(GatewayError, match="request_timeout"):
        await read_chat_request(request, ROOMY, BodyRoom(ROOMY.max_body_bytes))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"messages": [{"role": SENT, "content": SENT}] * 150}).encode(),
        chat([{"type": SENT}] * 150),
        chat([{"type": SENT * 10_000}]),
        chat([{"type": "image", "media_type": SENT, "data": SENT}] * 150),
        chat([{"type": "image_url", "image_url": {"url": f"https://{SENT}"}}]),
        chat(stream=SENT, on_break=SENT, conversation_id=SENT * 100),
        chat({SENT: SENT}),
    ],
    ids=["roles", "tags", "long tag", "images", "url", "options", "object"],
)
async def test_refusal_is_small_and_echoes_nothing(body: bytes) -> None:
    """At most 10 findings, in few words, with nothing of what the client sent."""
    message = (await refuse(body)).safe_message
    assert SENT not in message
    assert len(message) < 3_000
    assert message.count("; ") <= 10


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)
near_chats = st.fixed_dictionaries(
    {"messages": json_values | st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": json_values}))},
    optional={"stream": json_values, "on_break": json_values, "conversation_id": json_values, "model": json_values},
)


async def judge(body: bytes) -> None:
    try:
        chat_request = await read(body, settings=LIMITS)
    except GatewayError as error:
        assert 400 <= error.kind.status < 500  # noqa: PT017 - both ends are right, and nothing else is
    else:
        assert 1 <= len(chat_request.messages) <= LIMITS.max_messages


@given(body=st.binary())
async def test_any_bytes_are_a_chat_or_refused(body: bytes) -> None:
    """Whatever comes is a ChatRequest or a 4xx: never another exception."""
    await judge(body)


@given(fields=near_chats, cut=st.integers(0, 3))
async def test_nearly_a_chat_is_a_chat_or_refused(fields: dict[str, Any], cut: int) -> None:
    """So is JSON that comes close, whole or cut short."""
    body = json.dumps(fields).encode()
    await judge(body[: len(body) - cut])


async def test_bodies_share_a_bounded_room() -> None:
    """However many clients send at once, what their bodies hold is bounded; the one too many is told to come back."""
    room = BodyRoom(LIMITS.max_body_bytes)
    room.take(31 * LIMITS.max_body_bytes)
    body = b" " * LIMITS.max_body_bytes
    with pytest.raises(GatewayError, match="invalid_json"):
        await read_chat_request(build_request([body], JSON), LIMITS, room)
    room.take(1)
    with pytest.raises(GatewayError, match="overloaded"):
        await read_chat_request(build_request([body[:-1], b" "], JSON), LIMITS, room)
    room.take(LIMITS.max_body_bytes - 1)  # all else was given back
