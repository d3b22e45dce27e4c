"""Responses to HTTP/1.0 clients, which have no chunked encoding.

A body of unknown length ends with the connection.
"""

from __future__ import annotations

import sys

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


async def run_without_chunks(
    app: ASGIApp, cycle: RequestResponseCycle, scope: Scope, receive: Receive, send: Send
) -> None:
    """Run the app without chunked encoding.

    uvicorn closes the connection after each HTTP/1.0 response anyway.
    """
    length_is_known = True

    async def send_without_chunks(message: Message) -> None:
        nonlocal length_is_known
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            length_is_known = b"content-length" in names
            if not length_is_known:
                cycle.chunked_encoding = False
                cycle.expected_content_length = sys.maxsize
        elif not length_is_known and not message.get("more_body", False):
            # so that uvicorn takes the body as complete
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    await app(scope, receive, send_without_chunks)
