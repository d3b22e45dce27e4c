"""How long a vendor asks to wait, from its answer's headers and its error's details."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

_LONGEST_WAIT = 86_400.0  # seconds


def find_retry_after(headers: Mapping[str, str], details: Iterable[Mapping[str, Any]]) -> float | None:
    """Seconds to wait, at most a day: Retry-After-Ms, Retry-After (a number or a date), or Google's RetryInfo
    among an error's `details`. None where nothing readable is told.
    """
    milliseconds = _parse_number(headers.get("retry-after-ms"))
    told = [
        None if milliseconds is None else milliseconds / 1000,
        _parse_number(headers.get("retry-after")),
        _parse_date(headers.get("retry-after")),
        *(_parse_number(str(detail.get("retryDelay")).removesuffix("s")) for detail in details),
    ]
    return next((min(max(0.0, seconds), _LONGEST_WAIT) for seconds in told if seconds is not None), None)


def _parse_number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text, re.ASCII) else None


def _parse_date(text: str | None) -> float | None:
    """Seconds from now to an HTTP date; an unreadable one is as good as none."""
    try:
        return parsedate_to_datetime(text).timestamp() - time.time() if text else None
    except (ValueError, OverflowError):
        return None
