"""What a default installation sends to each model: `docs/sent_by_default.md`, cell by cell."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from configuration import PROVIDER_SETTINGS, load_settings
from models import AnswerOptions, Prompt, Text, Tool, Turn
from providers.base import BaseProvider
from providers.capabilities import load_capabilities
from providers.factory import ProviderFactory
from providers.parameters import SYSTEM_ROLE, RequestParameters
from simulator.refusals import find_refusal
from tests.simulator.test_simulator import WIRES_BY_NAME
from tests.vendors.scripted_provider import make_settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sent_by_default.md"
CAPABILITIES = ROOT / "providers" / "capabilities.toml"
SECTIONS = {
    "OpenAI, Responses": "responses",
    "OpenAI, chat completions": "chat",
    "Anthropic": "claude",
    "Gemini": "gemini",
    "Groq": "groq",
    "A server of your own": "local",
}
APIS = {"responses": "gpt", "chat": "gpt"}  # the providers of these, else of the same name
WITH_TOOLS, SYSTEM, SOURCE = " with tools", "system prompt", "Source"
NOT_SENT = "—"

QUESTION = (Turn("user", (Text("What is this?"),)),)
PLAIN = Prompt("Be brief.", QUESTION)
TOOLS = (Tool("look", msgspec.Raw(b'{"type": "object"}')),)
ASKING = Prompt("Be brief.", QUESTION, options=AnswerOptions(tools=TOOLS))
# The chat itself, and `stream`; the others are fields of fields.
CHAT = {"contents", "input", "instructions", "messages", "model", "stream", "system", "tools"}
CHAT |= {"systemInstruction"}
OPENED = ("generationConfig", "thinkingConfig")
NESTED = ("output_config", "reasoning")


class Row(NamedTuple):
    """One row of the page: an API, the beginning of models' names, and the other cells."""

    api: str
    model: str
    cells: Mapping[str, str]


def read_tables() -> dict[str, list[dict[str, str]]]:
    """The page's tables by their headings; each row by its columns."""
    tables: dict[str, list[dict[str, str]]] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, *lines = section.splitlines()
        cells = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in lines
            if line.startswith("|")
        ]
        head, rows = [name.replace("`", "") for name in cells[0]], cells[2:]
        tables[title] = [dict(zip(head, row, strict=True)) for row in rows]
    return tables


TABLES = read_tables()
ROWS = [
    Row(api, "some-model" if name == "any other" else name.strip("`"), cells)
    for title, api in SECTIONS.items()
    for cells in TABLES[title]
    for name in [cells["Models"]]
]
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=[f"{row.api}:{row.model}" for row in ROWS])


@pytest.fixture(scope="module")
def providers() -> Iterator[Mapping[str, BaseProvider]]:
    """The provider of each API, as it is configured by default."""
    factories = {}
    for api in SECTIONS.values():
        chosen = {"openai_api": api} if api in APIS else {}
        settings = make_settings(name=provider_of(api), base_url="http://127.0.0.1:1", **chosen)
        factories[api] = ProviderFactory([settings])
    yield {api: factory.get(provider_of(api)) for api, factory in factories.items()}
    for factory in factories.values():
        asyncio.run(factory.aclose())


def provider_of(api: str) -> str:
    return APIS.get(api, api)


def read_cell(text: str) -> Any:
    """The value of a cell; None if the parameter is not sent."""
    if text == NOT_SENT:
        return None
    try:
        return json.loads(text.strip("`"))
    except ValueError:
        return text.strip("`")


def sent(provider: BaseProvider, model: str, prompt: Prompt = PLAIN) -> dict[str, Any]:
    """The parameters in the body of a request, by the names that the page has for them."""
    found: dict[str, Any] = {}
    rest = [("", name, value) for name, value in body_of(provider, model, prompt).items()]
    while rest:
        prefix, name, value = rest.pop()
        if name in OPENED or name in NESTED:
            inner = f"{name}." if name in NESTED else ""
            rest += [(inner, key, each) for key, each in value.items()]
        elif name not in CHAT:
            found[prefix + name] = value
    return found


def body_of(provider: BaseProvider, model: str, prompt: Prompt) -> dict[str, Any]:
    body: dict[str, Any] = provider.body(prompt, model)  # type: ignore[attr-defined]
    return body


@EVERY_ROW
def test_model_is_sent_what_the_page_says(providers: Mapping[str, BaseProvider], row: Row) -> None:
    """Each parameter with its value, and no other; with tools and for the system prompt, too."""
    provider = providers[row.api]
    described = {name: read_cell(cell) for name, cell in row.cells.items()}
    expected = {
        name: value
        for name, value in described.items()
        if name not in ("Models", SYSTEM, SOURCE) and not name.endswith(WITH_TOOLS)
    }
    plain = sent(provider, row.model)
    assert plain == {name: value for name, value in expected.items() if value is not None}
    with_tools = plain | {
        name.removesuffix(WITH_TOOLS): value
        for name, value in described.items()
        if name.endswith(WITH_TOOLS)
    }
    asking = sent(provider, row.model, ASKING)
    assert asking == {name: value for name, value in with_tools.items() if value is not None}
    has_role = SYSTEM_ROLE not in provider.left_out(row.model)
    assert row.cells.get(SYSTEM, "its own") == ("its own" if has_role else "first turn")
    assert len(row.cells[SOURCE]) > len("the same")


# Tools are for the Responses API alone: `effort_with_tools` in capabilities.toml.
ONLY_BY_RESPONSES = ("gpt-6-astra", "gpt-6.1-sol")


@EVERY_ROW
def test_simulated_vendor_refuses_nothing_of_it(
    providers: Mapping[str, BaseProvider], row: Row
) -> None:
    """Its rules are written down apart from the gateway's table."""
    wire = WIRES_BY_NAME["gpt" if row.api == "chat" else row.api]
    is_for_tools = load_capabilities(provider_of(row.api), None).of(row.model).tools
    is_for_tools = is_for_tools and not (row.api == "chat" and row.model in ONLY_BY_RESPONSES)
    for prompt in (PLAIN, ASKING) if is_for_tools else (PLAIN,):
        body = json.loads(msgspec.json.encode(body_of(providers[row.api], row.model, prompt)))
        assert find_refusal(wire(row.model, body)) is None


def test_page_has_every_row_of_the_capabilities() -> None:
    """No family of models is left out, and none is named twice."""
    table = tomllib.loads(CAPABILITIES.read_text(encoding="utf-8"))
    for api in SECTIONS.values():
        rows = {"some-model", *table[provider_of(api)]} - {"default"}
        named = [row.model for row in ROWS if row.api == api]
        assert sorted(named) == sorted(rows), api


def test_default_models_are_of_families_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of each vendor: what is sent to them is written down with its source."""
    for variables in PROVIDER_SETTINGS.values():
        for variable in variables.values():
            monkeypatch.delenv(variable, raising=False)
    settings = load_settings(None)
    for api in ("responses", "claude", "gemini", "groq"):
        families = [row.model for row in ROWS if row.api == api]
        models = settings.provider(provider_of(api)).chain
        assert len(models) == 2
        assert all(any(map(model.startswith, families)) for model in models), models


def test_what_is_never_sent_is_said_once() -> None:
    """The parameters in `Not sent` are in no column of their section."""
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, text = section.split("\n", 1)
        if title not in SECTIONS:
            continue
        found = re.search(r"Not sent: ([^.;]*)[.;]", text)
        assert found
        names = {item.split()[-1] for item in found[1].split(", ")}
        assert len(names) >= 4
        assert not names & TABLES[title][0].keys(), title


EFFORTS = (None, "none", "minimal", "low", "high", "max", "off")


@pytest.mark.parametrize(
    "refusal",
    TABLES["Refusals"],
    ids=lambda row: f"{row['Model']} {row['Parameter']} {row['Value']}".replace("`", ""),
)
def test_what_a_model_refuses_is_not_sent(
    providers: Mapping[str, BaseProvider], refusal: Mapping[str, str]
) -> None:
    """Neither by default nor however the operator configures the effort and the temperature."""
    api = {"gpt": "responses"}.get(refusal["Provider"], refusal["Provider"])
    model, parameter = refusal["Model"].strip("`"), refusal["Parameter"].strip("`")
    for effort, temperature in product(EFFORTS, (None, 0.5)):
        settings = make_settings(
            name=provider_of(api),
            base_url="http://127.0.0.1:1",
            reasoning_effort=effort,
            temperature=temperature,
        )
        provider = copy.copy(providers[api])
        RequestParameters.__init__(provider, settings)
        value = sent(provider, model).get(parameter)
        if refusal["Value"] == "any":
            assert value is None, (effort, temperature)
        else:
            assert value != read_cell(refusal["Value"]), (effort, temperature)
    assert refusal[SOURCE]
