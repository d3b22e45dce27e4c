"""`python main.py model NAME`: the row that applies to a model, and where each field comes from."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from configuration import ConfigurationError, Settings, load_settings
from providers.capabilities import Capability, load_capabilities
from providers.model_row import describe_model

BUILT_IN = Path(__file__).parents[2] / "providers" / "capabilities.toml"
ROWS = [
    (provider, beginning)
    for provider, rows in tomllib.loads(BUILT_IN.read_text()).items()
    for beginning in rows
]


def configure(file: Path | None = None, **options: Any) -> Settings:
    return load_settings(None, capabilities_file=file and str(file), **options)


def find_origin(text: str, field: str) -> str:
    """What is said of the field."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{field} =")]
    return line.partition("# ")[2]


@pytest.mark.parametrize(("provider", "beginning"), ROWS)
def test_text_is_a_row_that_says_the_same(provider: str, beginning: str) -> None:
    """All fields are in it, in the form of the table itself."""
    model = f"{beginning}-of-today"
    table = tomllib.loads(describe_model(configure(), f"{provider}/{model}"))
    row = msgspec.convert(table[provider][model], Capability)
    assert row == load_capabilities(provider, None).of(model)


def test_each_field_has_its_row(tmp_path: Path) -> None:
    """The longest beginning, the row for all models, the operator's file, or none."""
    file = tmp_path / "mine.toml"
    file.write_text('[gpt."gpt-6"]\nmax_tokens = 5\n[gpt.default]\nseed = false\n')
    text = describe_model(configure(file), "gpt-6.1-sol")
    assert find_origin(text, "effort") == '[gpt."gpt-6.1-sol"] of capabilities.toml'
    assert find_origin(text, "temperature") == '[gpt."gpt-6"] of capabilities.toml'
    assert find_origin(text, "stop") == "[gpt.default] of capabilities.toml"
    assert find_origin(text, "max_tokens") == f'[gpt."gpt-6"] of {file}'
    assert find_origin(text, "seed") == f"[gpt.default] of {file}"
    assert find_origin(text, "images") == "no row: as for any model"


@pytest.mark.parametrize(
    ("name", "headings"),
    [
        ("claude-haiku-5-5", ['[claude."claude-haiku-5-5"]']),
        ("openai/gpt-oss-120b", ['[groq."openai/gpt-oss-120b"]']),
        ("groq/openai/gpt-oss-120b", ['[groq."openai/gpt-oss-120b"]']),
        ("local/claude-haiku-5-5", ['[local."claude-haiku-5-5"]']),
        ("my-qwen", ['[local."my-qwen"]']),
    ],
)
def test_provider_is_the_one_that_knows_the_model(name: str, headings: list[str]) -> None:
    """By a row, by its configuration, or by the name before the slash."""
    settings = configure(local_base_url="http://127.0.0.1:1", local_model_default="my-qwen")
    text = describe_model(settings, name)
    assert [line for line in text.splitlines() if line.startswith("[")] == headings


@pytest.mark.parametrize("name", ["nosuch", "nosuch/gpt-6", "gpt/", ""])
def test_unknown_model_is_an_error_that_says_what_to_ask_for(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"local/{name}"):
        describe_model(configure(), name)
