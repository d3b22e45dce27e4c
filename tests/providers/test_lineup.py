"""The models that a chat may ask: one that the client asked for by its name comes first."""

from __future__ import annotations

import pytest

from models import Event, GatewayError, Start
from providers import lineup
from tests.gateways.scripted import IDENTITY, QUESTION, PortGateway, answer


async def ask_model(gateway: PortGateway, model: str) -> list[Event]:
    """The events of a chat with `gpt` whose client asks for a model by its name."""
    chat = gateway.stream_chat("gpt", QUESTION, IDENTITY, model=model)
    return [event async for batch in chat for event in batch]


async def test_model_that_is_asked_for_answers() -> None:
    """The provider's own models are not asked, and there is no fallback."""
    gateway = PortGateway(answer("Hello"))
    opening, *_ = await ask_model(gateway, "third")
    assert opening == Start("gpt", "third")
    assert gateway.gpt.history == ["third"]


async def test_providers_own_models_are_the_fallback() -> None:
    """The model that was asked for is named as the one that failed."""
    gateway = PortGateway([GatewayError("upstream_model_not_found")], answer("Hello"))
    opening, *_ = await ask_model(gateway, "third")
    assert isinstance(opening, Start)
    assert opening.fallback
    assert (opening.model, opening.fallback.from_model) == ("first", "third")
    assert gateway.gpt.history == ["third", "first"]


async def test_own_model_that_is_asked_for_is_asked_once() -> None:
    """The fallback model comes first then, and the default is its fallback."""
    gateway = PortGateway([GatewayError("upstream_timeout")], answer("Hello"))
    await ask_model(gateway, "second")
    assert gateway.gpt.history == ["second", "first"]


async def test_little_is_kept_of_the_names_that_clients_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a pattern such as `*` a client may ask for one new name after another; the newest are kept."""
    monkeypatch.setattr(lineup, "_MAX_ASKED", 2)
    names = ["a", "b", "first", "c", "d"]
    gateway = PortGateway(*[answer("Hello")] * len(names))
    for name in names:
        await ask_model(gateway, name)
    assert {*gateway.gpt.breakers} == {"first", "second", "c", "d"}
    assert gateway.gpt.history == names
