"""LOG_FORMAT and LOG_DIR=-: lines on the console and on standard output."""

from __future__ import annotations

import logging
from select import PIPE_BUF
from typing import TYPE_CHECKING, Any

import pytest

from configuration import load_settings
from logging_config import (
    LogSettings,
    audit,
    configure_logging,
    flush_logs,
    logger,
    shutdown_logging,
)
from telemetry.log_record import log_with_context
from telemetry.sinks.conversation_log import ConversationLog
from tests.gateways.chat_records import make_record
from tests.gateways.log_files import logs_in, parse_lines, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Streams:
    """What was written to standard output and to standard error."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def read(self) -> tuple[str, str]:
        """Both, since the last time."""
        flush_logs()
        return self._captured.readouterr()

    def lines(self) -> list[Any]:
        """Standard output, as JSON lines."""
        return parse_lines(self.read()[0].encode())


@pytest.fixture
def streams(capsys: pytest.CaptureFixture[str]) -> Iterator[Streams]:
    """The logs are closed at the end."""
    yield Streams(capsys)
    shutdown_logging()


def open_logs(directory: Path | None = None, **options: Any) -> None:
    chosen: dict[str, Any] = {
        "level": "INFO",
        "max_bytes": 10**9,
        "backup_count": 5,
        "conversation_log": "full",
        "is_json": True,
    }
    configure_logging(LogSettings(directory=directory, **(chosen | options)))


def test_without_files_standard_output_has_the_lines_of_all_logs(streams: Streams) -> None:
    """Also accesses and conversations, each once, and standard error has none."""
    open_logs()
    logger.info("started", extra={"context": {"port": 3050}})
    logger.debug("not at this level")
    audit("access", outcome="accepted")
    ConversationLog("full").chat_ended(make_record("How far?", "Far."))
    out, err = streams.read()
    info, access, conversation = parse_lines(out.encode())
    assert (info["message"], info["context"]) == ("started", {"port": 3050})
    assert (access["logger"], access["context"]["outcome"]) == ("gateway.audit", "accepted")
    assert conversation["logger"] == "gateway.conversation"
    assert conversation["context"]["query"] == "How far?"
    assert err == ""


def test_conversations_can_be_left_out(streams: Streams) -> None:
    """CONVERSATION_LOG holds for standard output, too."""
    open_logs(conversation_log="off")
    ConversationLog("off").chat_ended(make_record("How far?", "Far."))
    logging.getLogger("gateway.conversation").info("How far?")
    assert streams.lines() == []


def test_console_can_have_the_lines_of_the_files(streams: Streams, tmp_path: Path) -> None:
    """On standard error, beside the files; questions are in their file alone."""
    open_logs(tmp_path)
    logger.warning("careful", extra={"context": {"why": "\N{SNOWMAN}\nx"}})
    ConversationLog("full").chat_ended(make_record("How far?", "Far."))
    out, err = streams.read()
    (line,) = parse_lines(err.encode())
    assert read_log(tmp_path) == [line]
    assert out == ""
    assert len(read_log(tmp_path, "conversation")) == 1


def test_problem_of_the_files_is_a_json_line_too(streams: Streams, tmp_path: Path) -> None:
    """A reader of JSON lines finds nothing else."""
    (tmp_path / "app.log").mkdir()
    open_logs(tmp_path)
    (line,) = parse_lines(streams.read()[1].encode())
    assert (line["message"], line["level"]) == ("app.log IS NOT WRITTEN", "ERROR")


def test_lines_of_several_processes_fit_into_a_pipe_at_once(streams: Streams) -> None:
    """Longer ones are cut, and say so; a single process writes them whole."""
    texts = {"query": "x" * 20_000}
    open_logs(is_shared=True)
    log_with_context(logger, logging.INFO, "long", texts)
    written, _ = streams.read()
    (cut,) = parse_lines(written.encode())
    assert len(written) <= PIPE_BUF
    assert cut["cut_from_bytes"] > 20_000
    open_logs(is_shared=False)
    log_with_context(logger, logging.INFO, "long", texts)
    assert streams.lines()[0]["context"] == texts


def test_text_is_for_a_person(streams: Streams) -> None:
    """The default format, on standard output."""
    open_logs(is_json=False)
    logger.info("started", extra={"context": {"port": 3050}})
    assert streams.read()[0].endswith("INFO gateway [-] started port=3050\n")


def test_dash_means_no_folder() -> None:
    """And any other name is one."""
    assert load_settings(None, log_dir="-").log_folder is None
    assert str(load_settings(None, log_dir="logs").log_folder) == "logs"


def test_files_have_json_lines_whatever_the_format(tmp_path: Path) -> None:
    """LOG_FORMAT is the console's."""
    with logs_in(tmp_path, is_json=False):
        logger.info("started")
        assert [line["message"] for line in read_log(tmp_path)] == ["started"]
