"""The chat page and its files, under headers that let it run its own files alone and talk to its own gateway alone."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

_STATIC = Path(__file__).parents[1] / "static"
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",  # data: shows the images that are attached
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types dompurify",  # all HTML goes through the sanitiser
)

PAGE_HEADERS = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-cache",  # the files have no version in their names: each is asked for again, by its ETag
}


class _PageFiles(StaticFiles):
    """The files of `static/`, with the page's headers."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(PAGE_HEADERS)
        return response


def page_files() -> ASGIApp:
    """An app that serves the page's files."""
    return GZipMiddleware(_PageFiles(directory=_STATIC))


def page_response() -> FileResponse:
    """The page itself."""
    return FileResponse(_STATIC / "index.html", headers=PAGE_HEADERS)
