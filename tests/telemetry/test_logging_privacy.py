"""Prompts and answers stand in conversation.log alone, and no key in any log, whatever happens to a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from configuration import ProviderOptions
from simulator import Simulator
from tests.clients.plain_http import make_client
from tests.gateways.loopback import make_settings, running_gateway
from tests.gateways.scripted import scripted_gateway
from tests.telemetry.test_error_reporting_privacy import (
    ANSWER,
    BODY,
    FAILURES,
    GATEWAY_KEY,
    GATEWAY_KEY_ENTRY,
    HEADERS,
    ONE_MODEL,
    PROMPT,
    VENDOR_KEY,
    WIRES,
)

if TYPE_CHECKING:
    from pathlib import Path


def read_texts(folder: Path) -> dict[str, str]:
    """The logs by their names."""
    return {file.stem: file.read_text() for file in folder.glob("*.log")}


def assert_logs_are_clean(folder: Path, console: str) -> None:
    """No canary is in a log or on the console, but for what was said, which is in conversation.log."""
    texts = read_texts(folder)
    conversation = texts.pop("conversation")
    assert PROMPT in conversation
    for text in (texts["app"], console):
        assert "chat finished" in text
    for text in (*texts.values(), console):
        assert "canary" not in text
    assert "canary" not in conversation.replace(PROMPT, "").replace(ANSWER, "")


@pytest.mark.parametrize("failure", FAILURES)
async def test_prompt_is_in_its_log_alone_and_no_key_in_any(
    tmp_path: Path, failure: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Even an exception that quotes them gets neither prompt nor key into a log, nor into the answer."""
    vendors = {**make_settings(tmp_path).vendors, "gpt": ONE_MODEL}
    options = {"gateway_api_keys": (GATEWAY_KEY_ENTRY,), "vendors": vendors, "log_level": "DEBUG"}
    async with scripted_gateway(tmp_path, **options) as gateway:
        gateway.gpt.enqueue(*FAILURES[failure])
        response = await gateway.client.post(
            "/chat/gpt", json=BODY, headers=HEADERS, params={"q": "canary-query"}
        )
        await gateway.running.settle()
    assert_logs_are_clean(tmp_path, capfd.readouterr().err)
    for words in (PROMPT, VENDOR_KEY, GATEWAY_KEY):
        assert words not in response.text


@pytest.mark.parametrize("wire", WIRES)
async def test_what_a_vendor_echoes_is_in_no_log(
    tmp_path: Path, wire: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Through a real SDK, whose exceptions and debug lines hold the request, the key and the vendor's words."""
    async with Simulator(behaviours={"luna": WIRES[wire]}) as simulator:
        gpt = ProviderOptions(
            api_key=SecretStr(VENDOR_KEY), model_default="luna", base_url=simulator.base_urls["gpt"]
        )
        vendors = {**make_settings(tmp_path).vendors, "gpt": gpt}
        options = {
            "gateway_api_keys": (GATEWAY_KEY_ENTRY,),
            "vendors": vendors,
            "log_level": "DEBUG",
        }
        async with (
            running_gateway(make_settings(tmp_path, **options)) as running,
            make_client(running.url) as client,
        ):
            response = await client.post("/chat/gpt", json=BODY, headers=HEADERS)
            await running.settle()
    assert_logs_are_clean(tmp_path, capfd.readouterr().err)
    assert PROMPT not in response.text
    assert VENDOR_KEY not in response.text


async def test_refused_request_leaves_nothing_that_it_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A body that breaks the rules, or a wrong key, is not quoted."""
    async with scripted_gateway(
        tmp_path, gateway_api_keys=(GATEWAY_KEY_ENTRY,), log_level="DEBUG"
    ) as gateway:
        headers = {"Authorization": f"Bearer {GATEWAY_KEY}"}
        for body in (
            {"messages": PROMPT},
            {"messages": [{"role": PROMPT, "content": PROMPT}]},
            [PROMPT],
        ):
            response = await gateway.client.post("/chat/gpt", json=body, headers=headers)
            assert response.status_code == 422
        response = await gateway.client.post(
            "/chat/gpt", json=BODY, headers={"Authorization": "Bearer canary-wrong"}
        )
        assert response.status_code == 401
    texts = read_texts(tmp_path)
    assert "answered with an error" in texts["app"]
    assert "canary" not in "".join([*texts.values(), capfd.readouterr().err])
