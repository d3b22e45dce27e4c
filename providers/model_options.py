"""`ModelOptions`: what is asked of one model, by the client or else by the configuration."""

from __future__ import annotations

from typing import Final

from configuration import ProviderSettings
from models import NO_OPTIONS, AnswerOptions
from providers.capabilities import Capability

# the value of a parameter that is asked for, but that the model does not accept
NOT_TAKEN: Final = object()


class ModelOptions:
    """The client's options, then the configured ones, adapted to what one model accepts.

    A value is None if nothing is to be sent, and NOT_TAKEN if it is asked for but not accepted.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        capability: Capability,
        asked: AnswerOptions = NO_OPTIONS,
    ) -> None:
        self.capability = capability
        self._settings = settings
        self._asked = asked
        is_own = asked.effort is not None and capability.knows_effort(asked.effort)
        self._wanted_effort = asked.effort if is_own else settings.reasoning_effort
        self._effort = capability.choose_effort(self._wanted_effort)

    @property
    def effort(self) -> object:
        """The reasoning effort in the model's own word."""
        wanted = self._wanted_effort
        is_wanted = wanted is not None and wanted.lower() not in ("off", "none")
        return NOT_TAKEN if self._effort is None and is_wanted else self._effort

    @property
    def temperature(self) -> object:
        """The temperature."""
        asked = self._asked.temperature
        wanted = self._settings.temperature if asked is None else asked
        is_taken = wanted is None or self.capability.takes_temperature(self._effort)
        return wanted if is_taken else NOT_TAKEN

    @property
    def top_p(self) -> object:
        """The share of the likeliest tokens that are considered."""
        wanted = self._asked.top_p
        is_taken = wanted is None or self.capability.takes_top_p(self._effort)
        return wanted if is_taken else NOT_TAKEN

    @property
    def seed(self) -> object:
        """The seed of the sampling."""
        wanted = self._asked.seed
        return wanted if wanted is None or self.capability.seed else NOT_TAKEN

    @property
    def stop(self) -> object:
        """The stop sequences as a list: the first ones, if the model accepts fewer."""
        kept = self._kept_stops()
        return kept or (NOT_TAKEN if self._asked.stop else None)

    @property
    def parallel_tool_calls(self) -> object:
        """False if the model must call one tool at a time."""
        if self._asked.parallel is not False or not self._asked.tools:
            return None
        return False if self.capability.parallel_tool_calls else NOT_TAKEN

    @property
    def max_tokens(self) -> int:
        """The limit of the answer in tokens: at most what the model allows."""
        wanted, longest = self._asked.max_tokens, self.capability.max_tokens
        if wanted is None:
            wanted = self._settings.max_tokens
        return wanted if longest is None else min(wanted, longest)

    @property
    def reduced(self) -> set[str]:
        """The client's fields that are sent, but with less or another value than it asked for."""
        asked, reduced = self._asked, set()
        if asked.max_tokens is not None and self.max_tokens != asked.max_tokens:
            reduced.add("max_tokens")
        if len(self._kept_stops()) != len(asked.stop):
            reduced.add("stop")
        if asked.effort is not None and not self._makes_effort(asked.effort.lower()):
            reduced.add("reasoning_effort")
        return reduced

    def _makes_effort(self, word: str) -> bool:
        """Whether the model makes just this effort. One that takes none makes none."""
        sent = self._effort.lower() if self._effort else None
        return word in (sent, "off") or (word == "none" and self.capability.effort == ())

    def _kept_stops(self) -> list[str]:
        limit = None if self.capability.stop is True else int(self.capability.stop)
        takes_blank = self.capability.blank_stop
        return [text for text in self._asked.stop if takes_blank or text.strip()][:limit]
