"""The keys by which clients authenticate: names and hashes, and what each key may do."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated

from settings.client_limits import ClientLimits
from settings.values import split, when_text

KEY_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
SHA256_OF_NOTHING = hashlib.sha256().hexdigest()
_ENTRY = re.compile(rf"({KEY_NAME.pattern}):([0-9A-Fa-f]{{64}})")


@dataclass(frozen=True)
class ModelScope:
    """The providers and the models that may be asked; None: all of them."""

    providers: frozenset[str] | None = None
    models: tuple[str, ...] | None = None  # names, with * for any characters

    def allows_provider(self, provider: str) -> bool:
        """Whether the provider may be asked."""
        return self.providers is None or provider in self.providers

    def allows(self, provider: str, model: str) -> bool:
        """Whether this model of the provider may be asked."""
        is_named = self.models is None or any(
            fnmatchcase(model, pattern) for pattern in self.models
        )
        return is_named and self.allows_provider(provider)


@dataclass(frozen=True)
class GatewayKey:
    """A client's key: its name and its SHA-256 in lower-case hex, and what it may do.

    `doors` are the client protocols by which it may ask; None: all of them.
    """

    name: str
    sha256: str = field(repr=False)
    expires: datetime | None = None
    scope: ModelScope | None = None
    doors: frozenset[str] | None = None
    deep_health: bool = True
    metrics: bool = True
    admin: bool = False
    limits: ClientLimits | None = None
    tags: tuple[str, ...] = ()


def _parse_keys(text: str) -> tuple[GatewayKey, ...]:
    matches = [_ENTRY.fullmatch(entry) for entry in split(text)]
    keys = tuple(GatewayKey(match[1], match[2].lower()) for match in matches if match)
    if len(keys) < len(matches):
        places = ", ".join(str(place) for place, match in enumerate(matches, 1) if not match)
        raise ValueError(
            f"entry {places} should be name:sha256 as `python main.py keys new NAME` makes it"
        )
    if empty := [
        str(place) for place, key in enumerate(keys, 1) if key.sha256 == SHA256_OF_NOTHING
    ]:
        raise ValueError(
            f"entry {', '.join(empty)} is the hash of an empty key, "
            "as a script makes it of an unset variable"
        )
    if len({key.name for key in keys}) < len(keys):
        raise ValueError("should have each name once; two entries have the same")
    return keys


GatewayKeys = Annotated[tuple[GatewayKey, ...], when_text(_parse_keys)]
