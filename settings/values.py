"""The types of values that variables have: how each is read from text, and what is refused.

A message says what a value should be, and never quotes it: it may be a secret.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_KEY = re.compile(r"[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9._-]+|(?=.*:.*:)[0-9A-Fa-f:.]+(%\w+)?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ROOT_PATH = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+)*")
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_CONTACT = re.compile(r"mailto:[^@\s]+@[^@\s]+|https://[^/\s]\S*|tel:\+[0-9-]+")
MODEL_PATTERN = re.compile(r"[A-Za-z0-9._:/@+*-]{1,200}")
_DSN = re.compile(r"https?://[^@/\s]+@[^@/\s]+/(\S+/)?\d+")

# The fields by which a client may say what it wants of an answer.
CLIENT_PARAMETERS = (
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "reasoning_effort",
)


class Options(BaseModel):
    """A group of variables: the field `max_streams` is the variable MAX_STREAMS."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )


def must(hold: Callable[[str], object], right: str) -> AfterValidator:
    """A check of a string or secret: `hold` is true for valid values, which `right` describes.

    It may raise ValueError for others.
    """

    def check(value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        try:
            is_right = bool(hold(text))
        except ValueError:
            is_right = False
        if not is_right:
            raise ValueError(f"should be {right}")
        return value

    return AfterValidator(check)


def when_text(convert: Callable[[str], object]) -> BeforeValidator:
    """A conversion of text; other values, which come from code, stay."""
    return BeforeValidator(lambda value: convert(value) if isinstance(value, str) else value)


def split(text: str) -> tuple[str, ...]:
    """The entries of a list with commas."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    has_address = bool(parts.hostname) and parts.port != 0
    return has_address and parts.scheme in ("http", "https") and text.split() == [text]


def _check_ca_file(path: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError:  # ssl.SSLError is one
        raise ValueError("should be a file of certificates in PEM that can be read") from None
    return path


def _check_client_parameters(names: tuple[str, ...]) -> tuple[str, ...]:
    if names == ("none",):
        return ()
    if not names or not set(names) <= set(CLIENT_PARAMETERS):
        right = ", ".join(CLIENT_PARAMETERS)
        raise ValueError(f"should be names out of {right}, with commas between, or none")
    return tuple(name for name in CLIENT_PARAMETERS if name in names)


LowerCase = when_text(str.lower)
UpperCase = when_text(str.upper)
CommaList = when_text(split)

Count = Annotated[int, Field(ge=1, le=2**31)]
Dollars = Annotated[float, Field(gt=0, le=10**9)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
SecondsOrNever = Annotated[float, Field(ge=0, le=86_400)]
Rate = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Host = Annotated[
    str, must(_HOST.fullmatch, "an address or name without a port, such as 127.0.0.1 or ::1")
]
Origin = Annotated[
    str,
    must(_ORIGIN.fullmatch, "origins such as https://chat.example.com:8443, without a path, or *"),
]
HeaderName = Annotated[
    str, must(_HEADER_NAME.fullmatch, "names of headers such as X-Client, with commas between")
]
RootPath = Annotated[
    str,
    must(_ROOT_PATH.fullmatch, "a path such as /chat, or empty"),
    when_text(lambda text: text.rstrip("/")),
]
Network = Annotated[
    str, must(ipaddress.ip_network, "IP addresses or networks such as 10.0.0.7 or 10.0.0.0/8")
]
Contact = Annotated[
    str,
    must(_CONTACT.fullmatch, "addresses such as mailto:security@example.com or https://…"),
]
Url = Annotated[
    str,
    must(
        lambda text: _is_url(text) and "@" not in text and "#" not in text,
        "a URL such as https://api.example.com/v1, without user or password",
    ),
]
Proxy = Annotated[
    SecretStr, must(_is_url, "a URL such as http://user:password@proxy.example.com:3128")
]
Dsn = Annotated[
    SecretStr,
    must(_DSN.fullmatch, "a DSN as Sentry shows it, https://<key>@<host>/<project number>"),
]
VendorKey = Annotated[
    SecretStr, must(_KEY.fullmatch, "the key as the vendor shows it, without spaces")
]
SystemPrompt = Annotated[
    str, when_text(lambda text: "" if text.strip().lower() == "none" else text)
]
ClientParameters = Annotated[
    tuple[str, ...], AfterValidator(_check_client_parameters), CommaList, LowerCase
]
ModelPattern = Annotated[
    str,
    must(MODEL_PATTERN.fullmatch, "names of models, with * for any characters and commas between"),
]
CaFile = Annotated[Path, AfterValidator(_check_ca_file)]
