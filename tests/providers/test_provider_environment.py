"""Nothing that an SDK reads from the environment by itself reaches a vendor: no key, host, header or proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.providers.test_provider_requests import (
    EVERY_VENDOR,
    KEY_HEADERS,
    PLAIN,
    TARGETS,
    open_provider,
    send,
)
from tests.vendors.loopback_vendor import open_vendor, response

CANARY = "canary-of-the-environment"

# Every variable that the installed SDKs and their HTTP clients read and that could change a request.
VALUES = [
    "OPENAI_API_KEY",
    "OPENAI_ADMIN_KEY",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_WEBHOOK_SECRET",
    "OPENAI_API_VERSION",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_ORGANIZATION_ID",
    "ANTHROPIC_SERVICE_ACCOUNT_ID",
    "ANTHROPIC_WORKSPACE_ID",
    "ANTHROPIC_SCOPE",
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_WEBHOOK_SIGNING_KEY",
    "GROQ_API_KEY",
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_GENAI_API_KEY",
    "GOOGLE_GENAI_ACCESS_TOKEN",
    "GOOGLE_GENAI_API_VERSION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION",
]
SWITCHES = ["GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"]
HEADERS = [
    "OPENAI_CUSTOM_HEADERS",
    "ANTHROPIC_CUSTOM_HEADERS",
    "GROQ_CUSTOM_HEADERS",
    "GOOGLE_GENAI_DEFAULT_HEADERS",
]
HOSTS = [
    "OPENAI_BASE_URL",
    "AZURE_OPENAI_ENDPOINT",
    "ANTHROPIC_BASE_URL",
    "GROQ_BASE_URL",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
]


def poison(monkeypatch: pytest.MonkeyPatch, elsewhere: str) -> None:
    """Set every variable; the hosts among them to a server that must never be asked."""
    for name in VALUES:
        monkeypatch.setenv(name, CANARY)
    for name in SWITCHES:
        monkeypatch.setenv(name, "true")
    for name in HEADERS:
        monkeypatch.setenv(name, f"X-Canary: {CANARY}")
    for name in HOSTS:
        monkeypatch.setenv(name, elsewhere)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@EVERY_VENDOR
async def test_chat_takes_nothing_from_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Host, path, key and headers of a chat are the configuration's, whatever the environment says."""
    before = await send(name, PLAIN)
    async with open_vendor(response(b"")) as elsewhere:
        poison(monkeypatch, elsewhere.url)
        request = await send(name, PLAIN)
    assert elsewhere.requests == []
    assert request.target == TARGETS[name]
    assert CANARY not in str(request)
    assert request.body == before.body
    assert {key for key, _ in request.headers} == {key for key, _ in before.headers}
    assert request.header(KEY_HEADERS[name][0]) == [KEY_HEADERS[name][1]]


@EVERY_VENDOR
async def test_health_call_takes_nothing_from_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for the free call, which goes by the SDK's own methods."""
    model = response(
        b'{"id": "m", "object": "model", "name": "models/m"}', content_type="application/json"
    )
    async with open_vendor(model) as vendor, open_vendor(response(b"")) as elsewhere:
        poison(monkeypatch, elsewhere.url)
        async with open_provider(name, vendor) as provider:
            await provider.health_check("m")
    (request,) = vendor.requests
    assert elsewhere.requests == []
    assert CANARY not in str(request)
    assert request.header(KEY_HEADERS[name][0]) == [KEY_HEADERS[name][1]]


@EVERY_VENDOR
async def test_absent_certificates_of_the_environment_are_not_looked_for(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SSL_CERT_FILE and SSL_CERT_DIR do not decide which certificates are trusted: a missing path breaks nothing."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "absent"))
    assert (await send(name, PLAIN)).target == TARGETS[name]
