"""A log line: one JSON object whatever its content, its fields, exceptions without what they say, no secret."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from logging_config import debug_with_context, flush_logs, logger
from telemetry.log_line import conversation_id_context, request_id_context
from telemetry.redaction import hide_secrets
from telemetry.sinks.conversation_log import ConversationLog
from tests.gateways.chat_records import make_record
from tests.gateways.log_files import logs_in, parse_lines, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "sk-canary/a+b=c?d"
PROMPT = "what the user asked"


class Unspeakable:
    """An object that cannot be described."""

    def __str__(self) -> str:
        raise RuntimeError(PROMPT)

    __repr__ = __str__


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of logs that are open for all tests of the module."""
    folder = tmp_path_factory.mktemp("logs")
    with logs_in(folder):
        yield folder


@pytest.fixture
def secret() -> Iterator[str]:
    """A key that is to be hidden."""
    hide_secrets([SECRET])
    yield SECRET
    hide_secrets([])


@contextmanager
def log_captured_here_only() -> Iterator[None]:
    """Without pytest's own handlers, which raise at arguments that don't fit, and keep what xdist cannot send."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers[:] = [
        handler for handler in handlers if not type(handler).__module__.startswith("_pytest")
    ]
    try:
        yield
    finally:
        root.handlers[:] = handlers


def newest(folder: Path) -> Any:
    """The newest line, once everything before it is written."""
    assert flush_logs()
    return read_log(folder, "debug")[-1]


ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANY_LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    ANY_TEXT,
    st.binary(),
    st.builds(Unspeakable),
    st.builds(ValueError, st.just(PROMPT)),
)
ANY_KEY = st.one_of(ANY_TEXT, st.integers(), st.none(), st.tuples(st.integers()))
ANY_CONTEXT = st.recursive(
    ANY_LEAF,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(ANY_KEY, inner)
        | st.tuples(inner)
        | st.sets(st.integers())
    ),
    max_leaves=10,
)


@given(message=ANY_TEXT, arguments=st.lists(ANY_LEAF, max_size=2), context=ANY_CONTEXT)
def test_every_line_is_one_json_object(
    folder: Path, message: str, arguments: list[Any], context: Any
) -> None:
    """Control characters, foreign line ends, lone surrogates, NaN, arguments that don't fit: each is one line."""
    flush_logs()
    size = (folder / "debug.log").stat().st_size if (folder / "debug.log").exists() else 0
    with log_captured_here_only():
        logger.info(message, *arguments, extra={"context": context})
    flush_logs()
    with open(folder / "debug.log", "rb") as file:
        file.seek(size)
        (line,) = parse_lines(file.read())
    assert set(line) <= {"timestamp", "level", "logger", "message", "request_id", "context"}


def circular() -> dict[str, Any]:
    context: dict[str, Any] = {"a": 1}
    context["itself"] = context
    return context


def deep() -> list[Any]:
    context: list[Any] = []
    for _ in range(100_000):
        context = [context]
    return context


@pytest.mark.parametrize(
    "context",
    [
        circular(),
        deep(),
        {1: "a", "1": "b"},
        {"n": 10**5_000},
        {("a", 1): float("nan")},
        "text",
        7,
        object(),
    ],
    ids=[
        "circular",
        "deep",
        "keys that meet",
        "huge number",
        "odd key",
        "text",
        "number",
        "object",
    ],
)
def test_odd_context_costs_no_line(folder: Path, context: Any) -> None:
    """What JSON has no word for becomes text; the line stands."""
    logger.info("odd", extra={"context": context})
    assert newest(folder)["message"] == "odd"


def test_message_without_its_arguments_is_kept(folder: Path) -> None:
    """Arguments that don't fit leave the message as it was written."""
    with log_captured_here_only():
        logger.info("%d tokens of %s", "many")
    assert newest(folder)["message"] == "%d tokens of %s"


def test_text_is_kept_as_it_is(folder: Path) -> None:
    """A line can be searched for what a user typed, in any script; only what is no character is replaced."""
    with log_captured_here_only():
        logger.info("日本語 ż 😀 \u2028 \x85 \ud800 end")
    assert newest(folder)["message"] == "日本語 ż 😀 \u2028 \x85 \N{REPLACEMENT CHARACTER} end"
    assert '"message": "日本語 ż 😀'.encode() in (folder / "app.log").read_bytes()


@dataclass
class Account:
    """An object whose description leaves something out."""

    name: str
    key: str = field(repr=False)


class Form(BaseModel):
    """An object that describes itself."""

    key: str

    def __str__(self) -> str:
        return "a form"


class Colour(Enum):
    """A word of ours."""

    RED = 1


@pytest.mark.parametrize(
    "described", [Account("a", PROMPT), Form(key=PROMPT), iter("ab"), Colour.RED, datetime.now(UTC)]
)
@pytest.mark.parametrize("length", [1, 10_000])
def test_object_is_described_and_not_opened(folder: Path, described: object, length: int) -> None:
    """In a line of any length: of an object there is what `str` gives, whatever fields it has."""
    logger.info("object", extra={"context": {"object": described, "text": "a" * length}})
    assert newest(folder)["context"]["object"] == str(described)


def test_generator_of_a_context_is_left_to_its_owner(folder: Path) -> None:
    """Logging it does not consume it."""
    numbers = (number for number in [1, 2])
    logger.info("generator", extra={"context": {"numbers": numbers}})
    assert list(numbers) == [1, 2]


def test_long_line_is_written_as_a_short_one(folder: Path) -> None:
    """Any length, and the same form: of numbers and of what nests, too."""
    nested: Any = 1e22
    for _ in range(20):
        nested = [nested]
    context = {"error": ValueError(PROMPT), "none": None, "large": 10**30, "nested": nested}
    logger.info("a", extra={"context": context})
    logger.info("a", extra={"context": context | {"answer": "日本\n\u2028" * 3_000}})
    flush_logs()
    short, long = (
        line.partition(b'"level"')[2]
        for line in (folder / "app.log").read_bytes().splitlines()[-2:]
    )
    assert long.startswith(short.removesuffix(b"}}") + b', "answer": "')
    assert newest(folder)["context"] == context | {
        "error": "ValueError",
        "answer": "日本\n\u2028" * 3_000,
    }


def test_line_has_its_fields(folder: Path) -> None:
    """Time in UTC, level, logger, message, request id, and the context as it was given."""
    request_id = request_id_context.set("r-1")
    logging.getLogger("gateway.web").warning("seen %d", 2, extra={"context": {"a": [1, None, "ü"]}})
    request_id_context.reset(request_id)
    line = newest(folder)
    written = datetime.fromisoformat(line.pop("timestamp"))
    assert written.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
    assert line == {
        "level": "WARNING",
        "logger": "gateway.web",
        "message": "seen 2",
        "request_id": "r-1",
        "context": {"a": [1, None, "ü"]},
    }


def test_line_within_a_conversation_has_its_id(folder: Path) -> None:
    """Lines within a conversation have its id, others have no such field."""
    conversation = conversation_id_context.set("c-1")
    logger.info("within")
    conversation_id_context.reset(conversation)
    assert newest(folder)["conversation_id"] == "c-1"
    logger.info("outside")
    assert "conversation_id" not in newest(folder)


def test_debug_with_context_keeps_its_keywords(folder: Path) -> None:
    """The README's call: DEBUG, in debug.log alone, whatever the keywords are called."""
    logged = read_log(folder)
    debug_with_context(logger, "details", message="a keyword", logger="another", level=7)
    line = newest(folder)
    assert (line["level"], line["message"]) == ("DEBUG", "details")
    assert line["context"] == {"message": "a keyword", "logger": "another", "level": 7}
    assert read_log(folder) == logged


def fail() -> None:
    try:
        raise ValueError(PROMPT)
    except ValueError as error:
        error.add_note(PROMPT)
        raise ExceptionGroup(
            PROMPT, [KeyError(PROMPT), OSError(28, "No space left on device")]
        ) from error


def test_exception_is_written_without_what_it_says(folder: Path) -> None:
    """Types and frames of the whole chain; the message only of what the operating system said."""
    try:
        fail()
    except ExceptionGroup:
        logger.exception("broken")
    text = newest(folder)["exception"]
    parts = (
        "in fail\n",
        "\nValueError\nwhich led to:\n",
        "\nExceptionGroup\nwhich holds:\nKeyError\n",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "OSError: [Errno 28] No space left on device" in text
    assert PROMPT not in text


def test_exceptions_that_cause_each_other_end(folder: Path) -> None:
    """A circle of exceptions is logged once."""
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    logger.error("circle", exc_info=first)
    assert newest(folder)["exception"] == "KeyError\nwhich led to:\nValueError"


LONG_CONTEXTS: dict[str, Any] = {
    "one text": {"text": "x" * 200_000},
    "controls": {"text": "\x00" * 60_000},
    "characters of two halves": {"text": "\U000e0001" * 60_000},
    "some texts": {f"text-{number}": "é" * 9_000 for number in range(9)},
    "a long key": {"k" * 70_000: 1},
    "many short texts": {"texts": ["x"] * 100_000},
    "many numbers": list(range(100_000)),
    "a text, nested": [[{"a": ("x" * 70_000, None, 1.5)}]],
    "an object": {"object": Account("x" * 70_000, PROMPT)},
}


@pytest.mark.parametrize("context", LONG_CONTEXTS.values(), ids=LONG_CONTEXTS)
def test_line_is_cut_at_64_kib(folder: Path, context: Any) -> None:
    """It stays one JSON object that says how long it was; client, time and message are still there."""
    flush_logs()
    logger.info("long", extra={"context": context})
    line = newest(folder)
    raw = (folder / "app.log").read_bytes().splitlines()[-1]
    assert len(raw) < 64 * 1024
    assert line["cut_from_bytes"] > 64 * 1024
    assert (line["level"], line["logger"], line["message"], line["request_id"]) == (
        "INFO",
        "gateway",
        "long",
        "-",
    )


def test_cut_text_says_how_long_it_was(folder: Path) -> None:
    """As much as fits is kept of it, and of the other texts all."""
    logger.info("long", extra={"context": {"text": "x" * 200_000, "other": "kept"}})
    context = newest(folder)["context"]
    assert context["other"] == "kept"
    assert context["text"] == "x" * (32 * 1024) + "… (cut: 200000 characters)"


def test_long_message_is_cut(folder: Path) -> None:
    """Also one that is a library's."""
    logging.getLogger("httpx").warning("m" * 100_000)
    assert newest(folder)["message"] == "m" * (32 * 1024) + "… (cut: 100000 characters)"


@pytest.mark.parametrize("place", range(32 * 1024 - 20, 32 * 1024 + 2))
def test_secret_is_not_cut_in_two(folder: Path, secret: str, place: int) -> None:
    """Wherever the cut falls, no part of a key is left."""
    logger.info("cut", extra={"context": {"text": "x" * place + secret + "x" * 100_000}})
    assert "sk-" not in newest(folder)["context"]["text"]


@pytest.mark.parametrize(
    "written", [SECRET, "sk-canary%2Fa%2Bb%3Dc%3Fd", "sk-canary/a%2Bb%3Dc%3Fd"]
)
def test_secret_is_hidden(folder: Path, secret: str, written: str) -> None:
    """In the message, a key, a value: as it is, and as a URL quotes it."""
    context = {"nested": [{written: f"?key={written}&a=1"}], "bytes": [written.encode()]}
    logger.error("key %s!", written, extra={"context": context})
    line = newest(folder)
    assert line["message"] == "key ***!"
    assert line["context"] == {"nested": [{"***": "?key=***&a=1"}], "bytes": ["b'***'"]}
    assert written.encode() not in (folder / "error.log").read_bytes()


@pytest.mark.parametrize(
    "awkward", ['quote"and\\slash', "line\nbreak-in-key", "ключ-из-многих", "separator\u2028within"]
)
def test_secret_is_hidden_as_json_writes_it(folder: Path, awkward: str) -> None:
    """A secret that JSON has to escape is found all the same."""
    hide_secrets([awkward])
    logger.error("key %s!", awkward)
    hide_secrets([])
    assert newest(folder)["message"] == "key ***!"


def test_short_word_is_no_secret(folder: Path) -> None:
    """A placeholder of a few letters does not tear every line apart."""
    hide_secrets(["none", ""])
    logger.error("none is left")
    hide_secrets([])
    assert newest(folder)["message"] == "none is left"


@pytest.mark.parametrize("name", ["httpx", "openai._base_client", "asyncio", "gatewayed"])
def test_other_libraries_are_logged_from_warning_up(folder: Path, name: str) -> None:
    """Their DEBUG and INFO lines hold prompts and keys, even if a library sets its own level."""
    library = logging.getLogger(name)
    level = library.level
    library.setLevel(logging.DEBUG)
    library.debug("unheard %s", PROMPT)
    library.info("unheard %s", PROMPT)
    library.warning("heard of %s", name)
    library.setLevel(level)
    assert newest(folder)["message"] == f"heard of {name}"
    assert PROMPT.encode() not in (folder / "debug.log").read_bytes()


def test_servers_own_lines_are_logged(folder: Path) -> None:
    """uvicorn's start and stop are in app.log."""
    server = logging.getLogger("uvicorn.error")
    server.setLevel(logging.INFO)  # as uvicorn does when the gateway starts it
    server.info("Started server process")
    server.setLevel(logging.NOTSET)
    assert newest(folder)["message"] == "Started server process"


def test_console_has_one_line_for_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], secret: str
) -> None:
    """Nothing in a message or context can forge a line or colour the terminal; no key there either."""
    with logs_in(tmp_path):
        logger.warning("one\ntwo \x1b[31m", extra={"context": {"a\n": f"b\r\n{secret}"}})
    line = capsys.readouterr().err
    assert line.endswith(
        "WARNING gateway [-] one\\u000atwo \\u001b[31m a\\u000a=b\\u000d\\u000a***\n"
    )


UNSEEN = [
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x180E, 0x3164, 0xFEFF, 0xFFA0, 0xFFF9, 0xFFFB),
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    *(0x1D173, 0xE0001, 0xE0041, 0xE007F, 0xE01EF),
]


def test_character_that_does_not_show_or_turns_the_text_is_escaped(tmp_path: Path) -> None:
    """In the message, in a key, in a value: a file's line is read as it stands, and gives back what was logged."""
    with logs_in(tmp_path), log_captured_here_only():
        for number in UNSEEN:
            text = f"a{chr(number)}b"
            logger.info("%s", text, extra={"context": {text: [text]}})
        lines = read_log(tmp_path)
    assert [(line["message"], line["context"]) for line in lines] == [
        (f"a{chr(number)}b", {f"a{chr(number)}b": [f"a{chr(number)}b"]}) for number in UNSEEN
    ]
    raw = (tmp_path / "app.log").read_text()
    assert not {chr(number) for number in UNSEEN} & set(raw) - {"\n"}
    assert "a\\u202eb" in raw
    assert "a\\udb40\\udc01b" in raw


def test_console_shows_what_does_not_show_as_escapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file name that is turned round, or a word with a hidden part, is not believed."""
    with logs_in(tmp_path):
        for number in UNSEEN:
            logger.info("a%sb", chr(number), extra={"context": {"a": chr(number)}})
    written = capsys.readouterr().err
    assert not {chr(number) for number in UNSEEN} & set(written) - {"\n"}
    assert len(written.splitlines()) == len(UNSEEN)
    assert "a\\u202eb a=\\u202e" in written


def test_console_has_no_exception_in_its_own_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception in a context, however deep, is named by its type on the console as in the files."""
    with logs_in(tmp_path):
        logger.warning(
            "odd",
            extra={"context": {"error": ValueError(PROMPT), "more": [{"error": KeyError(PROMPT)}]}},
        )
    line = capsys.readouterr().err
    assert line.endswith("odd error=ValueError more=[{'error': 'KeyError'}]\n")


def test_console_line_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At as many characters."""
    with logs_in(tmp_path):
        logger.info("m" * 100_000)
    line = capsys.readouterr().err
    assert 64 * 1024 < len(line) < 65 * 1024
    assert "m… (cut: 1000" in line


def test_conversation_is_cut_at_1_mib(tmp_path: Path) -> None:
    """It is whole below; above it has the lengths of query and answer."""
    with logs_in(tmp_path):
        for length in (500_000, 3_000_000):
            ConversationLog("full").chat_ended(make_record("q" * length, "a" * length))
        whole, shortened = (line["context"] for line in read_log(tmp_path, "conversation"))
        size = (tmp_path / "conversation.log").stat().st_size
    assert (whole["query"], whole["answer"]) == ("q" * 500_000, "a" * 500_000)
    assert (shortened["query_chars"], shortened["answer_chars"]) == (3_000_000, 3_000_000)
    assert shortened["answer"].startswith("a" * 200_000)
    assert size < 1_001_000 + 2**20
