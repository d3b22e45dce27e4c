"""`python -m scripts.configuration_page`: writes docs/configuration.md.

Variables, types, bounds and defaults are those of the settings in `configuration.py`. What each is
for is the comment above it in `.env.example`, of which the page also has the sections and their
order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from configuration import _PROVIDER_ROWS, PROVIDER_SETTINGS, GatewayOptions, ProviderOptions

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "configuration.md"
EXAMPLE = ROOT / ".env.example"

_HEAD = """# Configuration

All variables. `make docs` writes this page from the settings and [.env.example](../.env.example).

A variable is set in the environment, or in `.env` beside `main.py` (`ENV_FILE` is the path of
another one). The environment overrides the file. A value can also be read from a file of its own,
such as a mounted secret: `OPENAI_API_KEY_FILE` is the path of the file with `OPENAI_API_KEY`. An
empty value or a placeholder (`your_…`) counts as unset. Wrong values stop the start with a list of
all of them.

"""
_VENDORS = """\
`<VENDOR>` stands for a vendor's prefix: `<VENDOR>_API_KEY` is `OPENAI_API_KEY` for OpenAI.

| Prefix | Provider | Used if set | `<VENDOR>_BASE_URL` \
| `<VENDOR>_MODEL_DEFAULT` | `<VENDOR>_MODEL_FALLBACK` |
|---|---|---|---|---|---|
"""
_TABLE = "| Variable | Default | Values | Meaning |\n|---|---|---|---|\n"

_SECTION = re.compile(r"^# --- (.+?) -+$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"((?:^# .*\n)*)^([A-Z0-9_]+)=", re.MULTILINE)
_COMMENT = re.compile(r"^# (.*)$", re.MULTILINE)
_NAME = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+(?:=\w+)?\b")
_UNITS = {"SECONDS": "seconds", "BYTES": "bytes", "CHARS": "characters", "TOKENS": "tokens"}
_NOT_A_VALUE = "\x7f"  # every check of a text refuses it
_MEBIBYTE = 2**20
_UNLIMITED = 2**31  # a bound that keeps numbers small enough for a computer, not for a reader


class Variable(NamedTuple):
    """A row of the page."""

    name: str
    default: str
    values: str
    meaning: str = ""


class Section(NamedTuple):
    """A section of `.env.example`: its title, and the comment above each variable."""

    title: str
    meanings: dict[str, str]


def make_page(example: str) -> str:
    """The text of the page."""
    own = {variable.name: variable for variable in describe(GatewayOptions)}
    parts = [_HEAD]
    for section in read_example(example):
        parts.append(f"## {section.title}\n\n")
        variables = [
            own[name]._replace(meaning=meaning)
            for name, meaning in section.meanings.items()
            if name in own
        ]
        rows = variables or [*_describe_vendors(section.meanings)]
        parts += [] if variables else [_VENDORS, *map(_write_vendor, _PROVIDER_ROWS), "\n"]
        parts.append(_TABLE)
        for row in rows:
            cells = [f"`{row.name}`", row.default, row.values, _NAME.sub(r"`\g<0>`", row.meaning)]
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def read_example(text: str) -> Iterator[Section]:
    """The sections of `.env.example`.

    A comment with an empty line below it is not about a variable.
    """
    _, *parts = _SECTION.split(text)
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        meanings = {
            name: " ".join(_COMMENT.findall(comment)) for comment, name in _ASSIGNMENT.findall(body)
        }
        yield Section(title, meanings)


def describe(model: type[BaseModel]) -> Iterator[Variable]:
    """The variables of a class of settings, without their meaning."""
    # what the settings say that a text should be: such checks are not in the schema
    expectations: dict[str, str] = {}
    try:
        model.model_validate(dict.fromkeys(model.model_fields, _NOT_A_VALUE))
    except ValidationError as error:
        for finding in error.errors():
            if finding["msg"].startswith("Value error, "):
                expectations[str(finding["loc"][0])] = finding["msg"].partition("should be ")[2]
    for name, schema in model.model_json_schema()["properties"].items():
        variable = name.upper()
        default = _write_default(variable, model.model_fields[name].default)
        yield Variable(variable, default, _write_values(variable, schema, expectations.get(name)))


def _write_default(variable: str, value: Any) -> str:
    if value is None or value in ("", ()):
        return "empty"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if variable.endswith("_BYTES") and not value % _MEBIBYTE:
        return f"`{value}` ({value // _MEBIBYTE} MiB)"
    return f"`{value}`"


def _write_values(variable: str, schema: dict[str, Any], expected: str | None) -> str:
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind["type"] != "null"]
    kind = kinds[0]
    if expected:
        return expected
    if "enum" in kind:
        return ", ".join(f"`{choice}`" for choice in kind["enum"])
    if kind["type"] == "boolean":
        return "`true`, `false`"
    if kind["type"] not in ("integer", "number"):
        return "a path" if kind.get("format") == "path" else "text"
    unit = _UNITS.get(variable.rpartition("_")[2], "")
    above = "above " if "exclusiveMinimum" in kind else ""
    lowest = kind.get("exclusiveMinimum", kind.get("minimum"))
    if kind["maximum"] >= _UNLIMITED:
        return f"{lowest:,} or more {unit}".rstrip()
    return f"{above}{lowest:,} to {kind['maximum']:,} {unit}".rstrip()


def _describe_vendors(meanings: dict[str, str]) -> Iterator[Variable]:
    """The variables that every vendor has, explained at the first one."""
    first, rows = _PROVIDER_ROWS[0], _PROVIDER_ROWS
    for variable in describe(ProviderOptions):
        option = variable.name.lower()
        is_in_table = len({getattr(row, option, None) for row in rows}) > 1
        yield variable._replace(
            name=f"<VENDOR>_{variable.name}",
            default="see above" if is_in_table else variable.default,
            meaning=meanings[PROVIDER_SETTINGS[first.name][option]],
        )


def _write_vendor(row: Any) -> str:
    defaults = [row.base_url, row.model_default, row.model_fallback]
    cells = [
        f"`{row.prefix}`",
        f"`/chat/{row.name}`",
        f"`{row.prefix}_{row.opened_by.upper()}`",
        *(f"`{default}`" if default else "empty" for default in defaults),
    ]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(make_page(EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
