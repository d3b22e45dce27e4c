"""From a client's chat to a prompt: the module's five rules, as a table, and what holds for any messages."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import File, GatewayError, Image, Prompt, Text, Turn
from prompt_engineering import GENERIC_SYSTEM_PROMPT, build_prompt
from tests.clients.chat_bodies import read_chat

IMAGE = {"type": "image", "media_type": "image/png", "data": "aGk="}
FILE = {"type": "file", "media_type": "application/pdf", "data": "JVBERi0x", "name": "a.pdf"}
OWN = "You are a test."


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def build(*messages: tuple[str, Any], system_prompt: str | None = OWN) -> Prompt:
    request = read_chat({"messages": [{"role": role, "content": said} for role, said in messages]})
    return build_prompt(request, system_prompt)


def shape(prompt: Prompt) -> list[tuple[str, list[str]]]:
    """Roles with their parts: a text as it is, an image as `<image>`, a file as `<file>`."""
    return [
        (
            turn.role,
            [
                part.text if isinstance(part, Text) else f"<{type(part).__name__.lower()}>"
                for part in turn.parts
            ],
        )
        for turn in prompt.turns
    ]


RULES: dict[str, tuple[list[tuple[str, Any]], list[tuple[str, list[str]]]]] = {
    "a question": ([("user", "a")], [("user", ["a"])]),
    "a conversation": (
        [("user", "a"), ("assistant", "b"), ("user", "c")],
        [("user", ["a"]), ("assistant", ["b"]), ("user", ["c"])],
    ),
    "white space around a text stays": ([("user", "  a\n")], [("user", ["  a\n"])]),
    "system is no turn": ([("system", "s"), ("user", "a")], [("user", ["a"])]),
    "neighbours of one role are one turn": ([("user", "a"), ("user", "b")], [("user", ["a\n\nb"])]),
    "three neighbours": (
        [("user", "a"), ("user", "b"), ("user", "c")],
        [("user", ["a\n\nb\n\nc"])],
    ),
    "neighbours across a system message": (
        [("user", "a"), ("system", "s"), ("user", "b")],
        [("user", ["a\n\nb"])],
    ),
    "neighbours across an empty message": (
        [("user", "a"), ("assistant", " "), ("user", "b")],
        [("user", ["a\n\nb"])],
    ),
    "assistant neighbours": (
        [("user", "a"), ("assistant", "b"), ("assistant", "c"), ("user", "d")],
        [("user", ["a"]), ("assistant", ["b\n\nc"]), ("user", ["d"])],
    ),
    "an empty message is left out": ([("user", "\n\t "), ("user", "a")], [("user", ["a"])]),
    "an empty list is left out": ([("user", []), ("user", "a")], [("user", ["a"])]),
    "an empty part is left out": ([("user", [text(" "), text("a")])], [("user", ["a"])]),
    "an image is content": ([("user", [IMAGE])], [("user", ["<image>"])]),
    "a file is content": ([("user", [FILE])], [("user", ["<file>"])]),
    "parts keep their order": (
        [("user", [text("a"), IMAGE, text("b")])],
        [("user", ["a", "<image>", "b"])],
    ),
    "neighbours with an image between": (
        [("user", [text("a"), IMAGE]), ("user", "b")],
        [("user", ["a", "<image>", "b"])],
    ),
    "texts join beside images": (
        [("user", [IMAGE, text("a")]), ("user", [text("b"), IMAGE])],
        [("user", ["<image>", "a\n\nb", "<image>"])],
    ),
    "a greeting first is left out": ([("assistant", "hi"), ("user", "a")], [("user", ["a"])]),
    "two greetings first are left out": (
        [("assistant", "hi"), ("assistant", "ho"), ("user", "a")],
        [("user", ["a"])],
    ),
    "an assistant last is left out": ([("user", "a"), ("assistant", "b")], [("user", ["a"])]),
    "assistants first and last": (
        [("assistant", "x"), ("user", "a"), ("assistant", "y"), ("assistant", "z")],
        [("user", ["a"])],
    ),
}


@pytest.mark.parametrize(("messages", "turns"), RULES.values(), ids=RULES)
def test_rule(messages: list[tuple[str, Any]], turns: list[tuple[str, list[str]]]) -> None:
    """Rules 2 to 5: what is left out, joined and kept."""
    assert shape(build(*messages)) == turns


@pytest.mark.parametrize(
    ("own", "theirs", "combined"),
    [
        (OWN, [], OWN),
        (None, [], GENERIC_SYSTEM_PROMPT),
        ("", [], ""),
        ("", ["s"], "s"),
        (" \n", ["s"], "s"),
        (OWN, ["s"], f"{OWN}\n\ns"),
        (None, ["s"], f"{GENERIC_SYSTEM_PROMPT}\n\ns"),
        (OWN, ["s", "t"], f"{OWN}\n\ns\n\nt"),
        (OWN, [" s\n", " ", "t"], f"{OWN}\n\ns\n\nt"),
        (OWN, [[text("s"), text("t")]], f"{OWN}\n\nst"),
    ],
)
def test_system_prompt_is_combined(own: str | None, theirs: list[Any], combined: str) -> None:
    """Rule 1: the configured one, or the generic one, then the client's in their order."""
    assert (
        build(*[("system", said) for said in theirs], ("user", "a"), system_prompt=own).system
        == combined
    )


def test_system_message_counts_wherever_it_stands() -> None:
    """In mid-list or last, a system message belongs to the system prompt."""
    prompt = build(
        ("user", "a"), ("system", "s"), ("assistant", "b"), ("user", "c"), ("system", "t")
    )
    assert prompt.system == f"{OWN}\n\ns\n\nt"
    assert [turn.role for turn in prompt.turns] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    "messages",
    [
        [("system", "s")],
        [("user", " ")],
        [("user", [])],
        [("assistant", "a")],
        [("user", " "), ("assistant", "a")],
        [("assistant", "a"), ("system", "s"), ("assistant", "b")],
    ],
)
def test_request_without_a_question_is_refused(messages: list[tuple[str, Any]]) -> None:
    """Nothing that the user said: `invalid_request`, before any vendor is called."""
    with pytest.raises(GatewayError) as raised:
        build(*messages)
    assert raised.value.code == "invalid_request"


TEXT_PARTS = st.text(max_size=4).map(text)
PARTS = st.lists(st.one_of(st.sampled_from([IMAGE, FILE]), TEXT_PARTS), max_size=4)
WORDS = st.one_of(st.sampled_from(["", " ", "\n"]), st.text(max_size=6))
SYSTEM_MESSAGES = st.tuples(st.just("system"), st.one_of(WORDS, st.lists(TEXT_PARTS, max_size=4)))
OTHER_MESSAGES = st.tuples(st.sampled_from(["user", "assistant"]), st.one_of(WORDS, PARTS))
MESSAGES = st.lists(st.one_of(SYSTEM_MESSAGES, OTHER_MESSAGES), min_size=1, max_size=10)


def try_build(messages: list[tuple[str, Any]]) -> Prompt | None:
    try:
        return build(*messages)
    except GatewayError:
        return None


@settings(deadline=None)
@given(MESSAGES)
def test_turns_alternate_from_user_to_user(messages: list[tuple[str, Any]]) -> None:
    """Whatever the client sent, roles alternate, the first and the last turn are the user's, and none is empty."""
    prompt = try_build(messages)
    roles = [turn.role for turn in prompt.turns] if prompt else ["user"]
    assert roles == (["user", "assistant"] * len(roles))[: len(roles)]
    assert roles[-1] == "user"
    for part in (part for turn in (prompt.turns if prompt else ()) for part in turn.parts):
        assert isinstance(part, Image | File) or (isinstance(part, Text) and part.text.strip())


@settings(deadline=None)
@given(MESSAGES)
def test_no_word_image_or_file_of_the_user_is_lost(messages: list[tuple[str, Any]]) -> None:
    """Whatever the user said with content reaches the prompt, in its order; only white space goes."""
    prompt = try_build(messages)
    chat = read_chat({"messages": [{"role": role, "content": said} for role, said in messages]})
    asked = [turn for turn in chat.turns if turn.role == "user"]
    turns = [turn for turn in (prompt.turns if prompt else ()) if turn.role == "user"]
    assert _words(turns) == "".join("".join(turn.text.split()) for turn in asked)
    assert _media(turns) == _media(asked)


def _words(turns: list[Turn]) -> str:
    texts = (part.text for turn in turns for part in turn.parts if isinstance(part, Text))
    return "".join("".join(words.split()) for words in texts)


def _media(turns: list[Turn]) -> list[Image | File]:
    parts = (part for turn in turns for part in turn.parts)
    return [part for part in parts if isinstance(part, Image | File)]


@settings(deadline=None)
@given(MESSAGES, st.one_of(st.none(), st.text(max_size=8)))
def test_system_prompt_begins_with_the_gateways_own(
    messages: list[tuple[str, Any]], own: str | None
) -> None:
    """No client's system message comes before the configured one."""
    expected = GENERIC_SYSTEM_PROMPT if own is None else own.strip()
    assert build(*messages, ("user", "a"), system_prompt=own).system.startswith(expected)


def test_same_messages_give_the_same_prompt() -> None:
    """A pure function: nothing of an earlier request is left in a later one, and the chat stays as it was."""
    chat = read_chat({"messages": [{"role": "user", "content": "a"}] * 2})
    before = copy.deepcopy(chat)
    assert build_prompt(chat, OWN) == build_prompt(chat, OWN)
    assert chat == before


def test_clients_id_of_the_conversation_goes_with_the_prompt() -> None:
    """For a key of the vendor's cache; one that the gateway makes for a single chat does not."""
    question = [{"role": "user", "content": "Hello?"}]
    named = read_chat({"messages": question, "conversation_id": "c-1"})
    assert build_prompt(named, OWN).conversation_id == "c-1"
    assert build_prompt(read_chat({"messages": question}), OWN).conversation_id is None
