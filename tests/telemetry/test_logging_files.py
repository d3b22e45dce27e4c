"""The log files: which line is in which file, their permissions, their rotation."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Literal

import pytest

from logging_config import debug_with_context, logger
from telemetry.chat_record import Outcome
from telemetry.sinks.conversation_log import ConversationLog
from telemetry.sinks.gateway_log import GatewayLog
from tests.gateways.chat_records import make_record
from tests.gateways.log_files import logs_in, messages, open_log_files, read_log
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

QUERY, ANSWER = "a private query", "a private answer"


def converse(mode: Literal["full", "metadata", "off"] = "full") -> None:
    """Write one conversation."""
    ConversationLog(mode).chat_ended(make_record(QUERY, ANSWER))


def test_each_level_has_its_files(tmp_path: Path) -> None:
    """app.log from INFO, error.log from ERROR, debug.log everything."""
    with logs_in(tmp_path):
        debug_with_context(logger, "d", a=1)
        logger.info("i")
        logger.warning("w")
        logger.error("e")
        logger.critical("c")
    assert messages(read_log(tmp_path, "app")) == ["i", "w", "e", "c"]
    assert messages(read_log(tmp_path, "error")) == ["e", "c"]
    assert messages(read_log(tmp_path, "debug")) == ["d", "i", "w", "e", "c"]


def test_level_of_the_settings_holds_for_app_log_and_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """LOG_LEVEL makes app.log and the console quieter; debug.log keeps all."""
    with logs_in(tmp_path, level="WARNING"):
        logger.info("quiet")
        logger.warning("loud")
    assert messages(read_log(tmp_path, "app")) == ["loud"]
    assert messages(read_log(tmp_path, "debug")) == ["quiet", "loud"]
    assert [line.split()[-1] for line in capsys.readouterr().err.splitlines()] == ["loud"]


def test_unknown_level_is_an_error(tmp_path: Path) -> None:
    """A level that is none is no silent choice of another."""
    with pytest.raises(ValueError, match="LOUD"), logs_in(tmp_path, level="LOUD"):
        pass


def test_conversation_stands_in_its_log_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `full`, conversation.log has query and answer; no other log has, nor the console."""
    with logs_in(tmp_path):
        converse()
        logger.error("beside it")
    (line,) = read_log(tmp_path, "conversation")
    assert line["context"] == {
        "provider": "gpt",
        "model": "luna",
        "outcome": "ok",
        "query": QUERY,
        "answer": ANSWER,
    }
    others = [
        file.read_text() for file in tmp_path.glob("*.log") if file.name != "conversation.log"
    ]
    assert len(others) == 3
    assert all("a private" not in text for text in [*others, capsys.readouterr().err])


def test_conversation_can_be_lengths_alone(tmp_path: Path) -> None:
    """With `metadata`, no word of query or answer is kept."""
    with logs_in(tmp_path, conversation_log="metadata"):
        converse("metadata")
    (line,) = read_log(tmp_path, "conversation")
    assert (line["context"]["query_chars"], line["context"]["answer_chars"]) == (
        len(QUERY),
        len(ANSWER),
    )
    assert all("a private" not in file.read_text() for file in tmp_path.glob("*.log"))


def test_conversation_can_be_off(tmp_path: Path) -> None:
    """With `off`, there is no such file."""
    with logs_in(tmp_path, conversation_log="off"):
        converse("off")
        logger.info("beside it")
    assert not list(tmp_path.glob("*conversation*"))


def test_conversation_without_its_log_goes_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A prompt is in no other log, even if conversation.log is not open."""
    with logs_in(tmp_path, conversation_log="off"):
        converse("full")
        logger.error("beside it")
    texts = [file.read_text() for file in tmp_path.glob("*.log")]
    assert all("a private" not in text for text in [*texts, capsys.readouterr().err])


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        ("ok", "INFO"),
        ("fallback_ok", "INFO"),
        ("rejected", "INFO"),
        ("client_gone", "INFO"),
        ("drained", "INFO"),
        ("upstream_error_before", "WARNING"),
        ("upstream_error_after", "WARNING"),
        ("internal_error", "ERROR"),
    ],
)
def test_final_record_has_the_level_of_its_outcome(
    tmp_path: Path, outcome: str, level: str
) -> None:
    """Vendors' failures are warnings, our own bugs are errors."""
    with logs_in(tmp_path):
        GatewayLog().chat_ended(make_record(outcome=Outcome(outcome)))
    (line,) = read_log(tmp_path)
    assert (line["level"], line["context"]["outcome"]) == (level, outcome)
    assert len(read_log(tmp_path, "error")) == (level == "ERROR")


def test_files_rotate_by_size_and_five_are_kept(tmp_path: Path) -> None:
    """The newest lines are kept, in their order, in files of about the size that was set."""
    with logs_in(tmp_path, max_bytes=2_000):
        for number in range(500):
            logger.info("line %d", number)
    names = sorted(file.name for file in tmp_path.glob("app.log*"))
    assert names == ["app.log", *(f"app.log.{number}" for number in range(1, 6))]
    assert all(file.stat().st_size < 2_000 + 200 for file in tmp_path.glob("app.log*"))
    kept = messages(read_log(tmp_path))
    assert kept == [f"line {number}" for number in range(500 - len(kept), 500)]
    assert len(kept) > 50


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Logs, backups and the folder are readable by their owner only, whatever was there before."""
    folder = tmp_path / "new" / "logs"
    folder.mkdir(parents=True)
    (folder / "app.log").write_text("")
    (folder / "app.log").chmod(0o644)
    with logs_in(folder, max_bytes=1_000):
        for _ in range(30):
            logger.error("a line")
            converse()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert len(modes) > 12
    assert set(modes.values()) == {0o600}, modes


def test_folder_is_made(tmp_path: Path) -> None:
    """A folder of logs that is not there is made, for its owner alone."""
    with logs_in(tmp_path / "new"):
        logger.info("first")
    assert messages(read_log(tmp_path / "new")) == ["first"]
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_opening_again_closes_what_was_open(tmp_path: Path) -> None:
    """A line is written once, to the logs that were opened last."""
    open_log_files(tmp_path / "old")
    with logs_in(tmp_path / "new"):
        logger.info("once")
    logger.error("after the end")
    assert messages(read_log(tmp_path / "new")) == ["once"]
    assert not read_log(tmp_path / "old")


async def test_health_probes_leave_no_line(tmp_path: Path) -> None:
    """A load balancer's probes never push real lines out of the logs: app.log has none of them."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hello"))
        await gateway.chat(headers={"X-Request-ID": "r-chat"})
        await gateway.running.settle()
        before = read_log(tmp_path)
        for method in ("GET", "HEAD"):
            for path in ("/health", "/health/live", "/health/gpt"):
                for _ in range(10):
                    response = await gateway.client.request(
                        method, path, headers={"X-Request-ID": "r-probe"}
                    )
                    assert response.status_code == 200
        assert read_log(tmp_path) == before
        assert not [line for line in read_log(tmp_path, "debug") if line["request_id"] == "r-probe"]
