"""The configuration: what is read from which source, what is refused and in which words, and that no secret shows."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dotenv import dotenv_values
from pydantic import ValidationError

import configuration
from configuration import (
    PROVIDER_SETTINGS,
    VALID_PROVIDERS,
    ConfigurationError,
    GatewayKey,
    GatewayOptions,
    ProviderOptions,
    Settings,
    Timeouts,
    load_settings,
    startup_warnings,
)

EXAMPLE = Path(__file__).parents[1] / ".env.example"
SECRET = "sk-verysecret0123456789"
SHA = hashlib.sha256(b"a key").hexdigest()
OWN_VARIABLES = {option.upper() for option in GatewayOptions.model_fields}
VENDORS = [name for name in VALID_PROVIDERS if name != "local"]
VARIABLES = OWN_VARIABLES | {
    name for names in PROVIDER_SETTINGS.values() for name in names.values()
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine that runs the tests is seen."""
    for name in list(os.environ):
        if name.upper() in VARIABLES or name.upper().startswith(("OPENAI", "MAX_")):
            monkeypatch.delenv(name)


def load(**overrides: Any) -> Settings:
    return load_settings(None, **overrides)


def load_text(folder: Path, text: str | bytes) -> Settings:
    path = folder / ".env"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return load_settings(path)


def refuse(**overrides: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**overrides)
    return str(caught.value)


def key_of(settings: Settings, name: str = "gpt") -> str | None:
    key = settings.provider(name).api_key
    return key.get_secret_value() if key else None


def test_example_names_every_variable_and_no_other() -> None:
    assert set(dotenv_values(EXAMPLE)) == VARIABLES


def test_example_names_each_variable_once() -> None:
    names = re.findall(r"^([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert len(names) == len(set(names))


def test_example_explains_each_option_on_the_line_above_it() -> None:
    """The options of a vendor are explained at the first one."""
    lines = EXAMPLE.read_text().splitlines()
    explained = {
        below.partition("=")[0] for line, below in pairwise(lines) if line.startswith("# ")
    }
    assert explained >= OWN_VARIABLES | set(PROVIDER_SETTINGS["gpt"].values())


def test_example_shows_the_defaults() -> None:
    """Loading it is loading nothing; what has a default is written out, what has none is empty or a placeholder."""
    defaults, example = load(), load_settings(EXAMPLE)
    ignored = {"placeholders"}
    assert example.model_dump(exclude=ignored) == defaults.model_dump(exclude=ignored)
    written = {
        name
        for name, text in dotenv_values(EXAMPLE).items()
        if text and not text.startswith("your_")
    }
    own = {name for name in OWN_VARIABLES if getattr(defaults, name.lower()) not in (None, ())}
    vendors = {
        variable
        for name, variables in PROVIDER_SETTINGS.items()
        for option, variable in variables.items()
        if getattr(defaults.provider(name), option) not in (None, ())
    }
    dependent = {"SENTRY_DEBUG_ROUTE", "CONVERSATION_LOG"}  # their defaults depend on others
    assert written == (own | vendors) - dependent


def test_unedited_copy_of_the_example_is_demo_mode_with_one_warning_about_placeholders() -> None:
    settings = load_settings(EXAMPLE)
    assert settings.demo_mode
    unset = sorted(
        name for name, text in dotenv_values(EXAMPLE).items() if text and text.startswith("your_")
    )
    assert startup_warnings(settings) == [f"placeholders count as unset: {', '.join(unset)}"]
    assert {
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "GROQ_API_KEY",
        "OPENAI_API_KEY",
        "SENTRY_DSN",
    } <= {*unset}


def test_nothing_configured_is_demo_mode_without_a_warning() -> None:
    assert load().demo_mode
    assert startup_warnings(load()) == []


@pytest.mark.parametrize(
    "unset",
    ["", "   ", "\t", '""', "''", "' '", "your_openai_api_key", "YOUR_KEY", "Your_Key_Here", "<key>", "<your key>",
     "changeme", "ChangeMe123", "change_me", '"your_key"'],
)  # fmt: skip
def test_empty_and_placeholder_values_count_as_unset(
    unset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", unset)
    monkeypatch.setenv("PORT", unset)
    settings = load()
    assert (key_of(settings), settings.port, settings.demo_mode) == (None, 3050, True)


@pytest.mark.parametrize(
    "written", [SECRET, f"  {SECRET}\t", f'"{SECRET}"', f"'{SECRET}'", f'" {SECRET} "']
)
def test_quotes_and_white_space_around_a_key_are_stripped(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", written)
    assert key_of(load()) == SECRET


@pytest.mark.parametrize(
    "prompt", ["<role>tutor</role>", "Your task is to help.", 'Say "yes" or "no"', "Change me not"]
)
def test_a_system_prompt_is_no_placeholder(prompt: str) -> None:
    assert load(openai_system_prompt=prompt).provider("gpt").system_prompt == prompt


def test_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "4000")
    settings = load_text(tmp_path, "PORT=5000\nMAX_STREAMS=7\n")
    assert (settings.port, settings.max_streams) == (4000, 7)


def test_unset_value_in_the_environment_does_not_hide_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "your_key")
    settings = load_text(tmp_path, f"OPENAI_API_KEY={SECRET}\n")
    assert key_of(settings) == SECRET
    assert settings.placeholders == ()


@pytest.mark.parametrize("head", ["", "\ufeff"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_file_with_byte_order_mark_or_windows_line_ends_is_read(
    head: str, line_end: str, tmp_path: Path
) -> None:
    settings = load_text(
        tmp_path, head + line_end.join([f"OPENAI_API_KEY={SECRET}", "PORT=4000", ""])
    )
    assert (key_of(settings), settings.port) == (SECRET, 4000)


def test_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\.env: .*UTF-8") as caught:
        load_text(tmp_path, f"OPENAI_API_KEY={SECRET}".encode("utf-16"))
    assert caught.value.__suppress_context__  # the decoder's error holds the whole file


def test_absent_file_is_no_error(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "absent") == load()


def test_unknown_variable_in_the_file_is_a_warning(tmp_path: Path) -> None:
    settings = load_text(tmp_path, "PGPASSFILE=x\nOPENAI_ORG_ID=org\n")
    (warning,) = startup_warnings(settings)
    assert "no variable of the gateway: OPENAI_ORG_ID, PGPASSFILE" in warning


def test_unknown_variable_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://x")
    assert startup_warnings(load()) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("OPENAI_MODEL_DEFALT", "OPENAI_MODEL_DEFAULT"),
        ("MAX_STREAM", "MAX_STREAMS"),
        ("OPENAI_APIKEY", "OPENAI_API_KEY"),
    ],
)
def test_misspelled_variable_is_a_warning(written: str, meant: str, tmp_path: Path) -> None:
    assert startup_warnings(load_text(tmp_path, f"{written}=x")) == [
        f"{written} is no variable of the gateway; was {meant} meant?"
    ]


def test_override_that_is_no_variable_is_a_programmers_error() -> None:
    with pytest.raises(TypeError, match="OPENAI_KEY"):
        load(openai_key="x")


def test_each_provider_has_the_models_of_the_contract() -> None:
    models = {
        "gpt": ("gpt-6-luna", "gpt-5.6-luna"),
        "claude": ("claude-haiku-5-5", "claude-sonnet-5-5"),
        "gemini": ("gemini-3.8-flash", "gemini-3.5-flash-lite"),
        "groq": ("openai/gpt-oss-120b", "openai/gpt-oss-20b"),
        "local": (),
    }
    assert {name: load().provider(name).chain for name in models} == models


def test_fallback_that_is_the_default_model_is_no_second_model() -> None:
    assert load(openai_model_default="m", openai_model_fallback="m").provider("gpt").chain == ("m",)


@pytest.mark.parametrize("name", VALID_PROVIDERS)
def test_each_option_of_each_provider_is_read_from_its_variable(name: str) -> None:
    texts = {
        "api_key": SECRET, "base_url": "http://127.0.0.1:1/v1", "model_default": "a", "model_fallback": "b",
        "temperature": "0.5", "max_tokens": "7", "system_prompt": "Hello.", "reasoning_effort": "high",
    }  # fmt: skip
    provider = load(
        **{PROVIDER_SETTINGS[name][option].lower(): text for option, text in texts.items()}
    ).provider(name)
    assert texts == {option: str(getattr(provider, option)) for option in texts} | {
        "api_key": SECRET
    }
    assert key_of(load(**{PROVIDER_SETTINGS[name]["api_key"].lower(): SECRET}), name) == SECRET


def test_provider_has_the_timeouts_and_limits() -> None:
    provider = load(
        idle_timeout_seconds="1.5", max_streams=20, max_attempts=3, max_event_bytes=4096
    ).provider("gpt")
    assert provider.timeouts == Timeouts(5, 12, 60, 1.5, 600, 5)
    assert (provider.max_attempts, provider.max_event_bytes, provider.max_connections) == (
        3,
        4096,
        120,
    )
    assert load(max_answer_chars=1000).provider("gpt").max_answer_chars == 1000


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("gemini_base_url", "https://generativelanguage.googleapis.com/v1beta/openai/"),
        ("gemini_base_url", "https://proxy.example.com/v1/chat/completions"),
        (
            "gemini_base_url",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.8-flash:generateContent",
        ),
        ("gemini_base_url", "https://api.openai.com/v1"),
        ("anthropic_base_url", "https://api.openai.com/v1/"),
        ("anthropic_base_url", "https://api.example.com/v1/chat/completions"),
        ("openai_base_url", "https://api.openai.com/v1/completions"),
        ("openai_base_url", "https://api.openai.com/v1/embeddings"),
        ("openai_base_url", "https://api.anthropic.com/v1/messages"),
        ("openai_base_url", "https://api.deepseek.com/anthropic"),
        ("local_base_url", "http://127.0.0.1:11434/api/chat"),
        ("groq_base_url", "https://api.groq.com/openai/v1#top"),
        ("openai_base_url", "api.openai.com/v1"),
        ("openai_base_url", "ftp://api.openai.com/v1"),
    ],
)
def test_address_that_cannot_be_right_is_refused(variable: str, url: str) -> None:
    """One of another API, with a fragment, or without a scheme: each chat would fail."""
    assert variable.upper() in refuse(**{variable: url})


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("openai_base_url", "https://generativelanguage.googleapis.com/v1beta/openai/"),
        (
            "openai_base_url",
            "https://x.openai.azure.com/openai/deployments/gpt-4o?api-version=2024-10-21",
        ),
        ("openai_base_url", "https://api.openai.com/v1/chat/completions"),
        ("anthropic_base_url", "https://api.deepseek.com/anthropic"),
        ("anthropic_base_url", "https://api.anthropic.com/v1/messages"),
        ("gemini_base_url", "https://generativelanguage.googleapis.com/v1beta"),
        ("groq_base_url", "https://api.groq.com/openai/v1/"),
        ("local_base_url", "http://[::1]:11434"),
    ],
)
def test_address_is_taken_as_the_documentation_writes_it(variable: str, url: str) -> None:
    """With a version, an endpoint, a query or none of them."""
    name = next(
        name for name, names in PROVIDER_SETTINGS.items() if variable.upper() in names.values()
    )
    assert load(**{variable: url}).provider(name).base_url == url


def test_providers_addresses_are_their_vendors() -> None:
    """Each vendor's own, and none for a self-hosted server."""
    addresses = {
        "gpt": "https://api.openai.com/v1",
        "claude": "https://api.anthropic.com",
        "gemini": "https://generativelanguage.googleapis.com",
        "groq": "https://api.groq.com/openai/v1",
        "local": None,
    }
    assert {name: load().provider(name).base_url for name in addresses} == addresses
    others = [
        load().provider(name).base_url or "" for name in VALID_PROVIDERS if name not in addresses
    ]
    assert all(address.startswith("https://") for address in others)


@pytest.mark.parametrize(
    ("overrides", "configured"),
    [
        ({"openai_api_key": SECRET}, ["gpt"]),
        ({"openai_base_url": "http://127.0.0.1:1", "groq_api_key": SECRET}, ["groq"]),
        ({"local_base_url": "http://127.0.0.1:1", "local_model_default": "m"}, ["local"]),
        ({"local_base_url": "http://127.0.0.1:1"}, []),
        ({"local_model_default": "m", "local_api_key": SECRET}, []),
    ],
)
def test_provider_is_configured_by_its_key_or_a_local_one_by_url_and_model(
    overrides: dict[str, str], configured: list[str]
) -> None:
    assert [
        provider.name for provider in load(**overrides).providers if provider.configured
    ] == configured


def test_supported_providers_come_in_the_order_of_the_table() -> None:
    settings = load(supported_providers=" groq, GPT,")
    assert [provider.name for provider in settings.providers] == ["gpt", "groq"]


def test_unknown_supported_provider_is_refused_with_the_names_there_are() -> None:
    assert f"SUPPORTED_PROVIDERS: should be names out of {', '.join(VALID_PROVIDERS)}" in refuse(
        supported_providers="gpt,nosuch"
    )


def test_fallback_providers_keep_their_order() -> None:
    assert load(openai_fallback_providers="Groq, claude,groq").vendors[
        "gpt"
    ].fallback_providers == ("groq", "claude")


@pytest.mark.parametrize("others", ["gemini", "gpt", "nosuch"])
def test_fallback_provider_is_another_supported_one(others: str) -> None:
    assert "OPENAI_FALLBACK_PROVIDERS: should" in refuse(
        supported_providers="gpt,claude", openai_fallback_providers=others
    )


def test_copy_of_the_example_with_one_key_has_no_warning_about_the_other_providers(
    tmp_path: Path,
) -> None:
    text = EXAMPLE.read_text().replace("your_openai_api_key", SECRET)
    (warning,) = startup_warnings(load_text(tmp_path, text))
    assert warning.startswith("placeholders")


def test_local_server_without_a_model_is_a_warning() -> None:
    settings = load(local_base_url="http://127.0.0.1:1")
    assert startup_warnings(settings) == ["local needs LOCAL_MODEL_DEFAULT, which is unset"]


def test_provider_is_added_by_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        Path(configuration.__file__)
        .read_text()
        .replace(
            "_PROVIDER_ROWS = (",
            '_PROVIDER_ROWS = (ProviderRow("newest", "NEWEST", "large", None, "https://x"),',
        )
    )
    grown = ModuleType("grown_configuration")
    monkeypatch.setitem(sys.modules, grown.__name__, grown)
    exec(source, vars(grown))
    provider = grown.load_settings(None, newest_api_key=SECRET, newest_max_tokens=5).provider(
        "newest"
    )
    assert (provider.configured, provider.chain, provider.max_tokens) == (True, ("large",), 5)
    assert set(grown.VALID_PROVIDERS) == {"newest", *VALID_PROVIDERS}
    assert grown.PROVIDER_SETTINGS["newest"]["base_url"] == "NEWEST_BASE_URL"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1", "localhost", "LocalHost"])
def test_on_loopback_no_gateway_key_is_needed(host: str) -> None:
    assert load(host=host, openai_api_key=SECRET).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "localhost.example.com", "127.1"])
def test_other_address_without_gateway_keys_is_refused_naming_both_ways_out(host: str) -> None:
    report = refuse(host=host, openai_api_key=SECRET)
    assert re.search("HOST: .*GATEWAY_API_KEYS.*ALLOW_ANONYMOUS=true", report)
    assert report.count("\n") == 1


@pytest.mark.parametrize(
    "way_out", [{"gateway_api_keys": f"web:{SHA}"}, {"allow_anonymous": "true"}]
)
def test_other_address_with_keys_or_anonymous_access_is_allowed(way_out: dict[str, str]) -> None:
    assert not load(host="0.0.0.0", openai_api_key=SECRET, **way_out).demo_mode


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_proxy_without_gateway_keys_is_refused_naming_both_ways_out(host: str) -> None:
    """It serves the gateway to others, whatever address the gateway listens at."""
    report = refuse(host=host, trusted_proxies="127.0.0.1", openai_api_key=SECRET)
    assert re.search("TRUSTED_PROXIES: .*GATEWAY_API_KEYS.*ALLOW_ANONYMOUS=true", report)


@pytest.mark.parametrize(
    "way_out", [{"gateway_api_keys": f"web:{SHA}"}, {"allow_anonymous": "true"}]
)
def test_proxy_with_keys_or_anonymous_access_is_allowed(way_out: dict[str, str]) -> None:
    assert load(trusted_proxies="127.0.0.1", openai_api_key=SECRET, **way_out).trusted_proxies == (
        "127.0.0.1",
    )


@pytest.mark.parametrize(
    ("overrides", "is_demo"),
    [
        ({}, True),
        ({"demo": "ON"}, True),
        ({"demo": "on", "openai_api_key": SECRET}, True),
        ({"openai_api_key": SECRET}, False),
        ({"local_base_url": "http://127.0.0.1:1"}, False),
        ({"local_api_key": SECRET}, True),
        ({"demo": "off", "groq_api_key": SECRET}, False),
        ({"host": "0.0.0.0", "allow_anonymous": True, "local_base_url": "http://10.0.0.1"}, False),
    ],
)
def test_demo_mode_is_for_loopback_without_a_vendor_or_on_demand(
    overrides: dict[str, Any], is_demo: bool
) -> None:
    assert load(**overrides).demo_mode is is_demo


@pytest.mark.parametrize(
    ("overrides", "ways_out"),
    [
        (
            {"host": "0.0.0.0", "allow_anonymous": True},
            ["OPENAI_API_KEY", "LOCAL_BASE_URL", "HOST=127.0.0.1"],
        ),
        (
            {"host": "0.0.0.0", "allow_anonymous": True, "demo": "off"},
            ["OPENAI_API_KEY", "HOST=127.0.0.1"],
        ),
        ({"host": "0.0.0.0", "allow_anonymous": True, "demo": "on"}, ["DEMO: ", "HOST=127.0.0.1"]),
        (
            {"host": "0.0.0.0", "allow_anonymous": True, "demo": "on", "openai_api_key": SECRET},
            ["DEMO: "],
        ),
        ({"demo": "off"}, ["GROQ_API_KEY", "LOCAL_BASE_URL", "DEMO=auto"]),
    ],
)
def test_without_a_vendor_or_with_a_public_demo_it_does_not_start(
    overrides: dict[str, Any], ways_out: list[str]
) -> None:
    report = refuse(**overrides)
    assert all(way_out in report for way_out in ways_out)
    assert report.count("\n") == 1


def test_demo_settings_send_the_named_providers_to_the_simulator() -> None:
    settings = load(
        demo="on",
        openai_api_key=SECRET,
        upstream_proxy="http://p:1",
        local_base_url="http://127.0.0.1:2",
    )
    demo = settings.with_demo({name: f"http://127.0.0.1:9/{name}" for name in VENDORS}, "k-1")
    simulated, local = [demo.provider(name) for name in VENDORS], demo.provider("local")
    assert demo.demo_mode
    assert [
        (p.base_url, key_of(demo, p.name), p.demo, p.configured, p.proxy) for p in simulated
    ] == [(f"http://127.0.0.1:9/{p.name}", "k-1", True, True, None) for p in simulated]
    assert (local.base_url, local.demo) == ("http://127.0.0.1:2", False)
    assert startup_warnings(demo) == []


def test_demo_mode_stays_when_the_simulated_providers_have_their_key() -> None:
    assert load().with_demo({"gpt": "http://127.0.0.1:9"}, "k-1").demo_mode


def test_settings_without_demo_stay_as_they_were() -> None:
    settings = load()
    settings.with_demo({"gpt": "http://127.0.0.1:9"}, "k-1")
    assert settings == load()


def test_proxy_is_for_vendors_and_not_for_a_self_hosted_server() -> None:
    settings = load(upstream_proxy="http://user:pass@proxy:3128", openai_api_key=SECRET)
    assert [provider.name for provider in settings.providers if provider.proxy] == VENDORS


@pytest.mark.parametrize(
    ("variable", "text", "read"),
    [
        ("port", "0", 0),
        (
            "cors_origins",
            "https://A.example, http://localhost:3000",
            ("https://a.example", "http://localhost:3000"),
        ),
        ("cors_origins", "*", ("*",)),
        ("cors_headers", "X-Client, x-b", ("X-Client", "x-b")),
        ("allowed_hosts", "Chat.Example.com, ::1", ("chat.example.com", "::1")),
        ("trusted_proxies", "10.0.0.7, 10.0.0.0/8,::1", ("10.0.0.7", "10.0.0.0/8", "::1")),
        ("log_level", "debug", "DEBUG"),
        ("log_dir", "/var/log/gateway", Path("/var/log/gateway")),
        ("conversation_log", "OFF", "off"),
        ("heartbeat_seconds", "0", 0),
        ("drain_grace_seconds", "0", 0),
        ("sentry_traces_sample_rate", "1", 1),
        (
            "gateway_api_keys",
            f"web:{SHA}, app-2:{SHA.upper()}",
            (GatewayKey("web", SHA), GatewayKey("app-2", SHA)),
        ),
        ("max_body_bytes", 5, 5),
    ],
)
def test_value_is_read_as(variable: str, text: Any, read: object) -> None:
    assert getattr(load(**{"allow_anonymous": True, variable: text}), variable) == read


@pytest.mark.parametrize(
    ("variable", "text", "right"),
    [
        ("port", "http", "a whole number"), ("port", "65536", "equal to 65535"), ("port", "-1", "equal to 0"),
        ("workers", "0", "equal to 1"), ("max_streams", "0", "equal to 1"), ("max_streams", "1.5", "a whole number"),
        ("max_messages", "many", "a whole number"), ("allow_anonymous", "perhaps", "true or false"),
        ("connect_timeout_seconds", "0", "greater than 0"), ("idle_timeout_seconds", "-1", "greater than 0"),
        ("total_timeout_seconds", "inf", "finite"), ("heartbeat_seconds", "nan", "finite"),
        ("heartbeat_seconds", "-1", "equal to 0"), ("status_hold_seconds", "soon", "a number"),
        ("openai_temperature", "3", "equal to 2"), ("groq_max_tokens", "0", "equal to 1"),
        ("openai_api_key", "two words", "as the vendor shows it"), ("gemini_api_key", "schlüssel", "the key as"),
        ("openai_base_url", "api.openai.com", "https://"), ("openai_base_url", "ftp://a.b", "https://"),
        ("openai_base_url", "https://", "https://"), ("openai_base_url", "http://a b", "https://"),
        ("local_base_url", "http://h:port", "https://"),
        ("local_base_url", "http://[::1", "https://"), ("local_base_url", "https://user:pass@h", "https://"),
        ("upstream_proxy", "proxy:3128", "http://"), ("upstream_proxy", "http://u:p/w@proxy", "http://"),
        ("host", "http://0.0.0.0", "127.0.0.1"), ("host", "a b", "127.0.0.1"),
        ("host", "127.0.0.1:3050", "without a port"), ("host", "[::1]", "::1"),
        ("cors_origins", "https://a.example/", "without a path"), ("cors_origins", "a.example", "https://"),
        ("cors_origins", "https://a.example,null", "https://"), ("cors_origins", "https://u@a.example", "https://"),
        ("cors_headers", "X Client", "names of headers"), ("allowed_hosts", "a.example:80", "without a port"),
        ("allowed_hosts", "https://a.example", "without a port"), ("allowed_hosts", "*", "without a port"),
        ("trusted_proxies", "proxy", "10.0.0.0/8"), ("trusted_proxies", "10.0.0.1/8", "10.0.0.0/8"),
        ("trusted_proxies", "*", "10.0.0.0/8"), ("supported_providers", ",", "gpt, claude"),
        ("log_level", "loud", "'DEBUG'"), ("conversation_log", "some", "'metadata'"), ("demo", "maybe", "'auto', 'on'"),
        ("log_backup_count", "-1", "equal to 0"), ("log_max_bytes", "1", "1024"),
        ("sentry_dsn", "https://sentry.io/1", "https://<key>@<host>"), ("sentry_dsn", "key", "https://<key>@<host>"),
        ("sentry_traces_sample_rate", "2", "equal to 1"), ("sentry_profiles_sample_rate", "-1", "equal to 0"),
        ("gateway_api_keys", "web", "name:sha256"), ("gateway_api_keys", f"web:{SHA[1:]}", "name:sha256"),
        ("gateway_api_keys", f"web:{SHA},app:{'g' * 64}", "entry 2 should be name:sha256"),
        ("gateway_api_keys", f"web:{SHA},x:{hashlib.sha256().hexdigest()}", "entry 2 is the hash of an empty key"),
        ("gateway_api_keys", f"w b:{SHA}", "name:sha256"), ("gateway_api_keys", f"web:{SHA},web:{SHA}", "same"),
    ],
)  # fmt: skip
def test_wrong_value_is_refused_with_its_variable_and_what_would_be_right(
    variable: str, text: str, right: str
) -> None:
    report = refuse(**{variable: text})
    assert re.fullmatch(
        rf"The configuration is wrong:\n  {variable.upper()}: .*{re.escape(right)}.*", report
    )


def test_room_for_bodies_is_at_least_one_of_the_limit() -> None:
    assert "MAX_PENDING_BYTES" in refuse(max_body_bytes=2_001, max_pending_bytes=2_000)
    assert load(max_body_bytes=2_000, max_pending_bytes=2_000).max_pending_bytes == 2_000


def test_report_names_everything_that_is_wrong_at_once() -> None:
    report = refuse(port="x", host="0.0.0.0", demo="off", openai_temperature="hot", max_streams="0")
    assert [line.split(":")[0].strip() for line in report.splitlines()[1:]] == [
        "PORT",
        "MAX_STREAMS",
        "OPENAI_TEMPERATURE",
        "HOST",
        "no vendor can be asked",
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        {"host": "0.0.0.0", "openai_api_key": SECRET, "gateway_api_keys": "web"},
        {"host": "0.0.0.0", "allow_anonymous": True, "openai_api_key": "two words"},
        {"demo": "off", "local_base_url": "nowhere"},
    ],
)
def test_report_has_no_second_finding_that_follows_from_the_first(
    overrides: dict[str, Any],
) -> None:
    assert refuse(**overrides).count("\n") == 1


SECRETS = {
    "openai_api_key": f"{SECRET}-openai",
    "local_api_key": f"{SECRET}-local",
    "upstream_proxy": f"http://user:{SECRET}@proxy:3128",
    "sentry_dsn": f"https://{SECRET}@sentry.example/1",
}


def test_no_secret_shows_in_any_text_of_the_settings() -> None:
    settings = load(gateway_api_keys=f"web:{SHA}", **SECRETS)
    provider = settings.provider("gpt")
    shown = f"{settings!r} {settings} {provider!r} {provider} {settings.gateway_api_keys} {settings.model_dump()}"
    assert SECRET not in shown
    assert SHA not in f"{settings!r} {settings} {settings.gateway_api_keys}"


def test_secrets_are_listed_for_redaction() -> None:
    assert set(load(**SECRETS).secrets) == set(SECRETS.values())


def test_no_value_shows_in_the_report_nor_in_what_led_to_it() -> None:
    """A key may have been put into any variable by mistake."""
    wrong = {
        name.lower(): f"{SECRET} {SECRET}/é"
        for name in VARIABLES
        if not name.endswith(("_PROMPT", "_EFFORT"))
    }
    with pytest.raises(ConfigurationError) as caught:
        load(**wrong)
    assert len(str(caught.value).splitlines()) > 50
    assert (
        SECRET
        not in f"{caught.value!r} {caught.value} {caught.value.__context__!r} {caught.value.__cause__!r}"
    )


def test_no_value_shows_in_an_error_of_the_models_themselves() -> None:
    with pytest.raises(ValidationError) as caught:
        ProviderOptions.model_validate({"api_key": f"{SECRET} {SECRET}", "max_tokens": SECRET})
    assert SECRET not in str(caught.value)
