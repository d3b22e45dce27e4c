"""Anthropic's own SDK as a client of the gateway."""

from __future__ import annotations

import anthropic
import httpx2


def connect_anthropic(url: str) -> anthropic.AsyncAnthropic:
    """A client without retries, and without certificates, which take long to load."""
    http_client = httpx2.AsyncClient(trust_env=False, verify=False)
    return anthropic.AsyncAnthropic(
        api_key="key-of-a-test", base_url=url, max_retries=0, http_client=http_client
    )
