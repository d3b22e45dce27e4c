"""Decodes a message's content: text, or a list of texts, images and files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Raw

from models import Content, GatewayError, Part, Text
from settings.options import LimitOptions
from web.doors.json_fields import (
    ABSENT,
    check_chars,
    decode_field,
    first_byte,
    invalid,
    is_absent,
    read_text,
)
from web.doors.media import read_file, read_file_name, read_file_url, read_image, read_image_url


class _PartBody(msgspec.Struct, gc=False):
    type: Literal["text", "image", "image_url", "refusal", "input_audio", "file"]
    text: Raw = ABSENT
    refusal: Raw = ABSENT
    media_type: Raw = ABSENT
    data: Raw = ABSENT
    image_url: Raw = ABSENT
    name: Raw = ABSENT
    file: Raw = ABSENT


class _ImageUrlBody(msgspec.Struct, gc=False):
    url: Raw


class _FileBody(msgspec.Struct, gc=False):
    """A file in OpenAI's shape."""

    filename: Raw = ABSENT
    file_data: Raw = ABSENT


def read_content(
    content: Raw, place: str, limits: LimitOptions, *, may_be_null: bool = False
) -> tuple[Content, ...]:
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


def system_texts(parts: Iterable[Content], place: str) -> list[str]:
    """The texts of a system message. Raises GatewayError if it has an image or a file."""
    texts = []
    for part in parts:
        if not isinstance(part, Text):
            raise invalid(place, "images and files are of users and of tools' results")
        texts.append(part.text)
    return texts


def _read_part(part: _PartBody, place: str, limits: LimitOptions) -> Content:
    match part.type:
        case "text":
            return Text(read_text(part.text, f"{place}.text", limits.max_message_chars))
        case "refusal":
            return Text(read_text(part.refusal, f"{place}.refusal", limits.max_message_chars))
        case "image":
            return read_image(part.media_type, part.data, place, limits)
        case "image_url":
            url, place = part.image_url, f"{place}.image_url"
            if first_byte(url) == b"{":
                url = decode_field(url, _ImageUrlBody, place).url
            return read_image_url(url, place, limits)
        case "file" if is_absent(part.file):
            name = read_file_name(part.name, f"{place}.name")
            return read_file(part.media_type, part.data, name, place, limits)
        case "file":
            body = decode_field(part.file, _FileBody, f"{place}.file")
            name = read_file_name(body.filename, f"{place}.file.filename")
            return read_file_url(body.file_data, name, f"{place}.file.file_data", limits)
        case "input_audio":
            problem = "only texts, images and files are supported"
            raise GatewayError("unsupported", f"{place}: {problem}.", reason="messages")
