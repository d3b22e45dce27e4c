"""The nodes of a schema, changed one after another to what a vendor's strict mode accepts."""

from __future__ import annotations

from typing import Any

from providers.schemas.absence import Absence
from providers.schemas.limits import move_limits
from providers.schemas.nodes import (
    ANNOTATIONS,
    DEFINITIONS,
    MAX_DEPTH,
    Schema,
    map_children,
    read_definitions,
    without,
)
from providers.schemas.subsets import ShapeLossError, Subset
from providers.schemas.unions import (
    NodeTypes,
    check_union,
    read_types,
    read_values,
    unwrap_all_of,
)

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_UNIONS = frozenset({"anyOf", "oneOf"})
# They change the shape of a value, and no vendor's strict mode accepts them.
_REFUSED = frozenset(
    {
        "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef",
        "additionalItems", "contains", "dependencies", "dependentRequired", "dependentSchemas",
        "else", "if", "maxContains", "minContains", "not", "patternProperties", "propertyNames",
        "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_REFUSED_BELOW = _REFUSED | {"$id", *DEFINITIONS}  # the root


class Transform:
    """Changes the nodes of one schema."""

    def __init__(self, root: Schema, subset: Subset) -> None:
        self.one_of: list[tuple[list[Any], list[Any]]] = []  # the branches, old and new
        self.definitions = read_definitions(root)
        self.types = NodeTypes()
        self._subset = subset
        self._absence = Absence(self.definitions, subset)

    def change(self, node: Any, depth: int = 0) -> Schema:
        """The node in the subset. Raises ShapeLossError, also if it does not say what it allows."""
        if not isinstance(node, dict) or depth > MAX_DEPTH:
            raise ShapeLossError
        new = move_limits(unwrap_all_of(node), self._subset)
        if new.keys() & (_REFUSED_BELOW if depth else _REFUSED):
            raise ShapeLossError
        if "$ref" in new:
            is_known = isinstance(new["$ref"], str) and new["$ref"] in self.definitions
            if new.keys() - {"$ref", *ANNOTATIONS} or not is_known:
                raise ShapeLossError
            return new
        if not isinstance(new.get("enum", []), list):
            raise ShapeLossError
        union = new.keys() & _UNIONS
        if union:
            check_union(new, self.definitions, self.types, *union)
        else:
            self._check_types(new)
        old, new = new, map_children(new, lambda child: self.change(child, depth + 1))
        if "oneOf" in union:
            self.one_of.append((old["oneOf"], new["oneOf"]))
            new = {"anyOf": new["oneOf"], **without(new, "oneOf", "discriminator")}
        return new

    def _check_types(self, node: Schema) -> None:
        if "properties" in node:
            node.setdefault("type", "object")
        types, values = read_types(node), read_values(node)
        if not types or not types <= _TYPES:
            raise ShapeLossError
        if "object" in types:
            self._close(node)
        elif "properties" in node or "required" in node:
            raise ShapeLossError
        if "array" in types:
            has_items = isinstance(node.get("items"), dict)
            is_tuple = "prefixItems" in node
            if not (has_items or is_tuple) or (is_tuple and not self._subset.tuples):
                raise ShapeLossError
        is_complex = any(isinstance(value, dict | list) for value in values or ())
        if is_complex and not self._subset.complex_enums:
            raise ShapeLossError

    def _close(self, node: Schema) -> None:
        """Close an object, and require those properties that can say what their absence says."""
        properties, required = node.get("properties"), node.get("required", [])
        if node.get("additionalProperties", properties is None) is not False:
            raise ShapeLossError
        properties = {} if properties is None else properties
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise ShapeLossError
        if not all(isinstance(name, str) and name in properties for name in required):
            raise ShapeLossError
        filled = set(required)
        for name, child in properties.items():
            if name not in filled and self._absence.has_value(child):
                filled.add(name)
        if self._subset.all_required and len(filled) < len(properties):
            raise ShapeLossError
        if len(filled) > len(set(required)):
            node["required"] = [name for name in properties if name in filled]
        node |= {"properties": properties, "additionalProperties": False}
