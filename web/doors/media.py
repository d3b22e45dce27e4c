"""Decodes images and files: bytes in base64, in two fields or as a `data:` URL."""

from __future__ import annotations

import re
from base64 import b64decode

from msgspec import Raw

from models import File, FileMediaType, Image, ImageMediaType
from settings.options import LimitOptions
from web.doors.json_fields import decode_field, invalid, is_absent, read_id, size_of
from web.json_scan import over_limit

_BASE64 = re.compile(r"[A-Za-z0-9+/]*")
_BASE64_SLICE = 2**18
_MAX_MEDIA_TYPE = 1_000  # characters, with parameters
MAX_FILE_NAME = 500  # characters of a file's name: what Anthropic allows for a title
_PDF_START = 4 * 342  # characters in base64 of 1,024 bytes, within which the mark is
_NO_FETCHING = (
    "must be a data: URL in base64; no URL is fetched on a client's behalf, and no file is kept"
)
PDF: FileMediaType = "application/pdf"
MEDIA_TYPES: dict[str, ImageMediaType] = {
    "image/png": "image/png",
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
}


def read_image_url(url: Raw, place: str, limits: LimitOptions) -> Image:
    """The image of a `data:` URL."""
    text = _read_media(url, place, "an image", *_image_limit(limits))
    return _check_image(*_split_data_url(text, place, "an image"), place, limits)


def read_image(media_type: Raw, data: Raw, place: str, limits: LimitOptions) -> Image:
    """An image of two fields of the object at that place."""
    limit = _image_limit(limits)
    kind = _read_media(media_type, f"{place}.media_type", "an image", *limit)
    return _check_image(kind, _read_media(data, f"{place}.data", "an image", *limit), place, limits)


def read_file_url(url: Raw, name: str, place: str, limits: LimitOptions) -> File:
    """The file of a `data:` URL."""
    if is_absent(url):  # the client may have sent the id or the URL of a file
        raise invalid(place, f"a file {_NO_FETCHING}")
    text = _read_media(url, place, "a file", *_file_limit(limits))
    return _check_file(*_split_data_url(text, place, "a file"), name, place, limits)


def read_file(media_type: Raw, data: Raw, name: str, place: str, limits: LimitOptions) -> File:
    """A file of two fields of the object at that place."""
    limit = _file_limit(limits)
    kind = _read_media(media_type, f"{place}.media_type", "a file", *limit)
    text = _read_media(data, f"{place}.data", "a file", *limit)
    return _check_file(kind, text, name, place, limits)


def read_file_name(raw: Raw, place: str) -> str:
    """The name of a file; empty if it has none."""
    return read_id(raw, place, MAX_FILE_NAME) or ""


def _image_limit(limits: LimitOptions) -> tuple[str, int]:
    return "MAX_IMAGE_BYTES", limits.max_image_bytes


def _file_limit(limits: LimitOptions) -> tuple[str, int]:
    return "MAX_FILE_BYTES", limits.max_file_bytes


def _read_media(raw: Raw, place: str, what: str, variable: str, limit: int) -> str:
    """A string of an image or a file. Each character of base64 may be escaped."""
    if size_of(raw) > 1_000 + 3 * limit:
        raise over_limit(f"bytes in {what}", f"more than {limit}", variable, limit)
    return str(decode_field(raw, str, place))


def _split_data_url(url: str, place: str, what: str) -> tuple[str, str]:
    """Media type and data of `data:image/png;base64,…`.

    It may be in any case, and have other parameters before `;base64`.
    """
    comma = url.find(",", 0, _MAX_MEDIA_TYPE)
    scheme, _, media_type = url[: max(comma, 0)].partition(":")
    media_type, _, parameters = media_type.partition(";")
    if scheme.lower() != "data" or parameters.rpartition(";")[2].strip().lower() != "base64":
        raise invalid(place, f"{what} {_NO_FETCHING}")
    return media_type.strip().lower(), url[comma + 1 :]


def _check_image(media_type: str, data: str, place: str, limits: LimitOptions) -> Image:
    if media_type not in MEDIA_TYPES:
        raise invalid(place, "an image must be image/png, image/jpeg, image/gif or image/webp")
    _check_data(data, place, "an image", *_image_limit(limits))
    return Image(MEDIA_TYPES[media_type], data)


def _check_file(media_type: str, data: str, name: str, place: str, limits: LimitOptions) -> File:
    if media_type != PDF:
        raise invalid(place, f"a file must be {PDF}")
    _check_data(data, place, "a file", *_file_limit(limits))
    if b"%PDF-" not in b64decode(data[:_PDF_START]):
        raise invalid(place, "a file must be a PDF, and this one does not begin as one")
    return File(PDF, data, name)


def _check_data(data: str, place: str, what: str, variable: str, limit: int) -> None:
    size = len(data) * 3 // 4
    if size > limit:
        raise over_limit(f"bytes in {what}", size, variable, limit)
    if not _is_base64(data):
        raise invalid(place, f"{what} must be base64")


def _is_base64(data: str) -> bool:
    """Whether it is base64 as vendors accept it: padded, in the standard alphabet, not empty."""
    end = len(data) - (2 if data.endswith("==") else data.endswith("="))
    slices = range(0, end, _BASE64_SLICE)
    return (
        end > 0
        and len(data) % 4 == 0
        and all(_BASE64.fullmatch(data, start, min(start + _BASE64_SLICE, end)) for start in slices)
    )
