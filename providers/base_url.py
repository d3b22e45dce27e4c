"""The address of a vendor's API, from a base URL as documentation writes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from configuration import ConfigurationError, ProviderSettings


class BaseUrl(NamedTuple):
    """The parts of a base URL.

    `path` has no trailing slash; `query` is added to each request.
    """

    origin: str
    path: str
    query: str

    def url(self, path: str, query: str = "") -> str:
        """The whole URL of a path below it; the base URL's query comes first."""
        joined = "&".join(filter(None, (self.query, query)))
        return f"{self.origin}{self.path}{path}" + (f"?{joined}" if joined else "")


def read_base_url(settings: ProviderSettings, endpoints: Iterable[str]) -> BaseUrl:
    """The provider's base URL, without an endpoint that was copied with it.

    Raises ConfigurationError if the provider has none: another vendor's address must never get its
    key and prompts.
    """
    if not settings.base_url:
        raise ConfigurationError(
            [f"{settings.prefix}_BASE_URL: {settings.name} has no address; set this variable"]
        )
    parts = urlsplit(settings.base_url)
    path = parts.path.rstrip("/")
    for endpoint in endpoints:
        path = path.removesuffix(endpoint).rstrip("/")
    return BaseUrl(f"{parts.scheme}://{parts.netloc}", path, parts.query)
