"""Probable mistakes that do not prevent a start are warnings that name the variable, not its value."""

from __future__ import annotations

import hashlib
import os

import pytest

from configuration import load_settings, startup_warnings

SECRET = "sk-verysecret0123456789"
SHA = hashlib.sha256(b"a key").hexdigest()


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the machine's user has configured is seen."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_API_KEYS", "_MODEL_DEFAULT")) or name in (
            "HOST",
            "DEMO",
        ):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("overrides", "warned"),
    [
        (
            {"openai_api_key": SECRET, "openai_base_url": "http://api.example.com/v1"},
            "OPENAI_BASE_URL is http://",
        ),
        (
            {
                "local_api_key": SECRET,
                "local_base_url": "http://10.0.0.7:1",
                "local_model_default": "m",
            },
            "LOCAL_BASE_URL",
        ),
        ({"openai_api_key": SECRET, "openai_base_url": "https://api.example.com"}, ""),
        ({"openai_api_key": SECRET, "openai_base_url": "http://localhost:1"}, ""),
        ({"openai_api_key": SECRET, "openai_base_url": "http://[::1]:1"}, ""),
        ({"local_base_url": "http://10.0.0.7:1", "local_model_default": "m"}, ""),
        (
            {"trusted_proxies": "0.0.0.0/0", "gateway_api_keys": f"a:{SHA}"},
            "TRUSTED_PROXIES has all of 0.0.0.0/0",
        ),
        (
            {"trusted_proxies": "10.0.0.1,::/0", "gateway_api_keys": f"a:{SHA}"},
            "TRUSTED_PROXIES has all of ::/0",
        ),
        ({"trusted_proxies": "10.0.0.0/8", "gateway_api_keys": f"a:{SHA}"}, ""),
        (
            {"openai_base_url": "https://a.example"},
            "OPENAI_BASE_URL does nothing without OPENAI_API_KEY",
        ),
        ({"local_model_default": "m"}, "LOCAL_MODEL_DEFAULT does nothing without LOCAL_BASE_URL"),
        ({"local_api_key": SECRET}, "LOCAL_API_KEY does nothing without LOCAL_BASE_URL"),
        ({"local_base_url": "http://127.0.0.1:1"}, "LOCAL_MODEL_DEFAULT, which is unset"),
    ],
    ids=str,
)
def test_risk_or_half_a_configuration_is_a_warning(overrides: dict[str, str], warned: str) -> None:
    warnings = startup_warnings(load_settings(None, **overrides))
    assert [warned in warning for warning in warnings] == ([True] if warned else [])
    assert SECRET not in str(warnings)


@pytest.mark.parametrize(
    ("proxies", "wide"),
    [
        ("0.0.0.0/1,128.0.0.0/1", ["0.0.0.0/0"]),
        ("0.0.0.0/0.0.0.0", ["0.0.0.0/0"]),
        ("10.0.0.7,224.0.0.0/4,::1", ["224.0.0.0/4"]),
        (
            ",".join(f"{first}.0.0.0/8" for first in range(1, 256)),
            ["16.0.0.0/4", "32.0.0.0/3", "64.0.0.0/2", "128.0.0.0/1"],
        ),
        ("2000::/4,3000::/4", ["2000::/3"]),
        ("0.0.0.0/0,::/0", ["0.0.0.0/0", "::/0"]),
        ("10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,2001:db8::/32,fe80::/10", []),
        ("8.0.0.0/5,fc00::/7", []),
    ],
)
def test_proxies_trusted_nearly_everywhere_are_a_warning(proxies: str, wide: list[str]) -> None:
    """However the networks are written, in one or in parts."""
    settings = load_settings(
        None, openai_api_key=SECRET, gateway_api_keys=f"a:{SHA}", trusted_proxies=proxies
    )
    warned = [warning for warning in startup_warnings(settings) if "TRUSTED_PROXIES" in warning]
    assert [warning.partition("has all of ")[2].partition(": ")[0] for warning in warned] == wide


@pytest.mark.parametrize("place", [{"trusted_proxies": "127.0.0.1"}, {"host": "0.0.0.0"}], ids=str)
def test_anonymous_access_by_any_name_is_a_warning(place: dict[str, str]) -> None:
    settings = load_settings(None, allow_anonymous=True, openai_api_key=SECRET, **place)
    assert [warning for warning in startup_warnings(settings) if "set ALLOWED_HOSTS" in warning]
    named = load_settings(
        None, allow_anonymous=True, openai_api_key=SECRET, allowed_hosts="chat.example.com", **place
    )
    assert startup_warnings(named) == []


def test_supported_provider_without_key_is_a_warning() -> None:
    settings = load_settings(None, supported_providers="gpt,groq", openai_api_key=SECRET)
    assert startup_warnings(settings) == ["SUPPORTED_PROVIDERS names what is not configured: groq"]
