"""`Lineup`: the models that a chat with one provider may ask, the same for each of its chats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from configuration import ProviderSettings
from models import OnBreak
from providers.base import BaseProvider
from providers.factory import ProviderFactory
from providers.needs import Needs, find_unmet, unsupported
from providers.policy import Link, arrange

_MAX_ASKED = 1_000  # models that clients ask for by name, of which something is kept


class Lineup:
    """The models for chats with these needs. `chains` are those in which no breaker is open.

    `asked` is a model that the client asks for by its name: it comes first.
    Raises GatewayError `unsupported` if no model meets the needs.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        providers: Mapping[str, BaseProvider],
        asked: str | None = None,
        needs: Needs = frozenset(),
    ) -> None:
        self.settings = settings
        self.providers = providers
        self._asked = asked
        self._by_needs: dict[Needs, Lineup] = {}
        models = [Link(settings.name, asked)] if asked else []
        models += [
            Link(name, model)
            for name, provider in providers.items()
            for model in provider.settings.chain
        ]
        links = {
            link: list(find_unmet(needs, providers[link.provider].capabilities.of(link.model)))
            for link in models
        }
        suited = [link for link, unmet in links.items() if not unmet]
        if not suited:
            raise unsupported({link.model: unmet for link, unmet in links.items()})
        self.breakers = {link: providers[link.provider].breakers[link.model] for link in suited}
        self.chains = {
            way: arrange(suited, {}, settings.max_attempts, way, next(iter(links)))
            for way in get_args(OnBreak)
        }

    def suited(self, needs: Needs) -> Lineup:
        """The models that meet the needs. Raises GatewayError `unsupported` if there are none."""
        if needs not in self._by_needs:
            self._by_needs[needs] = Lineup(self.settings, self.providers, self._asked, needs)
        return self._by_needs[needs]


class Lineups:
    """The lineup of each provider, and those of the newest models that clients asked for."""

    def __init__(self, factory: ProviderFactory) -> None:
        self._factory = factory
        self._lineups: dict[str, Lineup] = {}
        self._asked: dict[tuple[str, str], Lineup] = {}

    def find(self, name: str, asked: str | None = None) -> Lineup:
        """The models for chats with a provider.

        Raises GatewayError `unknown_provider`, `provider_not_configured`.
        """
        if asked is None:
            lineup = self._lineups.get(name)
            if lineup is None:
                lineup = self._lineups[name] = self._line_up(name, None)
            return lineup
        key = name, asked
        # Popped and put back: the models that were not asked for longest come first.
        lineup = self._asked.pop(key, None) or self._line_up(name, asked)
        self._asked[key] = lineup
        if len(self._asked) > _MAX_ASKED:
            old_name, old_model = next(iter(self._asked))
            del self._asked[old_name, old_model]
            provider = self._factory.get(old_name)
            if old_model not in provider.settings.chain:
                provider.forget(old_model)
        return lineup

    def _line_up(self, name: str, asked: str | None) -> Lineup:
        settings = self._factory.settings(name)
        others = [
            other
            for other in settings.fallback_providers
            if self._factory.settings(other).configured
        ]
        providers = {each: self._factory.get(each) for each in (name, *others)}
        return Lineup(settings, providers, asked)
