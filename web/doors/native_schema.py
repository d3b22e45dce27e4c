"""The schemas of a chat's body for `/openapi.json`; `native.py` validates without them."""

from __future__ import annotations

from typing import Any

from web.doors.media import MAX_FILE_NAME, PDF
from web.doors.option_schemas import OPTION_SCHEMAS, option_properties

_IGNORED_MODEL = {"description": "Accepted and ignored: the gateway chooses the model."}
_TEXT = {"type": "string"}
_DATA_URL = _TEXT | {"pattern": "^[Dd][Aa][Tt][Aa]:[^,]*;[Bb][Aa][Ss][Ee]64,"}


def _either(*schemas: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"anyOf": list(schemas), **more}


def _optional(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A field that may be absent or null, with the same meaning."""
    return _either(schema, {"type": "null"}, **more)


def _object(description: str, required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "required": required,
        "properties": properties,
    }


_FILE_NAME = _TEXT | {"maxLength": MAX_FILE_NAME}
_PDF_URL = _TEXT | {"pattern": "^[Dd][Aa][Tt][Aa]:application/pdf[^,]*;[Bb][Aa][Ss][Ee]64,"}

_PARTS = {
    "TextPart": _object("A piece of text.", ["type", "text"], type={"const": "text"}, text=_TEXT),
    "ImagePart": _object(
        "An image: its bytes in base64.",
        ["type", "media_type", "data"],
        type={"const": "image"},
        media_type={
            "type": "string",
            "enum": ["image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp"],
        },
        data=_TEXT | {"minLength": 1, "description": "The image's bytes in base64."},
    ),
    "ImageUrlPart": _object(
        "An image in OpenAI's shape. No URL is ever fetched on a client's behalf.",
        ["type", "image_url"],
        type={"const": "image_url"},
        image_url=_either(_DATA_URL, _object("", ["url"], url=_DATA_URL)),
    ),
    "FilePart": _object(
        "A PDF: its bytes in base64.",
        ["type", "media_type", "data"],
        type={"const": "file"},
        media_type={"const": PDF},
        data=_TEXT | {"minLength": 1, "description": "The file's bytes in base64."},
        name=_optional(_FILE_NAME),
        file={"type": "null", "description": "Only a FileUrlPart has one."},
    ),
    "FileUrlPart": _object(
        "A PDF in OpenAI's shape. No URL is ever fetched on a client's behalf.",
        ["type", "file"],
        type={"const": "file"},
        file=_object("", ["file_data"], file_data=_PDF_URL, filename=_optional(_FILE_NAME)),
    ),
}


def chat_schemas(ref: str) -> dict[str, Any]:
    """The schemas by name. `ref` is a reference to one, with `{model}` for its name."""

    def refer(name: str) -> dict[str, Any]:
        return {"$ref": ref.format(model=name)}

    parts = {"oneOf": [refer(name) for name in _PARTS]}
    message = _object(
        "A turn. A system's content is only texts; an assistant's may be null beside calls.",
        ["role"],
        role={"type": "string", "enum": ["system", "user", "assistant", "tool"]},
        content=_optional(_either(_TEXT, {"type": "array", "items": parts})),
        tool_calls=_optional(
            {"type": "array", "items": refer("ToolCall")}, description="Of an assistant."
        ),
        states=_optional(
            {"type": "array", "items": refer("State")},
            description="Of an assistant's reasoning, as the answer had them.",
        ),
        tool_call_id=_optional(_TEXT, description="Of a tool: the call that it answers."),
        is_error=_optional({"type": "boolean"}, description="Of a tool: whether it failed."),
        timestamp={"description": "Accepted and ignored."},
        model=_IGNORED_MODEL,
    )
    chat = _object(
        "The body of `POST /chat/{provider}`. Unknown fields are ignored and never forwarded.",
        ["messages"],
        messages={"type": "array", "minItems": 1, "items": refer("Message")},
        conversation_id=_optional(_TEXT | {"maxLength": 128}, description="Made if absent."),
        stream=_optional({"type": "boolean"}, default=True, description="false: one JSON answer."),
        on_break=_optional(
            {"type": "string", "enum": ["error", "restart", "hold"]},
            description="If the answer breaks after its first content: error ends it, restart has "
            "the client throw it away and asks the next model from the start, hold shows nothing "
            "before an answer is whole. Default: ON_BREAK.",
        ),
        model=_IGNORED_MODEL,
        **option_properties(refer),
    )
    return {"ChatRequest": chat, "Message": message, **_PARTS, **OPTION_SCHEMAS}
