"""What an answer costs: by the library's prices, by the operator's, or not known."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from genai_prices import Usage as LibraryUsage
from genai_prices import calc_price
from genai_prices.data import providers as library
from genai_prices.types import ModelPrice

from configuration import VALID_PROVIDERS, ConfigurationError, load_settings
from models import Usage
from simulator import Demo
from telemetry.costs import ModelPrices, PriceList, Rates, open_prices
from telemetry.price_file import read_price_file
from tests.clients.simple_client import read_events
from tests.project.source_files import ROOT
from tests.vendors.scripted_provider import make_settings
from tests.vendors.simulated_vendor import simulated_vendor

if TYPE_CHECKING:
    from pathlib import Path

USAGE = Usage(input_tokens=300_000, output_tokens=700, cached_input_tokens=250_000)
NAMES = {"openai": "gpt", "anthropic": "claude", "google": "gemini", "groq": "groq"}


def prices(name: str = "gpt", file: Path | None = None, **options: Any) -> ModelPrices:
    found = PriceList(file).of(make_settings(name=name, **options))
    assert found
    return found


def prices_in(tmp_path: Path, text: str, name: str = "prices.toml") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


def test_default_and_fallback_models_have_a_price() -> None:
    """Of every vendor, as they are configured without a word."""
    settings = load_settings(None)
    for name in ("gpt", "claude", "gemini", "groq"):
        own = settings.provider(name)
        for model in own.chain:
            cost = ModelPrices(own, {}).cost(model, USAGE)
            assert cost, model
            assert 0.001 < cost < 3


@pytest.mark.parametrize(
    "tokens", [(0, 0, 0, 0), (9, 12, 0, 0), (300_000, 700, 250_000, 9_000), (1_200_000, 1, 1, 1)]
)
def test_every_model_costs_what_the_library_says(tokens: tuple[int, int, int, int]) -> None:
    """Cached and written tokens, long prompts, prices that change with the date."""
    whole, output, cached, written = tokens
    usage = Usage(
        input_tokens=whole,
        output_tokens=output,
        cached_input_tokens=cached,
        cache_write_tokens=written,
    )
    theirs = LibraryUsage(
        input_tokens=whole,
        output_tokens=output,
        cache_read_tokens=cached,
        cache_write_tokens=written,
    )
    compared = 0
    for vendor in library:
        if vendor.id not in NAMES:
            continue
        own = prices(NAMES[vendor.id], base_url=None)
        for model in vendor.models:
            try:
                expected = calc_price(theirs, model.id, provider_id=vendor.id)
            except LookupError:
                continue
            if expected.model is not model or not is_for_tokens(expected.model_price):
                continue
            assert own.cost(model.id, usage) == float(expected.total_price), model.id
            compared += 1
    assert compared > 150


def is_for_tokens(price: ModelPrice) -> bool:
    return price.input_mtok is not None or price.output_mtok is not None


def test_cached_and_written_tokens_have_their_own_price(tmp_path: Path) -> None:
    """They are part of the input tokens, and not counted twice."""
    file = prices_in(
        tmp_path,
        '[claude."haiku"]\ninput = 1\noutput = 5\ncached_input = 0.1\ncache_write = 1.25\n',
    )
    usage = Usage(
        input_tokens=1_000, output_tokens=100, cached_input_tokens=600, cache_write_tokens=300
    )
    cost = prices("claude", file).cost("haiku-5", usage)
    assert cost == pytest.approx((100 * 1 + 600 * 0.1 + 300 * 1.25 + 100 * 5) / 1e6)


def test_entries_that_live_an_hour_cost_more_to_write() -> None:
    """ANTHROPIC_PROMPT_CACHE=1h: Anthropic charges twice the input's price for them."""
    usage = Usage(input_tokens=1_000, output_tokens=0, cache_write_tokens=1_000)
    short, long = (
        prices("claude", prompt_cache=kept).cost("claude-sonnet-5-5", usage)
        for kept in ("5m", "1h")
    )
    assert (short, long) == (0.0025, 0.004)


def test_reasoning_and_requests_may_have_a_price_of_their_own() -> None:
    """As the library has them for a few models."""
    step = ((-1, Decimal(1)),)
    rates = Rates(step, step, reasoning=((-1, Decimal(10)),), request=((-1, Decimal(1000)),))
    assert rates.cost(Usage(input_tokens=1, output_tokens=5, reasoning_tokens=2)) == 1024


@pytest.mark.parametrize(
    "usage",
    [None, Usage(), Usage(input_tokens=5), Usage(output_tokens=5)],
)
def test_answer_without_token_counts_has_no_cost(usage: Usage | None) -> None:
    """A part of a cost would be a wrong one."""
    assert prices().cost("gpt-6-luna", usage) is None


def test_model_without_a_price_has_no_cost() -> None:
    """It is not free: nothing is known."""
    assert prices().cost("gpt-of-no-vendor", USAGE) is None
    assert prices("local", base_url="http://localhost:11434/v1").cost("gpt-6-luna", USAGE) is None


def test_base_url_decides_whose_prices_they_are() -> None:
    """OpenAI's format is spoken by others, who sell the same models at other prices."""
    proxied = prices(base_url="http://proxy.internal/v1").cost("gpt-5.4", USAGE)
    direct = prices(base_url="https://api.openai.com/v1").cost("gpt-5.4", USAGE)
    groq = prices("local", base_url="https://api.groq.com/openai/v1")
    assert proxied == direct is not None
    assert groq.cost("openai/gpt-oss-20b", USAGE) is not None


def test_operators_prices_win(tmp_path: Path) -> None:
    """The longest beginning of the model's name, else the row for all models of the provider."""
    rows = {
        "default": {"input": 1, "output": 0},
        "GPT-6": {"input": 2, "output": 0},
        "gpt-6-l": {"input": 3, "output": 0},
    }
    file = prices_in(tmp_path, json.dumps({"gpt": rows}), "prices.json")
    usage = Usage(input_tokens=1_000_000, output_tokens=1)
    own = prices(file=file)
    assert [own.cost(model, usage) for model in ("o4", "gpt-6-sol", "gpt-6-luna")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[gpt", "cannot be parsed"),
        ('[gpt."a"]\ninput = 1\n', "does not fit"),
        ('[gpt."a"]\ninput = -1\noutput = 1\n', "does not fit"),
        ('[gpt."a"]\ninput = nan\noutput = 1\n', "does not fit"),
        ('[gpt."a"]\ninput = 1\noutput = 1\nouput = 1\n', "does not fit"),
        ('[gtp."a"]\ninput = 1\noutput = 1\n', "unknown providers: gtp"),
    ],
)
def test_bad_price_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """Wrong prices are worse than none."""
    with pytest.raises(ConfigurationError, match=rf"PRICES_FILE: .*{problem}"):
        read_price_file(prices_in(tmp_path, text))


def test_bad_price_file_prevents_the_start(tmp_path: Path) -> None:
    """As the command line checks it."""
    settings = load_settings(None, prices_file=tmp_path / "absent.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        open_prices(settings)
    assert open_prices(load_settings(None, prices_file="absent.toml", costs=False)) is None


def test_simulated_answers_cost_nothing_that_is_known() -> None:
    """Demo mode shows no made-up money."""
    assert PriceList(None).of(make_settings(demo=True)) is None


@pytest.mark.parametrize("provider", VALID_PROVIDERS)
async def test_cost_is_in_the_end_event_and_in_the_record(tmp_path: Path, provider: str) -> None:
    """The same number, of the tokens that the vendor reported, over each vendor's wire."""
    text = f"[{provider}.luna]\ninput = 2\noutput = 8\n"
    file = prices_in(tmp_path, text)
    async with simulated_vendor(tmp_path, provider, prices_file=file) as vendor:
        vendor.simulator.behaviours["luna"] = Demo(pace=0, first=0)
        *_, end, _ = read_events((await vendor.chat()).text)
        record = await vendor.final_record()
    usage = end["usage"]
    expected = (2 * usage["input_tokens"] + 8 * usage["output_tokens"]) / 1e6
    assert expected > 0
    assert end["cost"] == record["cost"] == pytest.approx(expected)


async def test_other_doors_have_the_cost_among_the_gateways_facts(tmp_path: Path) -> None:
    """`gateway` of the answer."""
    file = prices_in(tmp_path, "[gpt.default]\ninput = 2\noutput = 8\n")
    question = {"model": "gpt", "messages": [{"role": "user", "content": "Hello?"}]}
    async with simulated_vendor(tmp_path, "gpt", prices_file=file) as vendor:
        vendor.simulator.behaviours["luna"] = Demo(pace=0, first=0)
        answer = (await vendor.client.post("/v1/chat/completions", json=question)).json()
        record = await vendor.final_record()
    assert answer["gateway"]["cost"] == record["cost"] > 0


def test_prices_are_not_imported_without_need() -> None:
    """COSTS=false and demo mode do not pay for the library."""
    code = (
        "import sys; sys.path.insert(0, '.'); import main; "
        "from telemetry.costs import PriceList; PriceList(None); "
        "sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
