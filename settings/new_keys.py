"""New gateway keys. A scanner of source code or of logs can recognise one by its form.

A key is `gw_`, 32 random letters and digits, and a checksum of those in 6 more: a string that only
looks like a key fails the checksum, so a scanner finds leaked keys without false alarms.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

from settings.gateway_keys import KEY_NAME

PREFIX = "gw_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARS = 32  # 190 bits
_CHECK_CHARS = 6  # hold any CRC-32
KEY_FORM = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_RANDOM_CHARS}}})([0-9A-Za-z]{{{_CHECK_CHARS}}})")


def new_key(name: str) -> tuple[str, str]:
    """Generate a key. Returns it and its SHA-256. Raises ValueError for an invalid name."""
    if not KEY_NAME.fullmatch(name):
        raise ValueError("should be up to 64 letters, digits, dots, hyphens or underscores")
    random_part = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARS))
    key = f"{PREFIX}{random_part}{_checksum(random_part)}"
    return key, hashlib.sha256(key.encode()).hexdigest()


def is_well_formed(text: str) -> bool:
    """Whether a text has the form of a key, and a checksum that is right."""
    match = KEY_FORM.fullmatch(text)
    return match is not None and _checksum(match[1]) == match[2]


def _checksum(random_part: str) -> str:
    """The CRC-32 of the random part in base 62."""
    rest, digits = zlib.crc32(random_part.encode()), ""
    for _ in range(_CHECK_CHARS):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
