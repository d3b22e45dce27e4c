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

from log_line import conversation_id_context, request_id_context
from logging_config import debug_with_context, logger
from redaction import hide_secrets
from tests.log_files import logs_in, parse_lines, read_log

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
def heard_by_us_alone() -> Iterator[None]:
    """Without pytest's own handlers, which raise at arguments that don't fit, and keep what xdist cannot send."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers[:] = [handler for handler in handlers if not type(handler).__module__.startswith("_pytest")]
    try:
        yield
    finally:
        root.handlers[:] = handlers


def newest(folder: Path) -> Any:
    """The newest line."""
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
    lambda inner: st.lists(inner) | st.dictionaries(ANY_KEY, inner) | st.tuples(inner) | st.sets(st.integers()),
    max_leaves=10,
)


@given(message=ANY_TEXT, arguments=st.lists(ANY_LEAF, max_size=2), context=ANY_CONTEXT)
def test_every_line_is_one_json_object(folder: Path, message: str, arguments: list[Any], context: Any) -> None:
    """Control characters, foreign line ends, lone surrogates, NaN, arguments that don't fit: each is one line."""
    size = (folder / "debug.log").stat().st_size if (folder / "debug.log").exists() else 0
    with heard_by_us_alone():
        logger.info(message, *arguments, extra={"context": context})
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
    [circular(), deep(), {1: "a", "1": "b"}, {"n": 10**5_000}, {("a", 1): float("nan")}, "text", 7, object()],
    ids=["circular", "deep", "keys that meet", "huge number", "odd key", "text", "number", "object"],
)
def test_odd_context_costs_no_line(folder: Path, context: Any) -> None:
    """What JSON has no word for becomes text; the line stands."""
    logger.info("odd", extra={"context": context})
    assert newest(folder)["message"] == "odd"


def test_message_without_its_arguments_is_kept(folder: Path) -> None:
    """Arguments that don't fit leave the message as it was written."""
    with heard_by_us_alone():
        logger.info("%d tokens of %s", "many")
    assert newest(folder)["message"] == "%d tokens of %s"


def test_text_is_kept_as_it_is(folder: Path) -> None:
    """A line can be searched for what somebody typed, in any script; only what is no character is replaced."""
    with heard_by_us_alone():
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
    logger.info("a", extra={"context": context | {"answer": "日本\n\u2028" * 5_000}})
    short, long = (line.partition(b'"level"')[2] for line in (folder / "app.log").read_bytes().splitlines()[-2:])
    assert long.startswith(short.removesuffix(b"}}") + b', "answer": "')
    assert newest(folder)["context"] == context | {"error": "ValueError", "answer": "日本\n\u2028" * 5_000}


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
    """There is a conversation's id where there is a conversation, and no field elsewhere."""
    conversation = conversation_id_context.set("c-1")
    logger.info("within")
    conversation_id_context.reset(conversation)
    assert newest(folder)["conversation_id"] == "c-1"
    logger.info("outside")
    assert "conversation_id" not in newest(folder)


def test_debug_with_context_keeps_its_keywords(folder: Path) -> None:
    """The README's call: DEBUG, in debug.log alone, whatever the keywords are called."""
    told = read_log(folder)
    debug_with_context(logger, "details", message="a keyword", logger="another", level=7)
    line = newest(folder)
    assert (line["level"], line["message"]) == ("DEBUG", "details")
    assert line["context"] == {"message": "a keyword", "logger": "another", "level": 7}
    assert read_log(folder) == told


def fail() -> None:
    try:
        raise ValueError(PROMPT)
    except ValueError as error:
        error.add_note(PROMPT)
        raise ExceptionGroup(PROMPT, [KeyError(PROMPT), OSError(28, "No space left on device")]) from error


def test_exception_is_written_without_what_it_says(folder: Path) -> None:
    """Types and frames of the whole chain; the message only of what the operating system said."""
    try:
        fail()
    except ExceptionGroup:
        logger.exception("broken")
    text = newest(folder)["exception"]
    parts = ("in fail\n", "\nValueError\nwhich led to:\n", "\nExceptionGroup\nwhich holds:\nKeyError\n")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "OSError: [Errno 28] No space left on device" in text
    assert PROMPT not in text


def test_exceptions_that_cause_each_other_end(folder: Path) -> None:
    """A circle of exceptions is told once."""
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    logger.error("circle", exc_info=first)
    assert newest(folder)["exception"] == "KeyError\nwhich led to:\nValueError"


@pytest.mark.parametrize("written", [SECRET, "sk-canary%2Fa%2Bb%3Dc%3Fd", "sk-canary/a%2Bb%3Dc%3Fd"])
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
def test_other_libraries_are_heard_from_warning_up(folder: Path, name: str) -> None:
    """Their DEBUG and INFO lines hold prompts and keys, even where a library sets its own level."""
    library = logging.getLogger(name)
    level = library.level
    library.setLevel(logging.DEBUG)
    library.debug("unheard %s", PROMPT)
    library.info("unheard %s", PROMPT)
    library.warning("heard of %s", name)
    library.setLevel(level)
    assert newest(folder)["message"] == f"heard of {name}"
    assert PROMPT.encode() not in (folder / "debug.log").read_bytes()


def test_servers_own_lines_are_heard(folder: Path) -> None:
    """uvicorn's start and stop are in app.log."""
    logging.getLogger("uvicorn.error").info("Started server process")
    assert newest(folder)["message"] == "Started server process"


def test_console_has_one_line_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str], secret: str) -> None:
    """Nothing in a message or context can forge a line or colour the terminal; no key there either."""
    with logs_in(tmp_path):
        logger.warning("one\ntwo \x1b[31m", extra={"context": {"a\n": f"b\r\n{secret}"}})
    line = capsys.readouterr().err
    assert line.endswith("WARNING gateway [-] one\\u000atwo \\u001b[31m a\\u000a=b\\u000d\\u000a***\n")
