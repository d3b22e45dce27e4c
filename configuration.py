"""The configuration: read once from the environment and `.env`, validated as a whole, then frozen.

This is the only module that reads the environment. It has the table of providers, and puts the
settings together of the parts in `settings/`: the variables and their bounds (`options.py`), the
rules between them (`conflicts.py`), warnings (`warnings.py`), and the sources (`variables.py`).
The environment overrides `.env`. Empty values and placeholders count as unset in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource

from settings import conflicts
from settings.conflicts import Conflict
from settings.gateway_keys import GatewayKey
from settings.model_aliases import ModelAlias
from settings.options import OptionGroups, dependent_defaults
from settings.providers import (
    ProviderRow,
    ProviderSettings,
    Timeouts,
    VendorOptions,
    make_provider_settings,
)
from settings.values import CommaList, LowerCase
from settings.variables import BESIDE_MAIN, SourceNotes, is_unset, read_variables
from settings.warnings import (
    half_configured_warnings,
    key_warnings,
    misspellings,
    server_warnings,
    source_warnings,
)

__all__ = [
    "PROVIDER_SETTINGS",
    "VALID_PROVIDERS",
    "VERSION",
    "ConfigurationError",
    "GatewayKey",
    "GatewayOptions",
    "ModelAlias",
    "ProviderOptions",
    "ProviderSettings",
    "Settings",
    "Timeouts",
    "load_settings",
    "startup_warnings",
]

VERSION = "1.0.0"


_PROVIDER_ROWS = (
    ProviderRow(
        "gpt",
        "OPENAI",
        "gpt-6-luna",
        "gpt-5.6-luna",
        "https://api.openai.com/v1",
        names=("gpt-*", "chatgpt-*", "codex-*", "o1*", "o3*", "o4*", "o5*"),
    ),
    ProviderRow(
        "claude",
        "ANTHROPIC",
        "claude-haiku-5-5",
        "claude-sonnet-5-5",
        "https://api.anthropic.com",
        names=("claude-*",),
    ),
    ProviderRow(
        "gemini",
        "GEMINI",
        "gemini-3.8-flash",
        "gemini-3.5-flash-lite",
        "https://generativelanguage.googleapis.com",
        names=("gemini-*", "gemma-*"),
    ),
    ProviderRow(
        "groq",
        "GROQ",
        "openai/gpt-oss-120b",
        "openai/gpt-oss-20b",
        "https://api.groq.com/openai/v1",
        names=("openai/gpt-oss-*", "gpt-oss-*", "llama-*", "meta-llama/*", "qwen/*", "groq/*"),
    ),
    ProviderRow("local", "LOCAL", None, None, opened_by="base_url"),
)
VALID_PROVIDERS = tuple(row.name for row in _PROVIDER_ROWS)

_EXPECTED = {
    "bool": "should be true or false",
    "int": "should be a whole number",
    "float": "should be a number",
}
_PROVIDERS_EXPECTED = f"should be names out of {', '.join(VALID_PROVIDERS)}, with commas between"


class ConfigurationError(ValueError):
    """Lists all errors of the configuration, one a line. Never contains a value."""

    def __init__(self, findings: Iterable[str]) -> None:
        super().__init__("\n  ".join(("The configuration is wrong:", *findings)))


def _check_providers(names: tuple[str, ...]) -> tuple[str, ...]:
    if not set(names) <= set(VALID_PROVIDERS):
        raise ValueError(_PROVIDERS_EXPECTED)
    return tuple(dict.fromkeys(names))


def _sort_providers(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError(_PROVIDERS_EXPECTED)
    return tuple(name for name in VALID_PROVIDERS if name in names)


ProviderNames = Annotated[tuple[str, ...], AfterValidator(_check_providers), CommaList, LowerCase]


class ProviderOptions(VendorOptions):
    """The variables of each provider, as they are read."""

    fallback_providers: ProviderNames = ()


class GatewayOptions(OptionGroups):
    """The gateway's own variables."""

    supported_providers: Annotated[ProviderNames, AfterValidator(_sort_providers)] = VALID_PROVIDERS
    traceparent_providers: ProviderNames = ()


PROVIDER_SETTINGS: Mapping[str, Mapping[str, str]] = {
    row.name: {option: row.variable(option) for option in ProviderOptions.model_fields}
    for row in _PROVIDER_ROWS
}
_VARIABLES = {option.upper() for option in GatewayOptions.model_fields}.union(
    *(variables.values() for variables in PROVIDER_SETTINGS.values())
)


class Settings(GatewayOptions, SourceNotes):
    """The gateway's whole configuration. Its `repr` contains no key."""

    vendors: Mapping[str, ProviderOptions]
    simulated: frozenset[str] = frozenset()

    @property
    def has_vendor(self) -> bool:
        """Whether a vendor's key or the operator's own server is configured."""
        return any(getattr(self.vendors[row.name], row.opened_by) for row in _PROVIDER_ROWS)

    @property
    def demo_mode(self) -> bool:
        """Whether a simulator answers instead of the vendors."""
        return self.is_demo_mode(has_vendor=self.has_vendor)

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secret values in plain text, to be redacted from logs and reports."""
        keys = (vendor.api_key for vendor in self.vendors.values())
        return tuple(
            secret.get_secret_value()
            for secret in (*keys, self.upstream_proxy, self.sentry_dsn)
            if secret
        )

    @property
    def providers(self) -> tuple[ProviderSettings, ...]:
        """The supported providers, configured or not."""
        return tuple(self.provider(name) for name in self.supported_providers)

    def provider(self, name: str) -> ProviderSettings:
        """One provider, supported or not. Raises ValueError."""
        row = _PROVIDER_ROWS[VALID_PROVIDERS.index(name)]
        return make_provider_settings(row, self.vendors[name], self, demo=name in self.simulated)

    def with_demo(self, base_urls: Mapping[str, str], key: str) -> Settings:
        """A copy whose named providers use a simulator's base URLs and key."""
        simulated = {
            name: self.vendors[name].model_copy(
                update={"base_url": base_url, "api_key": SecretStr(key)}
            )
            for name, base_url in base_urls.items()
        }
        update = {
            "demo": "on",
            "vendors": {**self.vendors, **simulated},
            "simulated": frozenset(simulated),
        }
        return self.model_copy(update=update)


def load_settings(env_file: str | Path | None = BESIDE_MAIN, **overrides: Any) -> Settings:
    """Load the settings from `.env`, the environment and the overrides; the last one counts.

    Overrides are named by variables in lower case. By default, `.env` is the file of ENV_FILE or
    the one beside `main.py`.

    Raises ConfigurationError with all errors, and TypeError for an override that is not a variable.
    """
    asked = {name.upper(): value for name, value in overrides.items()}
    if unknown := asked.keys() - _VARIABLES:
        raise TypeError(f"no such variable: {', '.join(sorted(unknown))}")
    environment = {
        name: text for name, text in EnvSettingsSource(BaseSettings).env_vars.items() if text
    }
    written = read_variables(environment, Path(env_file) if env_file else None, _VARIABLES)
    values: dict[str, Any] = dict(written.values)
    values |= {
        name: value
        for name, value in asked.items()
        if value is not None and not is_unset(str(value))
    }
    findings: dict[str, str] = {}
    try:
        settings = _build(values, written.notes)
    except ValidationError as error:  # the rules between variables are still checked on the rest
        findings = dict(_describe(finding) for finding in error.errors())
        valid = {name: value for name, value in values.items() if name not in findings}
        settings = _build(valid, written.notes)
    lines = [*written.problems, *(f"{name}: {problem}" for name, problem in findings.items())]
    lines += [
        conflict.message
        for conflict in _find_conflicts(settings)
        if not conflict.variables & findings.keys()
    ]
    if lines:
        raise ConfigurationError([*lines, *misspellings(settings)]) from None
    return settings


def _build(values: Mapping[str, Any], notes: SourceNotes) -> Settings:
    options = {
        option: values[option.upper()]
        for option in GatewayOptions.model_fields
        if option.upper() in values
    }
    vendors = {}
    for row in _PROVIDER_ROWS:
        variables = PROVIDER_SETTINGS[row.name].items()
        written = {option: values[name] for option, name in variables if name in values}
        vendors[row.name] = row.defaults | written
    chosen = {**dependent_defaults(options), **options}
    return Settings.model_validate({**chosen, **dict(notes), "vendors": vendors})


def _describe(finding: Any) -> tuple[str, str]:
    """The variable and its problem. pydantic's messages about types are replaced."""
    place, kind = finding["loc"], finding["type"].removesuffix("_parsing")
    variable = PROVIDER_SETTINGS[place[1]][place[2]] if place[0] == "vendors" else place[0].upper()
    message = finding["msg"].removeprefix("Value error, ").replace("Input should", "should")
    return variable, _EXPECTED.get(kind, message)


def _find_conflicts(settings: Settings) -> Iterator[Conflict]:
    """Yield each broken rule."""
    openings = [row.variable(row.opened_by) for row in _PROVIDER_ROWS]
    unread_file, has_vendor = settings.unread_file, settings.has_vendor
    yield from conflicts.server_conflicts(settings)
    yield from conflicts.demo_conflicts(settings, openings, unread_file, has_vendor=has_vendor)
    supported = set(settings.supported_providers)
    yield from conflicts.fallback_conflicts(settings.providers, supported)
    yield from conflicts.alias_conflicts(settings.model_aliases, supported)
    yield from conflicts.limit_conflicts(settings)
    yield from conflicts.trace_conflicts(settings)
    yield from conflicts.address_conflicts(settings.providers)


def startup_warnings(settings: Settings) -> list[str]:
    """Warnings about probable mistakes that do not prevent a start."""
    vendors = [(row, settings.vendors[row.name]) for row in _PROVIDER_ROWS]
    found = [*source_warnings(settings), *server_warnings(settings), *key_warnings(vendors)]
    if not settings.demo_mode:
        unready = [provider for provider in settings.providers if not provider.configured]
        if unready and settings.supported_providers != VALID_PROVIDERS:
            names = ", ".join(provider.name for provider in unready)
            found.append(f"SUPPORTED_PROVIDERS names what is not configured: {names}")
        found += [
            f"{provider.name} needs {provider.prefix}_MODEL_DEFAULT, which is unset"
            for provider in unready
            if getattr(provider, provider.opened_by)
        ]
    return [*found, *half_configured_warnings(vendors)]
