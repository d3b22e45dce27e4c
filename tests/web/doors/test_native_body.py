"""The native body: what is read into a chat, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Chat, GatewayError, Image, Text, Turn
from tests.clients.chat_bodies import read_chat, read_request, read_turn

DATA_URL = "data:image/png;base64,aGk="


def test_smallest_request_has_the_defaults() -> None:
    """Messages alone are enough: it streams, and a break is an error."""
    asked = read_request({"messages": [{"role": "user", "content": "hi"}]})
    assert asked.is_stream
    assert (asked.chat.on_break, asked.chat.conversation_id) == ("error", None)


@pytest.mark.parametrize("on_break", ["error", "restart", "hold", None])
def test_answer_that_is_no_stream_is_held(on_break: str | None) -> None:
    """Nothing of it is shown before it is complete, whatever the client says of a break."""
    fields = {"messages": [{"role": "user", "content": "hi"}], "on_break": on_break}
    whole, streamed = (read_request(fields | {"stream": stream}) for stream in (False, True))
    assert (whole.is_stream, whole.chat.on_break) == (False, "hold")
    assert (streamed.is_stream, streamed.chat.on_break) == (True, on_break or "error")


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_role_is_accepted(role: Any) -> None:
    """The roles of turns."""
    assert read_turn("hi", role) == Turn(role, (Text("hi"),))


def test_system_messages_are_apart_from_the_turns() -> None:
    """In their order, as text, at whatever position they are."""
    parts = [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]
    said = [("system", "a"), ("user", "hi"), ("system", parts), ("assistant", None), ("system", "")]
    chat = read_chat({"messages": [{"role": role, "content": content} for role, content in said]})
    assert chat.system == ("a", "bc", "")
    assert chat.turns == (Turn("user", (Text("hi"),)), Turn("assistant", ()))


@pytest.mark.parametrize("role", ["tool", "developer", "model", "User", "", None, 1])
def test_other_role_is_refused(role: Any) -> None:
    """There is no other role, and no conversion."""
    with pytest.raises(GatewayError, match="invalid_request"):
        read_turn("hi", role)


@pytest.mark.parametrize(
    "content", [None, 1, True, {"type": "text", "text": "a"}, ["a"], [None], [{"text": "a"}]]
)
def test_content_of_another_shape_is_refused(content: Any) -> None:
    """A string or a list of typed parts, nothing else, and no conversion."""
    with pytest.raises(GatewayError, match="invalid_request"):
        read_turn(content)


def test_message_without_content_is_refused() -> None:
    """A message says something, though it may be empty."""
    with pytest.raises(GatewayError, match="invalid_request"):
        read_chat({"messages": [{"role": "user"}]})


@pytest.mark.parametrize(
    "fields", [{}, {"messages": []}, {"messages": None}, {"messages": "hi"}, {"messages": [[]]}]
)
def test_request_without_messages_is_refused(fields: dict[str, Any]) -> None:
    """At least one message."""
    with pytest.raises(GatewayError, match="invalid_request"):
        read_chat(fields)


@pytest.mark.parametrize(
    "fields", [{"stream": "maybe"}, {"on_break": "retry"}, {"conversation_id": "x" * 129}]
)
def test_field_of_another_value_is_refused(fields: dict[str, Any]) -> None:
    """A known field has its stated values."""
    with pytest.raises(GatewayError, match="invalid_request"):
        read_chat({"messages": [{"role": "user", "content": "hi"}], **fields})


UNKNOWN = {
    "base_url": "http://evil.test",
    "api_key": "k",
    "logit_bias": {"1": 2},
    "extra_headers": {},
    "functions": [1],
}


def test_unknown_fields_are_dropped() -> None:
    """Front ends send all kinds of extras: no failure, and nothing of them is kept that could be sent on."""
    said = {
        "role": "user",
        "content": [{"type": "text", "text": "hi", "cache_control": {}}],
        **UNKNOWN,
    }
    request = read_chat({"messages": [said], **UNKNOWN})
    assert request == Chat(turns=(Turn("user", (Text("hi"),)),))


@pytest.mark.parametrize("extra", [None, "gpt-4", 1, ["a"], {"name": "x"}])
def test_model_and_timestamp_are_accepted_whatever_they_are(extra: Any) -> None:
    """The gateway chooses the model; what a client says of it, or of the time, is no reason to refuse."""
    said = {"role": "user", "content": "hi", "model": extra, "timestamp": extra}
    read_chat({"messages": [said], "model": extra})


def test_parts_keep_their_order_and_words() -> None:
    """Texts and images come out as they went in."""
    turn = read_turn(
        [
            {"type": "text", "text": "a"},
            {"type": "image", "media_type": "image/png", "data": "aGk="},
        ]
    )
    assert turn.parts == (Text("a"), Image("image/png", "aGk="))


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/gif", "image/webp"])
def test_image_type_is_accepted(media_type: Any) -> None:
    """What all four vendors take."""
    turn = read_turn([{"type": "image", "media_type": media_type, "data": "aGk="}])
    assert turn == Turn("user", (Image(media_type, "aGk="),))


@pytest.mark.parametrize(
    "media_type", ["image/svg+xml", "text/html", "application/pdf", "IMAGE/PNG", "", None]
)
def test_other_media_type_is_refused(media_type: Any) -> None:
    """Anything else a vendor would refuse later, at a price."""
    with pytest.raises(GatewayError, match="invalid_request"):
        read_turn([{"type": "image", "media_type": media_type, "data": "aGk="}])


@pytest.mark.parametrize("data", ["", "a", "aGk", "aGk=\n", "a b=", "aGk-", "ü", "====", None, 5])
def test_bad_base64_is_refused(data: Any) -> None:
    """Strict base64: padded, standard alphabet, no white space, not empty."""
    with pytest.raises(GatewayError, match="invalid_request"):
        read_turn([{"type": "image", "media_type": "image/png", "data": data}])


def test_jpg_is_jpeg() -> None:
    """The name that many front ends use is the same type, in either shape of an image."""
    parts = [
        {"type": "image", "media_type": "image/jpg", "data": "aGk="},
        {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,aGk="}},
    ]
    assert read_turn(parts).parts == (Image("image/jpeg", "aGk="),) * 2


@pytest.mark.parametrize(
    "holder", [{"url": DATA_URL}, {"url": DATA_URL, "detail": "high"}, DATA_URL]
)
def test_data_url_is_an_image(holder: Any) -> None:
    """OpenAI's `image_url` with a `data:` URL is the same image."""
    assert read_turn([{"type": "image_url", "image_url": holder}]).parts == (
        Image("image/png", "aGk="),
    )


@pytest.mark.parametrize(
    "start",
    [
        "data:image/png;name=a.png;base64",
        "data:image/png;charset=utf-8;name=a.png;base64",
        'data:image/png;name="a b.png";base64',
        "data:image/png;;base64",
        "DATA:image/PNG;base64",
        "Data:Image/Png;BASE64",
        "data:image/png; base64",
        "data: image/png ;base64",
    ],
)
def test_data_url_may_have_parameters_and_any_case(start: str) -> None:
    """As RFC 2397 and the media types it contains allow: the same image as the plain form."""
    for holder in ({"url": f"{start},aGk="}, f"{start},aGk="):
        assert read_turn([{"type": "image_url", "image_url": holder}]).parts == (
            Image("image/png", "aGk="),
        )


@pytest.mark.parametrize(
    "url",
    [
        "https://example.test/cat.png",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "//example.test/cat.png",
        "data:image/png,hi",
        "data:text/html;base64,aGk=",
        "data:image/png;base64,not base64!",
        "data:image/png;base64;name=a.png,aGk=",
        "data:image/png;name=base64,aGk=",
        "data:;base64,aGk=",
        "data:base64,aGk=",
        "data;image/png;base64,aGk=",
        "xdata:image/png;base64,aGk=",
        "https://example.test/;base64,aGk=",
        "data:image/svg+xml;base64,aGk=",
        f"data:image/png;name={'a' * 1_000};base64,aGk=",
        "data:image/png;base64,",
        "",
        None,
        7,
    ],
)
def test_other_url_is_refused(url: Any) -> None:
    """No URL is ever fetched on a client's behalf: only an image that is here already is taken."""
    with pytest.raises(GatewayError, match="invalid_request"):
        read_turn([{"type": "image_url", "image_url": {"url": url}}])


@pytest.mark.parametrize(
    "part", [{"type": "image_url"}, {"type": "image_url", "image_url": None}, {"type": "audio"}]
)
def test_part_of_another_kind_is_refused(part: dict[str, Any]) -> None:
    """Text and images are what a message is made of."""
    with pytest.raises(GatewayError, match="invalid_request"):
        read_turn([part])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["image_url", "image", "text"])},
    optional={"image_url": JSON, "text": JSON, "data": JSON},
)


def is_accepted(body: Any) -> bool:
    try:
        read_chat(body)
    except GatewayError:
        return False
    return True


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["messages", "stream", "model", "conversation_id", "on_break"]), JSON
    )
)
def test_any_json_is_accepted_or_refused(body: dict[str, Any]) -> None:
    """No JSON raises another exception than GatewayError, and none is accepted without messages."""
    assert not is_accepted(body) or body["messages"]


@settings(deadline=None)
@given(st.lists(st.one_of(JSON, PARTS), max_size=4))
def test_any_parts_are_accepted_or_refused(parts: list[Any]) -> None:
    """The same for a message's parts."""
    accepted = is_accepted({"messages": [{"role": "user", "content": parts}]})
    assert not accepted or all(part["type"] in ("image_url", "image", "text") for part in parts)
