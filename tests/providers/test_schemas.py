"""What the vendors get of schemas as clients write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, Any, Literal

import jsonschema_rs
import msgspec
import pytest
from msgspec import Raw
from pydantic import BaseModel, Field

from models import JsonSchema, Tool
from providers.schemas.adapt import (
    ANTHROPIC,
    GEMINI,
    GROQ,
    OPENAI,
    Adapted,
    Dialect,
    adapt_output,
    adapt_parameters,
)
from providers.schemas.strict import to_subset
from providers.schemas.subsets import ANTHROPIC_SUBSET, OPENAI_SUBSET, ShapeLossError, Subset
from tests.conftest import CORPUS, CORPUS_ABSENT

DIALECTS = {"openai": OPENAI, "groq": GROQ, "anthropic": ANTHROPIC, "gemini": GEMINI}
ALL = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
STRICT = pytest.mark.parametrize(
    "dialect", [OPENAI, GROQ, ANTHROPIC], ids=["openai", "groq", "anthropic"]
)
FULL = pytest.mark.parametrize("dialect", [OPENAI, GROQ], ids=["openai", "groq"])

Schema = dict[str, Any]


def object_of(*required: str, **properties: Any) -> Schema:
    """A closed object."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def text_of(schema: Schema) -> Raw:
    return Raw(json.dumps(schema).encode())  # with spaces, unlike ours


def tool_of(schema: Schema, strict: bool | None = True) -> Tool:
    return Tool("tool", text_of(schema), None, strict)


def adapt(schema: Schema, dialect: Dialect, strict: bool | None = True) -> Adapted:
    (adapted,) = adapt_parameters([tool_of(schema, strict)], dialect)
    return adapted


def enforced(schema: Schema, dialect: Dialect) -> Schema:
    """The schema that is sent as strict."""
    adapted = adapt(schema, dialect)
    assert (adapted.strict, adapted.is_lost) == (True, False)
    return dict(msgspec.json.decode(adapted.schema))


def field_of(schema: Schema, dialect: Dialect) -> Any:
    """What becomes of a required property."""
    return enforced(object_of("field", field=schema), dialect)["properties"]["field"]


def is_given_up(schema: Schema, dialect: Dialect) -> bool:
    """Whether the schema is sent byte for byte, not as strict, and reported."""
    adapted = adapt(schema, dialect)
    assert adapted.is_lost is (adapted.strict is False)
    assert not adapted.is_lost or adapted.schema == text_of(schema)
    return adapted.is_lost


# --- as they are ---------------------------------------------------------------------------------


def recorded_tools() -> Iterator[Any]:
    """The tools of the recorded requests: their parameters, and the arguments of the model's calls."""
    for path in sorted(CORPUS.glob("*/*/request.json")):
        body = json.loads(path.read_bytes())
        for tool in body.get("tools") or ():
            for function in tool.get("functionDeclarations", [tool.get("function", tool)]):
                for word in ("parameters", "input_schema"):
                    if isinstance(function.get(word), dict):
                        yield pytest.param(
                            function[word], id=f"{path.parent.name[:3]}-{function['name']}"
                        )


@ALL
@pytest.mark.parametrize("strict", [False, None])
def test_a_schema_that_is_not_strict_is_the_clients_text(
    dialect: Dialect, strict: bool | None
) -> None:
    """Whatever is in it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "minProperties": 1,
        "properties": {"a": {"type": "number", "minimum": 1.0}, "b": {"oneOf": [{}, True]}, "c": {"$ref": "#"}},
    }  # fmt: skip
    assert adapt(schema, dialect, strict) == Adapted(text_of(schema), strict)
    output = JsonSchema("answer", text_of(object_of(a={"type": "string"})), None, strict)
    assert adapt_output(output, dialect)[:3] == (output.schema, strict, False)


@STRICT
def test_a_schema_in_the_vendors_subset_is_the_clients_text(dialect: Dialect) -> None:
    schema = object_of(
        "city", "unit",
        city={"type": "string", "description": "The city's name.", "title": "City"},
        unit={"anyOf": [{"type": "string", "enum": ["C", "F"]}, {"type": "null"}]},
    ) | {"$schema": "http://json-schema.org/draft-07/schema#"}  # fmt: skip
    adapted = adapt(schema, dialect)
    assert (adapted.schema, adapted.strict, adapted.is_lost) == (text_of(schema), True, False)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=CORPUS_ABSENT)
@ALL
def test_recorded_tools_are_sent_as_they_came(dialect: Dialect) -> None:
    schemas = [parameter.values[0] for parameter in recorded_tools()]
    assert len(schemas) > 100
    for schema in schemas:
        root: Schema = {"properties": {}} if dialect in (OPENAI, GROQ) else {}
        adapted = adapt(schema, dialect, strict=None)
        assert json.loads(bytes(adapted.schema)) == {**root, **schema}


# --- what a strict mode refuses ------------------------------------------------------------------

FREE = [
    {"type": "object", "additionalProperties": {"type": "string"}},
    {"type": "object", "additionalProperties": True},
    {"type": "object"},
    {"type": ["object", "null"]},
    {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
    {"type": "object", "properties": {}, "patternProperties": {"^x-": {"type": "string"}}},
]
UNSEEN = [
    {}, True, {"description": "Anything."}, {"type": "array"}, {"type": "array", "items": {}}, {"type": "any"},
    {"not": {"type": "string"}}, {"type": "string", "if": {}, "then": {}}, {"$ref": "#/$defs/Nowhere"},
    {"$ref": "https://example.com/schema.json"}, {"allOf": [{"type": "string"}, {"minLength": 1}]}, {"type": 5},
    {"type": "string", "required": True}, {"type": "object", "properties": [], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["b"]}, {"anyOf": []}, {"enum": "x"},
    {"type": "object", "properties": {"a": {"type": "null"}}, "anyOf": [{"required": ["a"]}, {"required": []}]},
]  # fmt: skip


@STRICT
@pytest.mark.parametrize("schema", [*FREE, *UNSEEN], ids=str)
def test_what_a_strict_mode_cannot_express_is_sent_as_not_strict(
    dialect: Dialect, schema: Any
) -> None:
    """A free object, above all: closed, it could carry nothing."""
    assert is_given_up(object_of("field", field=schema), dialect)


@STRICT
def test_an_object_that_names_its_properties_is_closed(dialect: Dialect) -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert field_of(inner, dialect) == {**inner, "additionalProperties": False}
    untyped = {"properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert field_of(untyped, dialect) == {**inner, "additionalProperties": False}


def test_limits_become_text_where_the_vendor_refuses_them() -> None:
    field = {
        "type": "string", "description": "A name.", "minLength": 1, "pattern": "^[a-z]+$", "format": "color",
        "default": "x",
    }  # fmt: skip
    assert field_of(field, OPENAI) == {
        "type": "string", "pattern": "^[a-z]+$",
        "description": 'A name.\n\n{minLength: 1, default: "x", format: "color"}',
    }  # fmt: skip
    assert field_of(field, ANTHROPIC) == {
        "type": "string", "pattern": "^[a-z]+$", "default": "x",
        "description": 'A name.\n\n{minLength: 1, format: "color"}',
    }  # fmt: skip
    number = {"type": "integer", "minimum": 1, "maximum": 9}
    assert field_of(number, OPENAI) == number
    assert field_of(number, ANTHROPIC) == {
        "type": "integer",
        "description": "{minimum: 1, maximum: 9}",
    }
    pattern = {"type": "string", "pattern": r"\bword\b"}
    assert field_of(pattern, OPENAI) == pattern
    assert field_of(pattern, ANTHROPIC) == {
        "type": "string",
        "description": r'{pattern: "\\bword\\b"}',
    }


def test_an_array_keeps_the_least_number_of_items_that_the_vendor_takes() -> None:
    one, two = (
        {"type": "array", "items": {"type": "string"}, "minItems": number} for number in (1, 2)
    )
    assert field_of(one, ANTHROPIC) == one
    assert field_of(two, OPENAI) == two
    assert field_of(two, ANTHROPIC) == {
        "type": "array", "items": {"type": "string"}, "description": "{minItems: 2}",
    }  # fmt: skip


@FULL
def test_a_property_stays_optional_or_can_say_so_by_null_or_default(dialect: Dialect) -> None:
    nullable, default = {"type": ["string", "null"]}, {"type": "integer", "default": 5}
    schema = object_of("a", a={"type": "string"}, b=nullable, c=default)
    assert enforced(schema, dialect) == object_of(
        "a", "b", "c", a={"type": "string"}, b=nullable, c={"type": "integer", "description": "{default: 5}"}
    )  # fmt: skip
    assert enforced(schema, ANTHROPIC) == schema
    for mute in ({"type": "string"}, {"type": "integer", "default": None}, {"enum": ["a"]}):
        assert is_given_up(object_of(a=mute), dialect)
        assert not is_given_up(object_of(a=mute), ANTHROPIC)


@FULL
def test_null_is_found_behind_references_and_unions(dialect: Dialect) -> None:
    definitions = {
        "Maybe": {"anyOf": [{"$ref": "#/$defs/Text"}, {"$ref": "#/$defs/None"}]},
        "Text": {"type": "string"},
        "None": {"const": None, "type": "null"},
        "Choice": {"type": ["string", "null"], "enum": ["a", "b"]},  # no null among the choices
        "Loop": {"anyOf": [{"$ref": "#/$defs/Loop"}, {"type": "string"}]},
    }
    for name, is_there in {"Maybe": True, "Text": False, "Choice": False, "Loop": False}.items():
        schema = {**object_of(a={"$ref": f"#/$defs/{name}"}), "$defs": definitions}
        assert is_given_up(schema, dialect) is not is_there


# --- unions and references -----------------------------------------------------------------------


@STRICT
def test_one_of_becomes_any_of_if_its_branches_exclude_each_other(dialect: Dialect) -> None:
    cat, dog = (
        object_of("kind", kind={"const": name, "type": "string"}) for name in ("cat", "dog")
    )
    tagged = {
        "oneOf": [cat, dog],
        "discriminator": {"propertyName": "kind"},
        "description": "A pet.",
    }
    assert field_of(tagged, dialect) == {"anyOf": [cat, dog], "description": "A pet."}
    for branches in (
        [{"type": "string"}, {"type": "number"}, cat],
        [{"const": 1}, {"const": True}],
    ):
        assert field_of({"oneOf": branches}, dialect) == {"anyOf": branches}
    overlapping: list[list[Schema]] = [
        [{"type": "integer"}, {"type": "number"}],
        [cat, cat],
        [{"type": "string"}, {"const": "x"}],
        [object_of(a={"type": "string"}), object_of(b={"type": "string"})],
        [{"enum": [1, 2]}, {"const": 2}],
        [{"properties": {"a": {"type": "string"}}}, {"type": "null"}],  # no type: null fits both
    ]
    for branches in overlapping:
        assert is_given_up(object_of("field", field={"oneOf": branches}), dialect)


@STRICT
def test_a_type_beside_branches_that_say_it_is_left_out(dialect: Dialect) -> None:
    branches = [object_of("a", a={"type": "null"}), object_of("b", b={"type": "null"})]
    assert field_of({"type": "object", "anyOf": branches}, dialect) == {"anyOf": branches}
    assert is_given_up(object_of("field", field={"type": "string", "anyOf": branches}), dialect)


@STRICT
def test_all_of_with_one_member_is_that_member(dialect: Dialect) -> None:
    """As older versions of Pydantic write a field with a description."""
    assert field_of({"allOf": [{"type": "string"}], "description": "A text."}, dialect) == {
        "type": "string", "description": "A text.",
    }  # fmt: skip


def test_words_beside_a_reference_are_put_where_the_vendor_takes_them() -> None:
    schema = {
        **object_of("field", field={"$ref": "#/$defs/Text", "description": "A text."}),
        "$defs": {"Text": {"type": "string", "title": "Text"}},
    }
    assert enforced(schema, ANTHROPIC) == schema
    assert enforced(schema, OPENAI)["properties"]["field"] == {
        "anyOf": [{"$ref": "#/$defs/Text"}], "description": "A text.",
    }  # fmt: skip
    assert enforced(schema, GROQ) == object_of(
        "field", field={"type": "string", "title": "Text", "description": "A text."}
    )


def test_gemini_gets_no_words_beside_a_reference_but_two() -> None:
    """It refuses others by its documentation, whether or not a schema is strict."""
    taken = {"$ref": "#/$defs/Text", "description": "A text.", "default": "x"}
    refused = {"$ref": "#/$defs/Text", "title": "A"}
    named = {"$ref": {"type": "string"}, "title": {"type": "string"}}  # properties of these names
    schema = {**object_of(a=taken, b=refused, **named), "$defs": {"Text": {"type": "string"}}}
    changed = {"anyOf": [{"$ref": "#/$defs/Text"}], "title": "A"}
    expected = {**schema, "properties": {**schema["properties"], "b": changed}}
    for adapted in (
        adapt(schema, GEMINI, strict=None),
        adapt_output(JsonSchema("answer", text_of(schema)), GEMINI),
    ):
        assert msgspec.json.decode(adapted.schema) == expected


def test_recursion_is_given_up_for_anthropic_alone() -> None:
    tree = object_of("items", items={"type": "array", "items": {"$ref": "#/$defs/Tree"}})
    schema = {"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}}
    assert adapt(schema, ANTHROPIC).is_lost
    assert enforced(schema, OPENAI) == {**tree, "$defs": {"Tree": tree}}
    itself = object_of("items", items={"type": "array", "items": {"$ref": "#"}})
    assert is_given_up(itself, ANTHROPIC)
    assert enforced(itself, OPENAI) == itself


def test_groq_gets_all_definitions_inlined_but_recursive_ones() -> None:
    """Its models do not see definitions."""
    name, text = {"$ref": "#/$defs/Name"}, {"type": "string"}
    tree, trees = {"$ref": "#/$defs/Tree"}, {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    schema = object_of("tree", "name", tree=tree, name=name)
    definitions = {"Tree": object_of("trees", "name", trees=trees, name=name), "Name": text}
    assert enforced({**schema, "$defs": definitions}, GROQ) == {
        **object_of("tree", "name", tree=tree, name=text),
        "$defs": {"Tree": object_of("trees", "name", trees=trees, name=text)},
    }


def test_definitions_that_contain_each_other_stay() -> None:
    definitions = {
        name: object_of("other", other={"type": "array", "items": {"$ref": f"#/$defs/{other}"}})
        for name, other in (("Egg", "Hen"), ("Hen", "Egg"))
    }
    schema = {**object_of("egg", egg={"$ref": "#/$defs/Egg"}), "$defs": definitions}
    assert enforced(schema, GROQ) == schema
    assert is_given_up(schema, ANTHROPIC)


# --- limits --------------------------------------------------------------------------------------


def test_definitions_that_would_grow_exponentially_are_not_inlined() -> None:
    """It would be 2 to the power of 100 nodes."""
    definitions: Schema = {"d100": {"type": "string"}}
    for number in range(100):
        next_one = {"$ref": f"#/$defs/d{number + 1}"}
        definitions[f"d{number}"] = object_of("a", "b", a=next_one, b=next_one)
    bomb = {**object_of("a", a={"$ref": "#/$defs/d0"}), "$defs": definitions}
    assert is_given_up(bomb, GROQ)


@STRICT
def test_a_deep_or_large_schema_is_given_up(dialect: Dialect) -> None:
    deep: Schema = {"type": "string"}
    for _ in range(200):
        deep = object_of("a", a=deep)
    large = object_of("a", a={"type": "string", "description": "x" * 100_000})
    assert is_given_up(deep, dialect)
    assert is_given_up(large, dialect)


@FULL
def test_the_limits_of_openai_hold(dialect: Dialect) -> None:
    nested: Schema = {"type": "string"}
    for _ in range(12):
        nested = object_of("a", a=nested)
    many = {f"p{number}": {"type": "null"} for number in range(5_001)}
    for schema in (nested, object_of(*many, **many), object_of("a", a={"enum": [*range(1_001)]})):
        assert is_given_up(schema, dialect)


def test_the_first_tools_are_strict_within_the_limits_of_a_request_to_anthropic() -> None:
    def count_strict(schema: Schema, number: int, output: Adapted | None = None) -> int:
        adapted = adapt_parameters([tool_of(schema)] * number, ANTHROPIC, output)
        assert not any(b.strict and not a.strict for a, b in pairwise(adapted))
        assert all(one.is_lost is not one.strict for one in adapted)
        return sum(one.strict is True for one in adapted)

    union = object_of("a", a={"type": ["string", "null"]})
    answer = adapt_output(JsonSchema("answer", text_of(union)), ANTHROPIC)
    assert count_strict(object_of("a", a={"type": "string"}), 25) == 20
    assert count_strict(object_of(a={"type": "string"}, b={"type": "string"}), 25) == 12
    assert count_strict(union, 25) == 16
    assert count_strict(union, 25, answer) == 15
    assert len([one for one in adapt_parameters([tool_of(union)] * 25, OPENAI) if one.strict]) == 25


# --- roots, and outputs --------------------------------------------------------------------------


def test_parameters_say_that_they_are_an_object() -> None:
    empty: Schema = {"properties": {"a": {}}}
    union = {"description": "One.", "anyOf": [{"required": ["a"]}], "type": "object"}
    for dialect in (OPENAI, GROQ, ANTHROPIC, GEMINI):
        assert msgspec.json.decode(adapt(empty, dialect, None).schema) == {
            "type": "object",
            **empty,
        }
    assert msgspec.json.decode(adapt({"type": "object"}, OPENAI, None).schema) == {
        "type": "object",
        "properties": {},
    }
    assert adapt({"type": "object"}, ANTHROPIC, None).schema == text_of({"type": "object"})
    assert adapt(union, GEMINI, None).schema == text_of(union)
    assert msgspec.json.decode(adapt(union, ANTHROPIC, None).schema) == {
        "type": "object", "description": 'One.\n\n{anyOf: [{"required": ["a"]}]}',
    }  # fmt: skip


@STRICT
def test_parameters_with_a_union_at_their_root_are_not_strict(dialect: Dialect) -> None:
    schema = {"anyOf": [object_of("a", a={"type": "null"}), object_of("b", b={"type": "null"})]}
    assert adapt(schema, dialect).is_lost
    output = JsonSchema("answer", text_of(schema), None, strict=True)
    assert adapt_output(output, dialect).is_lost is (dialect is not ANTHROPIC)


def test_anthropic_enforces_an_output_that_is_not_strict_where_it_can() -> None:
    """There is no other mode: it is refused with open objects in it."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    adapted = adapt_output(JsonSchema("answer", text_of(schema)), ANTHROPIC)
    assert msgspec.json.decode(adapted.schema) == {**schema, "additionalProperties": False}
    assert (adapted.strict, adapted.is_lost) == (None, False)
    free = JsonSchema("answer", text_of({"type": "object"}))
    assert adapt_output(free, ANTHROPIC) == Adapted(free.schema, None, is_lost=True)
    assert adapt_output(free, OPENAI) == Adapted(free.schema, None)


def test_gemini_enforces_outputs_but_no_parameters() -> None:
    schema = object_of(a={"type": "string", "minLength": 1})
    output = JsonSchema("answer", text_of(schema), None, strict=True)
    assert adapt_output(output, GEMINI) == Adapted(output.schema, strict=True)
    assert adapt(schema, GEMINI) == Adapted(text_of(schema), strict=False, is_lost=True)
    assert adapt(schema, GEMINI, None) == Adapted(text_of(schema), None)


# --- Pydantic's schemas --------------------------------------------------------------------------


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: Annotated[int, Field(ge=0, le=9, description="Those that are left.")] = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str] = []


class Owner(BaseModel):
    """Who has pets."""

    name: Annotated[str, Field(min_length=1)]
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    email: str | None = None
    first: Cat = Field(description="The first one.")
    number: Literal[1, 2] | None = None


class Tree(BaseModel):
    name: str
    branches: list[Tree]


class Notes(BaseModel):
    by_name: dict[str, str]


OWNER = Owner(name="Ann", pets=[Cat(lives=3), Dog(tricks=["sit"])], first=Cat(), email=None)


@STRICT
def test_models_of_pydantic_stay_strict(dialect: Dialect) -> None:
    """Nested ones, tagged unions, descriptions of references, defaults."""
    schema = Owner.model_json_schema()
    new = enforced(schema, dialect)
    assert jsonschema_rs.is_valid(new, OWNER.model_dump(mode="json"))
    assert not jsonschema_rs.is_valid(new, {**OWNER.model_dump(mode="json"), "more": 1})
    assert "oneOf" not in str(new)
    assert ("$defs" in new) is (dialect is not GROQ)


@STRICT
def test_dictionaries_of_pydantic_are_not_closed(dialect: Dialect) -> None:
    assert is_given_up(Notes.model_json_schema(), dialect)


def test_recursive_models_of_pydantic_stay_strict_at_openai() -> None:
    new = enforced(Tree.model_json_schema(), OPENAI)
    tree = Tree(name="a", branches=[Tree(name="b", branches=[])])
    assert jsonschema_rs.is_valid(new, tree.model_dump())
    assert adapt(Tree.model_json_schema(), ANTHROPIC).is_lost


class Counted(list[int]):
    """Values that count how often they are read."""

    reads = 0

    def __iter__(self) -> Iterator[int]:
        self.reads += 1
        return super().__iter__()


@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
@pytest.mark.parametrize("subset", [OPENAI_SUBSET, ANTHROPIC_SUBSET], ids=["openai", "anthropic"])
def test_values_behind_many_references_are_read_few_times(word: str, subset: Subset) -> None:
    """In a schema of 64 KiB a thousand references can lead to ten thousand values."""
    values = Counted([1, 2, 3])
    union = {"type": "number", word: [{"$ref": "#/$defs/a"}] * 100}
    root: dict[str, Any] = {"type": "object", "properties": {"a": union}, "required": ["a"]}
    root |= {"additionalProperties": False, "$defs": {"a": {"enum": values}}}
    with suppress(ShapeLossError):
        to_subset(root, subset)
    assert 0 < values.reads < 20
