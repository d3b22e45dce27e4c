"""Providers are imported, built and kept at their first use, and closed the last first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from configuration import VALID_PROVIDERS, ProviderSettings
from models import GatewayError, Prompt
from providers.base import BaseProvider
from providers.factory import ProviderFactory, _provider_classes
from providers.wires.decoder import Batch
from tests.exhaustive import exhaustive
from tests.vendors.scripted_provider import make_settings

ROOT = Path(__file__).parents[2]
SDK_OF = {
    "gpt": "openai",
    "claude": "anthropic",
    "gemini": "google.genai",
    "groq": "groq",
    "local": "openai",
}

# It takes a second to load each of the others.
GROQ_FIRST = [
    ("groq", "groq"),
    *exhaustive(*(pair for pair in SDK_OF.items() if pair[0] != "groq")),
]

closed: list[str] = []


class KeptProvider(BaseProvider):
    """A provider that notes its closing."""

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        closed.clear()

    async def stream_response(
        self, prompt: Prompt, model: str, message_id: str
    ) -> AsyncGenerator[Batch, None]:
        yield []

    async def has_model(self, model: str) -> bool:
        return True

    async def aclose(self) -> None:
        closed.append(self.name)


@pytest.fixture
def no_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider is a kept one: no SDK is imported."""
    monkeypatch.setattr("providers.factory._provider_class", lambda _: KeptProvider)


def factory(**keys: str | None) -> ProviderFactory:
    """A factory of these providers; one without a key is not configured."""
    return ProviderFactory(make_settings(name=name, api_key=key) for name, key in keys.items())


def loaded_after(statements: str) -> set[str]:
    """The SDKs that a new process has imported after these statements."""
    code = f"import sys\n{statements}\nprint(*(sys.modules.keys() & {set(SDK_OF.values())!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_table_has_every_provider() -> None:
    """What the configuration can name, the factory can build, and nothing else."""
    assert tuple(_provider_classes) == VALID_PROVIDERS


def test_importing_the_factory_imports_no_sdk() -> None:
    """An SDK costs up to 1.4 s: one that is not in use is not loaded."""
    assert loaded_after("import providers.factory") == set()


@pytest.mark.parametrize(("name", "sdk"), GROQ_FIRST)
def test_building_a_provider_imports_its_own_sdk_alone(name: str, sdk: str) -> None:
    """A gateway with one vendor's key loads one vendor's SDK."""
    build = (
        "from providers.factory import ProviderFactory\n"
        "from tests.vendors.scripted_provider import make_settings\n"
        f"settings = make_settings(name={name!r}, base_url='http://127.0.0.1:1')\n"
        "import asyncio\n"
        "async def build():\n"
        "    factory = ProviderFactory([settings])\n"
        f"    factory.get({name!r})\n"
        "    await factory.aclose()\n"
        "asyncio.run(build())"
    )
    assert loaded_after(build) == {sdk}


@pytest.mark.usefixtures("no_vendor")
def test_provider_is_built_once() -> None:
    """The same object back: its pool, its health and what its models refused are kept."""
    made = factory(gpt="key", claude="key")
    assert made.built == {}
    assert made.get("gpt") is made.get("gpt")
    assert list(made.built) == ["gpt"]
    assert made.get("claude") is not made.get("gpt")


@pytest.mark.usefixtures("no_vendor")
def test_factories_share_nothing() -> None:
    """What one gateway built is not another's."""
    assert factory(gpt="key").get("gpt") is not factory(gpt="key").get("gpt")


@pytest.mark.parametrize("name", ["unheard-of", "", "GPT", "gpt ", "__class__", "../gpt", "local"])
def test_unknown_provider_is_refused_with_the_valid_names(name: str) -> None:
    """A 404 that says what would have been right; one that is not supported here is as unknown as any."""
    with pytest.raises(GatewayError) as raised:
        factory(gpt="key", claude=None).get(name)
    assert raised.value.code == "unknown_provider"
    assert "gpt, claude" in raised.value.safe_message


def test_unknown_name_is_not_echoed() -> None:
    """What the client sent is not a part of our message."""
    with pytest.raises(GatewayError) as raised:
        factory(gpt="key").settings("<script>")
    assert "script" not in raised.value.safe_message


def test_provider_without_a_key_is_not_configured() -> None:
    """Supported, but without a key: 503, and no SDK is asked to build without one."""
    made = factory(gpt="key", claude=None)
    with pytest.raises(GatewayError) as raised:
        made.get("claude")
    assert (raised.value.code, raised.value.provider) == ("provider_not_configured", "claude")
    assert made.names == ("gpt", "claude")
    assert made.built == {}


@pytest.mark.usefixtures("no_vendor")
async def test_warm_builds_what_is_configured() -> None:
    """Before the first request, so that no request pays for an import."""
    made = factory(gpt="key", claude=None, groq="key")
    await made.warm()
    assert list(made.built) == ["gpt", "groq"]


@pytest.mark.usefixtures("no_vendor")
async def test_warm_keeps_what_was_built() -> None:
    """A provider that is in use already is not replaced."""
    made = factory(gpt="key")
    before = made.get("gpt")
    await made.warm()
    assert made.get("gpt") is before


@pytest.mark.usefixtures("no_vendor")
async def test_closing_closes_the_last_built_first() -> None:
    """Every provider that was built is closed, once."""
    made = factory(gpt="key", claude="key", groq="key")
    for name in ("claude", "groq", "gpt"):
        made.get(name)
    await made.aclose()
    await made.aclose()
    assert closed == ["gpt", "groq", "claude"]


@pytest.mark.usefixtures("no_vendor")
async def test_closing_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """One client that cannot be closed does not leave the others open."""
    made = factory(gpt="key", claude="key")
    made.get("gpt")
    broken = made.get("claude")

    async def fail() -> None:
        raise OSError("closed already")

    monkeypatch.setattr(broken, "aclose", fail)
    with pytest.raises(OSError, match="closed already"):
        await made.aclose()
    assert closed == ["gpt"]
