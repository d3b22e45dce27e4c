"""Who may come in: origins, gateway keys, and how many streams at once."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from configuration import GatewayKey
from models import GatewayError
from web.guards import OriginGuard, StreamLimit, check_key

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


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


def test_no_key_is_asked_where_none_is_configured() -> None:
    """Without gateway keys everybody is let in, unless what is asked needs one."""
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


class Inside:
    """What stands behind the guard; notes who came through."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)


async def knock(origins: list[str], *headers: tuple[bytes, bytes], kind: str = "http") -> tuple[bool, list[Message]]:
    """Whether the guard lets these headers through, and what it says itself."""
    inside = Inside()
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        said.append(message)

    scope = {"type": kind, "method": "POST", "path": "/chat/gpt", "headers": list(headers)}
    await OriginGuard(inside, origins)(scope, receive, send)
    return bool(inside.scopes), said


HOST = (b"host", b"localhost:3050")
FRIENDS = ["https://chat.example.com"]


@pytest.mark.parametrize(
    ("origins", "headers"),
    [
        ([], [HOST]),
        ([], [HOST, (b"origin", b"http://localhost:3050")]),
        ([], [HOST, (b"origin", b"https://localhost:3050")]),
        (FRIENDS, [HOST, (b"origin", b"https://chat.example.com")]),
        (FRIENDS, [HOST, (b"origin", b"http://localhost:3050")]),
        (["*"], [HOST, (b"origin", b"https://foreign.example.com")]),
        (["*"], [HOST, (b"origin", b"null")]),
    ],
    ids=["no origin", "own page", "own page behind TLS", "allowed", "own page beside allowed", "anybody", "any null"],
)
async def test_welcome_origins_come_in(origins: list[str], headers: list[tuple[bytes, bytes]]) -> None:
    """Scripts, the gateway's own page and the origins that are configured come in."""
    assert await knock(origins, *headers) == (True, [])


@pytest.mark.parametrize("origins", [[], FRIENDS], ids=["nobody allowed", "somebody allowed"])
@pytest.mark.parametrize(
    "origin",
    [
        b"https://foreign.example.com",
        b"null",
        b"",
        b"http://localhost:3051",
        b"http://localhost",
        b"http://localhost:3050.example.com",
        b"http://localhost:3050@example.com",
        b"http://chat.example.com",
        b"https://chat.example.com.example.org",
        b"https://chat.example.com:8443",
        b"http://[",
        b"http://[::1",
        b"http://\xff\xfe",
        b"*",
    ],
)
async def test_foreign_origins_are_refused(origins: list[str], origin: bytes) -> None:
    """Another site's page gets a 403 that names the variable, and nothing behind the guard hears of it."""
    came_in, (start, body) = await knock(origins, HOST, (b"origin", origin))
    error: dict[str, Any] = json.loads(body["body"])["error"]
    assert (came_in, start["status"], error["code"]) == (False, 403, "forbidden_origin")
    assert "CORS_ORIGINS" in error["message"]
    assert b"access-control-allow-origin" not in dict(start["headers"])


async def test_what_is_no_request_passes() -> None:
    """The lifespan has no origin to judge."""
    assert await knock([], (b"origin", b"null"), kind="lifespan") == (True, [])


def test_places_are_taken_and_given_back() -> None:
    """There are as many places as configured; one over gets `overloaded` and when to come back."""
    limit = StreamLimit(2)
    with limit:
        assert (limit.open, limit.is_reached) == (1, False)
        with limit:
            assert limit.is_reached
            with pytest.raises(GatewayError, match="overloaded") as raised, limit:
                pytest.fail("there was no place")
            assert raised.value.retry_after == 1
            assert limit.open == 2
    assert (limit.open, limit.is_reached) == (0, False)


def test_place_is_given_back_after_a_failure() -> None:
    """A chat that fails leaves its place as one that ends."""
    limit = StreamLimit(1)
    with pytest.raises(RuntimeError), limit:
        raise RuntimeError
    assert limit.open == 0
