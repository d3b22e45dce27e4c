"""Gateway keys: which requests are allowed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from models import GatewayError
from settings.gateway_keys import GatewayKey
from web.guards import check_key, check_operator
from web.key_ring import KeyRing


def make_key(name: str, key: str) -> GatewayKey:
    return GatewayKey(name, hashlib.sha256(key.encode()).hexdigest())


PHONE, SCRIPT = make_key("phone", "gw-phone"), make_key("script", "gw-script")
KEYS = KeyRing((PHONE, SCRIPT))
NO_KEYS = KeyRing(())


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
        ([("authorization", f"Basic {base64.b64encode(b'any:gw-phone').decode()}")], "phone"),
    ],
)
def test_either_header_shows_a_key(headers: list[tuple[str, str]], name: str) -> None:
    """A key is taken as Bearer, as X-API-Key or as Basic's password, and is known by its name from then on."""
    key = check_key(show(*headers), KEYS)
    assert key
    assert key.name == name


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
        [("x-api-key", PHONE.sha256)],
        [("x-api-key", "gw-\xe9\xff")],
    ],
    ids=str,
)
def test_wrong_or_missing_key_is_refused(headers: list[tuple[str, str]]) -> None:
    """No key, half a key, another's, or the hash that the configuration has: `unauthorized`, without an echo."""
    with pytest.raises(GatewayError, match="unauthorized") as raised:
        check_key(show(*headers), KEYS)
    assert "gw-" not in raised.value.safe_message


def test_key_is_refused_once_it_has_expired() -> None:
    """With a reason, since the client cannot know."""
    now = datetime.now(UTC)
    request = show(("x-api-key", "gw-phone"))
    valid = replace(PHONE, expires=now + timedelta(minutes=1))
    assert check_key(request, KeyRing([valid])) == valid
    with pytest.raises(GatewayError, match="unauthorized") as raised:
        check_key(request, KeyRing([replace(PHONE, expires=now)]))
    assert raised.value.reason == "expired"


def test_replaced_keys_are_the_only_ones() -> None:
    """A ring without keys refuses everybody if keys are needed."""
    ring = KeyRing([PHONE])
    ring.replace([SCRIPT])
    assert (ring.find("gw-phone"), ring.find("gw-script")) == (None, SCRIPT)
    ring.replace([])
    with pytest.raises(GatewayError, match="unauthorized"):
        check_key(show(("x-api-key", "gw-script")), ring)


NOTHING = KeyRing((GatewayKey("empty", hashlib.sha256(b"").hexdigest()),))


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
        check_operator(request, NO_KEYS)
    else:
        with pytest.raises(GatewayError, match="not_found"):
            check_operator(request, NO_KEYS)


def test_with_keys_the_operator_shows_one_from_anywhere() -> None:
    check_operator(show(("x-api-key", "gw-phone")), KEYS)
    with pytest.raises(GatewayError, match="unauthorized"):
        check_operator(show(), KEYS)


def test_no_key_is_needed_if_none_is_configured() -> None:
    """Without gateway keys every request is allowed, unless its route needs one."""
    assert check_key(show(), NO_KEYS) is None
    assert check_key(show(("x-api-key", "anything")), NO_KEYS) is None
    with pytest.raises(GatewayError, match="unauthorized"):
        check_key(show(("x-api-key", "anything")), NO_KEYS, needed=True)


@given(shown=st.text(st.characters(max_codepoint=255)))
def test_no_header_breaks_the_check(shown: str) -> None:
    """Whatever bytes a header has, they are a wrong key and nothing else."""
    for header in ("authorization", "x-api-key"):
        with pytest.raises(GatewayError, match="unauthorized"):
            check_key(show((header, f"{shown}-")), KEYS)
