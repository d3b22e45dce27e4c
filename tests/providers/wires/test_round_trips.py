"""Any conversation, as each vendor is sent it: read back from the request, it is the same, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import (
    NO_OPTIONS,
    AnswerOptions,
    Chat,
    Content,
    File,
    Image,
    JsonObject,
    JsonSchema,
    NamedTool,
    Prompt,
    Reasoning,
    State,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from prompt_engineering import build_prompt
from providers.answer_calls import MADE_ID
from providers.capabilities import Capability
from providers.groq_provider import GroqProvider
from providers.states import drop_foreign_states
from providers.wires import (
    chat_completions_body,
    generate_content_body,
    messages_body,
    responses_body,
)
from providers.wires.generate_content_history import DUMMY_SIGNATURE
from providers.wires.tool_calls import decode_arguments
from tests.vendors.sdk_types import check_request
from tests.vendors.sent_prompts import READERS, Said

QUESTION = Turn("user", (Text("How is it?"),))
STATES = {
    "claude": '{"type":"thinking","thinking":"Hm.","signature":"c2ln"}',
    "gpt": '{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAA"}',
    "gemini": '{"thoughtSignature":"c2ln"}',
    "groq": '{"reasoning_content":"Hm."}',
}
PROVIDERS = {"responses": "gpt"}  # of a wire; the others are called like their provider


def to_gemini(prompt: Prompt, _: str) -> dict[str, object]:
    return generate_content_body.to_body(prompt, Capability(), {})


MAKERS: dict[str, Callable[[Prompt, str], dict[str, object]]] = {
    "claude": messages_body.to_body,
    "gpt": chat_completions_body.to_body,
    "groq": GroqProvider.to_body,
    "responses": responses_body.to_body,
    "gemini": to_gemini,
}

TEXTS = st.sampled_from(["Hello.", "", " ", "ä\n", "error: x", '{"a": 1}']).map(Text)
IMAGES = st.sampled_from([Image("image/png", "aGk="), Image("image/gif", "aG8=")])
FILES = st.builds(
    File,
    st.just("application/pdf"),
    st.sampled_from(["JVBERi0x", "JVBERi0y"]),
    st.sampled_from(["a.pdf", "Report", "B.PDF", ""]),
)
CONTENT = TEXTS | IMAGES | FILES
IDS = st.sampled_from(["call_1", "toolu_2", f"{MADE_ID}3", "functions.add:0", "", "x" * 50, "ä"])
ARGUMENTS = st.sampled_from(["", "{}", '{"a": [1, null, "ä"]}', "not JSON", "[1]", "{"])
KEPT = st.sampled_from([State(name, "m", data) for name, data in STATES.items()])
CALLS = st.builds(ToolCall, IDS, st.sampled_from(["look", "f.stop"]), ARGUMENTS, st.none() | KEPT)
RESULTS = st.builds(ToolResult, IDS, st.lists(CONTENT, max_size=3).map(tuple), st.booleans())
REASONING = st.just(Reasoning("Hm.")) | st.builds(Reasoning, st.just(""), KEPT)
TURNS = st.one_of(
    st.builds(Turn, st.just("user"), st.lists(CONTENT | RESULTS, max_size=4).map(tuple)),
    st.builds(
        Turn, st.just("assistant"), st.lists(TEXTS | CALLS | REASONING, max_size=4).map(tuple)
    ),
)


def without_files(turns: list[Turn]) -> list[Turn]:
    """A chat with files is not sent to Groq."""
    kept = []
    for turn in turns:
        parts = [part for part in turn.parts if not isinstance(part, File)]
        for place, part in enumerate(parts):
            if isinstance(part, ToolResult):
                inner = tuple(one for one in part.parts if not isinstance(one, File))
                parts[place] = msgspec.structs.replace(part, parts=inner)
        kept.append(Turn(turn.role, tuple(parts)))
    return kept


def ask(turns: list[Turn], options: AnswerOptions = NO_OPTIONS) -> Prompt:
    return build_prompt(Chat(turns=(QUESTION, *turns, QUESTION), options=options), None)


def send(wire: str, prompt: Prompt) -> dict[str, Any]:
    """The body as the vendor gets it; it must be of the type of its SDK."""
    body: dict[str, Any] = json.loads(msgspec.json.encode(MAKERS[wire](prompt, "m")))
    check_request(wire, body | ({"max_tokens": 10} if wire == "claude" else {}))
    return body


# --- what the vendor should receive --------------------------------------------------------------


def piece(part: Content, *name: str) -> tuple[str, ...]:
    """A text, an image or a file as it is, the file with its name on that wire."""
    match part:
        case Text(text):
            return "text", text
        case Image(media_type, data):
            return "image", media_type, data
        case File(media_type, data):
            return "file", media_type, data, *name


def claudes(part: Content) -> tuple[str, ...]:
    return piece(part, part.name) if isinstance(part, File) else piece(part)


def openais(part: Content) -> tuple[str, ...]:
    """The name of a file has its ending always."""
    if not isinstance(part, File):
        return piece(part)
    name = part.name or "document"
    return piece(part, name if name.lower().endswith(".pdf") else f"{name}.pdf")


def text_of(result: ToolResult) -> str:
    return "".join(part.text for part in result.parts if isinstance(part, Text))


def media_of(result: ToolResult) -> list[Image | File]:
    return [part for part in result.parts if not isinstance(part, Text)]


def word_of(media: list[Image | File]) -> str:
    return "files" if any(isinstance(part, File) for part in media) else "images"


def with_failure(result: ToolResult, text: str) -> str:
    """OpenAI's wires have no field for a failure."""
    is_said = text.lstrip().startswith("error")
    return f"Error: {text}" if result.is_error and not is_said else text


def expect_claude(turn: Turn) -> Iterator[Any]:
    for part in turn.parts:
        match part:
            case ToolCall(call_id, name, arguments):
                yield turn.role, ("call", call_id, name, decode_arguments(arguments))
            case ToolResult(call_id, inner, is_error):
                said = [claudes(part) for part in inner]
                said = [one for one in said if one[0] != "text" or one[1].strip()]
                yield turn.role, ("result", call_id, said, is_error)
            case Reasoning(state=state):
                if state:
                    yield turn.role, ("state", json.loads(state.data))
            case _:
                yield turn.role, claudes(part)


def expect_chat(turn: Turn) -> Iterator[Any]:
    """A result's images come in the user's message after it, the calls after the text."""
    rest: list[Any] = []
    for part in turn.parts:
        match part:
            case ToolResult(call_id):
                media = media_of(part)
                word = word_of(media)
                text = with_failure(part, text_of(part)) or (f"({word} follow)" if media else "")
                yield "tool", ("result", call_id, [("text", text)])
                if media:
                    rest.append(("text", f"The {word} of the result of {call_id}:"))
                    rest += map(openais, media)
            case Text() | Image() | File():
                rest.append(openais(part))
    rest += [
        ("call", part.id, part.name, part.arguments or "{}")
        for part in turn.parts
        if isinstance(part, ToolCall)
    ]
    for one in rest:
        yield turn.role, one


def expect_responses(turn: Turn) -> Iterator[Any]:
    """A state that nothing follows is left out."""
    states: list[Any] = []
    for part in turn.parts:
        if isinstance(part, Reasoning):
            states += [("state", json.loads(part.state.data))] if part.state else []
            continue
        for state in states:
            yield turn.role, state
        states = []
        match part:
            case ToolCall(call_id, name, arguments):
                yield turn.role, ("call", call_id, name, arguments or "{}")
            case ToolResult(call_id, inner):
                failed = with_failure(part, text_of(part)) != text_of(part)
                said = [("text", "Error: ")] * failed + list(map(openais, inner))
                yield turn.role, ("result", call_id, said)
            case _:
                yield turn.role, openais(part)


def expect_gemini(turn: Turn, names: dict[str, str]) -> Iterator[Any]:
    """Results come first, then their media that cannot be in them; an id that we made is ours."""
    beside: list[Any] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            within = [piece(one) for one in media_of(part) if one.media_type != "image/gif"]
            others = [piece(one) for one in media_of(part) if one.media_type == "image/gif"]
            name = names[part.call_id]
            said = [("text", text_of(part)), *within]
            yield turn.role, ("result", vendors_id(part.call_id), name, said, part.is_error)
            if others:
                beside += [("text", f"The images of the result of {name}:"), *others]
    for one in beside:
        yield turn.role, one
    for part in turn.parts:
        match part:
            case ToolCall(call_id, name, arguments, state):
                names[call_id] = name
                yield turn.role, ("call", vendors_id(call_id), name, decode_arguments(arguments))
            case Reasoning(state=state):
                pass
            case Text() | Image() | File():
                state = None
                yield turn.role, piece(part)
            case _:
                continue
        if state:
            yield turn.role, ("state", json.loads(state.data)["thoughtSignature"])


def vendors_id(call_id: str) -> str | None:
    return None if call_id.startswith(MADE_ID) else call_id


def expect(wire: str, prompt: Prompt) -> list[Any]:
    names: dict[str, str] = {}
    makers: dict[str, Callable[[Turn], Iterator[Any]]] = {
        "claude": expect_claude,
        "gpt": expect_chat,
        "groq": expect_chat,
        "responses": expect_responses,
        "gemini": lambda turn: expect_gemini(turn, names),
    }
    return join([said for turn in prompt.turns for said in makers[wire](turn)])


# --- what it receives ----------------------------------------------------------------------------------


def join(said: list[Any]) -> list[Any]:
    """Adjacent texts as one, without empty ones, within results too: how a wire divides them says nothing."""
    joined: list[Any] = []
    for key, group in groupby(said, key=lambda one: (one[0], one[1][0] == "text")):
        if key[1]:
            text = "".join(part[1] for _, part in group)
            joined += [(key[0], ("text", text))] if text else []
        else:
            joined += [(role, join_within(part)) for role, part in group]
    return joined


def join_within(part: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        [one for _, one in join([("", one) for one in field])] if isinstance(field, list) else field
        for field in part
    )


def flatten(said: Said) -> list[Any]:
    """Without the signatures that stand for none."""
    dummy = ("state", DUMMY_SIGNATURE)
    return join([(role, part) for role, parts in said for part in parts if part != dummy])


@pytest.mark.parametrize("wire", MAKERS)
@settings(deadline=None)
@given(turns=st.lists(TURNS, max_size=8))
def test_any_conversation_is_read_back_from_its_request(wire: str, turns: list[Turn]) -> None:
    """Calls, results, images, files, failures and the model's own state are there, and nothing of another's."""
    turns = without_files(turns) if wire == "groq" else turns
    prompt = drop_foreign_states(ask(turns), PROVIDERS.get(wire, wire), "m")
    if wire == "gpt":  # by chat completions its state has no place
        prompt = drop_foreign_states(prompt, "", "")
    assert flatten(READERS[wire](send(wire, prompt))) == expect(wire, prompt)


SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}')
TOOLS = (Tool("look", SCHEMA, "Looks.", strict=True), Tool("stop", msgspec.Raw(b"{}")))
OPTIONS = st.builds(
    AnswerOptions,
    tools=st.sampled_from([(), TOOLS[:1], TOOLS]),
    tool_choice=st.sampled_from([None, "auto", "none", "required", NamedTool("look")]),
    parallel=st.sampled_from([None, True, False]),
    output=st.sampled_from([None, JsonObject(), JsonSchema("s", SCHEMA, "A sum.", strict=True)]),
)


@pytest.mark.parametrize("wire", MAKERS)
@settings(deadline=None)
@given(turns=st.lists(TURNS, max_size=4), options=OPTIONS)
def test_any_request_is_of_the_type_of_the_vendors_sdk(
    wire: str, turns: list[Turn], options: AnswerOptions
) -> None:
    """Whatever the client asks of the answer; the names of the tools are there."""
    turns = without_files(turns) if wire == "groq" else turns
    prompt = drop_foreign_states(ask(turns, options), PROVIDERS.get(wire, wire), "m")
    body = send(wire, prompt)
    tools = body.get("tools", [])
    tools = tools[0]["functionDeclarations"] if wire == "gemini" and tools else tools
    assert [tool.get("function", tool)["name"] for tool in tools] == [
        tool.name for tool in options.tools
    ]
