"""The head of a request: which one is refused, and as what."""

from __future__ import annotations

import pytest

from models import GatewayError
from server.connection_limits import ConnectionLimits
from server.request_head import BadRequestError, Headers, check_head, format_without_upgrade

LIMITS = ConnectionLimits(head_bytes=100, target_bytes=50, headers=3)
HOST = (b"host", b"localhost")


@pytest.mark.parametrize(
    ("target", "headers", "code"),
    [
        (b"/" * 51, [HOST], "uri_too_long"),
        (b"/", [HOST, (b"a", b"b" * 100)], "headers_too_large"),
        (b"/", [HOST] + [(b"a", b"b")] * 3, "headers_too_large"),
    ],
    ids=["target", "bytes", "headers"],
)
def test_head_that_is_too_large_is_refused(target: bytes, headers: Headers, code: str) -> None:
    with pytest.raises(GatewayError) as raised:
        check_head(b"GET", target, "1.1", headers, LIMITS)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("method", "target", "version", "headers"),
    [
        (b"GET", b"/", "1.1", []),
        (b"GET", b"/", "1.1", [HOST, HOST]),
        (b"GET", b"/", "1.0", [HOST, HOST]),
        (b"GET", b"/", "1.1", [(b"host", b"a b")]),
        (b"GET", b"http://a b/", "1.1", [HOST]),
        (b"GET", b"http:///", "1.1", [HOST]),
        (b"CONNECT", b"localhost:80", "1.1", [HOST]),
    ],
)
def test_head_that_is_not_valid_is_refused(
    method: bytes, target: bytes, version: str, headers: Headers
) -> None:
    with pytest.raises(BadRequestError):
        check_head(method, target, version, headers, LIMITS)


def test_old_client_may_leave_out_its_host() -> None:
    check_head(b"GET", b"/", "1.0", [], LIMITS)


def test_authority_of_an_absolute_target_replaces_the_host() -> None:
    headers = [HOST, (b"accept", b"*/*")]
    check_head(b"GET", b"http://example.com/health", "1.1", headers, LIMITS)
    assert headers == [(b"accept", b"*/*"), (b"host", b"example.com")]


def test_upgrade_header_is_left_out() -> None:
    headers = [HOST, (b"upgrade", b"h2c"), (b"connection", b"upgrade")]
    head = format_without_upgrade(b"GET", b"/", "1.1", headers)
    assert head == b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\r\n"
