"""The words of a schema that limit a value, as text for vendors that refuse them."""

from __future__ import annotations

from typing import Any

import msgspec

from providers.schemas.nodes import Schema, without
from providers.schemas.subsets import ShapeLossError, Subset


def move_limits(node: Schema, subset: Subset) -> Schema:
    """The node with the words that the vendor refuses at the end of its description."""
    moved: dict[str, Any] = {word: node[word] for word in node if word in subset.moved}
    if "format" in node and str(node["format"]) not in subset.formats:
        moved["format"] = node["format"]
    if subset.hard_pattern.search(str(node.get("pattern", ""))):
        moved["pattern"] = node["pattern"]
    least = node.get("minItems", 0)
    if not isinstance(least, int) or least > subset.max_min_items:
        moved["minItems"] = least
    if not moved:
        return node
    description = node.get("description", "")
    if not isinstance(description, str):
        raise ShapeLossError
    words = ", ".join(f"{word}: {msgspec.json.encode(moved[word]).decode()}" for word in moved)
    text = f"{description}\n\n{{{words}}}" if description else f"{{{words}}}"
    return {**without(node, *moved), "description": text}
