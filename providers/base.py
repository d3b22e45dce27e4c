"""`BaseProvider`: its part of a chain of models, and the commit rule, over what an adapter gives for one.

Until the first content any failure is invisible: the next model is asked. After it no other model's text is spliced
in. This room knows nothing of HTTP towards the client, and nothing of any vendor's wire.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from typing import ClassVar, cast

from closing import close_stream
from configuration import ProviderSettings
from error_reporting import report_misconfiguration
from logging_config import debug_with_context
from models import End, Event, Finish, GatewayError, Prompt, Restart, Start, TextPart, Turn
from providers.attempts import Chain, Link
from providers.breaker import Breaker
from providers.errors import translate
from providers.health import ProviderHealth
from providers.model_request import ModelRequest
from providers.vendor_stream import Batch

_logger = logging.getLogger("gateway.providers")


class BaseProvider(ABC):
    """One vendor. Shared by all chats: it keeps no state of any one stream."""

    # Request parameters that can be left out where a model refuses them.
    optional_parameters: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.health = ProviderHealth()
        self.breakers: defaultdict[str, Breaker] = defaultdict(Breaker)
        self._refused: defaultdict[str, set[str]] = defaultdict(set)

    @abstractmethod
    def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
        """One model's answer, a batch for each network read, a Finish in the last. Closes what it opens.

        A generator of Python's own (`async def` with `yield`), since whoever closes it asks whether it has ended.
        Raises GatewayError, or whatever the vendor's SDK raises.
        """

    @abstractmethod
    async def retrieve_model(self, model: str) -> None:
        """Ask the vendor's free model call; raises what the SDK raises where the model is not to be had."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the vendor's client."""

    def deprecated_models(self) -> Mapping[str, str]:
        """Models that the vendor's SDK marks as ending, with the day as it writes it."""
        return {}

    async def health_check(self, model: str, test_message: str | None = None) -> None:
        """Ask for the model, at no cost; with a test message, have it answer. Raises GatewayError."""
        try:
            async with asyncio.timeout(self.settings.clocks.first_content):
                if test_message is None:
                    await self.retrieve_model(model)
                else:
                    await self._generate(model, test_message)
        except Exception as error:
            raise translate(error) from error

    async def _generate(self, model: str, text: str) -> None:
        prompt = Prompt("", (Turn("user", (TextPart(type="text", text=text),)),))
        answer = self.stream_response(prompt, model, "health")
        try:
            newest = [batch[-1] async for batch in answer][-1:]
        finally:
            await close_stream(answer)
        if not newest or not isinstance(newest[0], Finish):
            raise GatewayError("upstream_truncated")

    def note_opened(self, model: str, message_id: str, vendor_request_id: str | None) -> None:
        """Log that the vendor took the request, with its own id for it beside ours."""
        debug_with_context(
            _logger,
            "vendor stream opened",
            provider=self.name,
            model=model,
            message_id=message_id,
            vendor_request_id=vendor_request_id,
        )

    def accepted(self, model: str, parameters: Mapping[str, object]) -> dict[str, object]:
        """The parameters that are set and that the model has not refused."""
        refused = self._refused[model]
        return {name: value for name, value in parameters.items() if value is not None and name not in refused}

    def links(self) -> list[Link]:
        """This provider's models in their order, as part of a chat's chain."""
        return [Link(self.name, model, self.breakers[model]) for model in self.settings.models]

    def breaker_states(self) -> dict[str, str]:
        """What each model's breaker is now: closed, open or half_open."""
        now = asyncio.get_running_loop().time()
        return {link.model: link.breaker.state(now) for link in self.links()}

    async def stream(self, prompt: Prompt, message_id: str, chain: Chain) -> AsyncGenerator[list[Event], None]:
        """The chat's batches: a Start with the first content, deltas, an End.

        Returns without an End where the chain goes on to another provider's model; raises GatewayError where none is
        left. Where the chain says so, an answer that breaks is followed by a Restart and the next model's whole answer.
        """
        while chain.link.provider == self.name:
            request = ModelRequest(chain, self.settings.clocks)
            batches = self.stream_response(prompt, chain.model, message_id)
            told_chars = 0
            wait: float | None = None
            try:
                with request.watched():
                    async for batch in batches:
                        is_first = not request.has_content
                        deltas = request.take(batch)
                        for delta in deltas:
                            told_chars += len(delta.content)
                        if deltas:
                            yield [_opening(chain), *deltas] if is_first else cast(list[Event], deltas)
                        request.go_on()
            except GatewayError as error:
                chain.told_chars = told_chars if request.has_content else chain.told_chars
                wait = self._plan(chain, error, broke=request.has_content)
            finally:
                await close_stream(batches)
            if wait is None:
                end = self._end(chain, cast(Finish, request.finish))
                yield [end] if request.has_content else [_opening(chain), end]
                return
            await asyncio.sleep(wait)

    def _plan(self, chain: Chain, error: GatewayError, *, broke: bool) -> float:
        """Seconds to wait before the chain's model is asked; raises the error to tell where none is left."""
        error.partial_chars = chain.told_chars or 0
        error.stage = "before_content" if chain.told_chars is None else "after_content"
        link = chain.link
        if broke:
            plan = chain.after_break(error)
        elif error.reason == "unsupported_parameter" and self._drop(link.model, error):
            plan = chain.repeat(error)
        else:
            plan = chain.after(error)
        context = {**error.detail, **link.context(), "code": error.code, "reason": error.reason}
        _logger.log(_loudness(error), "attempt failed", extra={"context": context})
        if error.is_misconfiguration:  # whatever becomes of the chat
            details = {**error.detail, "reason": error.reason}
            report_misconfiguration(kind=error.code, **link.context(), details=details)
        if error.is_vendors:
            self._count_failure(link, error, chain.asked_at)  # what the client did wrong says nothing of the vendor
        if plan is None:
            raise chain.verdict(error)
        return plan

    def _count_failure(self, link: Link, error: GatewayError, asked_at: float) -> None:
        self.health.failed(error.code)
        now = asyncio.get_running_loop().time()
        pause = link.breaker.failed(error.code, error.retry_after, asked_at, now)
        if pause is not None:
            context = {**link.context(), "code": error.code, "seconds": pause}
            _logger.warning("breaker opened", extra={"context": context})

    def _drop(self, model: str, error: GatewayError) -> bool:
        """Remember that the model refuses the parameter; False where that is no news or it cannot be left out."""
        parameter = str(error.detail.get("vendor_param")).partition(".")[0]
        if parameter not in self.optional_parameters or parameter in self._refused[model]:
            return False
        self._refused[model].add(parameter)
        return True

    def _end(self, chain: Chain, finish: Finish) -> End:
        """Note the success, and tell of it."""
        now, asked_at = asyncio.get_running_loop().time(), chain.asked_at
        self.health.succeeded(now - asked_at)
        chain.link.breaker.succeeded(asked_at, now)
        chain.is_answered = True
        return End(
            provider=self.name,
            model=chain.model,
            fallback=chain.fallback,
            finish_reason=finish.finish_reason,
            raw_finish_reason=finish.raw_finish_reason,
            usage=finish.usage,
            attempts=chain.requests,
            dropped_params=tuple(sorted(self._refused[chain.model])),
        )


def _loudness(error: GatewayError) -> int:
    """ERROR where the operator must act, INFO where the client or its pace is the cause."""
    if error.is_misconfiguration:
        return logging.ERROR
    return logging.INFO if error.kind.status < 500 else logging.WARNING


def _opening(chain: Chain) -> Start | Restart:
    link, fallback = chain.link, chain.fallback
    if chain.told_chars is None or fallback is None:
        return Start(link.provider, link.model, fallback)
    return Restart(link.provider, link.model, fallback, chain.told_chars)
