"""Responses with fixed content: the bytes, their compressed form and the ETag are computed once."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

_UNACCEPTABLE = ("q=0", "q=0.0", "q=0.00", "q=0.000")
_MIN_COMPRESSED_BYTES = 500  # below, the header costs what the compression saves


class StoredPage:
    """The content of one path. `headers` are added to each response."""

    __slots__ = ("_compressed", "_content", "_etag", "_headers", "_media_type")

    def __init__(
        self,
        content: bytes,
        media_type: str,
        headers: Mapping[str, str],
        vary: str = "Accept-Encoding",
    ) -> None:
        self._content = content
        self._media_type = media_type
        # weak: the same for both forms
        self._etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
        self._headers = {**headers, "ETag": self._etag, "Vary": vary}
        compressed = (
            gzip.compress(content, 9, mtime=0) if len(content) >= _MIN_COMPRESSED_BYTES else content
        )
        self._compressed = compressed if len(compressed) < len(content) else None

    def respond(self, scope: Scope, overriding: Mapping[str, str] | None = None) -> Response:
        """The response to a GET or HEAD: 304 if the client has it, gzip if it accepts that.

        `overriding` are headers of this response alone.
        """
        own_headers = {**self._headers, **(overriding or {})}
        headers = Headers(scope=scope)
        conditions = headers.get("if-none-match", "").split(",")
        known = {condition.strip().removeprefix("W/") for condition in conditions}
        if self._etag.removeprefix("W/") in known or "*" in known:
            return Response(status_code=304, headers=own_headers)
        weights: dict[str, str] = {}
        for entry in headers.get("accept-encoding", "").lower().split(","):
            name, _, parameters = entry.partition(";")
            weights[name.strip()] = parameters.replace(" ", "")
        weight = weights.get("gzip", weights.get("*", "q=0"))
        if self._compressed is not None and weight not in _UNACCEPTABLE:
            encoded = own_headers | {"Content-Encoding": "gzip"}
            return Response(self._compressed, headers=encoded, media_type=self._media_type)
        return Response(self._content, headers=own_headers, media_type=self._media_type)
