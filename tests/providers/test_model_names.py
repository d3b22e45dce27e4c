"""From the name of a model, as a client sends it, to a provider and the model that is asked first."""

from __future__ import annotations

from typing import Any

import pytest

from configuration import Settings, load_settings
from models import GatewayError
from providers.model_names import AskedModel, ModelNames

KEYS = {"openai_api_key": "a", "anthropic_api_key": "b", "gemini_api_key": "c", "groq_api_key": "d"}
LOCAL = {"local_base_url": "http://127.0.0.1:1/v1", "local_model_default": "small"}


def names(**variables: Any) -> ModelNames:
    settings: Settings = load_settings(None, **variables)
    return ModelNames(settings.providers, settings.model_aliases)


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("gpt", "gpt"),
        ("claude", "claude"),
        ("gpt-4o", "gpt"),
        ("gpt-6-luna", "gpt"),
        ("o3", "gpt"),
        ("o4-mini", "gpt"),
        ("chatgpt-latest", "gpt"),
        ("claude-opus-5-5", "claude"),
        ("gemini-3.8-flash", "gemini"),
        ("openai/gpt-oss-120b", "groq"),
        ("llama-3.3-70b-versatile", "groq"),
        ("local", "local"),
        ("small", "local"),
    ],
)
def test_names_of_vendors_models_lead_to_their_provider(name: str, provider: str) -> None:
    """The backend keeps the choice of the model."""
    assert names(**KEYS, **LOCAL).find(name) == AskedModel(provider)


@pytest.mark.parametrize("name", ["", "GPT", "claud", "opus", "gpt4", "*", "gpt\n"])
def test_unknown_names_are_refused_with_the_valid_ones(name: str) -> None:
    """The error is for a person who has mistyped a name."""
    with pytest.raises(GatewayError) as raised:
        names(**KEYS).find(name)
    assert (raised.value.code, raised.value.reason) == ("unknown_provider", "model")
    for valid in ("gpt", "claude-haiku-5-5", "openai/gpt-oss-20b"):
        assert valid in raised.value.safe_message


@pytest.mark.parametrize(
    "name",
    ["a\r\nSet-Cookie: b=c", "a\x7f", "modèle", "模型", "a/../b", "../a", "a/.", "a\u2028b"],
)
def test_names_that_would_change_a_header_or_a_path_are_unknown(name: str) -> None:
    """A pattern accepts any characters, and the name is in a header and in a vendor's URL."""
    found = names(**KEYS, **LOCAL, local_models="*").find
    with pytest.raises(GatewayError) as raised:
        found(name)
    assert raised.value.code == "unknown_provider"
    assert found("org/model-1.5:latest") == AskedModel("local", "org/model-1.5:latest")


def test_listed_models_are_asked_first() -> None:
    """Names and patterns of <VENDOR>_MODELS; other names of the vendor are not."""
    found = names(**KEYS, openai_models="gpt-6-sol, gpt-5*-mini").find
    assert found("gpt-6-sol") == AskedModel("gpt", "gpt-6-sol")
    assert found("gpt-5.4-mini") == AskedModel("gpt", "gpt-5.4-mini")
    assert found("gpt-5.4") == AskedModel("gpt")


def test_star_takes_what_no_other_provider_is_named_for() -> None:
    """A server with many models does not take over the names of a configured vendor's models."""
    variables = {**LOCAL, "local_models": "*"}
    assert names(**KEYS, **variables).find("gpt-4o") == AskedModel("gpt")
    assert names(**KEYS, **variables).find("qwen3:8b") == AskedModel("local", "qwen3:8b")
    assert names(**variables).find("gpt-4o") == AskedModel("local", "gpt-4o")
    assert names(**variables).find("small") == AskedModel("local", "small")


def test_listed_name_counts_before_an_equal_pattern_of_a_vendor() -> None:
    """The operator's own server may have models that are named like a vendor's."""
    found = names(**KEYS, **LOCAL, local_models="gpt-*").find
    assert found("gpt-4o") == AskedModel("local", "gpt-4o")


def test_aliases_count_before_all_but_a_providers_own_name() -> None:
    """An alias may lead to a model that is not listed otherwise; the most exact one counts."""
    aliases = "fast=groq,best=claude/claude-opus-5-5,gpt-*=groq,gpt-4*=gemini,gpt=claude"
    found = names(**KEYS, model_aliases=aliases).find
    assert found("fast") == AskedModel("groq")
    assert found("best") == AskedModel("claude", "claude-opus-5-5")
    assert found("gpt-6-luna") == AskedModel("groq")
    assert found("gpt-4o") == AskedModel("gemini")
    assert found("gpt") == AskedModel("gpt")


def test_names_of_a_vendor_without_a_key_still_lead_to_it() -> None:
    """The error then says that the provider is not configured, not that there is no such model."""
    assert names(openai_api_key="a").find("claude-opus-5-5") == AskedModel("claude")


def test_listed_are_the_names_that_can_be_asked_without_patterns() -> None:
    """Providers that are not configured are left out."""
    listed = names(
        openai_api_key="a",
        openai_models="gpt-6-sol,gpt-5*",
        model_aliases="best=gpt,c=claude,x-*=gpt",
    ).listed()
    assert [tuple(model) for model in listed] == [
        ("gpt", "gpt"),
        ("gpt-6-luna", "gpt"),
        ("gpt-5.6-luna", "gpt"),
        ("gpt-6-sol", "gpt"),
        ("best", "gpt"),
    ]


@pytest.mark.parametrize(
    "aliases", ["fast", "=gpt", "fast=", "fast=gpt/", "a b=gpt", "x=mistral", "x=GPT"]
)
def test_aliases_that_lead_nowhere_stop_the_start(aliases: str) -> None:
    """The report names the variable, and not its value."""
    with pytest.raises(ValueError, match="MODEL_ALIASES: should") as raised:
        names(**KEYS, model_aliases=aliases)
    assert aliases not in str(raised.value)


def test_patterns_are_checked_at_the_start() -> None:
    """A name with a space or a quote is a mistake in the file."""
    with pytest.raises(ValueError, match="OPENAI_MODELS: should"):
        names(**KEYS, openai_models="gpt 6")
