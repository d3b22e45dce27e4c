"""`ModelNames`: from a model's name, as clients of other protocols send it, to a provider."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from configuration import ModelAlias, ProviderSettings
from models import GatewayError
from settings.gateway_keys import ModelScope


class AskedModel(NamedTuple):
    """The provider that a name leads to.

    `model` is asked before the provider's own models; None: only these are asked. The `scope` is
    that of the client's key; None: every model may be asked.
    """

    provider: str
    model: str | None = None
    scope: ModelScope | None = None


class ListedModel(NamedTuple):
    """A name that clients can ask for, and its provider."""

    name: str
    provider: str


class _Match(NamedTuple):
    """A pattern that a name matches. The greatest one counts."""

    is_configured: bool
    literals: int  # the characters of the pattern beside `*`
    is_listed: bool  # by <VENDOR>_MODELS
    provider: str


class ModelNames:
    """The names by which models can be asked for.

    They are, in this order: a provider's own name; MODEL_ALIASES; and the names and patterns of
    <VENDOR>_MODELS, the provider's own models and the vendor's patterns, of which the one with the
    most literal characters counts. A provider that is not configured comes after all others.
    """

    def __init__(
        self, providers: Iterable[ProviderSettings], aliases: Iterable[ModelAlias] = ()
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._aliases = tuple(aliases)

    def find(self, name: str) -> AskedModel:
        """The provider of a name. Raises GatewayError `unknown_provider`, with the valid names."""
        if name in self._providers:
            return AskedModel(name)
        found = [alias for alias in self._aliases if fnmatchcase(name, alias.pattern)]
        if found:
            alias = max(found, key=lambda alias: _literals(alias.pattern))
            return AskedModel(alias.provider, alias.model)
        matches = [
            match for provider in self._providers.values() for match in _find(name, provider)
        ]
        if not matches or not _is_plain(name):
            valid = ", ".join(model.name for model in self.listed())
            raise GatewayError(
                "unknown_provider", f"There is no such model; valid are {valid}.", reason="model"
            )
        provider = max(matches, key=lambda match: match[:3]).provider
        is_asked = _matches(name, self._providers[provider].models)
        return AskedModel(provider, name if is_asked else None)

    def listed(self) -> tuple[ListedModel, ...]:
        """The names of the configured providers, without patterns."""
        listed: dict[str, str] = {}
        for provider in self._providers.values():
            if provider.configured:
                names = (provider.name, *provider.chain, *provider.models)
                listed |= dict.fromkeys(names, provider.name)
        listed |= {
            alias.pattern: alias.provider
            for alias in self._aliases
            if self._providers[alias.provider].configured
        }
        return tuple(ListedModel(*item) for item in listed.items() if "*" not in item[0])


def _is_plain(name: str) -> bool:
    """Whether a name can be part of a header and of a URL's path, and is what it seems there."""
    return name.isascii() and name.isprintable() and not {".", ".."} & set(name.split("/"))


def _find(name: str, provider: ProviderSettings) -> Iterable[_Match]:
    patterns = dict.fromkeys((*provider.names, *provider.chain), False)
    patterns |= dict.fromkeys(provider.models, True)
    for pattern, is_listed in patterns.items():
        if fnmatchcase(name, pattern):
            yield _Match(provider.configured, _literals(pattern), is_listed, provider.name)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _literals(pattern: str) -> int:
    return len(pattern) - pattern.count("*")
