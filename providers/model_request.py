"""One request to one model, from the asking to the end of its answer: its clocks, and that it has an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

from configuration import Clocks
from models import Delta, Finish, GatewayError
from providers.attempts import Chain
from providers.deadline import Deadline, DeadlineError
from providers.errors import translate
from providers.vendor_stream import Batch

_logger = logging.getLogger("gateway.providers")


class ModelRequest:
    """The request to the chain's present model. `with request.watched():` around the reading of its answer.

    `take` each batch before its deltas are yielded, `go_on` after that.
    """

    __slots__ = ("_chain", "_clocks", "_deadline", "_now", "finish", "has_content")

    def __init__(self, chain: Chain, clocks: Clocks) -> None:
        self._chain = chain
        self._clocks = clocks
        self._now = asyncio.get_running_loop().time
        self.finish: Finish | None = None  # the vendor's word that the answer is whole
        self.has_content = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Whatever goes wrong within is raised as GatewayError, an answer that has no end too."""
        chain, breaker = self._chain, self._chain.link.breaker
        chain.asked_at = self._now()
        is_probe = breaker.ask(chain.asked_at)
        try:
            with Deadline(min(chain.asked_at + self._patience(), chain.until)) as self._deadline:
                yield
        except DeadlineError:
            if self.finish is None:
                raise GatewayError("upstream_timeout", reason=self._waited_for()) from None
        except GatewayError:
            raise
        except Exception as error:
            raise translate(error) from error
        finally:
            if is_probe:
                breaker.release()
        if self.finish is None:
            raise GatewayError("upstream_truncated")

    def take(self, batch: Batch) -> list[Delta]:
        """The batch's deltas; a Finish is taken out of it. From now on time passes for the client."""
        self._deadline.pause()
        if type(batch[-1]) is Finish:
            self.finish = cast(Finish, batch.pop())
        if batch and not self.has_content:
            self._note_content()
        return cast(list[Delta], batch)

    def go_on(self) -> None:
        """Wait for the vendor again. How long the client took for the batch is not the vendor's silence."""
        finish = self.finish
        quiet = self._clocks.idle if finish is None or finish.settling is None else finish.settling
        self._deadline.move(min(self._now() + quiet, self._chain.until))

    def _note_content(self) -> None:
        self.has_content = True
        link = self._chain.link
        if link.breaker.answered(self._chain.asked_at):
            _logger.info("breaker closed", extra={"context": link.context()})

    def _patience(self) -> float:
        return self._clocks.last_first_content if self._chain.is_last else self._clocks.first_content

    def _waited_for(self) -> Literal["whole", "stalled", "first_content"]:
        if self._now() >= self._chain.until:
            return "whole"
        return "stalled" if self.has_content else "first_content"
