"""Tools on Gemini's wire: what a model said comes back to it as it said it, by the vendor's rules."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.genai.types import Content, GenerateContentConfig
from msgspec import Raw
from pydantic import SecretStr

from models import (
    AnswerOptions,
    Chat,
    Image,
    JsonObject,
    JsonSchema,
    NamedTool,
    Part,
    Prompt,
    Reasoning,
    State,
    Text,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Turn,
)
from prompt_engineering import build_prompt
from providers.answer_calls import AnswerCalls
from providers.capabilities import load_capabilities
from providers.gemini_provider import GeminiProvider
from providers.wires.generate_content import GenerateContentDecoder
from providers.wires.generate_content_body import to_body
from providers.wires.generate_content_history import DUMMY_SIGNATURE
from providers.wires.sse_reader import Frame
from streams.answer import join_pieces
from tests.conftest import CORPUS, CORPUS_ABSENT
from tests.vendors.recordings import recordings
from tests.vendors.scripted_provider import make_settings

CAPABILITIES = load_capabilities("gemini", None)
NEW, OLD = "gemini-3.5-flash", "gemini-2.5-flash"
SIGNED = {"thoughtSignature": "c2lnbmVk"}
STATE = State("gemini", NEW, json.dumps(SIGNED))
PICTURE = Image("image/png", "aGk=")

ASKED = Turn("user", (Text("What is it?"),))
CALL = ToolCall("call_1", "look", '{"a": 1}')
SIGNED_CALL = ToolCall("call_1", "look", '{"a": 1}', STATE)
RESULT = ToolResult("call_1", (Text("seen"),))


def body_of(
    *turns: Turn, model: str = NEW, options: AnswerOptions | None = None, **parameters: object
) -> dict[str, Any]:
    """The body as it is sent, which the SDK's own types accept."""
    prompt = Prompt("", turns, options or AnswerOptions(), is_plain=False)
    body = to_body(prompt, CAPABILITIES.of(model), parameters)
    encoded: dict[str, Any] = json.loads(
        json.dumps(body, default=lambda raw: json.loads(bytes(raw)))
    )
    check(encoded)
    return encoded


def check(body: dict[str, Any]) -> None:
    """Raises pydantic's ValidationError for what google-genai does not send."""
    for content in body["contents"]:
        Content.model_validate(content)
    config = {**body.get("generationConfig", {}), **body}
    unknown = {"contents", "generationConfig"}
    GenerateContentConfig.model_validate({k: v for k, v in config.items() if k not in unknown})


def contents_of(*turns: Turn, model: str = NEW) -> list[Any]:
    return list(body_of(*turns, model=model)["contents"])


def said(*parts: Part) -> Turn:
    return Turn("assistant", parts)


def answered(*parts: Part) -> Turn:
    return Turn("user", parts)


# --- history -------------------------------------------------------------------------------------


def test_calls_and_results_are_parts_with_their_signatures() -> None:
    second = ToolCall("call_2", "hear", "{}")
    results = answered(RESULT, ToolResult("call_2", (Text("heard"),)))
    assert contents_of(ASKED, said(Text("Let me see."), SIGNED_CALL, second), results)[1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "Let me see."},
                {"functionCall": {"id": "call_1", "name": "look", "args": {"a": 1}}, **SIGNED},
                {"functionCall": {"id": "call_2", "name": "hear", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "call_1",
                        "name": "look",
                        "response": {"result": "seen"},
                    }
                },
                {
                    "functionResponse": {
                        "id": "call_2",
                        "name": "hear",
                        "response": {"result": "heard"},
                    }
                },
            ],
        },
    ]


def test_first_call_of_each_step_of_the_current_turn_is_signed() -> None:
    """With the vendor's dummy, if another model made it. The newer models refuse a request without."""
    steps = [
        ASKED, said(CALL), answered(RESULT), said(Text("It is.")),
        answered(Text("And now?")), said(ToolCall("a", "f", ""), ToolCall("b", "f", "")),
        answered(ToolResult("a", ()), ToolResult("b", ())), said(ToolCall("c", "f", "", STATE)),
        answered(ToolResult("c", ())),
    ]  # fmt: skip
    for model, dummy in ((NEW, DUMMY_SIGNATURE), ("gemini-9-mega", DUMMY_SIGNATURE), (OLD, None)):
        contents = contents_of(*steps, model=model)
        parts = [
            part for content in contents for part in content["parts"] if "functionCall" in part
        ]
        signatures = [part.get("thoughtSignature") for part in parts]
        assert signatures == [None, dummy, None, SIGNED["thoughtSignature"]]


def test_words_of_the_user_beside_results_begin_a_turn() -> None:
    """Results are then alone in their content: else some models answer nothing."""
    contents = contents_of(ASKED, said(CALL), answered(RESULT, Text("So?")))
    assert "thoughtSignature" not in contents[1]["parts"][0]
    assert [[*part] for content in contents[2:] for part in content["parts"]] == [
        ["functionResponse"], ["text"],
    ]  # fmt: skip
    assert [content["role"] for content in contents] == ["user", "model", "user", "user"]


def test_dummy_is_what_the_documentation_names() -> None:
    assert base64.b64decode(DUMMY_SIGNATURE) == b"skip_thought_signature_validator"


def test_id_that_the_gateway_made_is_not_sent() -> None:
    """The vendor gave none; those of other vendors it takes."""
    made = ToolCall("call_gw0123", "look", "{}")
    contents = contents_of(ASKED, said(made), answered(ToolResult("call_gw0123", ())))
    assert contents[1]["parts"][0]["functionCall"] == {"name": "look", "args": {}}
    assert contents[2]["parts"][0]["functionResponse"] == {
        "name": "look",
        "response": {"result": ""},
    }


@pytest.mark.parametrize("arguments", ["{", "[1]", "null", '"a"', '{"a": 1} {'])
def test_arguments_that_are_no_object_are_sent_for_the_model_to_see(arguments: str) -> None:
    contents = contents_of(
        ASKED, said(ToolCall("a", "f", arguments)), answered(ToolResult("a", ()))
    )
    assert contents[1]["parts"][0]["functionCall"]["args"] == {"INVALID_JSON": arguments}


def test_result_is_text_even_if_it_is_json() -> None:
    """The newer models resolve a reference in an object, and refuse the request if it leads nowhere."""
    schema = '{"$ref": "#/$defs/A"}'
    failed = ToolResult("call_1", (Text(schema), Text("!")), is_error=True)
    for result, response in ((failed, {"error": schema + "!"}), (RESULT, {"result": "seen"})):
        contents = contents_of(ASKED, said(CALL), answered(result))
        assert contents[2]["parts"][0]["functionResponse"]["response"] == response


def test_images_of_a_result_are_within_it_if_the_model_takes_them() -> None:
    """Else they follow in the next content, after a text that names the tool."""
    gif = Image("image/gif", "Z2lm")
    png, other = (
        {"inlineData": {"mimeType": image.media_type, "data": image.data}}
        for image in (PICTURE, gif)
    )
    turns = (
        ASKED,
        said(CALL),
        answered(ToolResult("call_1", (Text("seen"), PICTURE, gif)), Text("So?")),
    )
    note, question = {"text": "The images of the result of look:"}, {"text": "So?"}
    result, beside = contents_of(*turns)[2:]
    assert result["parts"][0]["functionResponse"]["parts"] == [png]
    assert beside["parts"] == [note, other, question]
    result, beside = contents_of(*turns, model=OLD)[2:]
    assert "parts" not in result["parts"][0]["functionResponse"]
    assert beside["parts"] == [note, png, other, question]


def test_signature_after_a_text_is_sent_with_it() -> None:
    """It may also be the only part."""
    signed = Reasoning("", STATE)
    contents = contents_of(ASKED, said(Reasoning("Hm."), Text("It is."), signed), ASKED)
    assert contents[1]["parts"] == [{"text": "It is.", **SIGNED}]
    contents = contents_of(ASKED, said(signed, CALL), answered(RESULT))
    assert contents[1]["parts"][0] == {"text": "", **SIGNED}


@pytest.mark.parametrize("data", ["{}", "[]", '{"thoughtSignature": 5}', '{"type": "thinking"}'])
def test_state_in_another_format_counts_as_none(data: str) -> None:
    state = State("gemini", NEW, data)
    call = ToolCall("call_1", "look", "{}", state)
    contents = contents_of(ASKED, said(Reasoning("", state), call), answered(RESULT))
    assert [part.get("thoughtSignature") for part in contents[1]["parts"]] == [DUMMY_SIGNATURE]


# --- what the client asks ------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
LOOK = Tool("look", Raw(json.dumps(SCHEMA).encode()), "Looks.")


def test_tools_have_their_schemas_as_they_are() -> None:
    body = body_of(ASKED, options=AnswerOptions(tools=(LOOK, Tool("stop", Raw(b"{}")))))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "look", "description": "Looks.", "parametersJsonSchema": SCHEMA},
                {"name": "stop"},
            ]
        }
    ]
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (NamedTool("look"), {"mode": "ANY", "allowedFunctionNames": ["look"]}),
    ],
)
def test_tool_choice_is_a_mode(choice: Any, calling: dict[str, Any]) -> None:
    body = body_of(ASKED, options=AnswerOptions(tools=(LOOK,), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": calling}
    assert "toolConfig" not in body_of(ASKED, options=AnswerOptions(tool_choice=choice))


async def test_strict_of_tools_is_reported_since_it_is_not_sent() -> None:
    """The vendor has no strict mode for tools. Its answers keep to their schema as far as they can."""
    provider = GeminiProvider(
        make_settings(name="gemini", base_url="http://127.0.0.1:9", api_key=SecretStr("key"))
    )
    strict = Tool("look", LOOK.schema, None, strict=True)
    output = JsonSchema("answer", LOOK.schema, None, strict=True)
    for tools, names in (((LOOK, strict), {"tools.1.strict"}), ((LOOK,), set())):
        prompt = Prompt("", (ASKED,), AnswerOptions(tools=tools, output=output))
        assert {name for name in provider.dropped_params(prompt, NEW) if "strict" in name} == names
        assert "strict" not in str(provider.body(prompt, NEW))
    await provider.aclose()


def test_output_is_a_type_and_a_schema() -> None:
    output = JsonSchema("answer", LOOK.schema, "An answer.", strict=True)
    body = body_of(
        ASKED, options=AnswerOptions(output=output), temperature=0.5, thinkingLevel="low"
    )
    assert body["generationConfig"] == {
        "temperature": 0.5, "thinkingConfig": {"thinkingLevel": "low"},
        "responseMimeType": "application/json", "responseJsonSchema": SCHEMA,
    }  # fmt: skip
    body = body_of(ASKED, options=AnswerOptions(output=JsonObject()))
    assert body["generationConfig"] == {"responseMimeType": "application/json"}


# --- answers -------------------------------------------------------------------------------------


def decode(*parts: dict[str, Any]) -> list[Any]:
    """The deltas of an answer that streams these parts, one a chunk."""
    decoder, batch = GenerateContentDecoder("gemini", NEW), list[Any]()
    for part in parts:
        chunk = {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]}
        decoder.decode(Frame(json.dumps(chunk).encode(), b""), batch)
    return batch


def test_signatures_are_states_in_their_places() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    deltas = decode(
        {"text": "Hm.", "thought": True}, {"text": "It", "thoughtSignature": "QQ=="},
        {"text": "", "thoughtSignature": "Qg=="}, {**call, "thoughtSignature": "Qw=="}, call,
        {"executableCode": {"code": "1"}, "thoughtSignature": "RA=="},
    )  # fmt: skip
    found = [
        (type(delta).__name__, state.data if (state := getattr(delta, "state", None)) else None)
        for delta in deltas
    ]
    assert found == [
        ("Reasoning", None), ("Text", None), ("Reasoning", '{"thoughtSignature":"QQ=="}'),
        ("Reasoning", '{"thoughtSignature":"Qg=="}'), ("ToolCallDelta", '{"thoughtSignature":"Qw=="}'),
        ("ToolCallDelta", None),
    ]  # fmt: skip
    assert {delta.state.model for delta in deltas if getattr(delta, "state", None)} == {NEW}


def test_signature_of_a_call_in_pieces_is_with_its_first() -> None:
    path = {"jsonPath": "$.a", "stringValue": "x"}
    deltas = decode(
        {"functionCall": {"name": "f", "willContinue": True}, **SIGNED},
        {"functionCall": {"partialArgs": [path], "willContinue": True}}, {"functionCall": {}},
    )  # fmt: skip
    assert [(delta.arguments, delta.state is not None) for delta in deltas] == [
        ("", True), ('{"a":"x"}', False),
    ]  # fmt: skip


def signatures_in(parts: list[dict[str, Any]]) -> list[str]:
    """Those of calls and texts; others are of tools that the vendor runs itself."""
    return [
        part["thoughtSignature"]
        for part in parts
        if "thoughtSignature" in part and part.keys() & {"functionCall", "text"}
    ]


@pytest.mark.skipif(not CORPUS.is_dir(), reason=CORPUS_ABSENT)
def test_recorded_signatures_arrive_as_they_were_sent() -> None:
    seen = 0
    for recording in recordings():
        if recording.provider != "gemini":
            continue
        parts = []
        for line in recording.body.splitlines():
            if line.startswith(b"data: {") and b"thoughtSignature" in line:
                candidates = json.loads(line[6:])["candidates"]
                parts += [part for one in candidates for part in one["content"]["parts"]]
        states = [delta.state for delta in decode(*parts) if getattr(delta, "state", None)]
        sent = signatures_in(parts)
        assert [json.loads(state.data)["thoughtSignature"] for state in states] == sent
        seen += len(sent)
    assert seen >= 16


# --- recorded conversations ----------------------------------------------------------------------


def recorded_steps() -> list[Any]:
    """The recorded requests with calls in their history."""
    found = []
    for path in sorted(CORPUS.glob("gemini/*/request.json")):
        body = json.loads(path.read_bytes())
        parts = [part for content in body.get("contents", ()) for part in content["parts"]]
        if any("functionCall" in part for part in parts):
            found.append(pytest.param(body, id=path.parent.name[:3]))
    return found


def replay(body: dict[str, Any]) -> Prompt:
    """The prompt of a client that was answered by the gateway as the recorded one was by the vendor."""
    turns: list[Turn] = []
    ids: list[str] = []
    for content in body["contents"]:
        if content["role"] == "model":
            calls = AnswerCalls(ids, 0)
            events = [*calls.arrange(decode(*content["parts"])), *calls.close()]
            parts: list[Part] = [event for event in events if isinstance(event, Text | Reasoning)]
            pieces = [event for event in events if isinstance(event, ToolCallDelta)]
            parts += [part for part in join_pieces(pieces) if isinstance(part, ToolCall)]
            ids = [part.id for part in parts if isinstance(part, ToolCall)]
            turns.append(Turn("assistant", tuple(parts)))
        else:
            made: list[Part] = [Text(part["text"]) for part in content["parts"] if "text" in part]
            results = [part for part in content["parts"] if "functionResponse" in part]
            made += [
                ToolResult(call_id, (Text("done"),))
                for call_id, _ in zip(ids, results, strict=False)
            ]
            turns.append(Turn("user", tuple(made)))
    return build_prompt(Chat(turns=tuple(turns)), "")


def essence(contents: list[dict[str, Any]]) -> list[Any]:
    """What must be as it was: the order of the parts, the calls, their ids and signatures."""
    return [
        (content["role"], part.get("text"), part.get("functionCall"), part.get("thoughtSignature"),
         {name: value for name, value in part.get("functionResponse", {}).items() if name in ("id", "name")})
        for content in contents for part in content["parts"]
    ]  # fmt: skip


@pytest.mark.skipif(not CORPUS.is_dir(), reason=CORPUS_ABSENT)
@pytest.mark.parametrize("body", recorded_steps())
def test_next_turn_is_what_was_recorded(body: dict[str, Any]) -> None:
    """The recorded clients were answered with 200."""
    prompt = replay(body)
    made = body_of(*prompt.turns)
    assert essence(made["contents"]) == essence(body["contents"])
