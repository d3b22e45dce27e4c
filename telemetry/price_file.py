"""The operator's prices: PRICES_FILE."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from configuration import VALID_PROVIDERS, ConfigurationError

Price = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]  # US dollars for a million tokens


class FilePrices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prices of the models whose names begin alike. None: as other input."""

    input: Price
    output: Price
    cached_input: Price | None = None
    cache_write: Price | None = None


Rows = Mapping[str, Mapping[str, FilePrices]]  # by provider, and by the beginning of models' names


def read_price_file(file: Path) -> Rows:
    """The rows of a file, JSON if its name ends in .json, else TOML. Raises ConfigurationError."""
    try:
        text = file.read_text(encoding="utf-8")
        table: Any = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
        rows = msgspec.convert(table, dict[str, dict[str, FilePrices]])
    except OSError:
        problem = "cannot be read"
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeError) as error:
        problem = f"cannot be parsed: {error}"
    except msgspec.ValidationError as error:
        problem = f"does not fit: {error}"
    else:
        if unknown := rows.keys() - set(VALID_PROVIDERS):
            problem = f"has prices of unknown providers: {', '.join(sorted(unknown))}"
        else:
            return rows
    raise ConfigurationError([f"PRICES_FILE: {file} {problem}"])
