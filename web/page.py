"""The chat page and its files. Its policy allows only its own scripts, and its own gateway."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from web.paths import route_path
from web.response_policy import DEFAULT_HEADERS
from web.stored_page import StoredPage

_STATIC = Path(__file__).parents[1] / "static"
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",  # data: for attached images
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types dompurify",  # all HTML goes through the sanitiser
)

PAGE_HEADERS = DEFAULT_HEADERS | {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-cache",  # file names have no version, so browsers revalidate them by ETag
}


# where they are served: there their links are right
_PAGES = {"index.html": "../", "reference.html": "../docs"}
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


@cache
def _read_files() -> Mapping[str, StoredPage]:
    """All files of `static/` by relative path. A process reads them once."""
    files = (path for path in _STATIC.rglob("*") if path.is_file())
    return {
        path.relative_to(_STATIC).as_posix(): StoredPage(
            path.read_bytes(), _MEDIA_TYPES.get(path.suffix, "text/plain"), PAGE_HEADERS
        )
        for path in files
    }


class PageFiles:
    """An ASGI app that serves the page's files from memory."""

    def __init__(self) -> None:
        self._files = _read_files()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        name = route_path(scope).removeprefix("/")
        if name not in self._files:
            raise HTTPException(404)
        if name in _PAGES:  # the address is relative to the request's: right under any prefix
            headers = PAGE_HEADERS | {"Location": _PAGES[name]}
            response = Response(status_code=307, headers=headers)
        else:
            response = self._files[name].respond(scope)
        await response(scope, receive, send)


def page_response(scope: Scope) -> Response:
    """The page itself."""
    return _read_files()["index.html"].respond(scope)


def reference_response(scope: Scope) -> Response:
    """The page that shows the OpenAPI document."""
    return _read_files()["reference.html"].respond(scope)
