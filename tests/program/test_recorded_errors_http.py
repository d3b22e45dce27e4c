"""Every error that a vendor was recorded to send, played to its real SDK: the code and status that a client gets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from simulator import Behaviour, Error, Replay
from tests.conftest import CORPUS, CORPUS_ABSENT
from tests.providers.test_provider_errors import RECORDED
from tests.vendors.simulated_vendor import DEFAULT, simulated_vendor

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

ERRORS = CORPUS / "errors"
PROVIDERS = {"openai": "gpt", "anthropic": "claude", "gemini": "gemini", "groq": "groq"}

# The contract's own table, for the codes that recordings have.
STATUSES = {
    "rejected_by_provider": 400,
    "context_length_exceeded": 400,
    "rate_limited": 429,
    "upstream_auth": 502,
    "upstream_model_not_found": 502,
    "upstream_unavailable": 503,
}

pytestmark = pytest.mark.skipif(not ERRORS.is_dir(), reason=CORPUS_ABSENT)


class RecordedError(NamedTuple):
    """One error: its key in the table, the provider that meets it, its folder."""

    key: str
    provider: str
    folder: Path

    @property
    def behaviour(self) -> Behaviour:
        """What the simulator does. A failed answer of the Responses API stands as a chunk of chat completions."""
        recorded = Error.recorded(self.folder)
        if isinstance(recorded, Replay) and recorded.stream.startswith(b"event: response.failed"):
            _, _, data = recorded.stream.partition(b"data: ")
            return Replay(b"data: %b\n\n" % json.dumps(json.loads(data)["response"]).encode())
        return recorded

    @property
    def marks(self) -> set[str]:
        """What distinguishes the vendor's text from any other: three words in a row of its sentences, and its ids."""
        body = (self.folder / "body").read_text()
        _, mark, data = body.rpartition("\ndata: ")
        sentences = [text.split() for text in strings(json.loads(data if mark else body))]
        runs = {
            " ".join(words[place : place + 3])
            for words in sentences
            for place in range(len(words) - 2)
        }
        ids = {
            word
            for words in sentences
            for word in words
            if len(word) > 8 and any(map(str.isdigit, word))
        }
        return runs | ids


def strings(value: Any) -> list[str]:
    """All strings within a JSON value, keys left out."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in strings(each)]


def find_errors() -> list[RecordedError]:
    """All recorded errors."""
    folders = sorted(meta.parent for meta in ERRORS.glob("*/*/meta.json"))
    vendors = [(folder.parent.name, folder) for folder in folders]
    return [
        RecordedError(f"{vendor}/{folder.name[:3]}", PROVIDERS[vendor], folder)
        for vendor, folder in vendors
    ]


def check(error: RecordedError, response: httpx.Response) -> None:
    """The contract's code and status, in its shape, and no sentence of the vendor's in body or headers."""
    sent = response.json()["error"]
    code = RECORDED[error.key]
    assert (sent["code"], response.status_code, sent["status"]) == (
        code,
        STATUSES[code],
        STATUSES[code],
    ), error.key
    assert (sent["provider"], sent["model"], sent["stage"]) == (
        error.provider,
        DEFAULT,
        "before_content",
    )
    assert {attempt["code"] for attempt in sent["attempts"]} == {code}
    shown = f"{response.text} {list(response.headers.items())}"
    assert not [mark for mark in error.marks if mark in shown], error.key


@pytest.mark.parametrize("error", find_errors(), ids=lambda error: error.folder.name)
async def test_recorded_error_reaches_the_client_as_the_contract_says(
    tmp_path: Path, error: RecordedError
) -> None:
    """Its one model fails so, at each attempt: the client gets the code, its status, and nothing of the vendor's."""
    async with simulated_vendor(tmp_path, error.provider, fallback=None) as vendor:
        vendor.simulator.behaviours[DEFAULT] = error.behaviour
        response = await vendor.chat()
        assert set(vendor.asked) == {DEFAULT}
    check(error, response)


def test_every_recorded_error_is_played() -> None:
    """The plays above are of all recordings: none is missing, none is left out of the table."""
    played = [error.key for error in find_errors()]
    print(f"{len(played)} of {len(RECORDED)} recorded errors are played over HTTP")
    assert sorted(played) == sorted(RECORDED)
    assert len(played) == 48
