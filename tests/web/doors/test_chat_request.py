"""A chat's body is strict JSON within its limits; every other body gets a small, clear refusal."""

from __future__ import annotations

import json
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.requests import Request

from configuration import Settings
from models import GatewayError
from tests.clients.chat_bodies import read_chat
from tests.exhaustive import exhaustive
from web.bodies import PendingBodies, read_body
from web.chats import check_arguments
from web.doors import NATIVE
from web.json_scan import group_hashes

if TYPE_CHECKING:
    from starlette.types import Message

    from models import Chat

LIMITS = Settings(
    vendors={},
    max_body_bytes=5_000,
    max_pending_bytes=20_000,
    max_messages=3,
    max_message_chars=50,
    max_image_bytes=10,
    max_json_depth=8,
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


async def read_from(request: Request, settings: Settings, pending: PendingBodies) -> Chat:
    asked = await read_body(
        request, settings, pending, partial(NATIVE.read, settings=settings, headers=Headers())
    )
    return asked.chat


async def read(body: bytes, *headers: tuple[str, str], settings: Settings = ROOMY) -> Chat:
    request = build_request([body], *(headers or (JSON,)))
    return await read_from(request, settings, PendingBodies(settings.max_pending_bytes))


async def refuse(
    body: bytes, *headers: tuple[str, str], settings: Settings = ROOMY
) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        await read(body, *headers, settings=settings)
    return raised.value


def chat(content: object = "Hi", **fields: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": content}], **fields}).encode()


def saying(content: bytes) -> bytes:
    """A chat whose content is written as given, valid or not."""
    return b'{"messages":[{"role":"user","content":%b}]}' % content


def beside(value: bytes) -> bytes:
    """A good chat with one more value beside its messages, in an unknown field."""
    return b'{"extra":%b,"messages":[{"role":"user","content":"Hi"}]}' % value


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "Application/JSON ; Charset=UTF-8",
        "application/json;",
        "application/json; charset=utf8",
        'application/json; charset="utf8"',
        'application/json; charset="UTF8"; profile=x',
        "application/json; odata=verbose; charset=UTF-8",
        "application/json;charset=",
    ],
)
async def test_json_is_accepted(media_type: str) -> None:
    """JSON in UTF-8 is accepted, however its type is spelled."""
    assert (await read(chat(), ("content-type", media_type))).turns[0].text == "Hi"


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
        [("content-type", "application/json; charset=utf-8; charset=latin-1")],
        [("content-type", "application/json; charset=utf-8x")],
        [JSON, ("content-encoding", "gzip")],
    ],
    ids=str,
)
async def test_other_types_are_refused(headers: list[tuple[str, str]]) -> None:
    """No other type, charset or encoding is guessed; another site's form does not pass for JSON."""
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
async def test_json_that_is_not_strict_is_refused(body: bytes) -> None:
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
        b'{"messages":[{"role":"tool","content":"Hi"}]}',
        chat([{"type": "text"}]),
        chat([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]),
        chat(on_break="retry"),
        chat(conversation_id="x" * 129),
        chat(conversation_id="x" * 10_000),
        chat(stream=1),
        chat(stream="true"),
        b'{"messages":[{"role":"assistant"}]}',
    ],
)
async def test_json_of_another_shape_is_refused(body: bytes) -> None:
    """Valid JSON that is not a chat: `invalid_request`."""
    assert (await refuse(body)).code == "invalid_request"


ANYWHERE = [
    b'{"model":%b,"messages":[{"role":"user","content":"Hi"}]}',
    b'{"messages":[{"role":"user","content":"Hi","timestamp":%b}]}',
    b'{"messages":[{"role":"user","content":"Hi"}],"extra":{"a":[1,%b ,{"b":null}]}}',
    b'{"extra":[%b],"messages":[{"role":"user","content":"Hi"}]}',
    b'{"extra":[' + b" " * (2**16 - 12) + b'%b],"messages":[{"role":"user","content":"Hi"}]}',
    b'{"extra":[' + b"1," * 40_000 + b'%b],"messages":[{"role":"user","content":"Hi"}]}',
]


@pytest.mark.parametrize(
    "body",
    ANYWHERE,
    ids=["model", "timestamp", "nested", "unknown", "after blanks", "after numbers"],
)
async def test_number_beyond_a_float_is_refused_anywhere(body: bytes) -> None:
    """Even if it is ignored, as NaN is; a number that a float can hold is a number, however long it is written."""
    for number in (
        b"1e999", b"-1e999", b"1E+999", b"1e309", b"1.5e400", b"-0.1e400", b"1e0000999", b"9" * 309, b"9" * 5_000,
        b"9" * 70_000, b"9" * 290 + b"e20", b"1" + b"0" * 250 + b".5e+99", b"9" * 310 + b".25", b"1e" + b"9" * 4_000,
    ):  # fmt: skip
        assert (number[:9], (await refuse(body % number)).code) == (number[:9], "invalid_request")
    for number in (
        b"1e308", b"-1e+308", b"0e999", b"1e-999", b"1e000308", b"9" * 308, b"0." + b"3" * 450, b"-0." + b"0" * 9_000,
        b"0." + b"0" * 400 + b"1e500", b"9" * 300 + b"e-300", b"1" * 250 + b"." + b"1" * 250, b'"1e999"', b'" 1e999 "',
    ):  # fmt: skip
        assert (await read(body % number)).turns[0].text == "Hi", number[:9]


async def test_numbers_that_json_does_not_have_are_refused() -> None:
    for number in (b"1e100 " * 99, b"1e", b"1" * 250 + b"-1", b"1e+-999", b"." * 300, b"1e100.5"):
        assert (number[:9], (await refuse(beside(number))).code) == (number[:9], "invalid_json")


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
async def test_unusual_text_is_kept_unchanged(written: bytes, text: str) -> None:
    """What JSON allows in a string is text; brackets in it do not count as nesting."""
    assert (await read(saying(written))).turns[0].text == text


async def test_content_encoding_identity_is_accepted() -> None:
    """However it is written."""
    for written in ("identity", "Identity", " identity ", ""):
        assert (await read(chat(), JSON, ("content-encoding", written))).turns[0].text == "Hi"


async def test_null_means_absent() -> None:
    """Every optional field may be null; an assistant that only called tools may have said nothing."""
    fields = dict.fromkeys(
        ("stream", "on_break", "conversation_id", "model", "tools", "temperature")
    )
    assert await read(chat(**fields)) == await read(chat())
    said = [
        {"role": "assistant", "content": None, "timestamp": None},
        {"role": "user", "content": "Hi"},
    ]
    assert [turn.text for turn in (await read(json.dumps({"messages": said}).encode())).turns] == [
        "",
        "Hi",
    ]


@pytest.mark.parametrize(
    "value", [b"1e99", b"9" * 300, b'{"a":[1,{"b":null}]}'], ids=["1e99", "long", "object"]
)
async def test_unknown_fields_are_ignored(value: bytes) -> None:
    """An unknown field is ignored, with any valid JSON in it, and does not reach the chat."""
    assert (await read(beside(value))) == (await read(chat()))


@pytest.mark.parametrize(
    "content",
    [
        b'"a","content":"b"',
        b'"a","\\u0063ontent":"b"',
        b'[{"type":"x","type":"text"}]',
        b'"a","extra":{"b":[{"c":1,"\\u0063":2}]}',
    ],
)
async def test_same_key_twice_is_refused(content: bytes) -> None:
    """Of two equal keys either may be meant, however they are spelled: `invalid_json`."""
    assert (await refuse(saying(content))).code == "invalid_json"
    assert (await refuse(b'{"messages":[],' + chat(content.decode())[1:])).code == "invalid_json"


@pytest.mark.parametrize(
    ("body", "limit", "seen"),
    [
        (
            json.dumps({"messages": [{"role": "user", "content": "Hi"}] * 4}).encode(),
            "MAX_MESSAGES is 3",
            "4 ",
        ),
        (chat("x" * 51), "MAX_MESSAGE_CHARS is 50", "51 "),
        (chat([{"type": "text", "text": "x" * 30}] * 2), "MAX_MESSAGE_CHARS is 50", "60 "),
        (
            chat([{"type": "image", "media_type": "image/png", "data": "A" * 16}]),
            "MAX_IMAGE_BYTES is 10",
            "12 ",
        ),
        (beside(b"[" * 8 + b"]" * 8), "MAX_JSON_DEPTH is 8", "9 "),
        (chat("\\n\\" * 300), "MAX_MESSAGE_CHARS is 50", "more than 50 "),
        (
            chat([{"type": "image", "media_type": "image/png", "data": "A" * 2_000}]),
            "MAX_IMAGE_BYTES is 10",
            "more than 10 ",
        ),
        (beside(b'{"a":' * 400 + b"1" + b"}" * 400), "MAX_JSON_DEPTH is 8", "401 "),
        (beside(b"[" * 2_000 + b"]" * 2_000), "MAX_JSON_DEPTH is 8", ""),
    ],
    ids=[
        "messages",
        "characters",
        "characters in parts",
        "image",
        "depth",
        "escapes",
        "large image",
        "deeper",
        "deepest",
    ],
)
async def test_limit_is_named_with_what_was_seen(body: bytes, limit: str, seen: str) -> None:
    """Over a limit the client learns which one, its value, and the number it sent."""
    error = await refuse(body, settings=LIMITS)
    assert error.code == "invalid_request"
    assert limit in error.safe_message
    assert seen in error.safe_message


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [
        (b"[1,2,3,4,5]", True),
        (b"[1,2,3,4,5,6]", False),
        (b'[{"a":1},"",1 , null]', True),
        (b'[{"a":1},"",1 , null, true]', False),
        (b'{"a":1,"b":2,"c":"x","d":{"e":5}}', True),
        (b'{"a":1,"b":2,"c":"x","d":{"e":5,"f":6}}', False),
        (b'",,,,[[[[{{{{:::"', True),
        (b'"\\",,,,\\\\"', True),
    ],
)
async def test_values_are_counted_wherever_they_are(value: bytes, is_taken: bool) -> None:
    """Every value counts, known or not, objects and lists too; keys and the insides of strings do not."""
    few = Settings(vendors={}, max_json_values=11)  # of which a smallest chat has five
    if is_taken:
        assert (await read(beside(value), settings=few)).turns[0].text == "Hi"
    else:
        error = await refuse(beside(value), settings=few)
        assert (error.code, error.safe_message) == (
            "invalid_request",
            "more than 11 JSON values; MAX_JSON_VALUES is 11.",
        )


@pytest.mark.parametrize(
    ("arguments", "is_taken"),
    [
        (['{"a": [1, 2, 3]}'], True),
        (['{"a": [1, 2, 3, 4, 5, 6]}'], True),
        (['{"a": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]}'], False),
        ([{"a": [*range(19)]}], False),
        (['{"a": [1, 2, 3, 4, 5]}'] * 2, True),
        (['{"a": [1, 2, 3, 4, 5]}'] * 3, False),
        (['{"a": "[{,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\\",,"}'], True),
        (["no JSON: [[[[[[[[[[[[[[[[[[[[["], False),
    ],
)
def test_values_in_the_arguments_of_calls_are_counted(
    arguments: list[object], *, is_taken: bool
) -> None:
    """In a text, too, of which the body's own count sees nothing: vendors get them as objects."""
    calls = [
        {"id": f"call_{place}", "name": "f", "arguments": each}
        for place, each in enumerate(arguments)
    ]
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": calls}]
    turns = read_chat({"messages": messages}).turns
    few = Settings(vendors={}, max_json_values=20)
    if is_taken:
        check_arguments(turns, few)
    else:
        with pytest.raises(GatewayError, match="MAX_JSON_VALUES is 20"):
            check_arguments(turns, few)


async def test_length_of_a_conversation_id_is_named() -> None:
    for length, seen in (
        (129, "has 129 characters; 128 "),
        (10_000, "has more than 128 characters"),
    ):
        assert seen in (await refuse(chat(conversation_id="x" * length))).safe_message


@pytest.mark.parametrize("number", [0, 1, 10_000, 10_001, 99_000])
def test_hashes_are_compared_in_steps(number: int) -> None:
    """A step over all keys of an object would hold the interpreter; equal keys are in one step."""
    hashes = [hash(f"key {place}") for place in range(number)]
    groups = group_hashes(hashes)
    assert max(map(len, groups)) <= 10_000
    assert sorted(chain.from_iterable(groups)) == sorted(hashes)
    owners = {value: place for place, group in enumerate(groups) for value in group}
    assert all(
        owners[value] == place
        for place, group in enumerate(group_hashes(hashes[::-1]))
        for value in group
    )


@pytest.mark.parametrize("twice", ["182b7", *exhaustive("0", "a")])
async def test_same_key_twice_among_many_is_refused(twice: str) -> None:
    """Wherever the two are; and as often as it is there."""
    keys = [f'"{place:x}":0' for place in range(99_000)]
    assert (await read(beside(f"{{{','.join(keys)}}}".encode()))).turns[0].text == "Hi"
    for many in ([*keys, f'"{twice}":0'], [f'"{twice}":0', *keys], [f'"{twice}":0'] * 99_000):
        assert (
            "a key twice" in (await refuse(beside(f"{{{','.join(many)}}}".encode()))).safe_message
        )


async def test_limits_are_inclusive() -> None:
    """What is exactly at every limit is taken."""
    image = {"type": "image", "media_type": "image/png", "data": "A" * 12}
    messages = [{"role": "user", "content": "x" * 50}] * 2 + [{"role": "user", "content": [image]}]
    body = json.dumps({"messages": messages, "extra": [[[[[[[]]]]]]]}).encode()
    assert len((await read(body, settings=LIMITS)).turns) == 3
    padded = body + b" " * (5_000 - len(body))
    assert len((await read(padded, JSON, ("content-length", "5000"), settings=LIMITS)).turns) == 3


@pytest.mark.parametrize("length", ["5001", "99999999999999999999", "-1", "five", ""])
async def test_announced_size_is_refused_unread(length: str) -> None:
    """A Content-Length over the limit, or none at all that is a number, is refused before a byte is read."""
    left = [chat()]
    with pytest.raises(GatewayError, match="MAX_BODY_BYTES is 5000") as raised:
        await read_from(
            build_request(left, JSON, ("content-length", length)),
            LIMITS,
            PendingBodies(LIMITS.max_pending_bytes),
        )
    assert (raised.value.code, left) == ("payload_too_large", [chat()])


async def test_unannounced_size_is_refused_at_the_limit() -> None:
    """A chunked body is read no further than the chunk that crosses the limit."""
    left = [b"x" * 3_000] * 9
    with pytest.raises(
        GatewayError, match="has more than 5000 bytes; MAX_BODY_BYTES is 5000"
    ) as raised:
        await read_from(build_request(left, JSON), LIMITS, PendingBodies(LIMITS.max_pending_bytes))
    assert (raised.value.code, len(left)) == ("payload_too_large", 7)


async def test_client_disconnect_within_a_body_is_not_a_bug() -> None:
    """A body that never comes to its end is the client's failure, and no model is asked."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    request = Request(
        {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]},
        receive,
    )
    with pytest.raises(GatewayError, match="request_timeout"):
        await read_from(request, ROOMY, PendingBodies(ROOMY.max_body_bytes))


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
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=9,
)
near_chats = st.fixed_dictionaries(
    {
        "messages": json_values
        | st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": json_values}))
    },
    optional={
        "stream": json_values,
        "on_break": json_values,
        "conversation_id": json_values,
        "model": json_values,
    },
)


async def judge(body: bytes) -> None:
    try:
        asked = await read(body, settings=LIMITS)
    except GatewayError as error:
        assert 400 <= error.kind.status < 500  # noqa: PT017 - both ends are right, and nothing else is
    else:
        assert 1 <= len(asked.turns) + len(asked.system) <= LIMITS.max_messages


@given(body=st.binary())
async def test_any_bytes_are_a_chat_or_refused(body: bytes) -> None:
    """Any bytes are a chat or a 4xx, never another exception."""
    await judge(body)


@given(fields=near_chats, cut=st.integers(0, 3))
async def test_nearly_a_chat_is_a_chat_or_refused(fields: dict[str, Any], cut: int) -> None:
    """The same for JSON that is nearly a chat, whole or cut short."""
    body = json.dumps(fields).encode()
    await judge(body[: len(body) - cut])


async def test_pending_bodies_share_one_limit() -> None:
    """However many clients send at once, what their bodies hold is bounded; the one too many is asked to retry."""
    pending = PendingBodies(LIMITS.max_pending_bytes)
    pending.reserve(15_000)
    body = b" " * LIMITS.max_body_bytes
    with pytest.raises(GatewayError, match="invalid_json"):
        await read_from(build_request([body], JSON), LIMITS, pending)
    pending.reserve(1)
    with pytest.raises(GatewayError, match="overloaded"):
        await read_from(build_request([body[:-1], b" "], JSON), LIMITS, pending)
    pending.reserve(LIMITS.max_body_bytes - 1)  # all else was released
