"""`python main.py trace ID`: one request's life, of all files and workers, safe for a terminal."""

from __future__ import annotations

import json
from pathlib import PosixPath
from typing import TYPE_CHECKING, Any

import pytest

import main
from commands.trace import describe, find_lines

if TYPE_CHECKING:
    from pathlib import Path

CHAT = "chat-1"


def write(folder: Path, name: str, *lines: dict[str, Any]) -> None:
    with (folder / name).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def line(second: int, message: str, request: str = CHAT, **fields: Any) -> dict[str, Any]:
    stamp = f"2026-11-30T10:00:{second:02}.000+00:00"
    return {"timestamp": stamp, "level": "INFO", "message": message, "request_id": request} | fields


def shown_for(folder: Path, wanted: str, *, has_texts: bool = False) -> str:
    return "\n".join(describe(find_lines(folder, wanted), has_texts=has_texts))


def test_request_is_found_in_all_files_in_the_order_of_time(tmp_path: Path) -> None:
    """A line that two files have is printed once; rotated files belong to the logs."""
    finished = line(3, "chat finished", context={"outcome": "ok", "fallback": None})
    write(tmp_path, "app.log", finished, line(9, "another", request="chat-10"))
    write(tmp_path, "app.log.2", line(0, "chat started", context={"id": "gpt-7"}))
    write(tmp_path, "debug.log", line(1, "vendor stream opened", level="DEBUG"), finished)
    rows = shown_for(tmp_path, CHAT).splitlines()
    assert rows == [
        "request chat-1, from 2026-11-30T10:00:00.000+00:00",
        "        0 ms  INFO    chat started  id=gpt-7",
        "    1,000 ms  DEBUG   vendor stream opened",
        "    3,000 ms  INFO    chat finished  outcome=ok",
    ]


def test_logs_are_read_twice_however_many_requests_there_are(tmp_path: Path) -> None:
    """A conversation of a hundred requests, all of whose lines are found."""
    numbers = range(100)
    write(tmp_path, "debug.log", *(line(0, "asked", request=f"r-{number}") for number in numbers))
    finished = (
        line(1, "chat finished", request=f"r-{number}", conversation_id="c-1") for number in numbers
    )
    write(tmp_path, "app.log", *finished, line(2, "another", request="r-1000"))
    opened: list[str] = []

    class NotedPath(PosixPath):
        """A folder, and the files in it, which are noted when they are opened."""

        def open(self, *arguments: Any, **options: Any) -> Any:
            opened.append(self.name)
            return super().open(*arguments, **options)

    found = find_lines(NotedPath(tmp_path), "c-1")
    assert len(found) == 2 * len(numbers)
    assert opened == ["app.log", "debug.log"] * 2


@pytest.mark.parametrize("wanted", ["gpt-7", "c-42"])
def test_request_is_found_by_its_answer_or_its_conversation(tmp_path: Path, wanted: str) -> None:
    """All requests of a conversation, one after another."""
    write(tmp_path, "app.log", line(0, "chat started", context={"id": "gpt-7"}))
    write(tmp_path, "app.log", line(1, "chat finished", conversation_id="c-42"))
    write(tmp_path, "app.log", line(2, "chat started", request="other", conversation_id="c-99"))
    assert shown_for(tmp_path, wanted).count("\n") == 3
    assert "other" not in shown_for(tmp_path, wanted)


def test_what_was_said_is_printed_only_if_asked_for(tmp_path: Path) -> None:
    """Its length otherwise."""
    write(tmp_path, "conversation.log", line(0, "conversation", context={"query": "How far?"}))
    assert "query=(8 characters)" in shown_for(tmp_path, CHAT)
    assert "How far?" not in shown_for(tmp_path, CHAT)
    assert "query=How far?" in shown_for(tmp_path, CHAT, has_texts=True)


def test_line_cannot_control_the_terminal(tmp_path: Path) -> None:
    """Whatever a client or a vendor has put into it."""
    write(tmp_path, "app.log", line(0, "a\x1b[2Jb\r\n", context={"path": "\u202e/x"}))
    shown = shown_for(tmp_path, CHAT)
    assert not {"\x1b", "\r", "\u202e"} & set(shown)


def test_torn_and_foreign_lines_are_left_out(tmp_path: Path) -> None:
    """A crash may leave half a line."""
    (tmp_path / "app.log").write_text(f'{{"request_id": "{CHAT}", "mess\n["{CHAT}"]\n')
    write(tmp_path, "app.log", line(0, "chat started"))
    assert shown_for(tmp_path, CHAT).count("\n") == 1


def test_exception_is_printed_with_its_frames(tmp_path: Path) -> None:
    """Below its line."""
    write(tmp_path, "error.log", line(0, "failed", exception="ValueError\n  main.py:1"))
    assert shown_for(tmp_path, CHAT).splitlines()[-2:] == [
        "              ValueError",
        "                main.py:1",
    ]


def test_unknown_id_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the status 1; the command line finds the folder by itself."""
    monkeypatch.setenv("LOG_DIR", str(tmp_path))
    assert main.main(["trace", "nothing"]) == 1
    assert "no line" in capsys.readouterr().err
    write(tmp_path, "app.log", line(0, "chat started"))
    assert main.main(["trace", CHAT]) == 0
    assert "chat started" in capsys.readouterr().out
