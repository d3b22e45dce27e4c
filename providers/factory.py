"""`ProviderFactory`: the table of providers. Each is imported and built at its first use."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from configuration import ProviderSettings
from models import GatewayError
from providers.base import BaseProvider
from providers.capabilities import load_capabilities
from telemetry.costs import PriceList

# Module and class by name, or the function that chooses the class: importing a vendor's SDK takes
# 0.3 to 1.4 s, so only those in use are imported.
_provider_classes: dict[str, tuple[str, str]] = {
    "gpt": ("providers.openai_provider", "make_openai_provider"),
    "claude": ("providers.anthropic_provider", "AnthropicProvider"),
    "gemini": ("providers.gemini_provider", "GeminiProvider"),
    "groq": ("providers.groq_provider", "GroqProvider"),
    "local": ("providers.local_provider", "LocalProvider"),
}


class ProviderFactory:
    """Builds providers by name. The caller that creates the factory closes it with `aclose`.

    Without `prices` no answer has a cost.
    """

    def __init__(
        self, settings: Iterable[ProviderSettings], prices: PriceList | None = None
    ) -> None:
        self._settings = {provider.name: provider for provider in settings}
        self._prices = prices
        self.built: dict[str, BaseProvider] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The providers that this gateway supports, configured or not."""
        return tuple(self._settings)

    def settings(self, name: str) -> ProviderSettings:
        """A provider's settings. Raises GatewayError `unknown_provider`."""
        if name not in self._settings:
            raise GatewayError(
                "unknown_provider", f"There is no such provider; valid are {', '.join(self.names)}."
            )
        return self._settings[name]

    def get(self, name: str) -> BaseProvider:
        """The provider, built at the first call.

        Raises GatewayError `unknown_provider`, `provider_not_configured`.
        """
        provider = self.built.get(name)
        if provider is None:
            settings = self.settings(name)
            if not settings.configured:
                raise GatewayError("provider_not_configured", provider=name)
            provider = self.built[name] = _provider_class(name)(settings)
            provider.prices = self._prices.of(settings) if self._prices else None
        return provider

    def takes_files(self, name: str) -> bool:
        """Whether some model that a chat with the provider may ask accepts files.

        Raises GatewayError `unknown_provider`.
        """
        asked = self.settings(name)
        others = filter(
            lambda other: other.configured, map(self.settings, asked.fallback_providers)
        )
        return any(
            load_capabilities(provider.name, provider.capabilities_file).of(model).files
            for provider in (asked, *others)
            for model in provider.chain
        )

    async def warm(self) -> None:
        """Build the configured providers before the first request. The imports run in a thread."""
        configured = [name for name, settings in self._settings.items() if settings.configured]
        for name in configured:
            await asyncio.to_thread(_provider_class, name)
            self.get(name)
        if self._prices and any(provider.prices for provider in self.built.values()):
            await asyncio.to_thread(self._prices.warm)

    async def aclose(self) -> None:
        """Close every provider that was built, in reverse order."""
        async with AsyncExitStack() as closing:  # closes the others if one fails
            for provider in self.built.values():
                closing.push_async_callback(provider.aclose)
            self.built.clear()


def _provider_class(name: str) -> Callable[[ProviderSettings], BaseProvider]:
    module, class_name = _provider_classes[name]
    provider_class: Callable[[ProviderSettings], BaseProvider]
    provider_class = getattr(importlib.import_module(module), class_name)
    return provider_class
