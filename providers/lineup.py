"""`Lineup`: the models that a chat with one provider may ask, the same for each of its chats."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import get_args

from configuration import ProviderSettings
from models import GatewayError, OnBreak
from providers.base import BaseProvider
from providers.factory import ProviderFactory
from providers.model_names import AskedModel
from providers.needs import Needs, find_unmet, unsupported
from providers.policy import Link, arrange

_MAX_ASKED = 1_000  # models that clients ask for by name, of which something is kept


class Lineup:
    """The models for chats with these needs. `chains` are those in which no breaker is open.

    The model that the client asks for by its name comes first.
    Raises GatewayError `unsupported` if no model meets the needs, `forbidden` if all are out of the
    scope.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        providers: Mapping[str, BaseProvider],
        asked: AskedModel,
        needs: Needs = frozenset(),
    ) -> None:
        self.settings = settings
        self.providers = providers
        self._asked = asked
        self._by_needs: dict[Needs, Lineup] = {}
        models = [Link(settings.name, asked.model)] if asked.model else []
        models += [
            Link(name, model)
            for name, provider in providers.items()
            for model in provider.settings.chain
        ]
        if scope := asked.scope:
            models = [link for link in models if scope.allows(*link)]
        if not models:
            message = "The gateway key is for none of the models."
            raise GatewayError("forbidden", message, reason="model", provider=settings.name)
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


class Lineups(dict[AskedModel, Lineup]):
    """The lineup of each provider, and those of models that clients asked for.

    A missing one is made: `lineups[asked]` raises GatewayError `provider_not_configured`. There may
    be any number of names that clients ask for, so the oldest of them are forgotten.
    """

    def __init__(self, factory: ProviderFactory) -> None:
        super().__init__()
        self._factory = factory
        self._newest: deque[AskedModel] = deque()  # of named models, and of scopes

    def __missing__(self, asked: AskedModel) -> Lineup:
        settings = self._factory.settings(asked.provider)
        others = [
            other
            for other in settings.fallback_providers
            if self._factory.settings(other).configured
        ]
        providers = {name: self._factory.get(name) for name in (asked.provider, *others)}
        lineup = self[asked] = Lineup(settings, providers, asked)
        if asked.model or asked.scope:
            self._newest.append(asked)
            self._forget_oldest()
        return lineup

    def _forget_oldest(self) -> None:
        while len(self._newest) > _MAX_ASKED:
            oldest = self._newest.popleft()
            del self[oldest]
            provider = self._factory.get(oldest.provider)
            if oldest.model and oldest.model not in provider.settings.chain:
                provider.forget(oldest.model)
