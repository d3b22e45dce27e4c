"""A client's JSON schemas, as each vendor takes them.

A schema that its client does not call strict is sent as it came, byte for byte, and never as
strict. Some such schemas are refused all the same, by the vendors' documentation or their errors.
Then only what is refused is changed, so that the schema means the same:

- a tool's arguments are an object, and all vendors want its schema to say so: `type` is added at
  the root, for OpenAI and Groq also `properties`;
- Anthropic refuses a union at that root: it becomes text of the description;
- Gemini refuses words beside a `$ref`: an `anyOf` of one branch takes them.

A strict schema is sent in the subset that the vendor's strict mode accepts, if that can express it
(`providers.schemas.strict`) and within the vendor's limits. If not, it is sent as a schema that is
not strict, and `is_lost` says so. This includes a schema in the dialect of the vendor itself: it
would fail the chat, with an error that the client does not see, while the next vendor may take it.
A schema that is in the subset already is not changed.

Output schemas differ at two vendors. Anthropic enforces them always, so one that is not strict is
put in the subset too: that closes its objects, but open ones are refused. If it cannot be,
`is_lost` means that the vendor cannot do what the client asks. Gemini enforces what it knows of any
schema, and refuses none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from models import AnswerOptions, JsonSchema, Tool
from providers.schemas.references import wrap_references
from providers.schemas.sizes import RequestLimits, Size, measure
from providers.schemas.strict import to_subset
from providers.schemas.subsets import (
    ANTHROPIC_SUBSET,
    GROQ_SUBSET,
    OPENAI_SUBSET,
    ShapeLossError,
    Subset,
)

_MAX_BYTES = 100_000  # of the schemas of a request that are adapted
_ROOT_UNIONS = frozenset({"allOf", "anyOf", "oneOf"})


class Dialect(NamedTuple):
    """How a vendor takes schemas. Without a `subset` it has no strict mode for tools."""

    subset: Subset | None
    root: Mapping[str, Any]  # what parameters must say at their root, if they do not
    limits: RequestLimits = RequestLimits(tools=1_000, optional=100_000, unions=100_000)
    root_unions: bool = True  # of parameters
    reference_siblings: frozenset[str] | None = None  # None: any
    enforces_output: bool = False  # whatever the client says
    describes_output: bool = False  # there is a field for the description beside its schema


OPENAI = Dialect(OPENAI_SUBSET, root={"type": "object", "properties": {}}, describes_output=True)
GROQ = OPENAI._replace(subset=GROQ_SUBSET)
ANTHROPIC = Dialect(
    ANTHROPIC_SUBSET,
    root={"type": "object"},
    limits=RequestLimits(tools=20, optional=24, unions=16),
    root_unions=False,
    enforces_output=True,
)
GEMINI = Dialect(
    None, root={"type": "object"}, reference_siblings=frozenset({"default", "description"})
)


class Adapted(NamedTuple):
    """A schema to send, and what to send as `strict`. `is_lost`: strict was asked, but is not sent.

    `size` counts for the limits of the request.
    """

    schema: Raw
    strict: bool | None
    is_lost: bool = False
    size: Size = Size()


def adapt_output(output: JsonSchema, dialect: Dialect) -> Adapted:
    """Adapt the schema of the answer."""
    schema, strict = output.schema, output.strict
    if not dialect.subset:
        return Adapted(_wrap_references(schema, dialect.reference_siblings), strict)
    if not (strict or dialect.enforces_output):
        return Adapted(schema, strict)
    adapted = _to_strict(bytes(schema), dialect.subset)
    if adapted is None or dialect.limits.minus(adapted.size, tools=0) is None:
        return Adapted(schema, strict and False, is_lost=True)
    return adapted._replace(strict=strict)


def adapt_parameters(
    tools: Iterable[Tool], dialect: Dialect, output: Adapted | None = None
) -> list[Adapted]:
    """Adapt the parameters of a request's tools.

    If the limits of a request do not suffice for all, the first tools stay strict. The request's
    output schema counts for them, too.
    """
    subset = dialect.subset and dialect.subset._replace(object_root=True)
    limits = dialect.limits.minus(output.size, tools=0) if output else dialect.limits
    unread = _MAX_BYTES
    adapted: list[Adapted] = []
    for tool in tools:
        new = left = None
        if tool.strict and subset and limits:
            schema = bytes(tool.schema)
            unread -= len(schema)
            new = _to_strict(schema, subset) if unread >= 0 else None
            left = limits.minus(new.size, tools=1) if new else None
        if new and left:
            limits = left
            adapted.append(new)
        else:
            parameters = _to_parameters(tool.schema, dialect)
            adapted.append(Adapted(parameters, tool.strict and False, is_lost=bool(tool.strict)))
    return adapted


def dropped_fields(options: AnswerOptions, dialect: Dialect) -> list[str]:
    """The client's fields about schemas that are not sent."""
    output = options.output
    answer = adapt_output(output, dialect) if isinstance(output, JsonSchema) else None
    names = ["response_format.json_schema.strict"] if answer and answer.is_lost else []
    if isinstance(output, JsonSchema) and output.description and not dialect.describes_output:
        names.append("response_format.json_schema.description")
    tools = adapt_parameters(options.tools, dialect, answer)
    return names + [f"tools.{place}.strict" for place, tool in enumerate(tools) if tool.is_lost]


@lru_cache(maxsize=256)
def _to_strict(schema: bytes, subset: Subset) -> Adapted | None:
    """The schema in the subset, the same bytes if it is in it; None if it cannot be.

    Agents send the same tools with every request.
    """
    if len(schema) > _MAX_BYTES:
        return None
    root = msgspec.json.decode(schema)
    try:
        new = to_subset(root, subset)
    except ShapeLossError:
        return None
    size = measure(new)
    if not size.fits(subset):
        return None
    return Adapted(Raw(schema if new == root else msgspec.json.encode(new)), True, size=size)


def _to_parameters(schema: Raw, dialect: Dialect) -> Raw:
    """The parameters of a tool that is not strict, so that the vendor does not refuse them."""
    root = msgspec.json.decode(schema, type=dict[str, Raw])
    new: dict[str, Any] = {**dialect.root, **root}
    if not dialect.root_unions and not _ROOT_UNIONS.isdisjoint(root):
        unions = {word: bytes(new.pop(word)) for word in root if word in _ROOT_UNIONS}
        words = ", ".join(f"{word}: {value.decode()}" for word, value in unions.items())
        description = msgspec.json.decode(new.get("description", b'""'))
        new["description"] = f"{description}\n\n{{{words}}}" if description else f"{{{words}}}"
    if new != root:
        schema = Raw(msgspec.json.encode(new))
    return _wrap_references(schema, dialect.reference_siblings)


def _wrap_references(schema: Raw, allowed: frozenset[str] | None) -> Raw:
    """The schema with each `$ref` beside these words alone; None: any words are allowed."""
    text = bytes(schema)
    if allowed is None or b'"$ref"' not in text or len(text) > _MAX_BYTES:
        return schema
    return Raw(_rewrite_references(text, allowed))


@lru_cache(maxsize=256)
def _rewrite_references(schema: bytes, allowed: frozenset[str]) -> bytes:
    root = msgspec.json.decode(schema)
    new = wrap_references(root, allowed)
    return schema if new == root else msgspec.json.encode(new)
