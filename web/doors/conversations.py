"""The id of a conversation, in the places that other protocols and their clients have for one."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Raw
from starlette.datastructures import Headers

from web.doors.json_fields import decode_field, is_absent

_LONGEST = 128  # characters, as at the native door
_SESSIONS = ("X-Claude-Code-Session-Id", "X-Session-Id")  # of Claude Code, and of opencode
_SESSION_ID = re.compile(r"[\x21-\x7e]{1,128}")
# Claude Code's `metadata.user_id`, as a text and as JSON: the user's own ids are not read. A longer
# id is none: cut, it could be another session's.
_USERS_SESSION = re.compile(
    r'(?:_session_|"session_id" ?: ?")([0-9A-Za-z-]{1,128})(?![0-9A-Za-z-])"?\}?'
)


def find_conversation(headers: Headers, key: Raw) -> str | None:
    """The client's key of a cache of prompts, which names its conversation, or a session."""
    if not is_absent(key):
        value: Any = decode_field(key, Any, "prompt_cache_key")
        if isinstance(value, str) and 0 < len(value) <= _LONGEST:
            return value
    return find_session(headers)


def find_session(headers: Headers, metadata: Raw | None = None) -> str | None:
    """The session in a header, or in the metadata of Anthropic's protocol."""
    sessions = (headers.get(name, "") for name in _SESSIONS)
    session = next(filter(_SESSION_ID.fullmatch, sessions), None)
    if session or metadata is None or is_absent(metadata):
        return session
    fields: Any = decode_field(metadata, Any, "metadata")
    user = fields.get("user_id") if isinstance(fields, dict) else None
    found = _USERS_SESSION.search(user) if isinstance(user, str) else None
    return found[1] if found else None
