"""PDFs in each door's own shape: what is read into a chat, and what is refused."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from starlette.datastructures import Headers

from configuration import Settings
from models import Content, File, GatewayError, Text, ToolResult
from web.doors.anthropic_body import decode_messages
from web.doors.native import decode_chat
from web.doors.native_schema import chat_schemas
from web.doors.openai_chat_body import decode_chat as decode_openai
from web.doors.openai_responses import OpenAIResponsesDoor
from web.doors.ui_message import UiMessageDoor

SETTINGS = Settings(vendors={}, max_file_bytes=3_000)
DATA = b64encode(b"%PDF-1.7\n%%EOF\n").decode()
URL = f"data:application/pdf;base64,{DATA}"
PDF = File("application/pdf", DATA, "a.pdf")

Part = dict[str, Any]


def native(data: str, name: str | None = "a.pdf", media_type: str = "application/pdf") -> Part:
    return {"type": "file", "media_type": media_type, "data": data, "name": name}


def openai(data: str, name: str | None = "a.pdf", media_type: str = "application/pdf") -> Part:
    return {"type": "file", "file": {"file_data": to_url(data, media_type), "filename": name}}


def responses(data: str, name: str | None = "a.pdf", media_type: str = "application/pdf") -> Part:
    return {"type": "input_file", "file_data": to_url(data, media_type), "filename": name}


def claude(data: str, name: str | None = "a.pdf", media_type: str = "application/pdf") -> Part:
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "document", "source": source, "title": name}


def ui(data: str, name: str | None = "a.pdf", media_type: str = "application/pdf") -> Part:
    url = to_url(data, media_type)
    return {"type": "file", "mediaType": "application/pdf", "url": url, "filename": name}


def to_url(data: str, media_type: str) -> str:
    return f"data:{media_type};base64,{data}"


def read_native(part: Part) -> tuple[Any, ...]:
    body = {"messages": [{"role": "user", "content": [part]}]}
    return decode_chat(json.dumps(body).encode(), SETTINGS).chat.turns[0].parts


def read_openai(part: Part) -> tuple[Any, ...]:
    body = {"model": "gpt", "messages": [{"role": "user", "content": [part]}]}
    asked = decode_openai(json.dumps(body).encode(), SETTINGS, Headers())
    return asked.chat.turns[0].parts


def read_responses(part: Part) -> tuple[Any, ...]:
    body = {"model": "gpt", "input": [{"role": "user", "content": [part]}]}
    asked = OpenAIResponsesDoor().read(json.dumps(body).encode(), SETTINGS, Headers())
    return asked.chat.turns[0].parts


def read_claude(part: Part) -> tuple[Any, ...]:
    body = {"model": "gpt", "max_tokens": 9, "messages": [{"role": "user", "content": [part]}]}
    return decode_messages(json.dumps(body).encode(), SETTINGS, Headers()).chat.turns[0].parts


def read_ui(part: Part) -> tuple[Any, ...]:
    body = {"id": "c", "messages": [{"id": "m", "role": "user", "parts": [part]}]}
    asked = UiMessageDoor().read(json.dumps(body).encode(), SETTINGS, Headers())
    return asked.chat.turns[0].parts


Door = tuple[Callable[..., Part], Callable[[Part], tuple[Any, ...]], str]
DOORS: dict[str, Door] = {
    "native": (native, read_native, "messages.0.content.0.data"),
    "native, in OpenAI's shape": (openai, read_native, "messages.0.content.0.file.file_data"),
    "openai": (openai, read_openai, "messages.0.content.0.file.file_data"),
    "responses": (responses, read_responses, "input.0.content.0.file_data"),
    "anthropic": (claude, read_claude, "messages.0.content.0.source.data"),
    "ui": (ui, read_ui, "messages.0.parts.0.url"),
}
EVERY_DOOR = pytest.mark.parametrize(("make", "read", "place"), DOORS.values(), ids=DOORS)


def refuse(read: Callable[[Any], Any], part: object) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        read(part)
    assert raised.value.code == "invalid_request"
    return raised.value


@EVERY_DOOR
@pytest.mark.parametrize("name", ["a.pdf", "Brief mit Ümlaut", "x" * 500])
def test_pdf_is_read_with_its_name(make: Any, read: Any, place: str, name: str) -> None:
    """In the shape that each protocol has for it."""
    assert read(make(DATA, name)) == (File("application/pdf", DATA, name),)


@EVERY_DOOR
@pytest.mark.parametrize("name", [None, ""])
def test_pdf_needs_no_name(make: Any, read: Any, place: str, name: Any) -> None:
    assert read(make(DATA, name)) == (File("application/pdf", DATA),)


@EVERY_DOOR
def test_limit_of_a_file_is_named_with_what_was_seen(make: Any, read: Any, place: str) -> None:
    """Its decoded size; a far larger one is not decoded at all."""
    for size, seen in (3_003, "3003 bytes in a file"), (12_000, "more than 3000 bytes in a file"):
        error = refuse(read, make(b64encode(b"%PDF-".ljust(size)).decode()))
        assert error.safe_message.startswith(f"{seen}; MAX_FILE_BYTES is 3000")
    assert read(make(b64encode(b"%PDF-".ljust(3_000)).decode()))


@EVERY_DOOR
@pytest.mark.parametrize("data", ["", "JVBERi", "JVBERi0x\n", DATA + "!", "JVBERi0-"])
def test_data_that_is_no_base64_is_refused(make: Any, read: Any, place: str, data: str) -> None:
    """Padded, in the standard alphabet, not empty; the message has the place and not the data."""
    message = refuse(read, make(data)).safe_message
    assert message.startswith(place.removesuffix(".data"))
    assert "JVBE" not in message


@EVERY_DOOR
@pytest.mark.parametrize("content", [b"PK\x03\x04", b"<html>", b" " * 1_026 + b"%PDF-1.7"])
def test_file_that_is_no_pdf_is_refused(make: Any, read: Any, place: str, content: bytes) -> None:
    """Whatever it is called: readers look for the mark in the first 1,024 bytes."""
    message = refuse(read, make(b64encode(content).decode())).safe_message
    assert message.startswith(place.removesuffix(".data"))
    assert "must be a PDF" in message


@EVERY_DOOR
def test_mark_of_a_pdf_may_follow_other_bytes(make: Any, read: Any, place: str) -> None:
    """Mail programs and printers put some before it, and all readers accept that."""
    data = b64encode(b"\xef\xbb\xbf\r\n%PDF-1.4\n").decode()
    assert read(make(data)) == (File("application/pdf", data, "a.pdf"),)


@EVERY_DOOR
@pytest.mark.parametrize("media_type", ["text/plain", "application/zip", "image/png", ""])
def test_other_type_is_refused(make: Any, read: Any, place: str, media_type: str) -> None:
    message = refuse(read, make(DATA, media_type=media_type)).safe_message
    assert message.startswith(place.removesuffix(".data"))
    assert "a file must be application/pdf" in message


@EVERY_DOOR
def test_long_name_is_refused(make: Any, read: Any, place: str) -> None:
    """A vendor would refuse it; the message does not repeat it."""
    message = refuse(read, make(DATA, "x" * 501)).safe_message
    assert "501" in message
    assert "xxx" not in message


FETCHED: list[tuple[Callable[[Part], Any], Part, str]] = [
    (read_native, native("x") | {"data": "https://a.test/b.pdf"}, "messages.0.content.0"),
    (read_openai, {"type": "file", "file": {"file_id": "file-1"}}, "file.file_data"),
    (
        read_openai,
        {"type": "file", "file": {"file_data": "https://a.test/b.pdf"}},
        "file.file_data",
    ),
    (read_responses, {"type": "input_file", "file_id": "file-1"}, "content.0.file_data"),
    (
        read_responses,
        {"type": "input_file", "file_url": "https://a.test/b.pdf"},
        "content.0.file_data",
    ),
    (
        read_claude,
        {"type": "document", "source": {"type": "url", "url": "https://a.test/b.pdf"}},
        "source.type",
    ),
    (
        read_claude,
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        "source.type",
    ),
    (
        read_ui,
        {"type": "file", "mediaType": "application/pdf", "url": "https://a.test/b.pdf"},
        "parts.0.url",
    ),
]


@pytest.mark.parametrize(("read", "part", "place"), FETCHED)
def test_no_url_and_no_id_is_ever_fetched(read: Any, part: Part, place: str) -> None:
    """The message names the field, and not what is in it."""
    message = refuse(read, part).safe_message
    assert place in message
    assert "a.test" not in message
    assert "file-1" not in message


AS_DESCRIBED: dict[str, tuple[Part, bool]] = {
    "two fields": (native(DATA), True),
    "OpenAI's shape": (openai(DATA), True),
    "two fields without a name": (
        {"type": "file", "media_type": PDF.media_type, "data": DATA},
        True,
    ),
    "two fields and null": (native(DATA) | {"file": None}, True),
    "both": (native(DATA) | openai(DATA), True),
    "longest name": (openai(DATA, "x" * 500), True),
    "neither": ({"type": "file"}, False),
    "no data": ({"type": "file", "media_type": PDF.media_type}, False),
    "no media type": ({"type": "file", "data": DATA}, False),
    "another media type": (native(DATA, media_type="image/png"), False),
    "empty shape of OpenAI": ({"type": "file", "file": {}}, False),
    "two fields, and that": (native(DATA) | {"file": {}}, False),
    "too long a name": (native(DATA, "x" * 501), False),
}


@pytest.mark.parametrize(("part", "is_valid"), AS_DESCRIBED.values(), ids=AS_DESCRIBED)
def test_openapi_document_describes_the_files_that_are_read(part: Part, is_valid: bool) -> None:
    """What it calls valid is read, and what it does not is refused."""
    schemas = chat_schemas("#/$defs/{model}")
    body = {"messages": [{"role": "user", "content": [part]}]}
    validator = jsonschema_rs.validator_for({"$ref": "#/$defs/ChatRequest", "$defs": schemas})
    assert validator.is_valid(body) == is_valid
    if is_valid:
        assert len(read_native(part)) == 1
    else:
        refuse(read_native, part)


def test_result_of_a_tool_may_have_a_pdf() -> None:
    """In the formats that have a place for it."""
    inner: tuple[Content, ...] = (Text("Here."), PDF)
    text = {"type": "text", "text": "Here."}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [text, claude(DATA)]}
    assert read_claude(result) == (ToolResult("c1", inner),)
    tool = {"role": "tool", "tool_call_id": "c1", "content": [text, native(DATA)]}
    body = json.dumps({"messages": [tool]}).encode()
    assert decode_chat(body, SETTINGS).chat.turns[0].parts == (ToolResult("c1", inner),)
    output = [text | {"type": "input_text"}, responses(DATA)]
    item = {"type": "function_call_output", "call_id": "c1", "output": output}
    body = json.dumps({"model": "gpt", "input": [item]}).encode()
    chat = OpenAIResponsesDoor().read(body, SETTINGS, Headers()).chat
    assert chat.turns[0].parts == (ToolResult("c1", inner),)


IMAGE = "iVBORw0KGgo="
PICTURE = {"type": "image_url", "image_url": {"url": to_url(IMAGE, "image/png")}}
WORDS = {"type": "text", "text": "Be brief."}


def in_messages(said: list[Part], role: str, *, is_first: bool) -> bytes:
    """A body that native clients, OpenAI's and Anthropic's send alike."""
    messages = [{"role": role, "content": said}, {"role": "user", "content": "Hi"}]
    messages = messages if is_first else messages[::-1]
    return json.dumps({"model": "gpt", "max_tokens": 9, "messages": messages}).encode()


def in_items(said: list[Part], role: str, *, is_first: bool) -> bytes:
    items = [{"role": role, "content": said}, {"role": "user", "content": "Hi"}]
    return json.dumps({"model": "gpt", "input": items if is_first else items[::-1]}).encode()


def in_parts(said: list[Part], role: str, *, is_first: bool) -> bytes:
    messages = [{"role": role, "parts": said}, {"role": "user", "parts": [WORDS]}]
    return json.dumps({"messages": messages if is_first else messages[::-1]}).encode()


def read_body_native(body: bytes) -> Any:
    return decode_chat(body, SETTINGS).chat


def read_body_openai(body: bytes) -> Any:
    return decode_openai(body, SETTINGS, Headers()).chat


def read_body_responses(body: bytes) -> Any:
    return OpenAIResponsesDoor().read(body, SETTINGS, Headers()).chat


def read_body_claude(body: bytes) -> Any:
    return decode_messages(body, SETTINGS, Headers()).chat


def read_body_ui(body: bytes) -> Any:
    return UiMessageDoor().read(body, SETTINGS, Headers()).chat


CLAUDES_IMAGE = claude(IMAGE, media_type="image/png") | {"type": "image"}
SYSTEM: dict[str, tuple[Any, Any, str, Part]] = {
    "native": (in_messages, read_body_native, "messages.{}.content", native(DATA)),
    "native, an image": (in_messages, read_body_native, "messages.{}.content", PICTURE),
    "openai": (in_messages, read_body_openai, "messages.{}.content", openai(DATA)),
    "openai, an image": (in_messages, read_body_openai, "messages.{}.content", PICTURE),
    "responses": (in_items, read_body_responses, "input.{}.content", responses(DATA)),
    "responses, an image": (
        in_items,
        read_body_responses,
        "input.{}.content",
        {"type": "input_image", "image_url": to_url(IMAGE, "image/png")},
    ),
    "anthropic": (in_messages, read_body_claude, "messages.{}.content", claude(DATA)),
    "anthropic, an image": (in_messages, read_body_claude, "messages.{}.content", CLAUDES_IMAGE),
    "ui": (in_parts, read_body_ui, "messages.{}.parts", ui(DATA)),
    "ui, an image": (
        in_parts,
        read_body_ui,
        "messages.{}.parts",
        {"type": "file", "mediaType": "image/png", "url": to_url(IMAGE, "image/png")},
    ),
}


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "among others"])
@pytest.mark.parametrize(("make", "read", "place", "part"), SYSTEM.values(), ids=SYSTEM)
def test_images_and_files_of_system_messages_are_refused(
    make: Any, read: Any, place: str, part: Part, is_first: bool
) -> None:
    """Left out without a word, the model would answer without having seen them."""
    error = refuse(read, make([WORDS, part], "system", is_first=is_first))
    assert error.safe_message.startswith(f"{place.format(0 if is_first else 1)}: ")
    assert read(make([WORDS], "system", is_first=is_first))


@pytest.mark.parametrize(
    ("make", "read", "part"),
    [(in_messages, read_body_openai, PICTURE), (in_items, read_body_responses, responses(DATA))],
    ids=["openai", "responses"],
)
def test_images_and_files_of_developer_messages_are_refused(
    make: Any, read: Any, part: Part
) -> None:
    """A developer's message is a system message by another name."""
    assert "content" in refuse(read, make([part], "developer", is_first=True)).safe_message


def test_images_and_files_of_anthropics_system_prompt_are_refused() -> None:
    """Its own field has blocks, too; a document of text is text."""
    body = {"model": "gpt", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    for part in (claude(DATA), CLAUDES_IMAGE):
        asked = json.dumps(body | {"system": [WORDS, part]}).encode()
        assert refuse(read_body_claude, asked).safe_message.startswith("system: ")
    plain = {"type": "document", "source": {"type": "text", "data": "A letter."}}
    asked = json.dumps(body | {"system": [WORDS, plain]}).encode()
    assert read_body_claude(asked).system == ("Be brief.", "A letter.")


def test_files_of_an_assistant_are_ignored_in_ui_messages() -> None:
    """A page shows what a model has made; no vendor takes it back."""
    said = [{"type": "text", "text": "Here."}, ui(DATA)]
    body = {"id": "c", "messages": [{"id": "m", "role": "assistant", "parts": said}]}
    chat = UiMessageDoor().read(json.dumps(body).encode(), SETTINGS, Headers()).chat
    assert chat.turns[0].parts == (Text("Here."),)
