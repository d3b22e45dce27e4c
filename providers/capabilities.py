"""What each model accepts: `capabilities.toml`, overridden by the operator's CAPABILITIES_FILE."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec

from configuration import ConfigurationError
from models import Effort

_BUILT_IN = Path(__file__).with_name("capabilities.toml")
_DEFAULT = "default"  # the row for all models of a provider

# A vendor's other words, such as Groq's `default`, cannot be compared with these.
_EFFORTS: tuple[str, ...] = get_args(Effort)


Sampling = bool | Literal["at_none"]  # at_none: only if the effort is none


class Capability(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model accepts.

    `capabilities.toml` explains the fields. `effort` is None if it is not known, empty if the model
    accepts none.
    """

    effort: tuple[str, ...] | None = None
    temperature: Sampling = True
    top_p: Sampling = True
    stop: bool | Annotated[int, msgspec.Meta(ge=1)] = True
    blank_stop: bool = True
    seed: bool = True
    max_tokens: int | None = None
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    stream_options: bool = True
    include_thoughts: bool = True
    system_role: bool = True
    signed_calls: bool = True
    images_in_results: bool = True
    tools: bool = True
    forced_choice: bool = True
    parallel_tool_calls: bool = True
    effort_with_tools: bool | Literal["absent"] = True
    stream_schema: bool = True
    open_schema: bool = True
    schema: bool = True
    json_object: bool = True
    format_with_tools: bool = True
    format_with_forced_choice: bool = True
    images: bool = True
    files: bool = True
    binds_thinking: bool = False

    def choose_effort(self, configured: str | None) -> str | None:
        """The effort to send: the lowest by default, else the nearest that the model accepts.

        None if no effort is sent, as always for `off`.
        """
        word = configured.lower() if configured else None
        if word == "off" or self.effort == ():
            return None
        if self.effort is None:
            return configured
        if word in self.effort:
            return word
        taken = [effort for effort in _EFFORTS if effort in self.effort]
        if word not in _EFFORTS or not taken:
            return self.effort[0]
        enough = [effort for effort in taken if _EFFORTS.index(effort) > _EFFORTS.index(word)]
        return enough[0] if enough else taken[-1]

    def knows_effort(self, word: str) -> bool:
        """Whether an effort can be chosen by this word."""
        word = word.lower()
        return self.effort is None or word in (*_EFFORTS, "off") or word in self.effort

    def takes_temperature(self, effort: str | None) -> bool:
        """Whether the model accepts a temperature together with this effort."""
        return effort == "none" if self.temperature == "at_none" else self.temperature

    def takes_top_p(self, effort: str | None) -> bool:
        """Whether the model accepts a top_p together with this effort."""
        return effort == "none" if self.top_p == "at_none" else self.top_p


class Field(NamedTuple):
    """One field of a model's capability, and the row that it comes from.

    `beginning` is the row's name, None if no row has the field. `is_operators`: the row is in
    CAPABILITIES_FILE.
    """

    name: str
    value: Any
    beginning: str | None = None
    is_operators: bool = False


class Capabilities:
    """The capability rows of one provider: the built-in ones, and the operator's."""

    def __init__(
        self,
        rows: Mapping[str, Mapping[str, Any]],
        operators: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._tables = rows, operators or {}
        self._by_model: dict[str, Capability] = {}

    def of(self, model: str) -> Capability:
        """The capability of a model, by its name; a prefix `models/` or `ft:` is ignored."""
        if model not in self._by_model:
            fields = {field.name: field.value for field in self.fields(model)}
            self._by_model[model] = msgspec.convert(fields, Capability)
        return self._by_model[model]

    def forget(self, model: str) -> None:
        """Forget what is kept of a model."""
        self._by_model.pop(model, None)

    def fields(self, model: str) -> Iterable[Field]:
        """The fields that the rows have for the model, each once."""
        name = model.lower().removeprefix("models/").removeprefix("ft:")
        rows = {*self._tables[0], *self._tables[1]} - {_DEFAULT}
        beginnings = sorted((row for row in rows if name.startswith(row)), key=len)
        found: dict[str, Field] = {}
        for beginning in (_DEFAULT, *beginnings):
            for is_operators, table in enumerate(self._tables):
                for field, value in table.get(beginning, {}).items():
                    found[field] = Field(field, value, beginning, bool(is_operators))
        return found.values()

    def knows(self, model: str) -> bool:
        """Whether a row is about this model, beside the one for all models."""
        return any(field.beginning != _DEFAULT for field in self.fields(model))


def load_capabilities(provider: str, file: Path | None) -> Capabilities:
    """The provider's rows; the file's fields override the built-in ones.

    Raises ConfigurationError for a bad file.
    """
    tables = [
        {beginning.lower(): fields for beginning, fields in table.get(provider, {}).items()}
        for table in (_read(_BUILT_IN), _read(file) if file else {})
    ]
    return Capabilities(*tables)


def check_capabilities(file: Path | None) -> None:
    """Raise ConfigurationError if the operator's file cannot be used."""
    if file:
        _read(file)


@lru_cache(maxsize=8)
def _read(file: Path) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        msgspec.convert(table, dict[str, dict[str, Capability]])
    except OSError:
        problem = "cannot be read"
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        problem = f"is not TOML: {error}"
    except msgspec.ValidationError as error:
        problem = f"does not fit: {error}"
    else:
        return table
    raise ConfigurationError([f"CAPABILITIES_FILE: {file} {problem}"])
