"""What the headers of an error say to clients that ask again by themselves."""

from __future__ import annotations

import pytest

from models import GatewayError
from web.errors import error_response


@pytest.mark.parametrize(
    ("error", "should_retry"),
    [
        (GatewayError("upstream_unavailable"), "false"),
        (GatewayError("upstream_timeout"), "false"),
        (GatewayError("upstream_truncated"), "false"),
        (GatewayError("upstream_auth"), "false"),
        (GatewayError("invalid_request"), "false"),
        (GatewayError("upstream_unavailable", retry_after=7), "true"),
        (GatewayError("rate_limited"), "true"),
        (GatewayError("rate_limited", retry_after=7), "true"),
        (GatewayError("overloaded"), "true"),
        (GatewayError("draining"), "true"),
        (GatewayError("internal_error"), "true"),
    ],
    ids=lambda part: getattr(part, "code", part),
)
def test_retries_of_clients_do_not_multiply_those_of_the_chain(
    error: GatewayError, should_retry: str
) -> None:
    """A failure of all models is not worth another round at once, unless the vendor has said when."""
    assert error_response(error).headers["x-should-retry"] == should_retry
