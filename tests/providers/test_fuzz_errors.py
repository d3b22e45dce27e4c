"""Failures of any kind: exceptions caused by exceptions, and answers with any status, headers and body at all."""

from __future__ import annotations

import json
from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ProviderOptions
from models import ERROR_KINDS, GatewayError
from providers.errors import translate
from providers.factory import ProviderFactory
from simulator import Error, Simulator
from tests.fuzzing import fuzzed
from tests.gateways.loopback import make_settings
from tests.providers.test_exceptions_complete import construct, find_kinds
from tests.vendors.scripted_provider import PROMPT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VENDORS = ("gpt", "claude", "gemini", "groq")
LONGEST_WAIT = 86_400  # seconds
SECRET = "text of the vendor"

# --- exceptions --------------------------------------------------------------------------------------

BUILTIN = (
    KeyError,
    OSError,
    ConnectionResetError,
    TimeoutError,
    UnicodeError,
    RecursionError,
    RuntimeError,
)
LIBRARIES_OWN = st.deferred(lambda: st.sampled_from(list(find_kinds().values())))
EXCEPTIONS = LIBRARIES_OWN.map(construct) | st.sampled_from(BUILTIN).map(lambda kind: kind())


@fuzzed
@given(st.lists(EXCEPTIONS, min_size=1, max_size=5), st.booleans())
def test_any_tree_of_exceptions_has_a_code(tree: list[Exception], is_circle: bool) -> None:
    """Whatever causes whatever, in a circle too: one GatewayError of a known code, without the vendor's text."""
    for upper, lower in pairwise([*tree, tree[0]] if is_circle else tree):
        upper.__cause__ = lower
    error = translate(tree[0])
    assert error.code in ERROR_KINDS
    assert SECRET not in f"{error} {error.detail}"


# --- answers -----------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
WORDS = ["code", "type", "message", "param", "status", "details"]
BODIES = st.one_of(
    st.binary(max_size=60),
    JSON.map(json.dumps).map(str.encode),
    st.dictionaries(st.sampled_from(WORDS), JSON | st.just(SECRET)).map(
        lambda error: json.dumps({"error": error}).encode()
    ),
    st.sampled_from(
        [b"", b"<html>", b"null", b'{"a":' * 5_000, b"[" * 100_000, b"\xff\xfe", SECRET.encode()]
    ),
)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "retry-after",
            "retry-after-ms",
            "x-request-id",
            "request-id",
            "location",
            "x-should-retry",
        ]
    ),
    VALUES,
)
TYPES = st.sampled_from(
    [
        "application/json",
        "text/html",
        "text/event-stream",
        "application/json; charset=utf-16",
        "",
        "x",
    ]
)
STATUSES = st.integers(min_value=200, max_value=599)
_models = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def simulator() -> AsyncIterator[Simulator]:
    """The vendors' end of the wire."""
    async with Simulator(remembered=0) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def factory(
    simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ProviderFactory]:
    """The four adapters with their real SDKs."""
    key = SecretStr("key-of-a-test")
    urls = simulator.base_urls
    vendors = {
        name: ProviderOptions(api_key=key, base_url=urls[name], model_default="m")
        if name in urls
        else ProviderOptions()
        for name in VALID_PROVIDERS
    }
    built = ProviderFactory(
        make_settings(tmp_path_factory.mktemp("logs"), vendors=vendors).providers
    )
    yield built
    await built.aclose()


async def fail(factory: ProviderFactory, name: str, model: str) -> GatewayError | None:
    """How a chat with one model fails, None if it does not."""
    answer = factory.get(name).stream_response(PROMPT, model, "id")
    try:
        async for _ in answer:
            pass
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be translated
        return translate(error)
    finally:
        await answer.aclose()
    return None


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.asyncio(loop_scope="module")
@fuzzed
@example(
    status=400, media_type="application/json; charset=utf-16", headers={}, body=b"\x00\x00"
)  # no BOM
@given(status=STATUSES, media_type=TYPES, headers=HEADERS, body=BODIES)
async def test_any_answer_is_the_vendors_doing(
    factory: ProviderFactory,
    simulator: Simulator,
    name: str,
    status: int,
    media_type: str,
    headers: dict[str, str],
    body: bytes,
) -> None:
    """Through the real SDK, whatever it makes of it: a code that blames the vendor, a wait to be used, and no text."""
    model = f"m-{next(_models)}"
    simulator.behaviours[model] = Error(status, {"content-type": media_type} | headers, body)
    error = await fail(factory, name, model)
    del simulator.behaviours[model]
    assert error
    assert error.code != "internal_error"
    assert error.retry_after is None or 0 <= error.retry_after <= LONGEST_WAIT
    assert SECRET not in f"{error} {error.detail}"
