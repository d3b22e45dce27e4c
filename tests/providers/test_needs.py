"""What a chat needs of a model, and which models are asked then."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import (
    NO_OPTIONS,
    AnswerOptions,
    Chat,
    Fallback,
    File,
    GatewayError,
    Image,
    JsonObject,
    JsonSchema,
    NamedTool,
    Start,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.capabilities import Capabilities, Capability, load_capabilities
from providers.needs import Need, find_needs, find_unmet, unsupported
from streams.kept_chat import Kind
from tests.gateways.scripted import QUESTION, PortGateway, answer
from tests.vendors.scripted_provider import ScriptedProvider

RAW = msgspec.Raw(b"{}")
CLOSED = msgspec.Raw(
    b'{"type":"object","properties":{},"required":[],"additionalProperties":false}'
)
TOOLS = (Tool("add", RAW),)
PICTURE = Image("image/png", "aGk=")
PDF = File("application/pdf", "JVBERi0x", "a.pdf")
ALL: tuple[Need, ...] = get_args(Need)


def chat(*parts: Any, **options: Any) -> Chat:
    turn = Turn("user", (Text("Is it?"), *parts))
    return Chat(turns=(turn,), options=AnswerOptions(**options) if options else NO_OPTIONS)


def lacks(provider: ScriptedProvider, **rows: list[Need]) -> None:
    """Each of these models of the provider lacks these."""
    fields: dict[str, dict[str, Any]] = {
        model: {**dict.fromkeys(needs, False)} for model, needs in rows.items()
    }
    provider.capabilities = Capabilities(fields)


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        (NO_OPTIONS, set()),
        (AnswerOptions(temperature=1, stop=("a",), effort="high", max_tokens=1), set()),
        (AnswerOptions(tools=TOOLS), {"tools"}),
        (AnswerOptions(tools=TOOLS, tool_choice="auto"), {"tools"}),
        (AnswerOptions(tools=TOOLS, tool_choice="none"), {"tools"}),
        (AnswerOptions(tools=TOOLS, tool_choice="required"), {"tools", "forced_choice"}),
        (AnswerOptions(tools=TOOLS, tool_choice=NamedTool("add")), {"tools", "forced_choice"}),
        (AnswerOptions(output=JsonObject()), {"json_object"}),
        (AnswerOptions(output=JsonSchema("x", CLOSED)), {"schema"}),
        (
            AnswerOptions(output=JsonObject(), tools=TOOLS),
            {"json_object", "tools", "format_with_tools"},
        ),
        (
            AnswerOptions(output=JsonObject(), tools=TOOLS, tool_choice="required"),
            {
                *("json_object", "tools", "forced_choice"),
                *("format_with_tools", "format_with_forced_choice"),
            },
        ),
    ],
)
def test_needs_are_what_cannot_be_left_out(options: AnswerOptions, needs: set[str]) -> None:
    assert find_needs(options, ()) == needs
    assert find_needs(options, get_args(Kind)) == needs | {"tools", "images", "files"}


@given(st.sets(st.sampled_from(ALL)), st.sets(st.sampled_from(ALL)))
def test_need_is_unmet_if_the_row_says_so(needs: set[Need], lacking: set[Need]) -> None:
    row = Capability(**dict.fromkeys(lacking, False))  # type: ignore[arg-type]
    assert set(find_unmet(frozenset(needs), row)) == needs & lacking


@given(
    st.dictionaries(st.sampled_from("abc"), st.lists(st.sampled_from(ALL), min_size=1), min_size=1)
)
def test_error_names_each_model_and_field(unmet: dict[str, list[Need]]) -> None:
    """For a person; the reason is the client's field."""
    error = unsupported(unmet)
    assert (error.code, error.kind.status, error.kind.retryable) == ("unsupported", 400, False)
    assert error.reason in ("tools", "tool_choice", "response_format", "messages")
    listed = error.safe_message.partition("Not supported: ")[2]
    assert all(model in listed for model in unmet)


CASES: dict[str, tuple[Chat, Need]] = {
    "tools": (chat(tools=TOOLS), "tools"),
    "a forced call": (chat(tools=TOOLS, tool_choice="required"), "forced_choice"),
    "a named call": (chat(tools=TOOLS, tool_choice=NamedTool("add")), "forced_choice"),
    "a schema": (chat(output=JsonSchema("x", CLOSED)), "schema"),
    "an open schema": (chat(output=JsonSchema("x", RAW)), "open_schema"),
    "an object": (chat(output=JsonObject()), "json_object"),
    "an object beside tools": (chat(output=JsonObject(), tools=TOOLS), "format_with_tools"),
    "a schema beside a forced call": (
        chat(output=JsonSchema("x", CLOSED), tools=TOOLS, tool_choice="required"),
        "format_with_forced_choice",
    ),
    "an image": (chat(PICTURE), "images"),
    "a file": (chat(PDF), "files"),
}


@pytest.mark.parametrize(("asked", "need"), CASES.values(), ids=CASES)
async def test_model_that_would_lose_the_meaning_is_passed_over(asked: Chat, need: Need) -> None:
    """The next one answers, and the client learns why."""
    gateway = PortGateway(answer("Hi"))
    lacks(gateway.gpt, first=[need])
    ((opening, *_), *_) = await gateway.read_batches(asked)
    assert opening == Start("gpt", "second", Fallback("first", "second", "unsupported"))
    assert gateway.gpt.history == ["second"]


@pytest.mark.parametrize(("asked", "need"), CASES.values(), ids=CASES)
async def test_no_vendor_is_asked_if_no_model_is_left(asked: Chat, need: Need) -> None:
    """400 with plain words, that name the models and the field, and nothing of the prompt."""
    gateway = PortGateway()
    lacks(gateway.gpt, first=[need], second=[need])
    for _ in range(2):
        events, error = await gateway.fail(asked)
        assert (events, error.code, error.stage, error.provider) == (
            [],
            "unsupported",
            "request",
            "gpt",
        )
        assert "(first, second)" in error.safe_message
        assert "Is it?" not in error.safe_message
        assert error.attempts == ()
    assert gateway.gpt.history == []
    assert gateway.gpt.health.state == "UNKNOWN"


async def test_results_and_calls_of_the_history_count() -> None:
    """An image or a file in a tool's result is one, and a model without tools cannot read calls."""
    step = (
        Turn("user", (Text("Look"),)),
        Turn("assistant", (ToolCall("call_1", "see", "{}"),)),
        Turn("user", (ToolResult("call_1", (PICTURE, PDF)), Text("So?"))),
    )
    for need in ("tools", "images", "files"):
        gateway = PortGateway(answer("Hi"))
        lacks(gateway.gpt, first=[need])
        await gateway.read_batches(Chat(turns=step))
        assert gateway.gpt.history == ["second"]


async def test_models_of_other_vendors_are_filtered_too() -> None:
    """In their order."""
    gateway = PortGateway(fallback_providers=("claude",))
    lacks(gateway.gpt, first=["tools"], second=["tools"])
    lacks(gateway.claude, first=["tools"])
    gateway.claude.enqueue(*answer("Hi"))
    ((opening, *_), *_) = await gateway.read_batches(chat(tools=TOOLS))
    assert opening == Start("claude", "second", Fallback("first", "second", "unsupported"))
    assert (gateway.gpt.history, gateway.claude.history) == ([], ["second"])


async def test_failure_of_the_model_that_is_left_is_the_chats() -> None:
    """No model that would lose the meaning is asked instead."""
    gateway = PortGateway([GatewayError("upstream_timeout")])
    lacks(gateway.gpt, first=["images"])
    _, error = await gateway.fail(chat(PICTURE))
    assert (error.code, error.model) == ("upstream_timeout", "second")
    assert gateway.gpt.history == ["second"]


async def test_open_breakers_count_among_the_models_that_are_left() -> None:
    """With a breaker open for the only one, its error is the answer."""
    gateway = PortGateway()
    lacks(gateway.gpt, first=["images"])
    for _ in range(5):
        gateway.gpt.enqueue(GatewayError("upstream_timeout"))
        await gateway.fail(chat(PICTURE))
    _, error = await gateway.fail(chat(PICTURE))
    assert (error.code, error.reason) == ("upstream_timeout", "breaker_open")
    gateway.gpt.enqueue(*answer("Hi"))
    ((opening, *_), *_) = await gateway.read_batches()
    assert opening == Start("gpt", "first")


async def test_chat_without_needs_is_not_filtered() -> None:
    """Sampling options lead to the same models as no options."""
    gateway = PortGateway(answer("Hi"), answer("Hi"))
    lacks(gateway.gpt, first=list(ALL))
    for asked in (QUESTION, chat(temperature=1.0, stop=("a",))):
        ((opening, *_), *_) = await gateway.read_batches(asked)
        assert opening == Start("gpt", "first")


def test_schema_that_claude_would_refuse_needs_another_model() -> None:
    """Claude enforces every schema, and takes only a subset of JSON schema."""
    closed = msgspec.Raw(
        b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}'
    )
    opened = msgspec.Raw(b'{"type":"object","patternProperties":{"a":{}}}')
    found = [
        find_needs(AnswerOptions(output=JsonSchema("s", schema)), ()) for schema in (closed, opened)
    ]
    assert found == [{"schema"}, {"schema", "open_schema"}]
    assert not load_capabilities("claude", None).of("claude-haiku-5-5").open_schema


@pytest.mark.parametrize(
    ("provider", "model", "lacking"),
    [
        ("gemini", "gemini-2.5-flash", {"format_with_tools", "format_with_forced_choice"}),
        ("gemini", "gemini-3.8-flash", {"format_with_forced_choice"}),
        ("groq", "openai/gpt-oss-120b", {"format_with_tools"}),
        ("gpt", "gpt-6-luna", set()),
        ("claude", "claude-haiku-5-5", set()),
        ("local", "any", set()),
    ],
)
def test_format_beside_tools_needs_a_model_that_takes_both(
    provider: str, model: str, lacking: set[str]
) -> None:
    """The vendor would refuse the chat; each of them alone is accepted."""
    row = load_capabilities(provider, None).of(model)
    asked = AnswerOptions(output=JsonSchema("x", CLOSED), tools=TOOLS, tool_choice=NamedTool("add"))
    needs = find_needs(asked, ())
    assert set(find_unmet(needs, row)) == lacking
