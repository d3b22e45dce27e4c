"""`BaseProvider`: the port of one vendor.

Adapters stream answers, check that a model exists, and count the tokens of prompts.

Knows nothing of HTTP towards the client, of any one vendor, and of chains of models.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import Literal, TypeVar

from configuration import ProviderSettings
from logging_config import debug_with_context
from models import GatewayError, Prompt, Text, Turn, Usage
from providers.breaker import Breaker
from providers.errors import translate
from providers.health import ProviderHealth
from providers.parameters import RequestParameters, fit
from providers.states import drop_foreign_states
from providers.wires.decoder import Batch
from providers.wires.finish_reasons import Finish
from streams.closing import close_stream
from streams.deadline import CancelScope, ScopeCancelledError
from streams.off_loop import call_off_loop
from telemetry.costs import ModelPrices

T = TypeVar("T")

_logger = logging.getLogger("gateway.providers")


class BaseProvider(RequestParameters, ABC):
    """One vendor. Shared by all chats: it keeps no state of any one stream."""

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self.health = ProviderHealth()
        self.breakers: defaultdict[str, Breaker] = defaultdict(Breaker)
        self.prices: ModelPrices | None = None

    @abstractmethod
    def stream_response(
        self,
        prompt: Prompt,
        model: str,
        message_id: str,
    ) -> AsyncGenerator[Batch, None]:
        """Stream one model's answer, and close what it opens.

        A batch is what one read of the network brought; the last one has a Finish. One may begin
        with the Usage that the vendor has reported so far.

        Must return a native async generator (`async def` with `yield`), since `close_stream` checks
        whether it has ended. Raises GatewayError, or any exception of the SDK.
        """

    @abstractmethod
    async def has_model(self, model: str) -> bool:
        """Check by the vendor's free calls that the model exists.

        Raises the SDK's exception if it does not. Returns False if the vendor has no free call, so
        that nothing is known.
        """

    async def request_count(self, prompt: Prompt, model: str) -> int | None:  # noqa: ARG002
        """The input tokens of a prompt, by the vendor's free call; None if it has none.

        Raises GatewayError, or any exception of the SDK.
        """
        return None

    @abstractmethod
    async def aclose(self) -> None:
        """Close the vendor's client."""

    def deprecated_models(self) -> Mapping[str, str]:
        """Models that the SDK marks as deprecated, with the end date in the SDK's format."""
        return {}

    def cost(self, model: str, usage: Usage | None) -> float | None:
        """What an answer of the model has cost; None if its price or its tokens are not known."""
        return self.prices.cost(model, usage) if self.prices else None

    async def health_check(self, model: str, test_message: str | None = None) -> bool:
        """Check that the model exists, at no cost; with a test message, have it answer.

        Returns False if the vendor has no free call, so that nothing is known.
        """
        if test_message is None:
            return await self._within_timeout(self.has_model(model))
        return await self._within_timeout(self._generate(model, test_message))

    async def count_tokens(self, prompt: Prompt, model: str) -> int | None:
        """The input tokens of a prompt, at no cost; None if the vendor has no such call."""

        def make() -> Prompt:
            asked = fit(prompt, self.left_out(model))
            return asked if asked.is_plain else drop_foreign_states(asked, self.name, model)

        asked = await call_off_loop(make, is_long=prompt.is_large)
        return await self._within_timeout(self.request_count(asked, model))

    async def _within_timeout(self, call: Awaitable[T]) -> T:
        """What a call that is no chat returns, in the time that a chat has for first content."""
        try:
            now = asyncio.get_running_loop().time()
            with CancelScope(now + self.settings.timeouts.first_content):
                return await call
        except ScopeCancelledError:
            raise GatewayError("upstream_timeout", reason="first_content") from None
        except Exception as error:
            raise translate(error) from error

    async def _generate(self, model: str, text: str) -> Literal[True]:
        """Have the model answer. A parameter that it refuses is left out, as in a chat."""
        prompt = Prompt("", (Turn("user", (Text(text),)),))
        dropped: dict[str, bool] = {}  # whether to remember it
        while True:
            asked = fit(prompt, self.left_out(model).union(dropped))
            answer = self.stream_response(asked, model, "health")
            try:
                newest = [batch[-1] async for batch in answer][-1:]
                if not newest or not isinstance(newest[0], Finish):
                    raise GatewayError("upstream_truncated")
            except Exception as error:
                refused = self.refused_by(translate(error), asked, model)
                if refused is None:
                    raise
                dropped[refused.parameter] = refused.is_lasting
            else:
                self.remember(model, dropped)
                return True
            finally:
                await close_stream(answer)

    def note_opened(self, model: str, message_id: str, vendor_request_id: str | None) -> None:
        """Log that the vendor accepted the request, with its request id and our message id."""
        debug_with_context(
            _logger,
            "vendor stream opened",
            provider=self.name,
            model=model,
            message_id=message_id,
            vendor_request_id=vendor_request_id,
        )

    def forget(self, model: str) -> None:
        """Forget what is known of a model that clients asked for by its name."""
        self.breakers.pop(model, None)
        self.forget_options(model)

    def breaker_states(self) -> dict[str, str]:
        """The state of each model's breaker: closed, open or half_open."""
        now = asyncio.get_running_loop().time()
        return {model: self.breakers[model].state(now) for model in self.settings.chain}
