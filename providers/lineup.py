"""`Lineup`: the models that a chat with one provider may ask, the same for each of its chats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from configuration import ProviderSettings
from models import OnBreak
from providers.base import BaseProvider
from providers.needs import Needs, find_unmet, unsupported
from providers.policy import Link, arrange


class Lineup:
    """The models for chats with these needs. `chains` are those in which no breaker is open.

    Raises GatewayError `unsupported` if no model meets the needs.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        providers: Mapping[str, BaseProvider],
        needs: Needs = frozenset(),
    ) -> None:
        self.settings = settings
        self.providers = providers
        self._by_needs: dict[Needs, Lineup] = {}
        links = {
            Link(name, model): list(find_unmet(needs, provider.capabilities.of(model)))
            for name, provider in providers.items()
            for model in provider.settings.models
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
            self._by_needs[needs] = Lineup(self.settings, self.providers, needs)
        return self._by_needs[needs]
