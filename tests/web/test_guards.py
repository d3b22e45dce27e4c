"""Gateway keys: which requests are allowed."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from configuration import GatewayKey
from models import GatewayError
from web.guards import check_key, check_operator


def make_key(name: str, key: str) -> GatewayKey:
    return GatewayKey(name, hashlib.sha256(key.encode()).hexdigest())


KEYS = (make_key("phone", "gw-phone"), make_key("script", "gw-script"))


def show(*headers: tuple[str, str]) -> Request:
    """A request that shows these headers."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "method": "POST", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([("authorization", "Bearer gw-phone")], "phone"),
        ([("authorization", "bearer   gw-script ")], "script"),
        ([("x-api-key", "gw-phone")], "phone"),
        ([("authorization", "Basic Z3ctcGhvbmU="), ("x-api-key", "gw-script")], "script"),
    ],
)
def test_either_header_shows_a_key(headers: list[tuple[str, str]], name: str) -> None:
    """A key is taken as Bearer or as X-API-Key, and is known by its name from then on."""
    assert check_key(show(*headers), KEYS) == name


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer gw-other")],
        [("authorization", "gw-phone")],
        [("authorization", "Basic gw-phone")],
        [("authorization", "Bearer gw-phone gw-script")],
        [("authorization", "Bearer gw-other"), ("x-api-key", "gw-phone")],
        [("x-api-key", "")],
        [("x-api-key", "GW-PHONE")],
        [("x-api-key", "gw-phone,gw-script")],
        [("x-api-key", KEYS[0].sha256)],
        [("x-api-key", "gw-\xe9\xff")],
    ],
    ids=str,
)
def test_wrong_or_missing_key_is_refused(headers: list[tuple[str, str]]) -> None:
    """No key, half a key, another's, or the hash that the configuration has: `unauthorized`, without an echo."""
    with pytest.raises(GatewayError, match="unauthorized") as raised:
        check_key(show(*headers), KEYS)
    assert "gw-" not in raised.value.safe_message


NOTHING = (GatewayKey("empty", hashlib.sha256(b"").hexdigest()),)


@pytest.mark.parametrize(
    "headers",
    [[], [("x-api-key", "")], [("authorization", "Bearer ")], [("authorization", "Bearer")]],
)
def test_empty_key_is_refused_even_if_its_hash_is_configured(
    headers: list[tuple[str, str]],
) -> None:
    with pytest.raises(GatewayError, match="unauthorized"):
        check_key(show(*headers), NOTHING)


@pytest.mark.parametrize(
    ("client", "host", "is_let_in"),
    [
        ("127.0.0.1", "localhost:3050", True),
        ("::1", "[::1]:3050", True),
        ("127.0.0.1", "chat.example.com", False),
        ("127.0.0.1", "", False),
        ("203.0.113.7", "localhost", False),
        ("", "localhost", False),
    ],
)
def test_without_keys_only_this_machine_is_the_operator(
    client: str, host: str, is_let_in: bool
) -> None:
    request = Request(
        {
            "type": "http",
            "headers": [(b"host", host.encode())],
            "client": (client, 1) if client else None,
        }
    )
    if is_let_in:
        check_operator(request, ())
    else:
        with pytest.raises(GatewayError, match="not_found"):
            check_operator(request, ())


def test_with_keys_the_operator_shows_one_from_anywhere() -> None:
    check_operator(show(("x-api-key", "gw-phone")), KEYS)
    with pytest.raises(GatewayError, match="unauthorized"):
        check_operator(show(), KEYS)


def test_no_key_is_needed_if_none_is_configured() -> None:
    """Without gateway keys every request is allowed, unless its route needs one."""
    assert check_key(show(), ()) is None
    assert check_key(show(("x-api-key", "anything")), ()) is None
    with pytest.raises(GatewayError, match="unauthorized"):
        check_key(show(("x-api-key", "anything")), (), needed=True)


@given(shown=st.text(st.characters(max_codepoint=255)))
def test_no_header_breaks_the_check(shown: str) -> None:
    """Whatever bytes a header has, they are a wrong key and nothing else."""
    for header in ("authorization", "x-api-key"):
        with pytest.raises(GatewayError, match="unauthorized"):
            check_key(show((header, f"{shown}-")), KEYS)
