"""A schema in the subset of JSON schema that a vendor's strict mode accepts.

What fits the new schema fits the old one, but for words that limit a value and that the vendor
refuses: they become text of the description. What fits the old one and is lost is at most

- properties that the schema does not name: strict modes want objects closed. An object that is
  open by what it says (`additionalProperties`, or no `properties`) cannot be closed, since the
  model could not put anything into it;
- the absence of an optional property, if the vendor has no optional ones, or if the property has
  one value, which is its default. The model must be able to say the same by null or by a default.

Anything else that the subset cannot express raises ShapeLossError. `oneOf` becomes `anyOf` only if
its branches exclude each other.
"""

from __future__ import annotations

from typing import Any

from providers.schemas.nodes import (
    ANNOTATIONS,
    DEFINITIONS,
    Schema,
    read_definitions,
    resolve,
    without,
)
from providers.schemas.references import (
    TooLargeError,
    inline_definitions,
    order_definitions,
    wrap_references,
)
from providers.schemas.subsets import ShapeLossError, Subset
from providers.schemas.transform import Transform
from providers.schemas.unions import Branch, are_exclusive


def to_subset(root: Any, subset: Subset) -> Schema:
    """The schema in the vendor's subset. Raises ShapeLossError."""
    if not isinstance(root, dict) or not all(
        isinstance(root.get(word, {}), dict) for word in DEFINITIONS
    ):
        raise ShapeLossError
    if "$ref" in root:
        target = resolve(root, read_definitions(root))
        if not isinstance(target, dict) or root.keys() - {"$ref", *DEFINITIONS, *ANNOTATIONS}:
            raise ShapeLossError
        root = {**target, **without(root, "$ref")}
    transform = Transform(root, subset)
    new = transform.change(root)
    before, after = transform.definitions, read_definitions(new)
    for branches in transform.one_of:
        pairs = zip(*branches, strict=True)
        resolved = (Branch(resolve(a, before), resolve(b, after)) for a, b in pairs)
        if not are_exclusive(resolved, transform.types):
            raise ShapeLossError
    if not subset.recursion and order_definitions(new)[1]:
        raise ShapeLossError
    if subset.object_root and new.get("type") != "object":
        raise ShapeLossError
    if subset.inlined:
        try:
            new = inline_definitions(new)
        except TooLargeError as error:
            raise ShapeLossError from error
    return new if subset.reference_siblings else wrap_references(new)
