"""What answers cost, in US dollars: the prices of genai-prices, and the operator's PRICES_FILE.

The prices are those of the installed release: nothing is fetched. A model's price is turned into
`Rates` once, since the library's own calculation takes 200 µs.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from configuration import ProviderSettings, Settings
from models import Usage
from telemetry.price_file import FilePrices, read_price_file

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

# The library's names of the providers, for base URLs that are no vendor's own.
_VENDORS = {"gpt": "openai", "claude": "anthropic", "gemini": "google", "groq": "groq"}
_MODELS = 1000  # whose prices are kept: clients may choose the names
_MILLION = 1_000_000
_DEFAULT = "default"  # the row for all models of a provider

Steps = tuple[tuple[int, Decimal], ...]  # for more input tokens than this: the price of a token


class Rates(NamedTuple):
    """What one token of each kind costs. None: the same as other input, or other output.

    `request` is the price of a request, whatever its tokens.
    """

    input: Steps = ()
    output: Steps = ()
    cached_input: Steps | None = None
    cache_write: Steps | None = None
    reasoning: Steps | None = None
    request: Steps = ()

    def cost(self, usage: Usage) -> float | None:
        """What these tokens cost; None if the vendor has not reported them."""
        tokens, output = usage.input_tokens, usage.output_tokens
        if tokens is None or output is None:
            return None
        rest, total = tokens, _price_at(self.request, tokens)
        cached = (usage.cached_input_tokens, self.cached_input)
        written = (usage.cache_write_tokens, self.cache_write)
        for count, steps in (cached, written):
            if count and steps is not None:
                rest -= count
                total += count * _price_at(steps, tokens)
        if usage.reasoning_tokens and self.reasoning is not None:
            output -= usage.reasoning_tokens
            total += usage.reasoning_tokens * _price_at(self.reasoning, tokens)
        total += max(rest, 0) * _price_at(self.input, tokens)
        total += max(output, 0) * _price_at(self.output, tokens)
        return float(total)


def _price_at(steps: Steps, tokens: int) -> Decimal:
    """The price of one token if the input has this many."""
    reached = [price for above, price in steps if tokens > above]
    return reached[-1] if reached else Decimal(0)


class ModelPrices:
    """The prices of one provider's models. `rows` are the operator's."""

    def __init__(self, provider: ProviderSettings, rows: Mapping[str, FilePrices]) -> None:
        self._base_url = provider.base_url
        self._vendor = _VENDORS.get(provider.name)
        # Anthropic's entries that live an hour cost more to write than those of five minutes.
        self._has_long_cache = provider.prompt_cache == "1h"
        self._rows = {
            "" if beginning == _DEFAULT else beginning.lower(): _file_rates(row)
            for beginning, row in rows.items()
        }
        self._find = lru_cache(_MODELS)(self._find_model)
        self._rates: dict[
            int, Rates | None
        ] = {}  # by the id of the library's price, which it keeps

    def cost(self, model: str, usage: Usage | None) -> float | None:
        """What an answer of the model has cost; None if its price or its tokens are not known."""
        if usage is None or (found := self._find(model)) is None:
            return None
        rates = found if isinstance(found, Rates) else self._current_rates(found)
        return rates.cost(usage) if rates else None

    def _current_rates(self, model: ModelInfo) -> Rates | None:
        """The rates of this moment: a vendor's prices may depend on the day, or on the hour."""
        price = model.get_prices(datetime.now(UTC))
        if id(price) not in self._rates:
            self._rates[id(price)] = _library_rates(price, has_long_cache=self._has_long_cache)
        return self._rates[id(price)]

    def _find_model(self, name: str) -> Rates | ModelInfo | None:
        beginnings = [row for row in self._rows if name.lower().startswith(row)]
        if beginnings:
            return self._rows[max(beginnings, key=len)]
        snapshot = importlib.import_module("genai_prices.data_snapshot").get_snapshot()
        for vendor, base_url in ((None, self._base_url), (self._vendor, None)):
            if vendor or base_url:
                with suppress(LookupError):
                    found: ModelInfo = snapshot.find_provider_model(name, None, vendor, base_url)[1]
                    return found
        return None


class PriceList:
    """The prices of all providers. Importing the library takes 60 ms: `warm` does it."""

    def __init__(self, file: Path | None) -> None:
        """`file` is PRICES_FILE. Raises ConfigurationError if it cannot be used."""
        self._rows = read_price_file(file) if file else {}

    def of(self, provider: ProviderSettings) -> ModelPrices | None:
        """The prices of a provider's models; None for a simulated one, which costs nothing."""
        return None if provider.demo else ModelPrices(provider, self._rows.get(provider.name, {}))

    def warm(self) -> None:
        """Import the library's prices."""
        importlib.import_module("genai_prices.data")


def open_prices(settings: Settings) -> PriceList | None:
    """The prices, unless COSTS is off. Raises ConfigurationError for a bad PRICES_FILE."""
    return PriceList(settings.prices_file) if settings.costs else None


def _file_rates(row: FilePrices) -> Rates:
    def steps(price: float | None) -> Steps | None:
        return None if price is None else ((-1, Decimal(str(price)) / _MILLION),)

    return Rates(
        input=steps(row.input) or (),
        output=steps(row.output) or (),
        cached_input=steps(row.cached_input),
        cache_write=steps(row.cache_write),
    )


def _library_rates(price: ModelPrice, *, has_long_cache: bool) -> Rates | None:
    """The library's price as rates; None if it has none for an answer's tokens."""

    def steps(name: str, unit: int = _MILLION) -> Steps | None:
        value = getattr(price, name)
        if value is None:
            return None
        if isinstance(value, Decimal):
            return ((-1, value / unit),)
        return ((-1, value.base / unit), *((tier.start, tier.price / unit) for tier in value.tiers))

    input_price, output_price = steps("input_mtok"), steps("output_mtok")
    if input_price is None and output_price is None:
        return None
    written = steps("cache_write_1h_mtok") if has_long_cache else None
    return Rates(
        input=input_price or (),
        output=output_price or (),
        cached_input=steps("cache_read_mtok"),
        cache_write=written or steps("cache_write_mtok"),
        reasoning=steps("output_reasoning_mtok"),
        request=steps("requests_kcount", 1000) or (),
    )
