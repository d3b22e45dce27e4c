"""What a client may ask: the schema of a chat request, and that the table of codes is the contract's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models import ERROR_KINDS, ChatRequest, GatewayError, ImagePart, Message, TextPart

DATA_URL = "data:image/png;base64,aGk="


def message(content: Any, role: str = "user", **fields: Any) -> Message:
    return Message.model_validate({"role": role, "content": content, **fields})


def test_smallest_request_has_the_defaults() -> None:
    """Messages alone are enough: it streams, and a break is an error."""
    request = ChatRequest.model_validate({"messages": [{"role": "user", "content": "hi"}]})
    assert (request.stream, request.on_break, request.conversation_id) == (True, "error", None)


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_role_is_accepted(role: str) -> None:
    """The three roles of the contract."""
    assert message("hi", role).role == role


@pytest.mark.parametrize("role", ["tool", "developer", "model", "User", "", None, 1])
def test_other_role_is_refused(role: Any) -> None:
    """Nobody else speaks here."""
    with pytest.raises(ValidationError):
        message("hi", role)


@pytest.mark.parametrize("content", [None, 1, True, {"type": "text", "text": "a"}, ["a"], [None], [{"text": "a"}]])
def test_content_of_another_shape_is_refused(content: Any) -> None:
    """A string or a list of typed parts, nothing else, and no conversion."""
    with pytest.raises(ValidationError):
        message(content)


def test_message_without_content_is_refused() -> None:
    """A message says something, though it may be empty."""
    with pytest.raises(ValidationError):
        Message.model_validate({"role": "user"})


@pytest.mark.parametrize("fields", [{}, {"messages": []}, {"messages": None}, {"messages": "hi"}, {"messages": [[]]}])
def test_request_without_messages_is_refused(fields: dict[str, Any]) -> None:
    """At least one message."""
    with pytest.raises(ValidationError):
        ChatRequest.model_validate(fields)


@pytest.mark.parametrize("fields", [{"stream": "maybe"}, {"on_break": "retry"}, {"conversation_id": "x" * 129}])
def test_field_of_another_value_is_refused(fields: dict[str, Any]) -> None:
    """A known field has its stated values."""
    with pytest.raises(ValidationError):
        ChatRequest.model_validate({"messages": [{"role": "user", "content": "hi"}], **fields})


UNKNOWN = {"base_url": "http://evil.test", "api_key": "k", "temperature": 2, "extra_headers": {}, "tools": [1]}


def test_unknown_fields_are_dropped() -> None:
    """Front ends send all kinds of extras: no failure, and nothing of them is kept that could be sent on."""
    said = {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {}}], **UNKNOWN}
    request = ChatRequest.model_validate({"messages": [said], **UNKNOWN})
    dumped = request.model_dump(exclude_none=True)
    assert dumped == {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stream": True,
        "on_break": "error",
    }


@pytest.mark.parametrize("extra", [None, "gpt-4", 1, ["a"], {"name": "x"}])
def test_model_and_timestamp_are_accepted_whatever_they_are(extra: Any) -> None:
    """The gateway chooses the model; what a client says of it, or of the time, is no reason to refuse."""
    said = {"role": "user", "content": "hi", "model": extra, "timestamp": extra}
    ChatRequest.model_validate({"messages": [said], "model": extra})


def test_parts_keep_their_order_and_words() -> None:
    """Texts and images come out as they went in."""
    said = message([{"type": "text", "text": "a"}, {"type": "image", "media_type": "image/png", "data": "aGk="}])
    assert said.content == [
        TextPart(type="text", text="a"),
        ImagePart(type="image", media_type="image/png", data="aGk="),
    ]


def test_text_joins_the_text_parts() -> None:
    """`text` is what the user wrote, images left out; `images` are the images."""
    image = {"type": "image", "media_type": "image/png", "data": "aGk="}
    said = message([{"type": "text", "text": "a"}, image, {"type": "text", "text": "b"}])
    assert said.text == "ab"
    assert [part.data for part in said.images] == ["aGk="]
    assert (message("ab").text, message("ab").images) == ("ab", [])


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/gif", "image/webp"])
def test_image_type_is_accepted(media_type: str) -> None:
    """What all four vendors take."""
    assert message([{"type": "image", "media_type": media_type, "data": "aGk="}]).images[0].media_type == media_type


@pytest.mark.parametrize("media_type", ["image/svg+xml", "text/html", "application/pdf", "IMAGE/PNG", "", None])
def test_other_media_type_is_refused(media_type: Any) -> None:
    """Anything else a vendor would refuse later, at a price."""
    with pytest.raises(ValidationError):
        message([{"type": "image", "media_type": media_type, "data": "aGk="}])


@pytest.mark.parametrize("data", ["", "a", "aGk", "aGk=\n", "a b=", "aGk-", "ü", "====", None, 5])
def test_bad_base64_is_refused(data: Any) -> None:
    """Strict base64: padded, standard alphabet, no white space, not empty."""
    with pytest.raises(ValidationError):
        message([{"type": "image", "media_type": "image/png", "data": data}])


@pytest.mark.parametrize("holder", [{"url": DATA_URL}, {"url": DATA_URL, "detail": "high"}, DATA_URL])
def test_data_url_is_an_image(holder: Any) -> None:
    """OpenAI's `image_url` with a `data:` URL is the same image."""
    assert message([{"type": "image_url", "image_url": holder}]).images == [
        ImagePart(type="image", media_type="image/png", data="aGk=")
    ]


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
        "data:image/png;base64,",
        "",
        None,
        7,
    ],
)
def test_other_url_is_refused(url: Any) -> None:
    """No URL is ever fetched on a client's behalf: only an image that is here already is taken."""
    with pytest.raises(ValidationError):
        message([{"type": "image_url", "image_url": {"url": url}}])


@pytest.mark.parametrize("part", [{"type": "image_url"}, {"type": "image_url", "image_url": None}, {"type": "audio"}])
def test_part_of_another_kind_is_refused(part: dict[str, Any]) -> None:
    """Text and images are what a message is made of."""
    with pytest.raises(ValidationError):
        message([part])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["image_url", "image", "text"])}, optional={"image_url": JSON, "text": JSON, "data": JSON}
)


def is_accepted(body: Any) -> bool:
    try:
        ChatRequest.model_validate(body)
    except ValidationError:
        return False
    return True


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["messages", "stream", "model", "conversation_id", "on_break"]), JSON))
def test_any_json_is_accepted_or_refused(body: dict[str, Any]) -> None:
    """No JSON makes the schema fail otherwise than by a ValidationError, and none passes without messages."""
    assert not is_accepted(body) or body["messages"]


@settings(deadline=None)
@given(st.lists(st.one_of(JSON, PARTS), max_size=4))
def test_any_parts_are_accepted_or_refused(parts: list[Any]) -> None:
    """The same for a message's parts, which are looked at before pydantic does."""
    accepted = is_accepted({"messages": [{"role": "user", "content": parts}]})
    assert not accepted or all(part["type"] in ("image_url", "image", "text") for part in parts)


# The contract's table: code, status, next model, retryable.
CONTRACT = """
invalid_json 400 no no
invalid_request 422 no no
rejected_by_provider 400 no no
context_length_exceeded 400 yes no
content_filtered 422 no no
payload_too_large 413 no no
unsupported_media_type 415 no no
headers_too_large 431 no no
request_timeout 408 no no
unauthorized 401 no no
forbidden_origin 403 no no
unknown_provider 404 no no
not_found 404 no no
method_not_allowed 405 no no
provider_not_configured 503 no no
rate_limited 429 yes yes
overloaded 503 no yes
draining 503 no yes
upstream_auth 502 other_vendor no
upstream_quota 503 other_vendor no
upstream_model_not_found 502 yes no
upstream_unavailable 503 yes yes
upstream_timeout 504 yes yes
upstream_truncated 502 yes yes
upstream_bad_event 502 yes yes
upstream_bad_response 502 yes yes
event_too_large 502 yes yes
internal_error 500 no yes
"""


def test_codes_are_the_contracts() -> None:
    """One code, one status; the whole list and nothing beside it."""
    ours = {
        f"{code} {kind.status} {kind.next_model} {'yes' if kind.retryable else 'no'}"
        for code, kind in ERROR_KINDS.items()
    }
    assert ours == set(CONTRACT.strip().splitlines())


def test_error_says_its_code_and_plain_words_alone() -> None:
    """What is for the log stays out of what a client may read."""
    error = GatewayError("upstream_auth", detail={"vendor_type": "secret-word"})
    assert str(error) == f"upstream_auth: {ERROR_KINDS['upstream_auth'].message}"
    assert "secret-word" not in str(error) + repr(error) + error.safe_message


@pytest.mark.parametrize(
    ("code", "reason", "mend"),
    [
        ("upstream_auth", None, True),
        ("upstream_quota", None, True),
        ("upstream_model_not_found", None, True),
        ("upstream_bad_response", "redirect", True),
        ("upstream_bad_response", "tls", True),
        ("upstream_bad_response", "empty", False),
        ("upstream_unavailable", "status_500", False),
        ("rate_limited", None, False),
    ],
)
def test_what_the_operator_must_mend_is_told_apart(code: str, reason: str | None, mend: bool) -> None:
    """A key, a quota, a model's name and an address are the configuration's; an outage is not."""
    assert GatewayError(code, reason=reason).is_misconfiguration is mend
