"""Generated requests, valid and malformed, as bytes: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_PROVIDERS = ("gpt", "claude", "gemini", "groq")
_WORDS = (
    "hello",
    "Grüße",
    "\u2028",
    "🧀",
    "data: [DONE]\n\n",
    "\x00",
    '"}\\',
    "مرحبا",
    " ",
    "event: error",
)
_ROLES = ("system", "user", "assistant")
_ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    2**64,
    "",
    "x" * 300,
    [],
    {},
    [None],
    {"type": "text"},
    [[[[]]]],
)
_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
_PATHS = (
    "/",
    "/health",
    "/health/live",
    "/health/gpt",
    "/health/unknown",
    "/docs",
    "/openapi.json",
    "/static/page.js",
)
_ODD_PATHS = (
    "/chat",
    "/chat/",
    "/chat/gpt/",
    "/chat/%00",
    "/chat/unknown",
    "//",
    "/../main.py",
    "/%ff",
    "/static/..",
    "*",
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW", "get")
_HEADERS = (
    "X-Request-ID: {word}",
    "Origin: https://elsewhere.example",
    "Origin: null",
    "Authorization: Bearer {word}",
    "Expect: 100-continue",
    "Content-Encoding: gzip",
    "Transfer-Encoding: chunked",
    "Content-Length: 3",
    "Content-Length: -1",
    "Upgrade: websocket",
    "Connection: Upgrade, HTTP2-Settings",
    "X-Forwarded-For: 203.0.113.7",
    "Host: elsewhere.example",
    "Cookie: {word}",
    "{word}: {word}",
    "X-Long: {long}",
)
_MEDIA_TYPES = (
    "application/json; charset=utf-8",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/json; charset=latin-1",
    "",
)
_BAD_JSON = (
    b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe{}", b'{"a":1,"a":2}',
    b'{"messages":NaN}', b'{"messages":[1e999]}', b"[" * 5000, b'{"a":' * 2000,
    b'{"messages":[{"role":"user","content":"\\ud800"}]}',
    b'{"messages":[{"role":"user","content":"a"}]} x',
    b'{"messages":[{"role":"user","content":"\xc3\x28"}]}',
)  # fmt: skip


class Requests:
    """An endless number of requests."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def make(self) -> bytes:
        """The bytes of a request: half are valid chats, the others have one error or several."""
        kinds: tuple[Callable[[], bytes], ...]
        kinds = (
            self._odd_chat,
            lambda: self._post(self._pick(_BAD_JSON)),
            self._odd_head,
            self._page,
            self._mutated,
            lambda: (
                self._chance.randbytes(self._chance.choice((1, 30, 1000)))
                + self._pick((b"", b"\r\n\r\n"))
            ),
        )
        return self._chat() if self._chance.random() < 0.5 else self._chance.choice(kinds)()

    def _pick(self, choices: tuple[T, ...]) -> T:
        return self._chance.choice(choices)

    def _text(self) -> str:
        return " ".join(self._pick(_WORDS) for _ in range(self._chance.randint(1, 20))) or "hello"

    def _content(self) -> Any:
        parts = [
            {"type": "text", "text": self._text()},
            {"type": "image", "media_type": "image/png", "data": _PIXEL},
        ]
        return self._text() if self._chance.random() < 0.8 else parts[: self._chance.randint(1, 2)]

    def _valid(self) -> dict[str, Any]:
        roles = (self._pick(_ROLES) for _ in range(self._chance.choice((0, 0, 1, 3, 20))))
        earlier = [
            {"role": role, "content": self._text() if role == "system" else self._content()}
            for role in roles
        ]
        body: dict[str, Any] = {
            "messages": [*earlier, {"role": "user", "content": self._content()}]
        }
        extras = {
            "stream": False,
            "on_break": "restart",
            "conversation_id": "c-1",
            "model": "any",
            "base_url": "http://x",
        }
        return body | {name: value for name, value in extras.items() if self._chance.random() < 0.2}

    def _chat(self) -> bytes:
        return self._post(msgspec.json.encode(self._valid()))

    def _odd_chat(self) -> bytes:
        """One field has an unexpected value."""
        body = self._valid()
        target = self._chance.choice([body, body["messages"][-1]])
        target[self._pick((*target, "role", "on_break", "stream"))] = self._pick(_ODD)
        return self._post(msgspec.json.encode(body))

    def _odd_head(self) -> bytes:
        extra = [self._pick(_HEADERS) for _ in range(self._chance.choice((1, 1, 2, 5, 120)))]
        filled = [header.format(word=self._pick(_WORDS), long="x" * 70_000) for header in extra]
        return self._post(
            msgspec.json.encode(self._valid()), *filled, media_type=self._pick(_MEDIA_TYPES)
        )

    def _page(self) -> bytes:
        path = self._pick((*_PATHS, *_ODD_PATHS))
        return f"{self._pick(_METHODS)} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    def _mutated(self) -> bytes:
        """A valid request with some bytes changed, lost or doubled."""
        data = bytearray(self._chat())
        for _ in range(self._chance.choice((1, 2, 10))):
            place = self._chance.randrange(len(data))
            data[place : place + self._chance.randint(0, 3)] = self._chance.randbytes(
                self._chance.randint(0, 3)
            )
        return bytes(data)

    def _post(self, body: bytes, *headers: str, media_type: str = "application/json") -> bytes:
        lines = [
            f"POST /chat/{self._pick(_PROVIDERS)} HTTP/1.1",
            "Host: localhost",
            f"Content-Type: {media_type}",
            f"Content-Length: {len(body)}",
            *headers,
        ]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body
