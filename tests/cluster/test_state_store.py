"""Opaque states are kept by their calls, as many as fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state_store import KeptState, MemoryStateStore, state_key, state_scope
from models import State, ToolCall

NO_LIMIT = 10**9
FLOATS = st.floats(allow_nan=False, allow_infinity=False)  # what JSON has
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


SCOPE = state_scope("key a", "Hi")


def keep(size: int = 10) -> KeptState:
    """A state of so many bytes, and of what each takes beside."""
    return KeptState(own=State("p", "m", "x" * size))


def key_of(arguments: str, call_id: str = "call_1", name: str = "look") -> str:
    return state_key(ToolCall(call_id, name, arguments), SCOPE)


async def kept(store: MemoryStateStore, *keys: str) -> list[str]:
    """Those of the keys that are kept."""
    return list(await store.get(keys))


async def test_states_are_found_by_their_keys() -> None:
    """Others are not: any may be lost."""
    store = MemoryStateStore(10, NO_LIMIT)
    await store.put({"a": keep(1), "b": keep(2)})
    await store.put({"a": keep(3)})
    assert await store.get(["a", "c"]) == {"a": keep(3)}


async def test_number_of_states_is_bounded() -> None:
    """Those that were used least recently are dropped; to be found is a use."""
    store = MemoryStateStore(3, NO_LIMIT)
    await store.put({name: keep() for name in "abc"})
    await store.get(["a"])
    await store.put({"d": keep()})
    assert await kept(store, *"abcd") == ["a", "c", "d"]


async def test_bytes_of_states_are_bounded() -> None:
    """Of all together."""
    store = MemoryStateStore(100, 3 * keep(1000).size)
    await store.put({name: keep(1000) for name in "abcde"})
    assert await kept(store, *"abcde") == ["c", "d", "e"]


async def test_state_that_is_too_large_drops_no_other() -> None:
    """It is not kept itself, and what was kept for its call before is not its state."""
    store = MemoryStateStore(100, 10_000)
    await store.put({"a": keep(), "b": keep()})
    await store.put({"b": keep(10_000)})
    assert await kept(store, "a", "b") == ["a"]


def test_characters_beyond_latin_count_as_they_are_stored() -> None:
    """Two or four bytes each."""
    texts = ("x" * 1000, "д" * 1000, "😀" * 1000)
    sizes = [KeptState(((0, State("p", "m", text)),)).size for text in texts]
    assert sizes[1] - sizes[0] > 900
    assert sizes[2] - sizes[1] > 1900


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2000)), max_size=30))
async def test_store_stays_within_its_limits(puts: list[tuple[str, int]]) -> None:
    """Whatever is put; the newest is kept if it fits at all."""
    store = MemoryStateStore(4, 4000)
    for name, size in puts:
        await store.put({name: keep(size)})
        found: Mapping[str, KeptState] = await store.get(sorted("abcdefgh"))
        assert len(found) <= 4
        assert sum(state.size for state in found.values()) <= 4000
        assert name in found


@given(VALUES)
def test_key_is_that_of_the_values(value: Any) -> None:
    """Clients write the arguments anew: with other white space, escapes and order."""
    wrapped = {"b": value, "a": 1}
    one = json.dumps(wrapped)
    other = json.dumps(wrapped, indent=3, ensure_ascii=False, sort_keys=True)
    assert key_of(one) == key_of(other)


def test_key_is_that_of_the_call() -> None:
    """Servers number their calls anew in each answer."""
    keys = {
        key_of("{}"),
        key_of('{"a": 1}'),
        key_of('{"a": "1"}'),
        key_of("{}", "call_2"),
        key_of("{}", name="stop"),
        key_of("no JSON"),
    }
    assert len(keys) == 6
    assert key_of('{"a": 1.0}') == key_of('{"a": 1}')


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_arguments_have_a_key(opening: str) -> None:
    """They are no failure of the chat, at whatever depth they can't be read or written any more."""
    closing = "]" if opening == "[" else "}"
    for depth in (*range(1_100), 100_000):
        arguments = opening * depth + "1" + closing * depth
        assert key_of(arguments) == key_of(arguments)


def test_equal_calls_of_others_have_other_keys() -> None:
    """Servers number their calls: of two clients, or after two questions, they may be the same."""
    call = ToolCall("functions.bash:0", "bash", '{"command":"ls"}')
    scopes = [("key a", "Hi"), ("key b", "Hi"), ("key a", "Ho"), ("address a", "Hi")]
    assert len({state_key(call, state_scope(*scope)) for scope in scopes}) == len(scopes)
