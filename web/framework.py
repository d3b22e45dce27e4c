"""What the gateway does not use of FastAPI: its documentation, telemetry, reading of parameters."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

FASTAPI_OPTIONS: dict[str, Any] = {
    "redirect_slashes": False,
    "openapi_url": None,  # served by web/routes.py
    "docs_url": None,
    "redoc_url": None,
    # The gateway has its own. FastAPI's is configured by the environment alone, and exports the
    # messages and stack traces of exceptions.
    "telemetry": {"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
}


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response.

    FastAPI's reading of parameters would be a tenth of the cost of a refused request.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint
