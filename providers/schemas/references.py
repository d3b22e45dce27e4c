"""The references of a schema to its definitions: which are recursive, and how to do without."""

from __future__ import annotations

from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import Any

from providers.schemas.nodes import (
    DEFINITIONS,
    MAX_DEPTH,
    Schema,
    iterate_nodes,
    map_children,
    read_definitions,
    without,
)

_MAX_NODES = 10_000  # of a schema with its definitions inlined


class TooLargeError(Exception):
    """Inlined definitions would make the schema too large."""


def order_definitions(root: Schema) -> tuple[list[str], frozenset[str]]:
    """The references to definitions, each after those within it, and the recursive ones.

    A definition is recursive if it contains itself, or one that does.
    """
    definitions = read_definitions(root)
    graph = {
        pointer: {node["$ref"] for node, _ in iterate_nodes(definition) if "$ref" in node}
        for pointer, definition in definitions.items()
    }
    sorter = TopologicalSorter(graph)
    with suppress(CycleError):  # it still gives what is before the cycles
        sorter.prepare()
    ordered: list[str] = []
    while ready := sorter.get_ready():
        ordered += ready
        sorter.done(*ready)
    return ordered, frozenset(graph) - frozenset(ordered)


def inline_definitions(root: Schema) -> Schema:
    """The schema with its definitions in place of the references to them. Recursive ones stay.

    Definitions can refer to each other in such a way that their copies grow exponentially, so they
    are counted before anything is copied. Raises TooLargeError.
    """
    definitions = read_definitions(root)
    ordered, recursive = order_definitions(root)
    sizes: dict[str, int] = {}
    new: dict[str, Any] = {}

    def expand(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        node = map_children(node, expand)
        pointer = node.get("$ref")
        is_inlined = pointer in new and pointer not in recursive
        return {**new[pointer], **without(node, "$ref")} if is_inlined else node

    total = 0
    for pointer in (*ordered, *recursive):
        nodes = [node for node, _ in iterate_nodes(definitions[pointer])]
        sizes[pointer] = len(nodes) + sum(sizes.get(node.get("$ref", ""), 0) for node in nodes)
        total += sizes[pointer] if pointer == "#" or pointer in recursive else 0
        if max(total, sizes[pointer]) > _MAX_NODES:
            raise TooLargeError
        new[pointer] = expand(definitions[pointer])
    kept = {
        word: {
            name: new[f"#/{word}/{name}"]
            for name in root.get(word, ())
            if f"#/{word}/{name}" in recursive
        }
        for word in DEFINITIONS
    }
    return {**new["#"], **{word: named for word, named in kept.items() if named}}


def wrap_references(node: Any, allowed: frozenset[str] = frozenset(), depth: int = 0) -> Any:
    """The schema with each reference alone, or beside `allowed` words. `anyOf` takes the others."""
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        return node
    new = map_children(node, lambda child: wrap_references(child, allowed, depth + 1))
    if "$ref" not in new or new.keys() <= {"$ref", *allowed, *DEFINITIONS}:
        return new
    return {"anyOf": [{"$ref": new["$ref"]}], **without(new, "$ref")}
