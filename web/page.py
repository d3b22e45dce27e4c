"""The chat page and its files. Its policy allows only its own scripts, and its own gateway."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from web.page_files import make_page, make_version, read_files, read_words
from web.paths import route_path
from web.response_policy import DEFAULT_HEADERS
from web.stored_page import StoredPage

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",  # data: for attached images
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    # all HTML goes through the sanitiser; the other one gives addresses of two files of the page
    "trusted-types dompurify own-files",
)

PAGE_HEADERS = DEFAULT_HEADERS | {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-cache",  # revalidated by ETag
}
_IMMUTABLE = {"Cache-Control": "max-age=31536000, immutable"}
# While workers are replaced, one may serve the page and another its files: better a file of the
# neighbouring version than none, but only for this once.
_OTHER_VERSION = {"Cache-Control": "no-store"}

# where they are served: there their links are right
_PAGES = {
    "index.html": "../",
    "reference.html": "../docs",
    "admin.html": "../admin",
    "service_worker.js": "../service_worker.js",
}
_LANGUAGE = "gateway_language"  # the cookie with a reader's choice
_VERSION = re.compile(r"[0-9a-f]{16}")
_WEIGHT = re.compile(r"q=(0(?:\.\d{1,3})?|1(?:\.0{1,3})?)")
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class _Site(NamedTuple):
    """All that is served: the files by relative path, the pages by name and language."""

    version: str
    files: Mapping[str, StoredPage]
    pages: Mapping[str, Mapping[str, StoredPage]]


def _media_type(name: str) -> str:
    return _MEDIA_TYPES.get(name[name.rfind(".") :], "text/plain")


@cache
def _read_site() -> _Site:
    """A process reads the files once."""
    files = read_files()
    words = read_words(files)
    stored = {
        name: StoredPage(content, _media_type(name), PAGE_HEADERS)
        for name, content in files.items()
    }
    pages = {
        name: {
            language: StoredPage(
                make_page(name, files, language, words),
                _media_type(name),
                PAGE_HEADERS,
                vary="Accept-Encoding, Accept-Language, Cookie",
            )
            for language in words
        }
        for name in _PAGES
    }
    return _Site(make_version(files), stored, pages)


class PageFiles:
    """An ASGI app that serves the page's files from memory."""

    def __init__(self) -> None:
        self._site = _read_site()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        name = route_path(scope).removeprefix("/")
        version, _, rest = name.partition("/")
        headers: Mapping[str, str] = {}
        if _VERSION.fullmatch(version):
            name = rest
            headers = _IMMUTABLE if version == self._site.version else _OTHER_VERSION
        if name not in self._site.files:
            raise HTTPException(404)
        if name not in _PAGES:
            response = self._site.files[name].respond(scope, headers)
        elif headers:
            raise HTTPException(404)
        else:  # the address is relative to the request's: right under any prefix
            response = Response(status_code=307, headers=PAGE_HEADERS | {"Location": _PAGES[name]})
        await response(scope, receive, send)


def page_response(scope: Scope, name: str = "index.html") -> Response:
    """A page, or the service worker, in the language that was chosen, else in the client's."""
    pages = _read_site().pages[name]
    chosen = cookie_parser(Headers(scope=scope).get("cookie", "")).get(_LANGUAGE, "")
    if chosen not in pages:
        accepted = Headers(scope=scope).get("accept-language", "")
        chosen = choose_language(accepted, tuple(pages))
    return pages[chosen].respond(scope)


def choose_language(accepted: str, languages: Sequence[str]) -> str:
    """The language that an `Accept-Language` prefers; if it names none of these, the first."""
    best, most = languages[0], 0.0
    for entry in accepted.lower().split(","):
        name, _, parameter = entry.replace(" ", "").partition(";")
        found = _WEIGHT.fullmatch(parameter)
        weight = float(found[1]) if found else 0.0 if parameter else 1.0
        language = name.partition("-")[0]
        if language in languages and weight > most:
            best, most = language, weight
    return best
