"""Heads of responses: their limits, how the body ends, and how odd heads are rewritten.

They are rewritten for a strict parser: servers and proxies send bare line feeds, a space before the
colon, a Content-Length twice or together with a Transfer-Encoding. A connection with such a head is
not reused, since the data that follows can't be trusted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from models import GatewayError
from providers.http.response_body import check_encoding

_MAX_BYTES = 65_536
_MAX_HEADERS = 500
_END = re.compile(rb"\r?\n\r?\n")
_LONGEST_END = 4
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] +([1-9][0-9]{2})(?![0-9])[ \t]*(.*)", re.DOTALL)
_INFORMATIONAL = b"HTTP/1.1 1"
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING = (b"content-length", b"transfer-encoding")

_Pairs = list[tuple[bytes, bytes]]


class Head(NamedTuple):
    """The status and headers of a response, as received."""

    status: int
    headers: _Pairs


def bad_protocol() -> GatewayError:
    """The error for a response that is not HTTP/1.1 or exceeds its limits."""
    return GatewayError("upstream_bad_response", reason="protocol")


def ends_with_connection(status: int, headers: _Pairs) -> bool:
    """Whether the body ends with the connection.

    Raises GatewayError if the head is too long or the body is compressed.
    """
    if (
        len(headers) > _MAX_HEADERS
        or sum(len(name) + len(value) for name, value in headers) > _MAX_BYTES
    ):
        raise bad_protocol()
    is_open_ended = status not in (204, 304)
    encodings = []
    for name, value in headers:
        match name.lower():
            case b"content-length":
                is_open_ended = False
            case b"transfer-encoding":
                *codings, last = [coding.strip().lower() for coding in value.split(b",")]
                is_open_ended = is_open_ended and last != b"chunked"
                encodings += codings if last == b"chunked" else [*codings, last]
            case b"content-encoding":
                encodings.append(value)
    check_encoding(b",".join(encodings).decode("latin-1"), status)
    return is_open_ended


def find_end(data: bytes | bytearray, new: int) -> int | None:
    """The index after the head's blank line, if there is one.

    Only the last `new` bytes are unsearched.
    """
    end = _END.search(data, max(0, len(data) - new - _LONGEST_END))
    return end.end() if end else None


def rewrite_heads(data: bytearray, new: int) -> tuple[bytes, bytearray]:
    """The complete heads in `data`, rewritten, and the incomplete one after them.

    They are any number of 1xx heads, and the response's own, whose body then follows as it is.
    Only the last `new` bytes are unsearched.
    """
    rewritten = b""
    while end := find_end(data, new):
        head = rewrite(bytes(data[:end]))
        data = data[end:]
        new = len(data)
        rewritten += head
        if not head.startswith(_INFORMATIONAL):
            return rewritten + data, bytearray()
    return rewritten, data


def rewrite(head: bytes) -> bytes:
    """The head in a form that a strict parser accepts.

    Raises GatewayError if the body's length is ambiguous.
    """
    status_line, *lines = [line.rstrip(b"\r") for line in head.strip(b"\r\n").split(b"\n")]
    status = _STATUS_LINE.fullmatch(status_line)
    if status is None:
        raise bad_protocol()
    rewritten = [
        b"HTTP/1.1 %b %b" % (status[1], _CONTROL.sub(b"", status[2])),
        *(b"%b: %b" % pair for pair in _read_headers(lines)),
    ]
    return b"\r\n".join([*rewritten, b"", b""])


def _read_headers(lines: list[bytes]) -> _Pairs:
    """The readable headers. A folded line is joined to the line before.

    Of the lengths one is kept, or none beside a Transfer-Encoding (RFC 9112, 6.3).
    """
    pairs: _Pairs = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            if pairs:
                pairs[-1] = (pairs[-1][0], pairs[-1][1] + b" " + line.strip())
        elif colon and _NAME.fullmatch(name.rstrip(b" \t")):
            pairs.append((name.rstrip(b" \t"), value.strip(b" \t")))
    broken = [name.lower() for name, value in pairs if _CONTROL.search(value)]
    if not set(broken).isdisjoint(_FRAMING):
        raise bad_protocol()
    pairs = [pair for pair in pairs if not _CONTROL.search(pair[1])]
    written = [value for name, value in pairs if name.lower() == _FRAMING[0]]
    lengths = {length.strip() for value in written for length in value.split(b",")}
    others = [pair for pair in pairs if pair[0].lower() != _FRAMING[0]]
    if any(name.lower() == _FRAMING[1] for name, _ in pairs) or not lengths:
        return others
    if len(lengths) > 1:
        raise bad_protocol()
    return [(b"Content-Length", lengths.pop()), *others]
