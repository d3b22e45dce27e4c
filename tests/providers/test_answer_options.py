"""What a client asks of an answer, and what of it each model is sent; the rest is reported, not refused."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configuration import PROVIDER_SETTINGS, VALID_PROVIDERS, load_settings
from models import (
    NO_OPTIONS,
    AnswerOptions,
    GatewayError,
    JsonObject,
    JsonSchema,
    Prompt,
    Text,
    Tool,
    Turn,
)
from providers.base import BaseProvider
from providers.capabilities import Capabilities, Capability, load_capabilities
from providers.errors import vendor_error
from providers.factory import ProviderFactory
from providers.parameters import RequestParameters
from providers.refusals import RefusedParameterError
from tests.providers.test_provider_requests import EVERY_VENDOR, STREAMS, open_provider
from tests.vendors.loopback_vendor import open_vendor, response
from tests.vendors.scripted_provider import collect, end_of, make_settings, stream

TOOL = Tool("add", msgspec.Raw(b"{}"))
EVERYTHING = AnswerOptions(
    tools=(TOOL,),
    parallel=False,
    max_tokens=1_000_000,
    temperature=0.5,
    top_p=0.9,
    stop=("a", " ", "b", "c", "d", "e"),
    seed=7,
    effort="high",
)


@pytest.fixture(scope="module")
def providers() -> Iterator[Mapping[str, BaseProvider]]:
    """Each provider once: building the SDKs' clients takes long."""
    factory = ProviderFactory(
        make_settings(name=name, base_url="http://127.0.0.1:1") for name in VALID_PROVIDERS
    )
    yield {name: factory.get(name) for name in VALID_PROVIDERS}
    asyncio.run(factory.aclose())


def with_row(provider: BaseProvider, row: Capability, **options: Any) -> BaseProvider:
    """The provider, if all its models had this row; the options are the operator's."""
    changed = copy.copy(provider)
    settings = make_settings(name=provider.name, base_url="http://127.0.0.1:1", **options)
    RequestParameters.__init__(changed, settings)
    changed.capabilities = Capabilities({"default": msgspec.structs.asdict(row)})
    return changed


def sent_to(provider: BaseProvider, prompt: Prompt) -> dict[str, Any]:
    """What is sent, by the client's names."""
    parameters = provider.accepted(prompt, "any")
    sent: dict[str, Any] = {
        provider.client_names.get(name, name): value for name, value in parameters.items()
    }
    if provider.name == "claude":
        sent["max_tokens"] = provider.options("any", prompt.options).max_tokens
        if "reasoning_effort" in sent:
            sent["reasoning_effort"] = sent["reasoning_effort"]["effort"]
    return sent


WORDS = st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max", "default"])
SAMPLING: st.SearchStrategy[Any] = st.sampled_from([True, False, "at_none"])
ROWS = st.builds(
    Capability,
    effort=st.none() | st.lists(WORDS, max_size=4, unique=True).map(tuple),
    temperature=SAMPLING,
    top_p=SAMPLING,
    stop=st.booleans() | st.integers(1, 5),
    blank_stop=st.booleans(),
    seed=st.booleans(),
    max_tokens=st.none() | st.integers(1, 100_000),
    max_tokens_field=st.sampled_from(["max_tokens", "max_completion_tokens"]),
    parallel_tool_calls=st.booleans(),
)
ASKED = st.builds(
    AnswerOptions,
    tools=st.sampled_from([(), (TOOL,)]),
    parallel=st.none() | st.booleans(),
    max_tokens=st.none() | st.integers(1, 200_000),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    stop=st.lists(st.sampled_from(["END", "\n\n", " ", "###"]), max_size=6).map(tuple),
    seed=st.none() | st.integers(),
    effort=st.none() | WORDS | st.sampled_from(["HIGH", "off", "enormous"]),
)
CONFIGURED = st.fixed_dictionaries(
    {
        "temperature": st.none() | st.floats(0, 2),
        "reasoning_effort": st.none() | WORDS | st.just("off"),
        "max_tokens": st.integers(1, 200_000),
    }
)


@given(st.sampled_from(VALID_PROVIDERS), ROWS, ASKED, CONFIGURED)
def test_refused_value_is_never_sent_and_nothing_asked_is_lost(
    providers: Mapping[str, BaseProvider],
    name: str,
    row: Capability,
    asked: AnswerOptions,
    configured: dict[str, Any],
) -> None:
    """Whatever is asked of whatever model: it is sent as asked, or it is in `dropped_params`."""
    provider = with_row(providers[name], row, **configured)
    prompt = Prompt("", (), asked)
    sent, dropped = sent_to(provider, prompt), provider.dropped_params(prompt, "any")
    check_row(sent, row)
    fields = {
        "max_tokens": asked.max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "stop": list(asked.stop) or None,
        "seed": asked.seed,
    }
    for field, value in fields.items():
        assert value is None or field in dropped or sent[field] == value, field
    word = asked.effort.lower() if asked.effort else "off"
    made = str(sent.get("reasoning_effort", "none" if row.effort == () else None)).lower()
    assert word == "off" or (word == made) != ("reasoning_effort" in dropped)
    if asked.tools and asked.parallel is False and name != "claude":  # there it is a tool_choice
        is_off = sent.get("parallel_tool_calls") is False
        assert is_off != ("parallel_tool_calls" in dropped)
    else:
        assert "parallel_tool_calls" not in {*sent, *dropped}


def check_row(sent: Mapping[str, Any], row: Capability) -> None:
    """Nothing that the row does not allow is among what is sent."""
    effort = sent.get("reasoning_effort")
    assert effort is None or row.effort is None or effort in row.effort
    for field in ("temperature", "top_p"):
        rule = getattr(row, field)
        is_taken = effort == "none" if rule == "at_none" else rule
        assert is_taken or field not in sent
    stops = sent.get("stop", [])
    assert len(stops) <= (6 if row.stop is True else row.stop)
    assert row.blank_stop or all(text.strip() for text in stops)
    assert row.seed or "seed" not in sent
    assert row.parallel_tool_calls or "parallel_tool_calls" not in sent
    assert row.max_tokens is None or sent["max_tokens"] <= row.max_tokens


@pytest.mark.parametrize("name", VALID_PROVIDERS)
def test_clients_value_wins_over_the_configured_one(
    providers: Mapping[str, BaseProvider], name: str
) -> None:
    """Field by field: what the client does not say stays as it is configured."""
    options = {"temperature": 0.1, "reasoning_effort": "low", "max_tokens": 100}
    provider = with_row(providers[name], Capability(), **options)
    asked = AnswerOptions(temperature=0.9, max_tokens=7)
    sent = sent_to(provider, Prompt("", (), asked))
    assert (sent["temperature"], sent["max_tokens"], sent["reasoning_effort"]) == (0.9, 7, "low")
    sent = sent_to(provider, Prompt("", (), AnswerOptions(effort="high")))
    assert (sent["temperature"], sent["max_tokens"], sent["reasoning_effort"]) == (0.1, 100, "high")


BODIES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "gpt": (
        "gpt-6-luna",
        {"max_completion_tokens": 128000, "stop": ["a", " ", "b", "c"], "seed": 7,
         "reasoning_effort": "none", "parallel_tool_calls": False},
        ("max_tokens", "reasoning_effort", "stop", "temperature", "top_p"),
    ),
    "responses": (
        "gpt-6-luna",
        {"max_output_tokens": 128000, "reasoning": {"effort": "high", "summary": "auto"},
         "parallel_tool_calls": False, "include": ["reasoning.encrypted_content"]},
        ("max_tokens", "seed", "stop", "temperature", "top_p"),
    ),
    "claude": (
        "claude-haiku-5-5",
        {"max_tokens": 128000, "stop_sequences": ["a", "b", "c", "d", "e"],
         "output_config": {"effort": "high"}},
        ("max_tokens", "seed", "stop", "temperature", "top_p"),
    ),
    "gemini": (
        "gemini-3.8-flash",
        {"maxOutputTokens": 65536, "stopSequences": ["a", " ", "b", "c", "d"], "seed": 7,
         "thinkingConfig": {"thinkingLevel": "high", "includeThoughts": True}},
        ("max_tokens", "parallel_tool_calls", "stop", "temperature", "top_p"),
    ),
    "groq": (
        "openai/gpt-oss-120b",
        {"max_completion_tokens": 65536, "temperature": 0.5, "top_p": 0.9, "stop": ["a", " ", "b", "c"],
         "seed": 7, "reasoning_effort": "high", "parallel_tool_calls": False},
        ("max_tokens", "stop"),
    ),
    "local": (
        "anything",
        {"max_tokens": 1_000_000, "temperature": 0.5, "top_p": 0.9, "stop": list(EVERYTHING.stop),
         "seed": 7, "reasoning_effort": "high", "parallel_tool_calls": False},
        (),
    ),
}  # fmt: skip
NO_PARAMETERS = {
    "model",
    "messages",
    "input",
    "stream",
    "store",
    "stream_options",
    "tools",
    "tool_choice",
}


@EVERY_VENDOR
async def test_vendor_gets_what_its_model_takes(name: str) -> None:
    """In the wire's own fields, and the end of the answer names the rest by the client's."""
    model, expected, dropped = BODIES[name]
    prompt = Prompt("", (Turn("user", (Text("Hi"),)),), EVERYTHING)
    async with (
        open_vendor(lambda _: response(STREAMS[name])) as vendor,
        open_provider(name, vendor, model_default=model) as provider,
    ):
        events = [event async for batch in stream(provider, prompt=prompt) for event in batch]
    (request,) = vendor.requests
    body = request.json.get("generationConfig", request.json)
    assert {field: body[field] for field in body if field not in NO_PARAMETERS} == expected
    assert end_of(events).dropped_params == dropped


def refusal(parameter: str, code: str | None) -> GatewayError:
    error = {"error": {"message": "Refused", "param": parameter, "code": code}}
    return vendor_error(error, status=400)


@pytest.mark.parametrize(
    ("asked", "parameter", "code", "is_lasting"),
    [
        (NO_OPTIONS, "temperature", None, True),
        (NO_OPTIONS, "temperature", "unsupported_parameter", True),
        # a value of the client's own: perhaps a wrong one
        (AnswerOptions(temperature=1.9), "temperature", None, False),
        (AnswerOptions(temperature=1.9), "temperature", "decimal_above_max_value", False),
        (AnswerOptions(seed=2**63), "seed", "integer_above_max_value", False),
        (AnswerOptions(max_tokens=9), "max_completion_tokens", None, False),
        (AnswerOptions(stop=("a",)), "stop", "unsupported_parameter", True),
        (AnswerOptions(max_tokens=9), "max_completion_tokens", "unsupported_parameter", True),
        # the configured value, beside something else of the client's
        (AnswerOptions(max_tokens=9), "temperature", None, True),
        (AnswerOptions(effort="high"), "temperature", "unsupported_parameter", False),
        (AnswerOptions(tools=(TOOL,)), "reasoning_effort", None, False),
        (AnswerOptions(output=JsonObject()), "temperature", None, False),
        # what no client can set
        (AnswerOptions(tools=(TOOL,), effort="high"), "stream_options", None, True),
    ],
)
def test_refusal_is_lasting_if_the_model_would_refuse_others_too(
    providers: Mapping[str, BaseProvider],
    asked: AnswerOptions,
    parameter: str,
    code: str | None,
    is_lasting: bool,
) -> None:
    """One client's wrong number takes nothing from the chats of others."""
    row = Capability(max_tokens_field="max_completion_tokens")
    provider = with_row(providers["gpt"], row, temperature=0.5, reasoning_effort="low")
    error = provider.refused_by(refusal(parameter, code), Prompt("", (), asked), "any")
    assert isinstance(error, RefusedParameterError)
    assert (error.parameter, error.is_lasting) == (parameter, is_lasting)


async def test_wrong_value_of_one_client_is_left_out_for_that_chat_alone() -> None:
    """It is answered, says what was left out, and the next client's value is sent."""

    def reply(request: Any) -> bytes:
        if request.json.get("temperature", 0) > 1:
            error = {"message": "temperature must be at most 1", "param": "temperature"}
            return response(msgspec.json.encode({"error": error}), "400 Bad Request")
        return response(STREAMS["local"])

    async with open_vendor(reply) as vendor, open_provider("local", vendor) as provider:
        ends = []
        for temperature in (1.5, 0.7):
            asked = AnswerOptions(temperature=temperature)
            prompt = Prompt("", (Turn("user", (Text("Hi"),)),), asked)
            events = [event async for batch in stream(provider, prompt=prompt) for event in batch]
            ends.append(end_of(events).dropped_params)
        plain = end_of(await collect(provider)).dropped_params
    assert ends == [("temperature",), ()]
    assert plain == ()
    assert [request.json.get("temperature") for request in vendor.requests] == [
        1.5,
        None,
        0.7,
        None,
    ]


def test_what_was_learned_is_reported_only_if_it_was_asked_for(
    providers: Mapping[str, BaseProvider],
) -> None:
    """A model that takes no stop sequences: chats without any have lost nothing."""
    provider = with_row(providers["gpt"], Capability())
    left_out = frozenset({"stop"})
    plain = Prompt("", (), left_out=left_out)
    asked = Prompt("", (), AnswerOptions(stop=("a",)), left_out=left_out)
    assert provider.dropped_params(plain, "any") == ()
    assert provider.dropped_params(asked, "any") == ("stop",)


def test_parameters_of_plain_chats_are_made_once(providers: Mapping[str, BaseProvider]) -> None:
    """For the others they are made for each request."""
    provider = with_row(providers["gpt"], Capability())
    first, second = (provider.accepted(Prompt("", ()), "any") for _ in range(2))
    assert first is second
    asked = Prompt("", (), AnswerOptions(seed=1))
    assert provider.accepted(asked, "any") is not provider.accepted(asked, "any")
    assert provider.accepted(asked, "any") == {**first, "seed": 1}


@pytest.mark.parametrize("name", ["gpt", "claude", "gemini", "groq"])
def test_default_models_are_sent_by_default_only_what_their_rows_allow(
    providers: Mapping[str, BaseProvider], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a variable set, and if a client asks for everything: each has a row, and keeps to it."""
    for variables in PROVIDER_SETTINGS.values():
        for variable in variables.values():
            monkeypatch.delenv(variable, raising=False)
    models = load_settings(None).provider(name).chain
    assert len(models) == 2
    for model in models:
        row = load_capabilities(name, None).of(model)
        assert row != load_capabilities(name, None).of("no-such-model")
        provider = with_row(providers[name], row)
        for asked in (NO_OPTIONS, EVERYTHING):
            check_row(sent_to(provider, Prompt("", (), asked)), row)


def test_options_are_those_of_the_contract() -> None:
    """A new field of AnswerOptions needs a case above, or is a need of the chat: see test_needs.py."""
    needs = {"tools", "tool_choice", "output"}
    sent = {"parallel", "max_tokens", "temperature", "top_p", "stop", "seed", "effort"}
    assert set(AnswerOptions.__struct_fields__) == needs | sent


@pytest.mark.parametrize(
    ("name", "is_sent"), [("gpt", True), ("groq", True), ("claude", False), ("gemini", False)]
)
def test_description_of_the_answers_schema_is_sent_or_reported(
    providers: Mapping[str, BaseProvider], name: str, *, is_sent: bool
) -> None:
    """Two vendors have no field for it, and the schema stays as the client wrote it."""
    schema = msgspec.Raw(b'{"type":"object","properties":{},"additionalProperties":false}')
    for description, dropped in (
        ("A sum.", () if is_sent else ("response_format.json_schema.description",)),
        (None, ()),
    ):
        output = JsonSchema("s", schema, description)
        prompt = Prompt("", (Turn("user", (Text("Add."),)),), AnswerOptions(output=output))
        body: dict[str, Any] = providers[name].body(prompt, "any")  # type: ignore[attr-defined]
        assert (b"A sum." in msgspec.json.encode(body)) is bool(is_sent and description)
        assert providers[name].dropped_params(prompt, "any") == dropped
