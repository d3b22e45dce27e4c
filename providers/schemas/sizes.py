"""How large a schema is, in the terms in which vendors limit it."""

from __future__ import annotations

from typing import NamedTuple

from providers.schemas.nodes import Schema, iterate_nodes
from providers.schemas.subsets import Subset


class Size(NamedTuple):
    """Counts of one schema. Definitions count once each, however often they are referred to."""

    properties: int = 0
    optional: int = 0  # properties that are not required
    unions: int = 0  # nodes with alternatives, or with several types
    choices: int = 0  # values of all enums
    level: int = 0  # objects within objects

    def fits(self, subset: Subset) -> bool:
        """Whether the vendor's strict mode accepts a schema of this size."""
        return (
            self.properties <= subset.max_properties
            and self.choices <= subset.max_choices
            and self.level <= subset.max_level
        )


def measure(root: Schema) -> Size:
    """The size of a schema that is in a vendor's subset."""
    properties = required = unions = choices = deepest = 0
    for node, level in iterate_nodes(root):
        properties += len(node.get("properties", ()))
        required += len(node.get("required", ()))
        unions += "anyOf" in node or isinstance(node.get("type"), list)
        choices += len(node.get("enum", ()))
        deepest = max(deepest, level)
    return Size(properties, properties - required, unions, choices, deepest)


class RequestLimits(NamedTuple):
    """What all strict schemas of one request may have together."""

    tools: int
    optional: int
    unions: int

    def minus(self, size: Size, tools: int) -> RequestLimits | None:
        """What is left after a schema of this size, of so many tools; None if it is too large."""
        left = RequestLimits(
            self.tools - tools, self.optional - size.optional, self.unions - size.unions
        )
        return None if min(left) < 0 else left
