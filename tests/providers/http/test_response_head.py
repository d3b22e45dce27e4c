"""Heads that break the rules: what can be read is rewritten, what is unclear is refused."""

from __future__ import annotations

import pytest

from models import GatewayError
from providers.http.response_head import find_end, rewrite, rewrite_heads

START = b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    ("head", "rewritten"),
    [
        (b"HTTP/1.1 200 OK\nA: 1\n\n", [b"A: 1"]),
        (b"HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\n", [b"A: 1", b"B: 2"]),
        (b"\r\nHTTP/1.1  200 OK\r\nA : 1\r\nB\t: 2\r\n\r\n", [b"A: 1", b"B: 2"]),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n",
            [b"Content-Length: 2"],
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n", [b"Content-Length: 2"]),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
            [b"Transfer-Encoding: chunked"],
        ),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n  2\r\nB: 3\r\n\r\n", [b"A: 1 2", b"B: 3"]),
        (b"HTTP/1.1 200 OK\r\nno header\r\n: 1\r\nA B: 1\r\nC: 3\r\n\r\n", [b"C: 3"]),
        (b"HTTP/1.1 200 OK\r\nA: \x011\r\nB: 2\r\n\r\n", [b"B: 2"]),
        (b"HTTP/1.0 200 OK\r\n\r\n", []),
    ],
)
def test_head_that_can_be_read_is_rewritten_by_the_rules(
    head: bytes, rewritten: list[bytes]
) -> None:
    """Line ends, blanks, folded lines, a length twice, a length that does not count, lines that are no header."""
    assert rewrite(head) == b"\r\n".join([START, *rewritten, b"", b""])


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\x0b\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_head_that_is_unclear_is_refused(head: bytes) -> None:
    """If it can't be known where the body ends, or what the status is, nothing is guessed."""
    with pytest.raises(GatewayError):
        rewrite(head)


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
def test_end_of_a_head_is_found_wherever_reads_cut_it(end: bytes) -> None:
    """The index after the blank line, once it has come."""
    data = START + b"\nA: 1" + end
    for cut in range(1, len(data)):
        assert find_end(data[:cut], cut) is None
        assert find_end(data, len(data) - cut) == len(data)
    assert find_end(data + b"body", len(data) + 4) == len(data)


ODD = b"HTTP/1.1 200 OK\nA: 1\n\n"
EARLY = b"HTTP/1.1 103 Early Hints\nLink: </x>\n\n"


@pytest.mark.parametrize(
    ("data", "rewritten", "rest"),
    [
        (ODD, START + b"\r\nA: 1\r\n\r\n", b""),
        (ODD + b"\nbody\n\n", START + b"\r\nA: 1\r\n\r\n\nbody\n\n", b""),
        (EARLY + ODD[:5], b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", ODD[:5]),
        (
            EARLY + ODD,
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + START + b"\r\nA: 1\r\n\r\n",
            b"",
        ),
        (ODD[:-1], b"", ODD[:-1]),
    ],
    ids=[
        "a head",
        "with its body",
        "a 1xx head and a half",
        "a 1xx head and another",
        "half a head",
    ],
)
def test_heads_are_rewritten_up_to_the_body(data: bytes, rewritten: bytes, rest: bytes) -> None:
    assert rewrite_heads(bytearray(data), len(data)) == (rewritten, bytearray(rest))
