"""The limits of a JSON text: a small one is checked in another way than a large one, by the same rules."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import GatewayError
from web.json_scan import check_json

TO_LARGE = b" " * 2**15  # white space that changes nothing but the size
MAX_DEPTH = 6


def outcome(text: bytes) -> str:
    """The message of the error, or that there is none."""
    try:
        check_json(text, max_values=100_000, max_depth=MAX_DEPTH)
    except GatewayError as error:
        return error.safe_message
    return "passes"


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Hi"}]}',
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a": ' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
        b'{"a": ' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'["[[[[[[[[[[", "}}}}", "\\""]',
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"\\ud800": 1}',
        b'["\\ud83d\\ude00", "\\ud800"]',
        b'[{"a": {"b": 1, "c": {"b": 1, "b": 1}}}]',
        b"[1e308, -1.5e-400, 1E+2, 0.1]",
        b"[1e309]",
        b"[-1e999]",
        b"[" + b"9" * 308 + b"]",
        b"[" + b"9" * 310 + b"]",
        b"[" + b"9" * 5_000 + b"]",
        b"[0." + b"9" * 500 + b"]",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        '{"ä": "😀\u2028"}'.encode(),
        b"]",
        b"[}",
        b'{"a": [}',
    ],
)
def test_small_text_is_checked_by_the_rules_of_a_large_one(text: bytes) -> None:
    """The same error, or none."""
    assert outcome(text) == outcome(text + TO_LARGE)


_KEYS = st.sampled_from(["a", "b", "", "[", "\\", '"', "\ud83d\ude00", "ä"])
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
)


@given(_VALUES, st.booleans())
def test_any_valid_text_has_one_outcome(value: object, ascii_only: bool) -> None:
    """Whatever its size, with and without escapes."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    assert outcome(text) == outcome(text + TO_LARGE)
