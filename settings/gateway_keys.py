"""The keys by which clients authenticate: names and hashes, as GATEWAY_API_KEYS has them."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Annotated

from settings.values import split, when_text

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ENTRY = re.compile(rf"({_NAME.pattern}):([0-9A-Fa-f]{{64}})")
_SHA256_OF_NOTHING = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class GatewayKey:
    """A client's key: its name and its SHA-256 in lower-case hex."""

    name: str
    sha256: str = field(repr=False)


def new_key(name: str) -> tuple[str, str]:
    """Generate a key. Returns it and its entry for GATEWAY_API_KEYS.

    Raises ValueError for an invalid name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("should be up to 64 letters, digits, dots, hyphens or underscores")
    key = secrets.token_urlsafe(32)
    return key, f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"


def _parse_keys(text: str) -> tuple[GatewayKey, ...]:
    matches = [_ENTRY.fullmatch(entry) for entry in split(text)]
    keys = tuple(GatewayKey(match[1], match[2].lower()) for match in matches if match)
    if len(keys) < len(matches):
        places = ", ".join(str(place) for place, match in enumerate(matches, 1) if not match)
        raise ValueError(
            f"entry {places} should be name:sha256 as `python main.py keys new NAME` makes it"
        )
    if empty := [
        str(place) for place, key in enumerate(keys, 1) if key.sha256 == _SHA256_OF_NOTHING
    ]:
        raise ValueError(
            f"entry {', '.join(empty)} is the hash of an empty key, "
            "as a script makes it of an unset variable"
        )
    if len({key.name for key in keys}) < len(keys):
        raise ValueError("should have each name once; two entries have the same")
    return keys


GatewayKeys = Annotated[tuple[GatewayKey, ...], when_text(_parse_keys)]
