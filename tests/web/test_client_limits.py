"""The limits of clients over HTTP: refusals and headers in each protocol, and streams that are given back."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from models import GatewayError
from settings.client_limits import ClientLimits
from settings.gateway_keys import GatewayKey
from settings.new_keys import new_key
from tests.gateways.scripted import answer, scripted_gateway, silence
from tests.web.test_key_scopes import BODIES, DOOR_NAMES, PATHS, words_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.gateways.scripted import ScriptedGateway

KEY, SHA256 = new_key("phone")
HEADERS = {"Authorization": f"Bearer {KEY}"}
PATIENCE_SECONDS = 30


@asynccontextmanager
async def limited_gateway(folder: Path, **limits: Any) -> AsyncIterator[ScriptedGateway]:
    """A gateway whose key has these limits. A file of keys turns the limits on."""
    lines = "".join(f"{name} = {value}\n" for name, value in limits.items())
    file = folder / "keys.toml"
    file.write_text(f'[keys.phone]\nsha256 = "{SHA256}"\n{lines}')
    async with scripted_gateway(folder, keys_file=file) as gateway:
        yield gateway


async def ask(gateway: ScriptedGateway, door: str = "native", **fields: Any) -> httpx.Response:
    """The response to a chat."""
    return await gateway.client.post(PATHS[door], json=BODIES[door] | fields, headers=HEADERS)


@pytest.mark.parametrize("door", DOOR_NAMES)
async def test_request_over_the_limit_is_refused_in_the_doors_words(
    tmp_path: Path, door: str
) -> None:
    """429 with when to retry, before the body is read or a vendor is asked."""
    async with limited_gateway(tmp_path, requests_per_minute=1) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        first = await ask(gateway, door)
        second = await ask(gateway, door, messages=None)
        assert len(gateway.gpt.history) == 1
    assert first.status_code == 200
    words = {
        "anthropic": "rate_limit_error",
        "ui_message": "rate_limited",
        "native": "rate_limited",
    }
    assert words_of(second, door) == (429, words.get(door, "rate_limit_exceeded"))
    assert 58 <= int(second.headers["retry-after"]) <= 60
    assert second.headers["x-should-retry"] == "true"


@pytest.mark.parametrize("door", DOOR_NAMES)
async def test_answer_and_refusal_have_the_doors_headers(tmp_path: Path, door: str) -> None:
    """Of requests and of tokens, as the clients of each protocol read them."""
    async with limited_gateway(tmp_path, requests_per_minute=2, tokens_per_day=21) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))  # 21 tokens
        first, second = await ask(gateway, door), await ask(gateway, door)
    assert (first.status_code, second.status_code) == (200, 429)
    for response, requests, tokens in ((first, 1, 21), (second, 1, 0)):
        headers = response.headers
        if door == "anthropic":
            kinds = ["requests", "tokens"]
            left = [headers[f"anthropic-ratelimit-{kind}-remaining"] for kind in kinds]
            assert re.fullmatch(r"\d{4}-.+Z", headers["anthropic-ratelimit-tokens-reset"])
        elif door.startswith("openai"):
            left = [headers[f"x-ratelimit-remaining-{kind}"] for kind in ("requests", "tokens")]
            assert re.fullmatch(r"(\d+[hms])+", headers["x-ratelimit-reset-tokens"])
        else:
            left = re.findall(r";r=(\d+);t=\d+", headers["ratelimit"])
            policy = '"requests_per_minute";q=2;w=60, "tokens_per_day";q=21;w=86400'
            assert headers["ratelimit-policy"] == policy
        assert left == [str(requests), str(tokens)]


@pytest.mark.parametrize("door", DOOR_NAMES)
async def test_spent_budget_is_refused_until_the_next_period(tmp_path: Path, door: str) -> None:
    """No SDK waits that long, so none is asked to retry."""
    async with limited_gateway(tmp_path, tokens_per_day=5) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        first, second = await ask(gateway, door), await ask(gateway, door)
    assert first.status_code == 200
    words = {"anthropic": "rate_limit_error", "ui_message": "budget_exceeded"}
    assert words_of(second, door) == (
        429,
        words.get(door, "budget_exceeded" if door == "native" else "insufficient_quota"),
    )
    seconds = int(second.headers["retry-after"])
    assert 0 < seconds <= 86_400
    assert second.headers["x-should-retry"] == ("true" if seconds <= 60 else "false")


async def test_money_is_charged_by_the_price_of_the_answer(tmp_path: Path) -> None:
    """A key's dollars are the operator's matter, so no header has them."""
    async with limited_gateway(tmp_path, usd_per_day=0.0001) as gateway:
        gateway.gpt.prices = FixedPrice()  # type: ignore[assignment]
        gateway.gpt.enqueue(*answer("Hi"))
        first, second = await ask(gateway), await ask(gateway)
    assert (first.status_code, second.status_code) == (200, 429)
    assert second.json()["error"]["reason"] == "usd_per_day"
    assert not any("ratelimit" in name for name in first.headers)


class FixedPrice:
    """Every answer has the same price."""

    def cost(self, _model: str, _usage: object) -> float:
        """The price in dollars."""
        return 0.0002


async def test_stream_is_given_back_however_a_chat_ends(tmp_path: Path) -> None:
    """A whole answer, a vendor's failure, a body that is refused, a client that leaves."""
    async with limited_gateway(tmp_path, streams=1) as gateway:
        for _ in range(2):
            gateway.gpt.enqueue(*answer("Hi"))
            assert (await ask(gateway)).status_code == 200
            gateway.gpt.enqueue(GatewayError("content_filtered"))
            assert (await ask(gateway)).status_code == 422
            assert (await ask(gateway, messages=7)).status_code == 422
            gateway.gpt.enqueue(*answer("Hi")[:1], silence)
            leaving = asyncio.create_task(ask(gateway))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await gateway.gpt.silent.wait()
                assert (await ask(gateway)).json()["error"]["reason"] == "streams"
                leaving.cancel()
                await asyncio.gather(leaving, return_exceptions=True)
                while (await ask(gateway, messages=7)).status_code == 429:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            gateway.gpt.silent.clear()


async def test_chat_that_is_cut_is_charged(tmp_path: Path) -> None:
    """A client that leaves before the end does not chat for nothing."""
    async with limited_gateway(tmp_path, tokens_per_day=2) as gateway:
        gateway.gpt.enqueue(*answer("Hi, and more words")[:1], silence)
        leaving = asyncio.create_task(ask(gateway))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await gateway.gpt.silent.wait()
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            while (response := await ask(gateway, messages=7)).status_code != 429:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert response.json()["error"]["reason"] == "tokens_per_day"


async def test_anonymous_clients_are_limited_by_address(tmp_path: Path) -> None:
    """The address that a trusted proxy reports, of IPv6 the network."""
    options = {
        "allow_anonymous": True,
        "trusted_proxies": ("127.0.0.1",),
        "anonymous_requests_per_minute": 1,
    }
    async with scripted_gateway(tmp_path, **options) as gateway:

        async def status(address: str) -> int:
            gateway.gpt.enqueue(*answer("Hi"))
            response = await gateway.client.post(
                PATHS["native"], json=BODIES["native"], headers={"X-Forwarded-For": address}
            )
            return response.status_code

        assert await status("203.0.113.7") == 200
        assert await status("203.0.113.7") == 429
        assert await status("203.0.113.8") == 200
        assert await status("2001:db8:1:2::3") == 200
        assert await status("2001:db8:1:2:ffff::4") == 429
        assert await status("2001:db8:1:3::3") == 200


async def test_without_limits_nothing_is_counted(tmp_path: Path) -> None:
    """There is no gate, and no header."""
    async with scripted_gateway(tmp_path) as gateway:
        assert gateway.running.app.state.services.gate is None
        gateway.gpt.enqueue(*answer("Hi"))
        response = await gateway.chat()
    assert not any("ratelimit" in name for name in response.headers)


def test_key_of_the_environment_has_no_limits() -> None:
    assert GatewayKey("phone", SHA256).limits is None
    assert not ClientLimits(requests_per_minute=1).has_budget
