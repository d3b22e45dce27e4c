"""Decodes a message's content: text, or a list of texts and images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Raw

from models import GatewayError, Image, ImageMediaType, Part, Text
from settings.options import LimitOptions
from web.doors.json_fields import (
    ABSENT,
    check_chars,
    decode_field,
    first_byte,
    invalid,
    is_absent,
    read_text,
    size_of,
)
from web.json_scan import over_limit

_BASE64 = re.compile(r"[A-Za-z0-9+/]*")
_BASE64_SLICE = 2**18
_MAX_MEDIA_TYPE = 1_000  # characters, with parameters
_NO_FETCHING = "an image must be a data: URL in base64; no URL is fetched on a client's behalf"
MEDIA_TYPES: dict[str, ImageMediaType] = {
    "image/png": "image/png",
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
}


class _PartBody(msgspec.Struct, gc=False):
    type: Literal["text", "image", "image_url", "refusal", "input_audio", "file"]
    text: Raw = ABSENT
    refusal: Raw = ABSENT
    media_type: Raw = ABSENT
    data: Raw = ABSENT
    image_url: Raw = ABSENT


class _ImageUrlBody(msgspec.Struct, gc=False):
    url: Raw


def read_content(
    content: Raw, place: str, limits: LimitOptions, *, may_be_null: bool = False
) -> tuple[Text | Image, ...]:
    """The parts of a message's content."""
    if first_byte(content) == b"[":
        bodies = enumerate(decode_field(content, list[_PartBody], place))
        parts = tuple(_read_part(body, f"{place}.{number}", limits) for number, body in bodies)
        check_texts(parts, limits)
        return parts
    if may_be_null and is_absent(content):
        return ()
    return (Text(read_text(content, place, limits.max_message_chars)),)


def check_texts(parts: Iterable[Part], limits: LimitOptions) -> None:
    """Raise GatewayError if the texts of a message have too many characters together."""
    chars = sum(len(part.text) for part in parts if isinstance(part, Text))
    check_chars(chars, limits.max_message_chars)


def read_image_url(url: Raw, place: str, limits: LimitOptions) -> Image:
    """The image of a `data:` URL."""
    media_type, data = _split_data_url(_read_media(url, place, limits), place)
    return _check_image(media_type, data, place, limits)


def _read_part(part: _PartBody, place: str, limits: LimitOptions) -> Text | Image:
    if part.type == "text":
        return Text(read_text(part.text, f"{place}.text", limits.max_message_chars))
    if part.type == "refusal":
        return Text(read_text(part.refusal, f"{place}.refusal", limits.max_message_chars))
    if part.type in ("input_audio", "file"):
        problem = "only texts and images are supported"
        raise GatewayError("unsupported", f"{place}: {problem}.", reason="messages")
    if part.type == "image":
        return read_image(part.media_type, part.data, place, limits)
    url, place = part.image_url, f"{place}.image_url"
    if first_byte(url) == b"{":
        url = decode_field(url, _ImageUrlBody, place).url
    return read_image_url(url, place, limits)


def read_image(media_type: Raw, data: Raw, place: str, limits: LimitOptions) -> Image:
    """An image of two fields of the object at that place."""
    kind = _read_media(media_type, f"{place}.media_type", limits)
    return _check_image(kind, _read_media(data, f"{place}.data", limits), place, limits)


def _read_media(raw: Raw, place: str, limits: LimitOptions) -> str:
    """A string of an image part. Each character of base64 may be escaped."""
    if size_of(raw) > 1_000 + 3 * limits.max_image_bytes:
        raise over_limit(
            "bytes in an image",
            f"more than {limits.max_image_bytes}",
            "MAX_IMAGE_BYTES",
            limits.max_image_bytes,
        )
    return str(decode_field(raw, str, place))


def _split_data_url(url: str, place: str) -> tuple[str, str]:
    """Media type and data of `data:image/png;base64,…`.

    It may be in any case, and have other parameters before `;base64`.
    """
    comma = url.find(",", 0, _MAX_MEDIA_TYPE)
    scheme, _, media_type = url[: max(comma, 0)].partition(":")
    media_type, _, parameters = media_type.partition(";")
    if scheme.lower() != "data" or parameters.rpartition(";")[2].strip().lower() != "base64":
        raise invalid(place, _NO_FETCHING)
    return media_type.strip().lower(), url[comma + 1 :]


def _check_image(media_type: str, data: str, place: str, limits: LimitOptions) -> Image:
    if media_type not in MEDIA_TYPES:
        raise invalid(place, "an image must be image/png, image/jpeg, image/gif or image/webp")
    size = len(data) * 3 // 4
    if size > limits.max_image_bytes:
        raise over_limit("bytes in an image", size, "MAX_IMAGE_BYTES", limits.max_image_bytes)
    if not _is_base64(data):
        raise invalid(place, "an image must be base64")
    return Image(MEDIA_TYPES[media_type], data)


def _is_base64(data: str) -> bool:
    """Whether it is base64 as vendors accept it: padded, in the standard alphabet, not empty."""
    end = len(data) - (2 if data.endswith("==") else data.endswith("="))
    slices = range(0, end, _BASE64_SLICE)
    return (
        end > 0
        and len(data) % 4 == 0
        and all(_BASE64.fullmatch(data, start, min(start + _BASE64_SLICE, end)) for start in slices)
    )
