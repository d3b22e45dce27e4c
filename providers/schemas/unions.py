"""Unions in a schema: which can be sent, and whether branches of a `oneOf` exclude each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from providers.schemas.nodes import ANNOTATIONS, DEFINITIONS, Schema, resolve, without
from providers.schemas.subsets import ShapeLossError

_SHAPES = frozenset({"additionalProperties", "items", "prefixItems", "properties", "required"})
_JSON_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}


class Branch(NamedTuple):
    """A branch as its client wrote it, and as it is sent: what fits `new` fits `old`."""

    old: Any
    new: Any


class NodeTypes:
    """The types that nodes allow; each node is read once, however many references lead to it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Schema, frozenset[str]]] = {}  # by id, with the node itself

    def of(self, node: Any) -> frozenset[str]:
        """The types of a node; none of what is no node."""
        if not isinstance(node, dict):
            return frozenset()
        if id(node) not in self._known:
            self._known[id(node)] = node, read_types(node)
        return self._known[id(node)][1]


def check_union(
    node: Schema, definitions: Mapping[str, Any], known: NodeTypes, word: str, *others: str
) -> None:
    """Accept branches that say everything, and take a type away from beside them if they say it.

    Raises ShapeLossError for others.
    """
    branches = node[word]
    if others or node.keys() & _SHAPES or not isinstance(branches, list) or not branches:
        raise ShapeLossError
    if "type" in node:
        types = read_types(node)
        for branch in branches:
            own = known.of(resolve(branch, definitions))
            if not own or not own <= types:
                raise ShapeLossError
        del node["type"]


def unwrap_all_of(node: Schema) -> Schema:
    """A node whose `allOf` has one member as that member. Raises ShapeLossError for several."""
    if "allOf" not in node:
        return dict(node)
    members = node["allOf"]
    if not isinstance(members, list) or len(members) != 1 or not isinstance(members[0], dict):
        raise ShapeLossError
    if node.keys() - {"allOf", *DEFINITIONS, *ANNOTATIONS} or "allOf" in members[0]:
        raise ShapeLossError
    return {**members[0], **without(node, "allOf")}


def are_exclusive(branches: Iterable[Branch], known: NodeTypes) -> bool:
    """Whether a value that fits one new branch fits no other old one.

    It cannot if their types differ, or their constants, or those of a property that all require, as
    of a discriminator. What cannot be seen so counts as not exclusive.
    """
    by_type: defaultdict[str, list[Branch]] = defaultdict(list)
    for branch in branches:
        types = known.of(branch.old)
        if not types:
            return False
        for name in types:
            by_type["number" if name == "integer" else name].append(branch)
    return all(
        len(group) == 1 or _differ([branch.old for branch in group]) or _have_tag(group)
        for group in by_type.values()
    )


def read_types(node: Schema) -> frozenset[str]:
    """The JSON types that the node allows as far as it says; none if it does not."""
    named = node.get("type")
    if isinstance(named, str):
        return frozenset({named})
    if isinstance(named, list) and all(isinstance(name, str) for name in named):
        return frozenset(named)
    values = read_values(node)
    return frozenset(_JSON_TYPES.get(type(value), "") for value in values or ())


def read_values(node: Schema) -> Sequence[Any] | None:
    """The constants of the node; None if it has none."""
    if "const" in node:
        return [node["const"]]
    values = node.get("enum")
    return values if isinstance(values, list) else None


def _differ(nodes: Sequence[Schema]) -> bool:
    """Whether each node has constants that no other has."""
    seen: set[tuple[bool, Any]] = set()
    for node in nodes:
        values = read_values(node)
        if values is None or any(isinstance(value, dict | list) for value in values):
            return False
        own = {(isinstance(value, bool), value) for value in values}  # True equals 1
        if own & seen:
            return False
        seen |= own
    return True


def _have_tag(branches: Sequence[Branch]) -> bool:
    """Whether each has other constants for a property that is always there."""
    if len({id(branch.old) for branch in branches}) < len(branches):
        return False
    required = [set(branch.new.get("required", ())) for branch in branches]
    return any(
        _differ([branch.old["properties"][name] for branch in branches])
        for name in set.intersection(*required)
    )
