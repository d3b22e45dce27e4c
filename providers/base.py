"""`BaseProvider`: the chain of models, the commit rule and the clocks, over what an adapter gives for one model.

Until the first content any failure is invisible: the next model is asked. After it no other model's text is spliced
in. This room knows nothing of HTTP towards the client, and nothing of any vendor's wire.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import ClassVar, cast

from configuration import ProviderSettings
from logging_config import debug_with_context
from models import Delta, End, Event, Finish, GatewayError, Prompt, Restart, Start, TextPart, Turn
from providers.attempts import Chain
from providers.deadline import Deadline, DeadlineError
from providers.errors import translate
from providers.health import ProviderHealth
from providers.vendor_stream import Batch, close_surely

_logger = logging.getLogger("gateway.providers")


class BaseProvider(ABC):
    """One vendor. Shared by all chats: it keeps no state of any one stream."""

    # Request parameters that can be left out where a model refuses them.
    optional_parameters: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.health = ProviderHealth()
        self._refused: defaultdict[str, set[str]] = defaultdict(set)

    @abstractmethod
    def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
        """One model's answer, a batch for each network read, a Finish in the last. Closes what it opens.

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
            async for _ in answer:
                pass
        finally:
            await close_surely(answer.aclose())

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

    async def stream(
        self, prompt: Prompt, message_id: str, *, restart: bool = False
    ) -> AsyncGenerator[list[Event], None]:
        """The chat's batches: a Start with the first content, deltas, an End; raises GatewayError where none answers.

        With `restart`, an answer that breaks is followed by a Restart and the next model's whole answer.
        """
        chain = Chain(self.settings.models, self.settings.max_attempts)
        whole = asyncio.get_running_loop().time() + self.settings.clocks.total
        told_chars: int | None = None  # of text, once the client has been told anything
        while True:
            answer = self._answer(prompt, chain, message_id, whole)
            opened = False
            try:
                async for events in answer:
                    batch = events if opened else [self._opening(chain, told_chars), *events]
                    told_chars = _count_chars(events) + (told_chars or 0 if opened else 0)
                    opened = True
                    yield batch
                return
            except GatewayError as error:
                error.partial_chars = told_chars or 0
                error.stage = "before_content" if told_chars is None else "after_content"
                wait = self._plan(chain, error, broke=opened, restart=restart)
            finally:
                await close_surely(answer.aclose())
            await asyncio.sleep(wait)

    def _opening(self, chain: Chain, told_chars: int | None) -> Start | Restart:
        if told_chars is None or chain.fallback is None:
            return Start(self.name, chain.model, chain.fallback)
        return Restart(self.name, chain.model, chain.fallback, told_chars)

    def _plan(self, chain: Chain, error: GatewayError, *, broke: bool, restart: bool) -> float:
        """Seconds to wait before the chain's model is asked; raises the error to tell where none is left."""
        error.provider = self.name
        parameter = str(error.detail.get("vendor_param")).partition(".")[0]
        model = chain.model
        if broke:
            plan = chain.after_break(error, restart=restart)
        elif error.reason == "unsupported_parameter" and self._drop(model, parameter):
            plan = chain.repeat(error)
        else:
            plan = chain.after(error)
        if error.kind.next_model != "no" and error.code != "context_length_exceeded":
            self.health.failed(error.code)  # what the client did wrong says nothing of the vendor
        context = {**error.detail, "provider": self.name, "model": model, "code": error.code, "reason": error.reason}
        _logger.warning("attempt failed", extra={"context": context})
        if plan is None:
            raise chain.verdict(error)
        return plan

    def _drop(self, model: str, parameter: str) -> bool:
        """Remember that the model refuses the parameter; False where that is no news or it cannot be left out."""
        if parameter not in self.optional_parameters or parameter in self._refused[model]:
            return False
        self._refused[model].add(parameter)
        return True

    async def _answer(
        self, prompt: Prompt, chain: Chain, message_id: str, whole: float
    ) -> AsyncGenerator[list[Event], None]:
        """The chain's present model: batches of deltas, and an End in a batch of its own."""
        clocks, now = self.settings.clocks, asyncio.get_running_loop().time
        patience = clocks.last_first_content if chain.is_last else clocks.first_content
        batches = self.stream_response(prompt, chain.model, message_id)
        began, waiting_for = now(), "first_content"
        finish: Finish | None = None
        try:
            with Deadline[Batch](min(began + patience, whole)) as deadline:
                while batch := await _read(deadline, batches):
                    deltas, finish = _split(batch, finish)
                    if deltas:
                        waiting_for = "stalled"
                        yield deltas
                    # Counted from here on: how long the client took for the batch is not the vendor's silence.
                    quiet = clocks.idle if finish is None or finish.settling is None else finish.settling
                    deadline.move(min(now() + quiet, whole))
        except DeadlineError:
            if finish is None:
                reason = "whole" if now() >= whole else waiting_for
                raise GatewayError("upstream_timeout", reason=reason) from None
        finally:
            await close_surely(batches.aclose())
        if finish is None:
            raise GatewayError("upstream_truncated")
        self.health.succeeded(now() - began)
        yield [self._end(chain, finish)]

    def _end(self, chain: Chain, finish: Finish) -> End:
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


def _count_chars(events: list[Event]) -> int:
    return sum(len(event.content) for event in events if type(event) is Delta)


def _split(batch: Batch, finish: Finish | None) -> tuple[list[Event], Finish | None]:
    """The batch's deltas, and its Finish, or else the one there was."""
    last = batch[-1]
    if isinstance(last, Finish):
        return cast(list[Event], batch[:-1]), last
    return cast(list[Event], batch), finish


async def _read(deadline: Deadline[Batch], batches: AsyncIterator[Batch]) -> Batch | None:
    """The next batch, None at the end; whatever an SDK raises comes out as a GatewayError."""
    try:
        return await deadline.read(batches)
    except (GatewayError, DeadlineError):
        raise
    except Exception as error:
        raise translate(error) from error
