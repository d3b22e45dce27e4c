"""JSON schemas as clients write them, and values that fit them, for property tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

Node = Any

NAMES = ["a", "b", "c", "$ref", "minimum", "properties"]
ANY = [None, True, 0, 1, "x", ["x"], {"a": 1}, [], {}]

# What says all of one node; half of them have words that some vendor refuses.
LEAVES = [
    {"type": "string"}, {"type": "string", "title": "T", "description": "A text."}, {"type": "null"},
    {"type": "string", "minLength": 1, "maxLength": 3}, {"type": "string", "default": "x"},
    {"type": "string", "format": "date"}, {"type": "string", "format": "color", "description": "A text."},
    {"type": "string", "pattern": "^[a-z]*$"}, {"type": "string", "pattern": "^(?!x)"},
    {"type": ["string", "null"], "pattern": r"\bword\b"}, {"type": "boolean"}, {"type": "boolean", "default": False},
    {"type": "integer"}, {"type": "integer", "minimum": -2, "exclusiveMaximum": 3}, {"type": "number", "multipleOf": 2},
    {"type": ["integer", "null"], "maximum": 2}, {"type": "integer", "default": None}, {"enum": ["x", "y"]},
    {"enum": ["x", None]}, {"type": "string", "enum": ["x", "y"], "default": "y"}, {"const": 1}, {"const": True},
    {"const": "on", "type": "string", "default": "on"}, {"const": None},
]  # fmt: skip
# What one vendor or another cannot enforce.
ODD = [
    {}, True, False, {"type": "object"}, {"type": "object", "additionalProperties": {"type": "string"}},
    {"type": "object", "additionalProperties": False}, {"type": "object", "properties": {}}, {"type": "array"},
    {"type": "array", "items": {}}, {"type": ["object", "null"], "properties": {"a": {"type": "string"}}},
    {"not": {"type": "null"}}, {"type": "array", "items": {"type": "string"}, "contains": {"const": "x"}},
    {"type": "object", "properties": {"a": {"type": "null"}}, "patternProperties": {"^x": {"type": "null"}}},
    {"allOf": [{"type": "string"}, {"minLength": 1}]}, {"properties": {"a": {"type": "string"}}},
    {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a", "z"]}, {"enum": [{"a": 1}, [2]]},
    {"type": "object", "properties": {"a": True}},
]  # fmt: skip
SIBLINGS: list[Node] = [{}, {}, {"description": "Its use."}, {"default": None}, {"minLength": 1}]
COUNTS: list[Node] = [
    {},
    {},
    {"minItems": 1},
    {"minItems": 2, "maxItems": 3},
    {"uniqueItems": True},
]


class SchemaMaker:
    """Makes schemas, most of which most vendors can enforce."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.definitions: list[str] = []

    def make(self) -> dict[str, Any]:
        self.definitions = self.random.choice([[], [], ["one"], ["one", "two"]])
        root: dict[str, Any] = self.random.choice(
            [self.make_object, self.make_object, self.make_union]
        )(0)
        if self.definitions:
            root["$defs"] = {name: self.make_node(1) for name in self.definitions}
        return root

    def make_node(self, depth: int) -> Node:
        if self.is_rare():
            return self.random.choice(ODD)
        if self.definitions and self.random.random() < 0.15:
            names = [f"#/$defs/{name}" for name in self.definitions]
            return {
                "$ref": self.random.choice([*names, *names, "#"]),
                **self.random.choice(SIBLINGS),
            }
        if depth > 3 or self.random.random() < 0.5:
            return self.random.choice(LEAVES)
        kinds = [self.make_object, self.make_object, self.make_array, self.make_union]
        return self.random.choice(kinds)(depth)

    def make_object(self, depth: int) -> Node:
        names = self.random.sample(NAMES, self.random.randrange(4))
        node: Node = {
            "type": "object",
            "properties": {name: self.make_node(depth + 1) for name in names},
        }
        if required := [name for name in names if not self.is_rare()]:
            node["required"] = required
        if self.random.random() < 0.8:
            node["additionalProperties"] = {"type": "null"} if self.is_rare() else False
        return node

    def make_array(self, depth: int) -> Node:
        nodes = [self.make_node(depth + 1) for _ in range(self.random.choice([1, 1, 1, 2]))]
        if len(nodes) == 1:
            return {"type": "array", "items": nodes[0], **self.random.choice(COUNTS)}
        return {
            "type": "array",
            "prefixItems": nodes,
            "minItems": len(nodes),
            "maxItems": len(nodes),
        }

    def make_union(self, depth: int) -> Node:
        match self.random.randrange(5):
            case 0:
                return {
                    "anyOf": [self.make_node(depth + 1) for _ in range(self.random.randrange(1, 4))]
                }
            case 1:
                return {
                    "oneOf": [self.make_node(depth + 1) for _ in range(self.random.randrange(1, 4))]
                }
            case 2:
                branches = [self.make_tagged(number, depth) for number in range(3)]
                return {"oneOf": branches, "discriminator": {"propertyName": "kind"}}
            case 3:
                return {"allOf": [self.make_node(depth + 1)], "description": "One."}
            case _:
                return {"anyOf": [self.make_node(depth + 1), {"type": "null"}], "default": None}

    def make_tagged(self, number: int, depth: int) -> Node:
        """An object with a property that says which of them it is; it may be optional, as Pydantic has it."""
        node = self.make_object(depth + 1)
        node["properties"]["kind"] = {"const": number, "default": number}
        if not self.is_rare():
            node["required"] = [*node.get("required", ()), "kind"]
        return node

    def is_rare(self) -> bool:
        return self.random.random() < 0.05


_OF_TYPE: dict[str, list[Any]] = {
    "string": ["", "x", "y", "ab", "abcd", "word", "é"], "integer": [-2, 0, 1, 2], "number": [0, 1.5, 2],
    "null": [None], "boolean": [True, False],
}  # fmt: skip


class TooDeepError(Exception):
    """A recursive schema has been followed too far."""


class ValueMaker:
    """Makes values of one schema. They need not fit it, since not all of its words are looked at.

    A full value has all properties that are named, and one more wherever an object is open by what it says.
    """

    def __init__(self, random: Random, root: Node, *, full: bool = False) -> None:
        self.random = random
        self.full = full
        named = {f"#/$defs/{name}": node for name, node in root.get("$defs", {}).items()}
        self.definitions = {"#": root, **named}

    def make(self, node: Node, depth: int = 0) -> Any:
        if depth > 12:
            raise TooDeepError
        if not isinstance(node, dict):
            return self.random.choice(ANY)
        if "$ref" in node:
            return self.make(self.definitions[node["$ref"]], depth + 1)
        if "const" in node or "enum" in node:
            return self.random.choice([node["const"]] if "const" in node else node["enum"])
        for word in ("anyOf", "oneOf", "allOf"):
            if word in node:
                branches = node[word] if depth < 4 else node[word][-1:]
                return self.make(self.random.choice(branches), depth + 1)
        names = node.get("type", "object" if "properties" in node else "any")
        name = self.random.choice(names) if isinstance(names, list) else names
        if name == "object":
            return self.make_object(node, depth + 1)
        if name == "array":
            return self.make_array(node, depth + 1)
        return self.random.choice(_OF_TYPE.get(name, ANY))

    def make_object(self, node: Node, depth: int) -> Any:
        made = {
            name: self.make(child, depth)
            for name, child in node.get("properties", {}).items()
            if name in node.get("required", ()) or self.is_there(depth)
        }
        extra = node.get("additionalProperties", "properties" not in node)
        if extra is not False and self.is_there(depth):
            made["free"] = self.make(extra, depth)
        return made

    def make_array(self, node: Node, depth: int) -> Any:
        first = [self.make(child, depth) for child in node.get("prefixItems", ())]
        number = max(node.get("minItems", 0), int(self.is_there(depth))) - len(first)
        return first + [self.make(node.get("items", True), depth) for _ in range(number)]

    def is_there(self, depth: int) -> bool:
        return self.full or (depth < 5 and self.random.random() < 0.5)
