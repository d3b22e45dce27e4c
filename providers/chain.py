"""`run_chat`: the loop of one chat. It asks one model after another until one has answered.

Before the first content a failure is invisible to the client: another model is asked. After it,
text of another model is never spliced in. `providers.policy` decides what follows a failure.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from enum import Enum
from functools import partial
from typing import assert_never, cast

from cluster.state_store import StateStore, state_key, state_scope
from models import Chat, End, Event, GatewayError, Prompt, Restart, Start
from providers import policy
from providers.answer_calls import AnswerCalls
from providers.attempt import Attempt
from providers.base import BaseProvider
from providers.parameters import fit
from providers.policy import AskAgain, AskNext, Chain, Fail, Failed, Link
from providers.states import drop_foreign_states, restore_states, stateless_calls
from providers.wires.finish_reasons import Finish
from streams.deadline import CancelReason, CancelScope
from streams.failure import Failure
from streams.kept_chat import KeptChat
from streams.off_loop import call_off_loop
from telemetry.chat_recorder import ChatRecorder

Batches = AsyncGenerator[list[Event], None]


class ChatState(Enum):
    """How far a chat has come."""

    ASKING = "asking"  # the model that is asked now has sent no content: it may be left for another
    ANSWERING = "answering"  # it has: this is its answer
    ANSWERED = "answered"  # that is complete


async def run_chat(opened: AbstractContextManager[RunningChat]) -> Batches:
    """Yield a chat's batches: a Start with the first content, deltas, an End; or raise Failure.

    If the client wants that, a broken answer is followed by a Restart and the next model's complete
    answer. The chat is opened and closed in here, since a generator around this one would be
    resumed for each batch.
    """
    with opened as chat:
        # A client that left while its request was being read is noticed here: no model is asked.
        await chat.scope.sleep(0)
        if "calls" in chat.kept.kinds:
            await chat.recall()
        while True:
            attempt = await chat.begin()
            try:
                async with attempt.opened() as batches:
                    if deltas := await attempt.first_content(batches):
                        yield [chat.commit(attempt), *deltas]
                        attempt.go_on()
                        async for batch in batches:
                            if deltas := attempt.take(batch):
                                yield deltas
                            attempt.go_on()
            except GatewayError as error:
                wait = chat.follow(attempt, error)
            else:
                opening = [chat.commit(attempt)] if chat.state is ChatState.ASKING else []
                if attempt.calls:
                    await chat.remember(attempt.calls)
                yield [*opening, *attempt.rest, chat.end(attempt)]
                return
            await chat.scope.sleep(wait)


class RunningChat:
    """One chat in progress.

    `prepare` finds a provider by its name and makes its prompt of what is `kept`. `until` is the
    end of the whole chat, in the loop's time.
    """

    __slots__ = (
        "_attempt",
        "_chain",
        "_failures",
        "_message_id",
        "_named",
        "_place",
        "_prepare",
        "_record",
        "_states",
        "kept",
        "scope",
        "state",
    )

    def __init__(
        self,
        chain: Chain,
        kept: KeptChat,
        prepare: Callable[[str], tuple[BaseProvider, Prompt]],
        states: StateStore,
        record: ChatRecorder,
        message_id: str,
        until: float,
    ) -> None:
        self.state = ChatState.ASKING
        self.kept = kept
        self._chain = chain
        self._prepare = prepare
        self._states = states
        self._record = record
        self._message_id = message_id
        self.scope = CancelScope(until, limit=until)
        self._place = 0  # in the chain, of the model that is asked now
        self._failures: list[Failed] = []
        self._attempt: Attempt | None = None  # the newest
        self._named: Link | None = None  # the model of the newest Start or Restart

    @property
    def key_hash(self) -> str | None:
        """The hash of its client's gateway key, if it has one."""
        return self._record.key_hash

    def cancel(self, reason: CancelReason) -> None:
        """End the chat with ScopeCancelledError: now, or after the batch that is being written."""
        self.scope.cancel(reason)

    def failure(self, error: GatewayError) -> Failure:
        """How the chat fails with an error that is no vendor's."""
        newest = [Failed(self._place, error, self._attempt.chars)] if self._attempt else []
        sent = policy.sent_chars(self._chain, [*self._failures, *newest])
        return Failure(
            error,
            provider=self._named.provider if self._named else self._chain.default.provider,
            model=self._named.model if self._named else None,
            stage="before_content" if sent is None else "after_content",
            sent_chars=sent or 0,
        )

    async def recall(self) -> None:
        """Put the states that the client has not sent back into the chat."""
        chat, scope = self.kept.chat, self._state_scope()
        make = partial(_keys, chat, scope)
        keys = await call_off_loop(make, is_long=self.kept.is_large)
        if keys and (found := await self._states.get(keys)):
            self.kept.replace(restore_states(chat, found, scope))

    async def remember(self, calls: AnswerCalls) -> None:
        """Keep the states of an answer's calls for the next turn."""
        kept = list(calls.kept())
        if kept:
            scope = self._state_scope()
            await self._states.put({state_key(call, scope): state for call, state in kept})

    def _state_scope(self) -> str:
        return state_scope(self._record.owner, self.kept.question)

    async def begin(self) -> Attempt:
        """The request to the model that is asked now."""
        self.state = ChatState.ASKING
        link = self._chain.links[self._place]
        make = partial(self._make_prompt, link)
        provider, asked = await call_off_loop(make) if self.kept.is_large else make()
        is_last = self._place >= self._chain.last_place
        attempt = Attempt(
            provider,
            link,
            asked,
            self._message_id,
            self._record,
            self.scope,
            is_last=is_last,
        )
        self._attempt = attempt
        return attempt

    def _make_prompt(self, link: Link) -> tuple[BaseProvider, Prompt]:
        """The model's provider, and what it is asked."""
        provider, prompt = self._prepare(link.provider)
        left_out = provider.left_out(link.model)
        if self._failures:
            left_out = left_out.union(policy.dropped(self._chain, self._failures, self._place))
        asked = fit(prompt, left_out) if left_out else prompt
        if not asked.is_plain:
            asked = drop_foreign_states(asked, *link)
        return provider, asked

    def commit(self, attempt: Attempt) -> Start | Restart:
        """From now on it is this model's answer."""
        self.state = ChatState.ANSWERING
        self._named = attempt.link
        if not self._chain.asks_after_break:
            self.kept.release()
        opening = policy.opening(self._chain, self._failures, self._place)
        self._record.begin_answer(opening, attempt.texts, has_content=attempt.chars is not None)
        return opening

    def follow(self, attempt: Attempt, error: GatewayError) -> float:
        """Choose the model to ask next, and return the seconds to wait; or raise Failure."""
        # A call without a name is content that was never sent.
        chars = None if self.state is ChatState.ASKING else attempt.chars
        self._failures.append(Failed(self._place, error, chars))
        decision = policy.decide(self._chain, self._failures)
        if isinstance(decision, Fail):
            raise decision.failure from error.__cause__
        # Its frames and causes hold the request, which is large, and the next answer may be long.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        match decision:
            case AskAgain(wait, jitter):
                return wait + random.uniform(0, jitter)
            case AskNext(place):
                self._place = place
                return 0.0
        assert_never(decision)

    def end(self, attempt: Attempt) -> End:
        """The end of the model's answer."""
        self.state = ChatState.ANSWERED
        provider, link = attempt.provider, attempt.link
        provider.remember(link.model, policy.dropped(self._chain, self._failures, self._place))
        finish = cast(Finish, attempt.finish)
        end = End(
            provider=link.provider,
            model=link.model,
            fallback=policy.fallback(self._chain, self._failures, self._place),
            finish_reason=finish.finish_reason,
            raw_finish_reason=finish.raw_finish_reason,
            usage=finish.usage,
            cost=provider.cost(link.model, finish.usage),
            attempts=len(self._failures) + 1,
            dropped_params=provider.dropped_params(attempt.asked, link.model),
        )
        return self._record.end_answer(end)


def _keys(chat: Chat, scope: str) -> list[str]:
    """The keys of the calls in whose turns the client sent no state."""
    return [state_key(call, scope) for call in stateless_calls(chat)]
