"""What the vendors' strict modes accept of JSON schema, as data.

A subset names what its vendor documents as refused. Everything else passes as it is, so that a
schema that was written for this vendor is not changed for words that it has learned since.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
_LENGTHS = frozenset({"maxLength", "maxProperties", "minLength", "minProperties", "uniqueItems"})
_NUMBERS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})
_LOOKAROUND = re.compile(r"\(\?(?!:)")
_NOT_REGULAR = re.compile(r"\(\?(?!:)|\\[1-9bB]")  # and back-references, word boundaries
_NO_LIMIT = 1_000_000


class ShapeLossError(Exception):
    """The vendor's subset cannot express the schema."""


class Subset(NamedTuple):
    """What one vendor's strict mode accepts.

    `moved` are words that become text of the description, as the Anthropic SDK does it: they limit
    a value without changing its shape. So do other formats than `formats`, patterns in which
    `hard_pattern` is found, and `minItems` above `max_min_items`.
    """

    moved: frozenset[str]
    formats: frozenset[str]
    hard_pattern: re.Pattern[str]
    max_min_items: int = _NO_LIMIT
    all_required: bool = False  # no property may be optional
    object_root: bool = False  # no union and no array at the root
    recursion: bool = True
    reference_siblings: bool = True  # a `$ref` may have a description beside it
    inlined: bool = False  # the model does not see definitions
    tuples: bool = True  # prefixItems
    complex_enums: bool = True  # objects and arrays among their values
    max_properties: int = _NO_LIMIT
    max_choices: int = _NO_LIMIT  # values of all enums
    max_level: int = _NO_LIMIT  # objects within objects


OPENAI_SUBSET = Subset(
    moved=_LENGTHS | {"default"},
    formats=_FORMATS,
    hard_pattern=_LOOKAROUND,
    all_required=True,
    object_root=True,
    reference_siblings=False,
    max_properties=5_000,
    max_choices=1_000,
    max_level=10,
)

GROQ_SUBSET = OPENAI_SUBSET._replace(inlined=True)

ANTHROPIC_SUBSET = Subset(
    moved=_LENGTHS | _NUMBERS | {"examples", "maxItems"},
    formats=_FORMATS | {"uri"},
    hard_pattern=_NOT_REGULAR,
    max_min_items=1,
    recursion=False,
    tuples=False,
    complex_enums=False,
)
