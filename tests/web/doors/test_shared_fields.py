"""What several doors share: opaque state as a string, and what happens if an answer breaks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from starlette.datastructures import Headers

from models import ERROR_KINDS, GatewayError, OnBreak, State
from tests.clients.chat_bodies import DEFAULT_SETTINGS
from web.doors.json_fields import ABSENT
from web.doors.on_break import read_on_break
from web.doors.openai_errors import to_openai
from web.doors.state_token import read_state, write_state

ALL: tuple[OnBreak, ...] = ("error", "restart", "hold")


@given(st.text(), st.text(), st.recursive(st.integers() | st.text(), st.lists))
def test_state_comes_back_as_it_was(provider: str, model: str, data: Any) -> None:
    """Byte for byte: vendors check signatures."""
    state = State(provider, model, msgspec.json.encode(data).decode())
    assert read_state(write_state(state), 10_000) == state


@given(st.text() | st.text().map("gw1.".__add__))
def test_any_other_string_is_no_state(token: str) -> None:
    """A client may send anything, such as a signature that the vendor itself has given it."""
    assert read_state(token, 10_000) is None


@pytest.mark.parametrize("data", ["", "{", "[" * 5_000, "nan"])
def test_state_whose_data_is_no_json_is_none(data: str) -> None:
    """It would become part of a vendor's body."""
    assert read_state(write_state(State("claude", "m", data)), 10_000) is None


def test_state_has_the_limit_of_a_message() -> None:
    """At every door: it becomes part of a vendor's body."""
    token = write_state(State("claude", "m", f'"{"x" * 98}"'))
    assert read_state(token, 100)
    with pytest.raises(GatewayError, match="MAX_MESSAGE_CHARS"):
        read_state(token, 99)


@pytest.mark.parametrize(
    ("body", "header", "configured", "chosen"),
    [
        (ABSENT, None, "error", "error"),
        (ABSENT, None, "hold", "hold"),
        (ABSENT, None, "restart", "error"),
        (ABSENT, "hold", "error", "hold"),
        (ABSENT, " HOLD ", "error", "hold"),
        (Raw(b'{"on_break":"hold"}'), "error", "error", "hold"),
        (Raw(b'{"on_break":"error"}'), "hold", "hold", "error"),
        (Raw(b'{"other":1}'), "hold", "error", "hold"),
        (Raw(b"null"), None, "hold", "hold"),
    ],
)
def test_body_counts_before_the_header_before_the_configuration(
    body: Raw, header: str | None, configured: Any, chosen: str
) -> None:
    """`restart` is another word for `error` where a protocol cannot express it."""
    headers = Headers({"x-gateway-on-break": header} if header else {})
    settings = DEFAULT_SETTINGS.model_copy(update={"on_break": configured})
    assert read_on_break(body, headers, settings) == chosen


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (ABSENT, "restart"),
        (ABSENT, "never"),
        (Raw(b'{"on_break":"restart"}'), None),
        (Raw(b'{"on_break":"never"}'), None),
        (Raw(b'"hold"'), None),
    ],
)
def test_what_cannot_be_is_refused(body: Raw, header: str | None) -> None:
    """A client that asks for it would rely on it."""
    with pytest.raises(GatewayError) as raised:
        read_on_break(
            body, Headers({"x-gateway-on-break": header} if header else {}), DEFAULT_SETTINGS
        )
    assert raised.value.code == "invalid_request"


def test_restart_is_allowed_for_doors_that_can_express_it() -> None:
    """The door says what it can."""
    assert (
        read_on_break(Raw(b'{"on_break":"restart"}'), Headers(), DEFAULT_SETTINGS, ALL) == "restart"
    )


@pytest.mark.parametrize("code", ERROR_KINDS)
def test_openais_words_keep_whether_it_is_the_clients_fault(code: str) -> None:
    """A client error stays one, with 400 in place of 422, and a server's error stays one."""
    error = GatewayError(code)
    status = to_openai(error).status
    assert status == (400 if error.kind.status == 422 else error.kind.status)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("context_length_exceeded", (400, "invalid_request_error", "context_length_exceeded")),
        ("content_filtered", (400, "invalid_request_error", "content_policy_violation")),
        ("unauthorized", (401, "invalid_request_error", "invalid_api_key")),
        ("unknown_provider", (404, "invalid_request_error", "model_not_found")),
        ("rate_limited", (429, "rate_limit_error", "rate_limit_exceeded")),
        ("upstream_quota", (503, "insufficient_quota", "insufficient_quota")),
        ("overloaded", (503, "service_unavailable_error", "overloaded")),
        ("upstream_timeout", (504, "server_error", "upstream_timeout")),
        ("upstream_truncated", (502, "server_error", "upstream_truncated")),
        ("internal_error", (500, "server_error", "internal_error")),
    ],
)
def test_codes_that_openais_clients_match(code: str, expected: tuple[int, str, str]) -> None:
    """SDKs and agents choose by these words."""
    assert tuple(to_openai(GatewayError(code))) == expected
