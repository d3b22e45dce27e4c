"""The nodes of a JSON schema: which of its words hold schemas, and what its references mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

ANNOTATIONS = frozenset({"$comment", "default", "deprecated", "description", "examples", "title"})
DEFINITIONS = ("$defs", "definitions")
MAX_DEPTH = 64  # of nodes within nodes; each takes some frames of Python's stack

_MAX_HOPS = 16  # from one reference to the next

_ONE = frozenset(
    {
        "additionalItems", "additionalProperties", "contains", "else", "if", "items", "not",
        "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_LISTS = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_MAPS = frozenset({*DEFINITIONS, "dependentSchemas", "patternProperties", "properties"})


def map_children(node: Schema, change: Callable[[Any], Any]) -> Schema:
    """A copy of the node whose subschemas are changed."""
    new = dict(node)
    for word, value in node.items():
        if isinstance(value, dict) and word in _MAPS:
            new[word] = {name: change(child) for name, child in value.items()}
        elif isinstance(value, list) and word in _LISTS:
            new[word] = [change(child) for child in value]
        elif isinstance(value, dict) and word in _ONE:
            new[word] = change(value)
    return new


def iterate_nodes(root: Schema) -> Iterator[tuple[Schema, int]]:
    """All nodes of a schema, each with the number of objects that it is within."""
    stack: list[tuple[Any, int]] = [(root, 0)]
    while stack:
        node, level = stack.pop()
        if isinstance(node, dict):
            yield node, level
            level += "properties" in node
            for word, value in node.items():
                if isinstance(value, dict) and word in _MAPS:
                    stack += [(child, level) for child in value.values()]
                elif isinstance(value, list) and word in _LISTS:
                    stack += [(child, level) for child in value]
                elif word in _ONE:
                    stack.append((value, level))


def without(node: Schema, *words: str) -> Schema:
    """A copy of the node without these words."""
    return {word: value for word, value in node.items() if word not in words}


def read_definitions(root: Schema) -> dict[str, Any]:
    """The definitions of a schema, by the references to them. The root is `#`."""
    found: dict[str, Any] = {"#": without(root, *DEFINITIONS)}
    for word in DEFINITIONS:
        named = root.get(word)
        if isinstance(named, dict):
            found |= {f"#/{word}/{name}": node for name, node in named.items()}
    return found


def resolve(node: Any, definitions: Mapping[str, Any]) -> Any:
    """What a reference leads to, over others; None if it leads nowhere. Else the node itself."""
    for _ in range(_MAX_HOPS):
        if not isinstance(node, dict) or "$ref" not in node:
            return node
        pointer = node["$ref"]
        node = definitions.get(pointer) if isinstance(pointer, str) else None
    return None
