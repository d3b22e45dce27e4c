"""What each model is sent by default and by configuration, from the capability table, against what vendors refuse."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from configuration import (
    PROVIDER_SETTINGS,
    VALID_PROVIDERS,
    ConfigurationError,
    ProviderSettings,
    load_settings,
)
from models import Prompt
from providers.base import BaseProvider
from providers.capabilities import Capability, check_capabilities, load_capabilities
from providers.errors import vendor_error
from providers.factory import ProviderFactory
from providers.parameters import SYSTEM_ROLE, RequestParameters
from tests.vendors.scripted_provider import make_settings

NOTHING_LEFT_OUT = Prompt("", ())
LIMIT = {
    "gpt": "max_completion_tokens",
    "groq": "max_completion_tokens",
    "local": "max_tokens",
    "gemini": "maxOutputTokens",
}
EFFORT = {
    "gpt": "reasoning_effort",
    "groq": "reasoning_effort",
    "local": "reasoning_effort",
    "claude": "output_config",
    "gemini": "thinkingLevel",
}


@pytest.fixture(scope="module")
def providers() -> Iterator[Mapping[str, BaseProvider]]:
    """Each provider once, as it is configured by default."""
    factory = ProviderFactory(settings_of(name) for name in VALID_PROVIDERS)
    yield {name: factory.get(name) for name in VALID_PROVIDERS}
    asyncio.run(factory.aclose())


def settings_of(name: str, **options: Any) -> ProviderSettings:
    return make_settings(name=name, base_url="http://127.0.0.1:1", **options)


def configured(provider: BaseProvider, **options: Any) -> BaseProvider:
    """The provider with other settings: building an SDK's client anew for each case takes long."""
    changed = copy.copy(provider)
    RequestParameters.__init__(changed, settings_of(provider.name, **options))
    return changed


def sent(provider: BaseProvider, model: str) -> dict[str, object]:
    return provider.accepted(NOTHING_LEFT_OUT, model)


def effort_of(name: str, parameters: Mapping[str, object]) -> object:
    effort = parameters.get(EFFORT[name])
    return effort.get("effort") if isinstance(effort, dict) else effort


# Provider, model, and what it is sent by default: the effort, the limit of tokens, thoughts or usage.
DEFAULTS: list[tuple[str, str, str | None, int | None, bool]] = [
    ("gpt", "gpt-6-luna", "none", 8192, True),
    ("gpt", "gpt-6-sol", "none", 8192, True),
    ("gpt", "gpt-6-astra", "low", 8192, True),
    ("gpt", "gpt-6.1-terra", "none", 8192, True),
    ("gpt", "gpt-6.1-sol", "low", 8192, True),
    ("gpt", "gpt-5.6-luna", "none", 8192, True),
    ("gpt", "gpt-5.4-mini", "none", 8192, True),
    ("gpt", "gpt-5.2-pro", "medium", 8192, True),
    ("gpt", "gpt-5.1-codex-mini", "low", 8192, True),
    ("gpt", "gpt-5.1-chat-latest", None, 8192, True),
    ("gpt", "gpt-5", "minimal", 8192, True),
    ("gpt", "gpt-5-mini-2025-08-07", "minimal", 8192, True),
    ("gpt", "gpt-5-pro", "high", 8192, True),
    ("gpt", "gpt-5-chat-latest", None, 8192, True),
    ("gpt", "gpt-4o", None, 8192, True),
    ("gpt", "gpt-4o-mini", None, 8192, True),
    ("gpt", "gpt-4o-2024-05-13", None, 4096, True),
    ("gpt", "gpt-4.1-nano", None, 8192, True),
    ("gpt", "gpt-4-turbo", None, 4096, True),
    ("gpt", "gpt-3.5-turbo", None, 4096, True),
    ("gpt", "ft:gpt-4o-mini-2024-07-18:org::id", None, 8192, True),
    ("gpt", "o1", "low", 8192, True),
    ("gpt", "o1-mini", None, 8192, True),
    ("gpt", "o4-mini", "low", 8192, True),
    ("gpt", "some-deployment", None, 8192, True),
    ("claude", "claude-haiku-5-5", "low", None, False),
    ("claude", "claude-sonnet-5-5", "low", None, False),
    ("claude", "claude-opus-5-5", "low", None, False),
    ("claude", "claude-fable-5-1", "low", None, False),
    ("claude", "claude-opus-4-8", "low", None, False),
    ("claude", "claude-opus-4-5", "low", None, False),
    ("claude", "claude-sonnet-4-6", "low", None, False),
    ("claude", "claude-haiku-4-5", None, None, False),
    ("claude", "claude-sonnet-4-5-20250929", None, None, False),
    ("claude", "claude-opus-4-1", None, None, False),
    ("claude", "claude-3-5-haiku-latest", None, None, False),
    ("claude", "claude-quark-7", None, None, False),
    ("gemini", "gemini-3.8-flash", "low", 8192, True),
    ("gemini", "models/gemini-3.8-flash", "low", 8192, True),
    ("gemini", "gemini-3.7-flash", "low", 8192, True),
    ("gemini", "gemini-3.6-flash", "minimal", 8192, True),
    ("gemini", "gemini-3.5-flash-lite", "minimal", 8192, True),
    ("gemini", "gemini-3-flash-preview", "minimal", 8192, True),
    ("gemini", "gemini-3-pro-preview", "low", 8192, True),
    ("gemini", "gemini-3.1-pro-preview", "low", 8192, True),
    ("gemini", "gemini-4-argon", "low", 8192, True),
    ("gemini", "gemini-flash-latest", "low", 8192, True),
    ("gemini", "gemini-2.5-flash", None, 8192, True),
    ("gemini", "gemini-2.5-flash-lite", None, 8192, False),
    ("gemini", "gemini-2.0-flash", None, 8192, False),
    ("gemini", "gemma-3-27b-it", None, 8192, False),
    ("groq", "openai/gpt-oss-120b", "low", 8192, False),
    ("groq", "openai/gpt-oss-20b", "low", 8192, False),
    ("groq", "qwen/qwen3-32b", "none", 8192, False),
    ("groq", "llama-3.3-70b-versatile", None, 8192, False),
    ("groq", "meta-llama/llama-4-scout-17b-16e-instruct", None, 8192, False),
    ("local", "llama3.2", None, 8192, True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "model", "effort", "limit", "extra"), DEFAULTS)
def test_model_is_sent_by_default_what_it_takes(
    providers: Mapping[str, BaseProvider],
    name: str,
    model: str,
    effort: str | None,
    limit: int | None,
    extra: bool,
) -> None:
    """The lowest effort, a limit that it can reach, its thoughts or its usage; no temperature; nothing else."""
    parameters = sent(providers[name], model)
    assert effort_of(name, parameters) == effort
    assert (parameters.get(LIMIT[name]) if name in LIMIT else None) == limit
    assert ("includeThoughts" in parameters or "stream_options" in parameters) == extra
    assert "temperature" not in parameters
    assert len(parameters) == sum((effort is not None, limit is not None, extra))


# What was refused in public reports and recordings: the model, the parameter, and the value if it is the value.
REFUSED: list[tuple[str, str, str, object]] = [
    ("gemini", "gemini-3.8-flash", "thinkingLevel", "minimal"),
    ("gemini", "gemini-2.5-flash", "thinkingLevel", ...),
    ("gemini", "gemini-2.0-flash", "thinkingLevel", ...),
    ("gemini", "gemini-2.0-flash", "includeThoughts", ...),
    ("gpt", "gpt-4o", "reasoning_effort", ...),
    ("gpt", "gpt-4o-mini", "reasoning_effort", ...),
    ("gpt", "o4-mini", "reasoning_effort", "minimal"),
    ("gpt", "o4-mini", "max_tokens", ...),
    ("gpt", "gpt-6-astra", "reasoning_effort", "none"),
    ("gpt", "gpt-6.1-sol", "reasoning_effort", "none"),
    ("claude", "claude-haiku-4-5", "output_config", ...),
    ("claude", "claude-sonnet-4-5", "output_config", ...),
    ("claude", "claude-haiku-5-5", "temperature", ...),
    ("groq", "qwen/qwen3-32b", "reasoning_effort", "low"),
    ("groq", "openai/gpt-oss-120b", "reasoning_effort", "none"),
]  # fmt: skip


EFFORTS = [None, "none", "minimal", "low", "high", "max", "off"]


@pytest.mark.parametrize(("name", "model", "parameter", "value"), REFUSED)
def test_what_a_model_is_known_to_refuse_is_not_sent(
    providers: Mapping[str, BaseProvider], name: str, model: str, parameter: str, value: object
) -> None:
    """Neither by default nor however the operator configures the effort and the temperature."""
    for effort, temperature in product(EFFORTS, [None, 0.5]):
        provider = configured(providers[name], reasoning_effort=effort, temperature=temperature)
        parameters = sent(provider, model)
        if value is ...:
            assert parameter not in parameters, effort
        else:
            assert parameters.get(parameter) != value, effort


def recorded_efforts(corpus: Path) -> Iterator[tuple[str, str, str]]:
    """Provider, model and effort of each recorded request that the vendor answered."""
    vendors = {"openai": "gpt", "anthropic": "claude", "gemini": "gemini", "groq": "groq"}
    for path in sorted(corpus.glob("*/*/request.json")):
        request, meta = (
            json.loads(path.read_text()),
            json.loads((path.parent / "meta.json").read_text()),
        )
        thinking = (request.get("generationConfig") or {}).get("thinkingConfig") or {}
        places = [
            request.get("reasoning_effort"),
            (request.get("reasoning") or {}).get("effort"),
            (request.get("output_config") or {}).get("effort"),
            thinking.get("thinkingLevel"),
        ]
        for effort in filter(None, places):
            yield vendors[path.parts[-3]], meta["model"], effort.lower()


def test_recorded_efforts_are_in_the_table(corpus: Path) -> None:
    """What a vendor was recorded to answer, its row allows."""
    recorded = list(recorded_efforts(corpus))
    assert len(recorded) > 5
    for name, model, effort in recorded:
        assert effort in (load_capabilities(name, None).of(model).effort or ()), (name, model)


@pytest.mark.parametrize("name", ["gpt", "claude", "gemini", "groq"])
def test_default_models_have_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The effort of a model that is asked unless the operator chose another is known."""
    for variables in PROVIDER_SETTINGS.values():
        for variable in variables.values():
            monkeypatch.delenv(variable, raising=False)
    models = load_settings(None).provider(name).chain
    assert len(models) == 2
    assert all(load_capabilities(name, None).of(model).effort for model in models)


LADDER = Capability(effort=("low", "medium", "xhigh"))


@pytest.mark.parametrize(
    ("capability", "configured", "word"),
    [
        (LADDER, None, "low"),
        (LADDER, "medium", "medium"),
        (LADDER, "MEDIUM", "medium"),
        (LADDER, "none", "low"),
        (LADDER, "minimal", "low"),
        (LADDER, "high", "xhigh"),
        (LADDER, "max", "xhigh"),
        (LADDER, "enormous", "low"),
        (LADDER, "off", None),
        (LADDER, "OFF", None),
        (Capability(effort=("none", "default")), None, "none"),
        (Capability(effort=("none", "default")), "default", "default"),
        (Capability(effort=("none", "default")), "high", "none"),
        (Capability(effort=()), None, None),
        (Capability(effort=()), "high", None),
        (Capability(), None, None),
        (Capability(), "high", "high"),
        (Capability(), "Very-Much", "Very-Much"),
        (Capability(), "off", None),
    ],
)
def test_effort_is_the_nearest_that_the_model_takes(
    capability: Capability, configured: str | None, word: str | None
) -> None:
    """The least by default; as configured if the model takes it; else the next one up, or its highest."""
    assert capability.choose_effort(configured) == word


@pytest.mark.parametrize(
    ("name", "model", "options", "dropped"),
    [
        ("gpt", "gpt-4o", {"reasoning_effort": "high"}, ("reasoning_effort",)),
        ("gpt", "gpt-4o", {"reasoning_effort": "off"}, ()),
        ("gpt", "gpt-5", {"temperature": 0.5}, ("temperature",)),
        ("gpt", "gpt-6-luna", {"temperature": 0.5}, ()),
        ("gpt", "gpt-6-luna", {"temperature": 0.5, "reasoning_effort": "low"}, ("temperature",)),
        ("claude", "claude-haiku-5-5", {"temperature": 0.5}, ("temperature",)),
        ("claude", "claude-haiku-4-5", {"reasoning_effort": "high"}, ("reasoning_effort",)),
        ("gemini", "gemini-3.8-flash", {"temperature": 0.5}, ("temperature",)),
        (
            "gemini",
            "gemini-2.5-flash",
            {"temperature": 0.5, "reasoning_effort": "low"},
            ("reasoning_effort",),
        ),
        ("groq", "llama-3.3-70b-versatile", {"reasoning_effort": "low"}, ("reasoning_effort",)),
        ("local", "anything", {"temperature": 0.5, "reasoning_effort": "low"}, ()),
    ],
)
def test_configured_parameter_that_a_model_does_not_take_is_reported(
    providers: Mapping[str, BaseProvider],
    name: str,
    model: str,
    options: dict[str, Any],
    dropped: tuple[str, ...],
) -> None:
    """It is not sent, and the end says so in `dropped_params`; nothing is silently ignored."""
    provider = configured(providers[name], **options)
    assert provider.dropped_params(NOTHING_LEFT_OUT, model) == dropped
    assert not set(dropped) & sent(provider, model).keys()


def test_model_without_a_system_role_gets_the_words_in_its_first_turn(
    providers: Mapping[str, BaseProvider],
) -> None:
    """Its row says so before it is asked."""
    assert providers["gemini"].left_out("gemma-3-27b-it") == {SYSTEM_ROLE}
    assert providers["gemini"].left_out("gemini-3.8-flash") == frozenset()


@pytest.mark.parametrize(
    ("name", "model", "status", "message", "parameter"),
    [
        (
            "gemini",
            "gemini-exp",
            400,
            "Thinking is not enabled for models/gemini-exp",
            "includeThoughts",
        ),
        (
            "gemini",
            "gemini-exp",
            400,
            "Unable to submit request because thinking is not supported",
            "includeThoughts",
        ),
        (
            "gemini",
            "gemini-3.8-flash",
            400,
            "Thinking is not supported by this model.",
            "thinkingLevel",
        ),
        (
            "gemini",
            "gemini-exp",
            400,
            'Unknown name "systemInstruction": Cannot find field.',
            "system_role",
        ),
        (
            "gemini",
            "gemini-exp",
            400,
            "System instruction is not enabled for models/gemini-exp",
            "system_role",
        ),
        (
            "gemini",
            "gemini-exp",
            400,
            "system_instruction: Extra inputs are not permitted",
            "system_role",
        ),
        ("gemini", "gemini-exp", 404, "models/thinking-exp is not found for API version v1", None),
        (
            "gpt",
            "gpt-5",
            404,
            "No endpoints found that support the parameter: reasoning_effort",
            "reasoning_effort",
        ),
        (
            "gpt",
            "gpt-5",
            404,
            "No endpoints found that can handle `max_completion_tokens`.",
            "max_completion_tokens",
        ),
        ("gpt", "gpt-5", 403, "stream_options is not allowed", "stream_options"),
        ("gpt", "gpt-5", 403, "Your key may not use kimi-k2-thinking", None),
        ("gpt", "gpt-5", 404, "The model `grok-reasoning` does not exist", None),
        ("gpt", "gpt-5", 401, "stream_options is not allowed", None),
        ("gpt", "gpt-5", 429, "reasoning_effort is at its limit", None),
    ],
)
def test_parameter_that_is_sent_by_default_is_found_in_a_refusal(
    providers: Mapping[str, BaseProvider],
    name: str,
    model: str,
    status: int,
    message: str,
    parameter: str | None,
) -> None:
    """In whatever words, and as a missing model or right; a model's name with such a word in it is no parameter."""
    prompt, error = (
        Prompt("Be brief.", ()),
        vendor_error({"error": {"message": message}}, status=status),
    )
    refused = providers[name].refused_by(error, prompt, model)
    if parameter is None:
        assert refused is None
    else:
        assert refused is not None
        assert (refused.parameter, refused.code) == (parameter, "rejected_by_provider")


async def test_file_adds_rows_and_replaces_fields(tmp_path: Path) -> None:
    """The operator's word goes before ours, field by field, and knows models and servers of its own."""
    file = tmp_path / "capabilities.toml"
    file.write_text(
        '[gemini."gemini-3.8-flash"]\neffort = ["minimal"]\n[local."Qwen"]\neffort = ["none"]\nstream_options = false\n'
        '[gpt."deployment"]\nmax_tokens_field = "max_tokens"\nmax_tokens = 1000\n'
    )
    names = ("gpt", "gemini", "local")
    factory = ProviderFactory(
        settings_of(name, capabilities_file=file, temperature=0.5) for name in names
    )
    async with aclosing(factory):
        gemini, local, gpt = (
            sent(factory.get("gemini"), "gemini-3.8-flash"),
            factory.get("local"),
            factory.get("gpt"),
        )
        assert (gemini["thinkingLevel"], "temperature" in gemini) == ("minimal", False)
        assert sent(local, "qwen3-8b") == {
            "max_tokens": 8192,
            "reasoning_effort": "none",
            "temperature": 0.5,
        }
        assert sent(gpt, "deployment-7") == {
            "max_tokens": 1000,
            "stream_options": {"include_usage": True},
            "temperature": 0.5,
        }
    assert load_capabilities("gemini", None).of("gemini-3.8-flash").effort == (
        "low",
        "medium",
        "high",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[gpt", "is not TOML"),
        ('[gpt."a"]\nefort = []\n', "efort"),
        ('[gpt."a"]\neffort = "low"\n', "effort"),
        ('[gpt."a"]\nmax_tokens = "many"\n', "max_tokens"),
        ('[gpt."a"]\nstop = 0\n', "stop"),
        ('[gpt."a"]\ntop_p = "often"\n', "top_p"),
        ('[gpt."a"]\nimages = "some"\n', "images"),
        ("gpt = 5\n", "does not fit"),
        ("\xff", "is not TOML"),
    ],
)
def test_wrong_file_is_refused_with_its_reason(tmp_path: Path, text: str, problem: str) -> None:
    """At the start, in one readable line that names the variable."""
    file = tmp_path / "capabilities.toml"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigurationError, match=rf"CAPABILITIES_FILE: .*{problem}"):
        check_capabilities(file)


def test_absent_file_is_refused(tmp_path: Path) -> None:
    """A path that leads nowhere is a mistake, not an empty table."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check_capabilities(tmp_path / "absent.toml")
    check_capabilities(None)
