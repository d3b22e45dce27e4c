"""Checks the head of a request: its size, its Host header, and its method."""

from __future__ import annotations

import re

from models import GatewayError
from server.connection_limits import ConnectionLimits

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:\d*)?")
_ABSOLUTE_TARGET = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")

Headers = list[tuple[bytes, bytes]]


class BadRequestError(ValueError):
    """The request is not one that an HTTP server may accept."""


def check_head(
    method: bytes, target: bytes, http_version: str, headers: Headers, limits: ConnectionLimits
) -> None:
    """Raise GatewayError for a head that is too large, BadRequestError for one that is not valid.

    The authority of an absolute target replaces the Host header.
    """
    if len(target) > limits.target_bytes:
        raise GatewayError("uri_too_long")
    size, hosts = len(target), []
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            hosts.append(value)
    if size > limits.head_bytes or len(headers) > limits.headers:
        raise GatewayError("headers_too_large")
    if len(hosts) != 1 and (hosts or http_version != "1.0"):
        raise BadRequestError("not one Host")
    if absolute := _ABSOLUTE_TARGET.match(target):  # RFC 9112, 3.2.2
        hosts.append(absolute[1])
        headers[:] = [header for header in headers if header[0] != b"host"]
        headers.append((b"host", absolute[1]))
    if not all(map(_HOST.fullmatch, hosts)):
        raise BadRequestError("a bad Host")
    if method == b"CONNECT":
        raise BadRequestError("no proxy")


def format_without_upgrade(
    method: bytes, target: bytes, http_version: str, headers: Headers
) -> bytes:
    """The head as bytes, without its Upgrade header."""
    lines = [b"%b: %b\r\n" % header for header in headers if header[0] != b"upgrade"]
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, http_version.encode(), b"".join(lines))
