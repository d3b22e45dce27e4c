"""The nouns that cross layers: a turn's text, and the table of codes, which is the contract's."""

from __future__ import annotations

import pytest

from models import ERROR_KINDS, GatewayError, Image, Text, Turn


def test_text_joins_the_text_parts() -> None:
    """`text` is what the user wrote, without the images."""
    turn = Turn("user", (Text("a"), Image("image/png", "aGk="), Text("b")))
    assert turn.text == "ab"


# The contract's table: code, status, next model, retryable.
CONTRACT = """
invalid_json 400 no no
invalid_request 422 no no
unsupported 400 no no
rejected_by_provider 400 no no
context_length_exceeded 400 yes no
content_filtered 422 no no
payload_too_large 413 no no
unsupported_media_type 415 no no
uri_too_long 414 no no
headers_too_large 431 no no
request_timeout 408 no no
unauthorized 401 no no
forbidden 403 no no
forbidden_origin 403 no no
forbidden_host 421 no no
unknown_provider 404 no no
not_found 404 no no
method_not_allowed 405 no no
provider_not_configured 503 no no
rate_limited 429 yes yes
budget_exceeded 429 no yes
overloaded 503 no yes
draining 503 no yes
upstream_auth 502 other_vendor no
upstream_quota 503 other_vendor no
upstream_model_not_found 502 yes no
upstream_unavailable 503 yes yes
upstream_timeout 504 yes yes
upstream_truncated 502 yes yes
upstream_bad_event 502 yes yes
upstream_bad_response 502 yes yes
event_too_large 502 yes yes
internal_error 500 no yes
"""


def test_codes_are_the_contracts() -> None:
    """One code, one status; the whole list and nothing beside it."""
    ours = {
        f"{code} {kind.status} {kind.next_model} {'yes' if kind.retryable else 'no'}"
        for code, kind in ERROR_KINDS.items()
    }
    assert ours == set(CONTRACT.strip().splitlines())


def test_error_says_its_code_and_plain_words_alone() -> None:
    """What is for the log stays out of what a client may read."""
    error = GatewayError("upstream_auth", detail={"vendor_type": "secret-word"})
    assert str(error) == f"upstream_auth: {ERROR_KINDS['upstream_auth'].message}"
    assert "secret-word" not in str(error) + repr(error) + error.safe_message


@pytest.mark.parametrize(
    ("code", "reason", "is_misconfiguration"),
    [
        ("upstream_auth", None, True),
        ("upstream_quota", None, True),
        ("upstream_model_not_found", None, True),
        ("upstream_bad_response", "redirect", True),
        ("upstream_bad_response", "tls", True),
        ("upstream_bad_response", "empty", False),
        ("upstream_unavailable", "status_500", False),
        ("rate_limited", None, False),
    ],
)
def test_misconfiguration_is_distinguished_from_an_outage(
    code: str, reason: str | None, is_misconfiguration: bool
) -> None:
    """A key, a quota, a model's name and an address are the operator's."""
    assert GatewayError(code, reason=reason).is_misconfiguration is is_misconfiguration
