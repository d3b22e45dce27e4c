"""Errors of vendors and their sockets, in the gateway's codes: by the recorded error bodies, and by any other."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import ERROR_KINDS, GatewayError
from providers.errors import vendor_error
from providers.refusals import VendorRefusalError
from providers.wires.sse_reader import SSEReader

LONGEST_WAIT = 86_400  # seconds: a longer wait from a vendor is nonsense

# Every recorded error, by vendor and number, judged by hand against the contract's table of codes.
RECORDED = {
    "anthropic/003": "rejected_by_provider",
    "anthropic/004": "rejected_by_provider",
    "anthropic/005": "upstream_auth",
    "anthropic/009": "upstream_model_not_found",
    "anthropic/010": "upstream_model_not_found",
    "anthropic/011": "upstream_unavailable",
    "anthropic/012": "rate_limited",
    "anthropic/015": "rate_limited",
    "anthropic/016": "upstream_unavailable",
    "anthropic/018": "context_length_exceeded",  # 413, said in prose only
    "anthropic/019": "upstream_unavailable",  # overloaded_error as an event
    "gemini/002": "context_length_exceeded",  # prose
    "gemini/003": "upstream_auth",  # 400, API_KEY_INVALID
    "gemini/005": "upstream_auth",
    "gemini/007": "upstream_auth",
    "gemini/009": "upstream_model_not_found",
    "gemini/011": "upstream_model_not_found",
    "gemini/012": "rate_limited",  # a quota a minute, with RetryInfo
    "gemini/013": "rate_limited",
    "gemini/016": "upstream_unavailable",
    "gemini/017": "upstream_unavailable",  # 499 in mid-stream, as bare JSON
    "groq/002": "rejected_by_provider",
    "groq/003": "upstream_auth",
    "groq/005": "upstream_model_not_found",
    "groq/006": "rate_limited",  # 413
    "groq/008": "rate_limited",
    "groq/010": "rejected_by_provider",  # status_code 400 in an event
    "groq/011": "rejected_by_provider",
    "openai/001": "rejected_by_provider",
    "openai/002": "rejected_by_provider",
    "openai/006": "rejected_by_provider",
    "openai/010": "rejected_by_provider",
    "openai/011": "rejected_by_provider",
    "openai/012": "context_length_exceeded",
    "openai/013": "rejected_by_provider",
    "openai/015": "rejected_by_provider",
    "openai/016": "rejected_by_provider",
    "openai/019": "rejected_by_provider",
    "openai/020": "rejected_by_provider",
    "openai/021": "rejected_by_provider",
    "openai/023": "rejected_by_provider",
    "openai/024": "rejected_by_provider",
    "openai/025": "upstream_auth",
    "openai/027": "upstream_auth",
    "openai/029": "upstream_model_not_found",
    "openai/031": "upstream_model_not_found",
    "openai/033": "rate_limited",
    "openai/034": "rate_limited",  # response.failed of the Responses API
}


def recorded(corpus: Path, key: str) -> tuple[Any, dict[str, Any]]:
    """An error's body as JSON, and what is known of it."""
    vendor, number = key.split("/")
    (folder,) = (corpus / "errors" / vendor).glob(f"{number}-*")
    meta = json.loads((folder / "meta.json").read_text())
    raw = (folder / "body").read_bytes()
    if raw.lstrip().startswith((b"event:", b"data:")):
        reader = SSEReader(1_000_000)
        raw = [*reader.feed(raw), *reader.close()][-1].data
    body = json.loads(raw)
    return body.get("response", body), meta


def classify(corpus: Path, key: str) -> GatewayError:
    body, meta = recorded(corpus, key)
    status = None if meta.get("midstream") else meta["status"]
    return vendor_error(body, status=status, headers=meta.get("headers"))


@pytest.mark.parametrize(("key", "code"), RECORDED.items(), ids=RECORDED)
def test_recorded_error_has_its_code(corpus: Path, key: str, code: str) -> None:
    """What vendors really sent means what the contract says it means."""
    error = classify(corpus, key)
    assert error.code == code
    assert error.kind == ERROR_KINDS[code]
    is_missing = code in ("upstream_auth", "upstream_model_not_found") and error.detail[
        "vendor_status"
    ] in (403, 404)
    is_refused = code in ("rejected_by_provider", "context_length_exceeded")
    assert isinstance(error, VendorRefusalError) == (is_refused or is_missing)


def test_every_recorded_error_is_judged(corpus: Path) -> None:
    """No recording is left out of the table."""
    folders = {
        f"{path.parent.name}/{path.name[:3]}"
        for path in (corpus / "errors").glob("*/*")
        if path.is_dir()
    }
    assert folders == set(RECORDED)
    assert len(folders) == 48


@pytest.mark.parametrize("key", RECORDED)
def test_recorded_text_is_not_passed_on(corpus: Path, key: str) -> None:
    """A vendor's prose stays out of message, string and detail: only its short code words are kept for the log."""
    error = classify(corpus, key)
    body, _ = recorded(corpus, key)
    prose: str = (body[0] if isinstance(body, list) else body)["error"]["message"]
    visible = f"{error} {error!r} {error.safe_message} {error.detail}"
    assert prose not in visible
    words = prose.split()
    assert not any(" ".join(words[place : place + 3]) in visible for place in range(len(words) - 2))


def test_wait_of_a_recorded_quota_is_read(corpus: Path) -> None:
    """Gemini sends it in RetryInfo."""
    assert classify(corpus, "gemini/012").retry_after == pytest.approx(48, abs=1)


STATUSES = {
    400: "rejected_by_provider",
    401: "upstream_auth",
    402: "upstream_quota",
    403: "upstream_auth",
    404: "upstream_model_not_found",
    405: "upstream_bad_response",
    407: "upstream_bad_response",
    410: "upstream_model_not_found",
    421: "upstream_bad_response",
    424: "upstream_unavailable",
    451: "upstream_auth",
    408: "upstream_unavailable",
    413: "payload_too_large",
    422: "rejected_by_provider",
    429: "rate_limited",
    499: "upstream_unavailable",
    500: "upstream_unavailable",
    502: "upstream_unavailable",
    503: "upstream_unavailable",
    504: "upstream_unavailable",
    529: "upstream_unavailable",
    301: "upstream_bad_response",
    307: "upstream_bad_response",
}


@pytest.mark.parametrize(
    "body", [None, "<html>Bad gateway</html>", {}, {"error": None}, {"error": "prose"}, [], 5]
)
def test_status_decides_if_the_body_says_nothing(body: object) -> None:
    """A CDN's HTML or an empty body is classified by its status alone."""
    assert {status: vendor_error(body, status=status).code for status in STATUSES} == STATUSES


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "cf-ray"])
def test_vendors_own_request_id_is_kept_for_the_log(name: str) -> None:
    """A refused request has the vendor's id for it beside ours, a CDN's if no vendor was reached; prose is none."""
    assert (
        vendor_error(None, status=502, headers={name: "8f00abcd-FRA"}).detail["vendor_request_id"]
        == "8f00abcd-FRA"
    )
    assert (
        vendor_error(None, status=502, headers={name: "your prompt"}).detail["vendor_request_id"]
        is None
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, "upstream_quota"),
        ({"type": "overloaded_error"}, "upstream_unavailable"),
        ({"type": "rate_limit_error"}, "rate_limited"),
        (
            {"type": "invalid_request_error", "message": "prompt is too long: 2 > 1"},
            "context_length_exceeded",
        ),
        (
            {
                "type": "invalid_request_error",
                "message": "Your credit balance is too low to access",
            },
            "upstream_quota",
        ),
        ({"type": "api_error"}, "upstream_unavailable"),
        ({"type": "authentication_error"}, "upstream_auth"),
        ({"type": "server_error", "code": None}, "upstream_unavailable"),
        ({"code": "content_filter"}, "content_filtered"),
        ({"code": "bio_policy"}, "content_filtered"),
        ({"code": "misalignment_policy_violation"}, "content_filtered"),
        ({"code": "image_content_policy_violation"}, "content_filtered"),
        ({"code": "data_residency_mismatch"}, "upstream_auth"),
        ({"code": "image_parse_error", "message": "?"}, "rejected_by_provider"),
        ({"code": 429, "status": "RESOURCE_EXHAUSTED"}, "rate_limited"),
        (
            {"code": 429, "details": [{"violations": [{"quotaId": "RequestsPerDayPerProject"}]}]},
            "upstream_quota",
        ),
        (
            {"code": 429, "details": [{"violations": [{"quotaId": "RequestsPerMinute"}]}]},
            "rate_limited",
        ),
        ({"message": "something new"}, "upstream_unavailable"),
        ({}, "upstream_unavailable"),
    ],
)
def test_event_is_classified_by_its_body(error: dict[str, Any], code: str) -> None:
    """An error that arrives as an event has no status: its type or its code decides."""
    assert vendor_error({"error": error}).code == code
    assert vendor_error({"type": "error", "error": error}, status=200).code == code


def wait_by_header(**headers: str) -> float | None:
    return vendor_error(
        {}, status=429, headers={name.replace("_", "-"): v for name, v in headers.items()}
    ).retry_after


def wait_by_detail(delay: object) -> float | None:
    return vendor_error({"error": {"details": [{"retryDelay": delay}]}}, status=429).retry_after


def wait_by_field(delay: object) -> float | None:
    """As another gateway sends it."""
    return vendor_error({"error": {"code": "rate_limited", "retry_after": delay}}).retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "3"}, 3.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after_ms": "250", "retry_after": "1"}, 0.25),
        ({"retry_after_ms": "soon", "retry_after": "1"}, 1.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry_after": " 30 "}, 30.0),
        ({"retry_after": "30s"}, 30.0),
        ({"retry_after": "30 s"}, 30.0),
        ({"retry_after": "30 seconds"}, 30.0),
        ({"retry_after": "1.5s"}, 1.5),
        ({"retry_after": "500ms"}, 0.5),
        ({"retry_after": "2 minutes"}, 120.0),
        ({"retry_after": "1m30s"}, 90.0),
        ({"retry_after": "6h0m1s"}, 21601.0),
        ({"retry_after": "2015-10-21T07:28:00Z"}, 0.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00"}, 0.0),
        ({"retry_after_ms": " 250 "}, 0.25),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "s"}, None),
        ({"retry_after": "3 apples"}, None),
        ({"retry_after": "-5s"}, None),
        ({"retry_after": "1.2.3"}, None),
        ({"retry_after": ""}, None),
        ({}, None),
    ],
)
def test_wait_is_read_from_headers(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds before seconds, a date that has passed is now, and what cannot be read is none."""
    assert wait_by_header(**headers) == seconds


def test_wait_is_read_from_a_date() -> None:
    """An HTTP date counts from now."""
    in_half_a_minute = time.time() + 30
    for date in (
        formatdate(in_half_a_minute, usegmt=True),
        f" {formatdate(in_half_a_minute, usegmt=True)} ",
        formatdate(in_half_a_minute).removesuffix(" -0000"),
        datetime.fromtimestamp(in_half_a_minute, UTC).isoformat(),
    ):
        assert wait_by_header(retry_after=date) == pytest.approx(30, abs=2)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("48.9s", 48.9),
        ("1s", 1.0),
        ("0s", 0.0),
        ("1.2.3s", None),
        ("s", None),
        ("-1s", None),
        (5, 5.0),
        (None, None),
    ],
)
def test_wait_is_read_from_google_details(delay: object, seconds: float | None) -> None:
    """RetryInfo's duration, or nothing."""
    assert wait_by_detail(delay) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT30S", 30.0),
        ("PT1M30S", 90.0),
        ("PT0S", 0.0),
        ("PT1.5S", 1.5),
        ("PT0,5S", 0.5),
        ("pt2m", 120.0),
        (" PT1H ", 3600.0),
        ("PT1H30M", 5400.0),
        ("PT90M", 5400.0),
        ("P1DT1S", LONGEST_WAIT),
        ("P2W", LONGEST_WAIT),
        ("P", None),
        ("PT", None),
        ("P1D2H", None),
        ("PT1S1M", None),
        ("P1Y", None),
        ("P1M", None),
        ("-PT5S", None),
        ("PT-5S", None),
        ("PT1.2.3S", None),
        ("PTS", None),
    ],
)
def test_wait_is_read_from_an_iso_duration(text: str, seconds: float | None) -> None:
    """A header, Google's details and a field of the body are read alike."""
    assert wait_by_header(retry_after=text) == seconds
    assert wait_by_detail(text) == seconds
    assert wait_by_field(text) == seconds


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [(7, 7.0), (1.5, 1.5), ("30s", 30.0), (0, 0.0), (None, None), (True, None), ({}, None)],
)
def test_wait_is_read_from_a_field_of_the_body(delay: object, seconds: float | None) -> None:
    """In seconds, or as a duration."""
    assert wait_by_field(delay) == seconds


def test_wait_in_a_header_comes_before_one_in_the_body() -> None:
    """The header is for the whole response."""
    body = {"error": {"retry_after": 9}}
    assert vendor_error(body, status=429, headers={"retry-after": "PT2S"}).retry_after == 2.0


@pytest.mark.parametrize(
    "text",
    ["nan", "inf", "-inf", "-5", "1e999", "9" * 30, "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"],
)
def test_absurd_wait_is_none_or_bounded(text: str) -> None:
    """No wait that a client could not use: nothing negative, infinite or beyond a day, wherever it is sent."""
    for wait in (
        wait_by_header(retry_after=text),
        wait_by_header(retry_after_ms=text),
        wait_by_detail(f"{text}s"),
        wait_by_detail(f"PT{text}S"),
    ):
        assert wait is None or 0 <= wait <= LONGEST_WAIT


@pytest.mark.parametrize("wait", ["nan", "inf"])
def test_wait_that_is_no_number_is_none(wait: str) -> None:
    """`nan` does not mean "come back at once"."""
    assert wait_by_header(retry_after_ms=wait) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
WORDS = ["code", "type", "message", "param", "status", "status_code"]
DETAIL = st.dictionaries(st.sampled_from(["reason", "retryDelay", "violations"]), JSON, max_size=3)
ERROR = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(WORDS, JSON), "details": JSON | st.lists(DETAIL, max_size=3)}
)
BODY = (
    JSON
    | ERROR
    | st.fixed_dictionaries({"error": JSON | ERROR})
    | st.lists(st.fixed_dictionaries({"error": ERROR}))
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms"]),
    st.text(max_size=12) | st.floats().map(str) | st.integers().map(str),
)


@settings(deadline=None)
@given(BODY, st.none() | st.integers(min_value=100, max_value=999), HEADERS)
def test_any_body_is_classified(body: object, status: int | None, headers: dict[str, str]) -> None:
    """Whatever JSON a vendor sends as an error, with whatever headers: a code of the table, and a wait to be used."""
    error = vendor_error(body, status=status, headers=headers)
    assert error.code in ERROR_KINDS
    assert error.retry_after is None or 0 <= error.retry_after <= LONGEST_WAIT


@settings(deadline=None)
@given(
    st.text(min_size=12).filter(lambda text: " " in text or not text.isascii()),
    st.sampled_from(WORDS),
)
def test_prose_is_not_passed_on(prose: str, field: str) -> None:
    """In whatever field a vendor puts a sentence, it goes neither to the client nor into the log."""
    error = vendor_error({"error": {field: prose}}, status=400)
    assert prose not in f"{error} {error.safe_message} {error.detail}"
