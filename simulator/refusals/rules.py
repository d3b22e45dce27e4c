"""What a model refuses: the rows of `models.toml` that its name begins with."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

_TABLE = Path(__file__).with_name("models.toml")


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model's rules; without a row it refuses nothing. The table describes the fields."""

    model: str
    effort: tuple[str, ...] | None = None
    default_effort: str | None = None
    temperature: bool | Literal["at_none"] = True
    stop: bool = True
    max_tokens: int | None = None
    tools: Literal["any", "absent", "none", "never"] = "any"
    forced_choice: bool = True
    prefill: bool = True
    manual_thinking: bool = True
    adaptive_thinking: bool = True
    thinking_off: bool = True
    binds_thinking: bool = False
    signs_calls: bool = False
    json_schema: bool = True
    tools_with_json: bool = True


class Refused(NamedTuple):
    """Why a request is refused, in the vendor's words, and further fields of its error object."""

    message: str
    fields: Mapping[str, object] = {}


@lru_cache(maxsize=256)
def find_rules(provider: str, model: str) -> Rules:
    """The rules of a provider's model."""
    rows: dict[str, dict[str, Any]] = load_table().get(provider, {})
    name = model.removeprefix("models/")
    fields: dict[str, Any] = {"model": name}
    for beginning in sorted(rows, key=len):
        fields |= rows[beginning] if name.startswith(beginning) else {}
    return msgspec.convert(fields, Rules)


@lru_cache(maxsize=1)
def load_table() -> dict[str, Any]:
    """The table as it is written."""
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))


def find_objects(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Every schema of an object within a schema, each with its path."""
    if not isinstance(schema, dict):
        return
    if "properties" in schema or schema.get("type") == "object":
        yield schema, path
    for key in ("properties", "$defs"):
        for name, inner in (schema.get(key) or {}).items():
            yield from find_objects(inner, (*path, key, name))
    for number, branch in enumerate(schema.get("anyOf") or ()):
        yield from find_objects(branch, (*path, "anyOf", str(number)))
    yield from find_objects(schema.get("items"), (*path, "items"))
