"""Whether a property can say by a value what its absence says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.schemas.nodes import MAX_DEPTH, resolve
from providers.schemas.subsets import ShapeLossError, Subset
from providers.schemas.unions import read_types, read_values


class Absence:
    """What the absence of the optional properties of one schema says."""

    def __init__(self, definitions: Mapping[str, Any], subset: Subset) -> None:
        self._definitions = definitions
        self._subset = subset
        self._nullable: dict[int, bool] = {}  # by id: the schema keeps its nodes

    def has_value(self, node: Any) -> bool:
        """Whether a value says the same: the only one, or if no property may be optional any."""
        default = node.get("default") if isinstance(node, dict) else None
        if not self._subset.all_required:
            return default is not None and read_values(node) == [default]
        return self.is_nullable(node) or (default is not None and not isinstance(default, dict))

    def is_nullable(self, node: Any, depth: int = 0) -> bool:
        """Whether the node allows null, as far as it is seen. Raises ShapeLossError if too deep."""
        node = resolve(node, self._definitions)
        if not isinstance(node, dict):
            return False
        if depth > MAX_DEPTH:
            raise ShapeLossError
        if id(node) not in self._nullable:
            self._nullable[id(node)] = False  # for one that is within itself
            values, branches = read_values(node), node.get("anyOf", node.get("oneOf"))
            says = [None in values] if values is not None else []
            if "type" in node:
                says.append("null" in read_types(node))
            if isinstance(branches, list):
                says.append(any(self.is_nullable(branch, depth + 1) for branch in branches))
            self._nullable[id(node)] = bool(says) and all(says)
        return self._nullable[id(node)]
