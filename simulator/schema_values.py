"""Makes a value that fits a JSON schema out of the words of a question."""

from __future__ import annotations

from typing import Any

from simulator.question import Question

_DEEPEST = 12
_MOST_ITEMS = 8
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def make_value(schema: dict[str, Any], question: Question) -> Any:
    """The value: required properties, the first of an enumeration, the question's own words."""
    return _Maker(schema, question).make(schema)


class _Maker:
    """Makes values of one schema, to whose definitions its parts refer."""

    def __init__(self, root: dict[str, Any], question: Question) -> None:
        self._root = root
        self._question = question

    def make(self, schema: Any, depth: int = 0) -> Any:
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((word for word in kind if word != "null"), "null")
        if depth > _DEEPEST:
            return None
        makers = {
            "object": self._make_object,
            "array": self._make_array,
            "integer": self._make_number,
            "number": self._make_number,
            "boolean": lambda *_: True,
            "null": lambda *_: None,
        }
        # OpenAPI's types, which Gemini accepts, are in upper case.
        return makers.get(kind.lower(), self._make_text)(schema, depth)

    def _resolve(self, schema: Any) -> dict[str, Any]:
        """The schema itself, if it is a reference, a choice or a combination of others."""
        if not isinstance(schema, dict):
            return {}
        if reference := schema.get("$ref"):
            found: Any = self._root
            for name in reference.removeprefix("#").split("/"):
                found = found[name.replace("~1", "/").replace("~0", "~")] if name else found
            return self._resolve(found)
        for branch in schema.get("anyOf") or schema.get("oneOf") or ():
            if branch.get("type") != "null":
                return self._resolve({**schema, "anyOf": None, "oneOf": None, **branch})
        merged: dict[str, Any] = dict(schema)
        for part in merged.pop("allOf", ()):
            more = self._resolve(part)
            properties = {**merged.get("properties", {}), **more.get("properties", {})}
            required = [*merged.get("required", ()), *more.get("required", ())]
            merged |= {**more, **({"properties": properties} if properties else {})}
            merged |= {"required": required} if required else {}
        return merged

    def _make_object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """The required properties, or all if none is."""
        properties = schema.get("properties") or {}
        names = schema.get("required") or list(properties)
        return {name: self.make(properties.get(name), depth + 1) for name in names}

    def _make_array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        """As many items as the question's list has, within the schema's limits."""
        items = [self.make(item, depth + 1) for item in schema.get("prefixItems") or ()]
        fewest = schema.get("minItems", 1)
        most = min(schema.get("maxItems", _MOST_ITEMS), max(fewest, _MOST_ITEMS))
        if schema.get("prefixItems"):
            most = fewest
        while len(items) < fewest or (len(items) < most and self._question.has_more):
            items.append(self.make(schema.get("items"), depth + 1))
        return items[:most] if "maxItems" in schema else items

    def _make_number(self, schema: dict[str, Any], _depth: int) -> float:
        number = self._question.take_number()
        fewest: float = schema.get("minimum", schema.get("exclusiveMinimum", number - 1) + 1)
        most: float = schema.get("maximum", schema.get("exclusiveMaximum", number + 1) - 1)
        number = max(min(number, most), fewest)
        is_whole = number % 1 == 0 or str(schema.get("type")).lower() == "integer"
        return int(number) if is_whole else number

    def _make_text(self, schema: dict[str, Any], _depth: int) -> str:
        if made := _FORMATS.get(schema.get("format", "")):
            return made
        text = self._question.take_text()
        return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), ".")
