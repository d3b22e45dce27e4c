"""Whatever schema a client writes: what a vendor gets means the same, or strict is given up and nothing changes."""

from __future__ import annotations

from random import Random
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models import JsonSchema, Tool
from providers.schemas.adapt import (
    ANTHROPIC,
    GEMINI,
    GROQ,
    OPENAI,
    Dialect,
    adapt_output,
    adapt_parameters,
)
from providers.schemas.nodes import map_children
from providers.schemas.subsets import Subset
from tests.fuzzing import EXAMPLES
from tests.vendors.json_schemas import SchemaMaker, TooDeepError, ValueMaker

DRAFT = "https://json-schema.org/draft/2020-12/schema"
DIALECTS = {"openai": OPENAI, "groq": GROQ, "anthropic": ANTHROPIC, "gemini": GEMINI}
ALL = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
STRICT = pytest.mark.parametrize("dialect", [*DIALECTS.values()][:3], ids=[*DIALECTS][:3])

# A seed costs a fifth of a millisecond, drawing the same schema word for word a hundred times as much.
seeded = settings(max_examples=5 * EXAMPLES, deadline=None)
SEED = st.integers(0, 2**32)


def make_output(random: Random, strict: bool | None) -> tuple[Any, JsonSchema]:
    schema = SchemaMaker(random).make()
    return schema, JsonSchema("answer", msgspec.Raw(msgspec.json.encode(schema)), None, strict)


def fits(schema: Any, value: Any) -> bool:
    return jsonschema_rs.validator_for({"$schema": DRAFT, **schema}).is_valid(value)


def without_limits(node: Any, subset: Subset) -> Any:
    """The schema without the words that the vendor gets as text."""
    if not isinstance(node, dict):
        return node
    kept = {word: value for word, value in node.items() if word not in subset.moved}
    if subset.hard_pattern.search(kept.get("pattern", "")):
        del kept["pattern"]
    if kept.get("minItems", 0) > subset.max_min_items:
        del kept["minItems"]
    return map_children(kept, lambda child: without_limits(child, subset))


def closed(node: Any) -> Any:
    """The schema without properties that it does not name, where it does not speak of them."""
    if not isinstance(node, dict):
        return node
    own = {"additionalProperties": False} if isinstance(node.get("properties"), dict) else {}
    return map_children({**own, **node}, closed)


def make_values(random: Random, schema: Any, *, full: bool = False) -> list[Any]:
    made = []
    for _ in range(4):
        try:
            value = ValueMaker(random, schema, full=full).make(schema)
        except TooDeepError:
            continue
        made.append(value)
    return [value for value in made if fits(closed(schema), value)]


@STRICT
@seeded
@given(seed=SEED)
def test_what_fits_the_new_schema_fits_the_clients(dialect: Dialect, seed: int) -> None:
    """Apart from the words that are text there."""
    random = Random(seed)
    schema, output = make_output(random, strict=True)
    adapted = adapt_output(output, dialect)
    new = msgspec.json.decode(adapted.schema)
    assert dialect.subset
    if not adapted.is_lost:
        for value in make_values(random, new):
            assert fits(without_limits(schema, dialect.subset), value), (schema, new, value)


@STRICT
@seeded
@given(seed=SEED)
def test_the_new_schema_takes_whatever_the_client_names(dialect: Dialect, seed: int) -> None:
    """All properties that are named, and free ones if an object says that it has them."""
    random = Random(seed)
    schema, output = make_output(random, strict=True)
    adapted = adapt_output(output, dialect)
    new = msgspec.json.decode(adapted.schema)
    if not adapted.is_lost:
        for value in make_values(random, schema, full=True):
            assert fits(new, value), (schema, new, value)


@ALL
@seeded
@given(seed=SEED, strict=st.sampled_from([True, False, None]))
def test_strict_is_sent_as_it_was_said_or_given_up(
    dialect: Dialect, seed: int, strict: bool | None
) -> None:
    random = Random(seed)
    _, output = make_output(random, strict)
    answer = adapt_output(output, dialect)
    (parameters,) = adapt_parameters([Tool("tool", output.schema, None, strict)], dialect)
    assert strict or not parameters.is_lost
    assert parameters.strict is (strict and not parameters.is_lost)
    for adapted in (answer, parameters):
        assert adapted.strict is strict or (adapted.is_lost and adapted.strict is False)
    if answer.is_lost:
        assert answer.schema == output.schema


@STRICT
@seeded
@given(seed=SEED)
def test_a_new_schema_is_not_changed_again(dialect: Dialect, seed: int) -> None:
    _, output = make_output(Random(seed), strict=True)
    adapted = adapt_output(output, dialect)
    if not adapted.is_lost:
        again = adapt_output(JsonSchema("answer", adapted.schema, None, strict=True), dialect)
        assert again == adapted


@ALL
@seeded
@given(seed=SEED)
def test_the_change_of_a_schema_that_is_not_strict_means_the_same(
    dialect: Dialect, seed: int
) -> None:
    """That of the few words that a vendor refuses; but for a union that contains itself."""
    random = Random(seed)
    schema, output = make_output(random, strict=None)
    assume("type" in schema or b'"#"' not in bytes(output.schema))
    (adapted,) = adapt_parameters([Tool("tool", output.schema)], dialect)
    new = msgspec.json.decode(adapted.schema)
    root_unions = schema.keys() & {"anyOf", "oneOf", "allOf"}
    for value in (*make_values(random, schema), *make_values(random, new)):
        is_asked = isinstance(value, dict) and fits(schema, value)
        assert fits(new, value) is is_asked or (dialect is ANTHROPIC and root_unions)
