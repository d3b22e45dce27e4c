"""Who may come in, and with what: origin, gateway key, number of streams, and a body that is what it should be."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate
from types import TracebackType
from typing import Any

import msgspec
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from configuration import GatewayKey, Settings
from models import ChatRequest, GatewayError
from web.errors import error_response

_MAX_FINDINGS = 10
_BODIES_AT_ONCE = 32
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # one level down, one up, as signed bytes
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


class OriginGuard:
    """Refuses other sites' pages, unless CORS_ORIGINS names them. The gateway's own page is of the same origin."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_welcome(scope):
            await error_response(GatewayError("forbidden_origin"))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_welcome(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or "*" in self._origins or origin in self._origins:
            return True
        return origin.partition("://")[2] == headers.get("host")


def check_key(request: Request, keys: Sequence[GatewayKey], *, needed: bool = False) -> str | None:
    """The name of the gateway key that the client shows, None where none is configured and none `needed`.

    Every key is compared, each in constant time. Raises GatewayError `unauthorized`.
    """
    if not keys and not needed:
        return None
    shown = hashlib.sha256(_shown_key(request).encode("utf-8", "surrogateescape")).hexdigest()
    matching = [key.name for key in keys if hmac.compare_digest(key.sha256, shown)]
    if not matching:
        raise GatewayError("unauthorized")
    return matching[0]


def _shown_key(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")


class StreamLimit:
    """How many chats may be under way at once in this process: `with limit:` around each."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0
        self.all_free = asyncio.Event()
        self.all_free.set()

    @property
    def is_reached(self) -> bool:
        """Whether a further chat would be refused."""
        return self.open >= self.most

    def __enter__(self) -> None:
        """Take a place. Raises GatewayError `overloaded`."""
        if self.is_reached:
            raise GatewayError("overloaded", retry_after=1)
        self.open += 1
        self.all_free.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the place back."""
        self.open -= 1
        if not self.open:
            self.all_free.set()


class BodyRoom:
    """How many bytes of bodies may be coming in at once, over all clients: a few dozen of the largest."""

    def __init__(self, max_body_bytes: int) -> None:
        self._free = _BODIES_AT_ONCE * max_body_bytes

    def take(self, size: int) -> None:
        """Take room for so many bytes. Raises GatewayError `overloaded`."""
        if size > self._free:
            raise GatewayError("overloaded", "The gateway is at its limit of bodies coming in.", retry_after=1)
        self._free -= size

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        self._free += size


async def read_chat_request(request: Request, settings: Settings, room: BodyRoom) -> ChatRequest:
    """The body, read under its limits, as a valid ChatRequest.

    Raises GatewayError `unsupported_media_type`, `payload_too_large`, `overloaded`, `invalid_json`, `invalid_request`.
    """
    _check_media_type(request)
    body = await _read_body(request, settings.max_body_bytes, room)
    fields = _decode(body, settings)
    try:
        chat = ChatRequest.model_validate(fields)
    except ValidationError as error:
        raise GatewayError("invalid_request", _describe(error)) from None
    _check_sizes(chat, settings)
    return chat


def _check_media_type(request: Request) -> None:
    media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if media_type.strip() != "application/json" or charset not in ("", "utf-8"):
        raise GatewayError("unsupported_media_type")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise GatewayError("unsupported_media_type", "Send the body uncompressed.")


async def _read_body(request: Request, limit: int, room: BodyRoom) -> bytes:
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > limit:
        raise _too_large(length, limit)
    seconds = request.scope.get("extensions", {}).get("gateway.body_seconds")
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                room.take(len(chunk))
                body += chunk
                if len(body) > limit:
                    raise _too_large(f"over {limit}", limit)
    except ClientDisconnect:
        raise GatewayError("request_timeout", "The client left before its body had come.") from None
    except TimeoutError:
        raise GatewayError("request_timeout", f"The body did not come within {seconds:g} seconds.") from None
    finally:
        room.give_back(len(body))
    return bytes(body)


def _too_large(seen: object, limit: int) -> GatewayError:
    return GatewayError("payload_too_large", f"The body has {seen} bytes; MAX_BODY_BYTES is {limit}.")


def _decode(body: bytes, settings: Settings) -> dict[str, Any]:
    """The top object's known fields; whatever else is in it is read over."""
    try:
        raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        body.decode()
        fields = {name: _decode_field(name, raw[name], settings) for name in ChatRequest.model_fields if name in raw}
    except msgspec.ValidationError:
        raise GatewayError("invalid_request", "The body must be a JSON object of finite numbers.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise GatewayError("invalid_json") from None
    except RecursionError:
        raise _over("or more levels of nesting", 900, "MAX_JSON_DEPTH", settings.max_json_depth) from None
    skeleton = _leave_strings_out(body)
    _check_depth(skeleton, settings.max_json_depth)
    _check_keys(skeleton, raw, fields)
    return fields


def _decode_field(name: str, raw: msgspec.Raw, settings: Settings) -> Any:
    if name != "messages" or not bytes(raw).startswith(b"["):
        return msgspec.json.decode(raw)
    items = msgspec.json.decode(raw, type=list[msgspec.Raw])
    if len(items) > settings.max_messages:
        raise _over("messages", len(items), "MAX_MESSAGES", settings.max_messages)
    return [msgspec.json.decode(item) for item in items]


def _check_depth(skeleton: bytes, limit: int) -> None:
    steps = skeleton.translate(_STEPS, _NO_BRACKETS)
    depth = max(accumulate(array("b", steps)), default=0)
    if depth > limit:
        raise _over("levels of nesting", depth, "MAX_JSON_DEPTH", limit)


def _check_keys(skeleton: bytes, raw: Mapping[str, msgspec.Raw], fields: Mapping[str, Any]) -> None:
    """Of two equal keys the decoder keeps the last: then it has fewer members than the body has colons."""
    ignored = [_leave_strings_out(bytes(raw[name])) for name in raw.keys() - fields.keys()]
    members = len(raw) + sum(text.count(b":") for text in ignored) + sum(map(_count_members, fields.values()))
    if members < skeleton.count(b":"):
        raise GatewayError("invalid_json", "The body has a key twice in one object.")


def _count_members(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_members, value.values()))
    return sum(map(_count_members, value)) if isinstance(value, list) else 0


def _leave_strings_out(json: bytes) -> bytes:
    """Valid JSON without its strings: the brackets and colons that are left are its structure."""
    return b"".join(json.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


def _check_sizes(chat: ChatRequest, settings: Settings) -> None:
    for message in chat.messages:
        if len(message.text) > settings.max_message_chars:
            raise _over("characters in a message", len(message.text), "MAX_MESSAGE_CHARS", settings.max_message_chars)
        for image in message.images:
            size = len(image.data) * 3 // 4
            if size > settings.max_image_bytes:
                raise _over("bytes in an image", size, "MAX_IMAGE_BYTES", settings.max_image_bytes)


def _over(what: str, seen: int, variable: str, limit: int) -> GatewayError:
    return GatewayError("invalid_request", f"{seen} {what}; {variable} is {limit}.")


def _describe(error: ValidationError) -> str:
    """The findings by place and message, without what the client sent."""
    findings = error.errors(include_url=False, include_context=False, include_input=False)
    told = "; ".join(f"{_place(finding['loc'])}: {_problem(finding)}" for finding in findings[:_MAX_FINDINGS])
    more = len(findings) - _MAX_FINDINGS
    return f"{told}; and {more} more" if more > 0 else told


def _problem(finding: Mapping[str, Any]) -> str:
    return "is of an unknown type" if finding["type"] == "union_tag_invalid" else str(finding["msg"])


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location)[:100]
