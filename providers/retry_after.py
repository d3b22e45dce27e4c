"""How long a vendor asks to wait, from the headers of its response and the details of its error."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_FIELDS = ("retryDelay", "retry_after")
_LONGEST_WAIT = 86_400.0  # seconds
_DURATION = re.compile(r"(?:\d{1,12}(?:\.\d{1,12})?(?:ms|s|m|h)){1,4}", re.ASCII)
_ISO_DURATION = re.compile(  # `PT1M30S`; a year and a month have no length
    r"p(?:(\d{1,12})w)?(?:(\d{1,12})d)?"
    r"(?:t(?:(\d{1,12}(?:[.,]\d{1,12})?)h)?(?:(\d{1,12}(?:[.,]\d{1,12})?)m)?"
    r"(?:(\d{1,12}(?:[.,]\d{1,12})?)s)?)?",
    re.ASCII | re.IGNORECASE,
)
_ISO_SECONDS = (604_800.0, 86_400.0, 3600.0, 60.0, 1.0)
_PIECE = re.compile(r"([\d.]+)(ms|s|m|h)", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)
_UNIT_NAMES = re.compile(r"\s*(milliseconds?|millis|seconds?|secs?|minutes?|mins?|hours?)\b")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def find_retry_after(
    headers: Mapping[str, str], details: Iterable[Mapping[str, Any]]
) -> float | None:
    """Seconds to wait, at most a day.

    From Retry-After-Ms, Retry-After, or a field of the error's `details`: Google's RetryInfo, or
    `retry_after` of another gateway. Each may be a number, a duration such as `30s`, `1m30s` or
    `PT1M30S`, or a date. Returns None if none is readable.
    """
    milliseconds = _parse_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _limit(milliseconds / 1000)
    fields = [detail.get(name) for detail in details for name in _FIELDS]
    texts = [headers.get("retry-after"), *(str(field) for field in fields if field is not None)]
    parsers = (_parse_number, _parse_duration, _parse_iso_duration, _parse_date)
    found = (parse(text.strip()) for text in texts if text for parse in parsers)
    return next((_limit(seconds) for seconds in found if seconds is not None), None)


def _parse_number(text: str | None) -> float | None:
    stripped = text.strip() if text else ""
    return float(stripped) if _NUMBER.fullmatch(stripped) else None


def _parse_duration(text: str) -> float | None:
    lowered = _UNIT_NAMES.sub(
        lambda match: "ms" if match[1].startswith("mil") else match[1][0], text.lower()
    )
    compact = lowered.replace(" ", "")
    if not _DURATION.fullmatch(compact):
        return None
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _PIECE.findall(compact))


def _parse_iso_duration(text: str) -> float | None:
    found = _ISO_DURATION.fullmatch(text)
    if not found or not any(found.groups()):
        return None
    numbers = (float(number.replace(",", ".")) if number else 0.0 for number in found.groups())
    return sum(number * unit for number, unit in zip(numbers, _ISO_SECONDS, strict=True))


def _parse_date(text: str) -> float | None:
    """Seconds from now until an HTTP or ISO date; a date without a time zone is in UTC."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = parse(text)
            date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
            return date.timestamp() - time.time()
        except (ValueError, OverflowError, TypeError, IndexError):
            continue  # not a date in this format
    return None


def _limit(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST_WAIT)
