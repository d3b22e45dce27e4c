"""The operator's own names of models: MODEL_ALIASES."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from settings.values import MODEL_PATTERN, split, when_text

_NAME = MODEL_PATTERN.pattern
_ENTRY = re.compile(rf"({_NAME})=([a-z0-9_-]+)(?:/({_NAME}))?")


class ModelAlias(NamedTuple):
    """A name, or a pattern of names, and the provider that it leads to.

    `model` is asked before the provider's own models; None: only these are asked.
    """

    pattern: str
    provider: str
    model: str | None = None


def _parse_aliases(text: str) -> tuple[ModelAlias, ...]:
    matches = [_ENTRY.fullmatch(entry) for entry in split(text)]
    if None in matches:
        raise ValueError("should be NAME=PROVIDER or NAME=PROVIDER/MODEL, with commas between")
    return tuple(ModelAlias(*match.groups()) for match in matches if match)


ModelAliases = Annotated[tuple[ModelAlias, ...], when_text(_parse_aliases)]
