"""uvicorn, with the one thing that it does not offer: a way to drop a connection whose client never reads.

`transport.close()`, which is all that uvicorn itself does, waits for the unread bytes to go out.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class AbortableHttpProtocol(HttpToolsProtocol):
    """Gives each request, in `scope["extensions"]["gateway.abort"]`, a function that drops its connection at once."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        extensions: Any = {"gateway.abort": self.transport.abort}
        self.scope["extensions"] = extensions
