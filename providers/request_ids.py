"""The ids that each request to a vendor has."""

from __future__ import annotations

from telemetry.log_line import request_id_context
from telemetry.span import vendor_traceparent_context


def request_ids() -> dict[str, str]:
    """The headers: the request's id, and the trace's if the vendor may know of that."""
    headers = {"X-Request-ID": request_id_context.get()}
    if traceparent := vendor_traceparent_context.get():
        headers["traceparent"] = traceparent
    return headers
