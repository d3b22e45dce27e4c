"""`python main.py check`: what it looks at, and its status."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from commands.check import Finding, ask_vendors, check_clock, check_logs, check_open_files
from configuration import load_settings
from main import main
from simulator import Error, Simulator

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = 1_000_000_000.0  # 2001


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of its own."""
    (tmp_path / "env").write_text(f"LOG_DIR={tmp_path / 'logs'}\nGROQ_API_KEY=key-of-a-test\n")
    (tmp_path / "env").chmod(0o600)
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "env"))
    return tmp_path


def test_sound_machine_is_ok(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0. Nothing is made: no folder, no log."""
    assert main(["check"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("ok       the configuration")
    assert "FAILED" not in printed
    assert [file.name for file in folder.iterdir()] == ["env"]


def test_wrong_configuration_is_reported_as_at_a_start(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, also for a file that it names."""
    with (folder / "env").open("a") as file:
        file.write(f"PRICES_FILE={folder / 'absent'}\n")
    assert main(["check"]) == 2
    assert "PRICES_FILE" in capsys.readouterr().err


@pytest.mark.usefixtures("closed_folder")
def test_files_that_others_can_change_are_warnings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys that others can read, too. The status stays 0: a start would succeed."""
    prices, keys, counts = folder / "prices.toml", folder / "keys.toml", folder / "counts"
    prices.write_text("")
    keys.write_text(f'[keys.phone]\nsha256 = "{"a" * 64}"\n')
    counts.mkdir()
    prices.chmod(0o666)
    keys.chmod(0o644)
    counts.chmod(0o777)
    with (folder / "env").open("a") as file:
        file.write(f"PRICES_FILE={prices}\nKEYS_FILE={keys}\nLIMITS_FILE={counts / 'l.json'}\n")
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [line for line in lines if line.startswith("warning") and "_FILE" in line]
    assert [line.split()[1:9] for line in found] == [
        f"{name}_FILE: every user of this machine can {verb}".split()
        for name, verb in (("KEYS", "read"), ("LIMITS", "replace"), ("PRICES", "write"))
    ]


def test_logs_need_room_and_no_other_writers(tmp_path: Path) -> None:
    """By LOG_MAX_BYTES and LOG_BACKUP_COUNT."""
    tmp_path.chmod(0o777)
    settings = load_settings(None, log_dir=tmp_path, log_max_bytes=2**40)
    others, room = check_logs(settings)
    assert (others.state, room.state) == ("warning", "warning")
    assert "chmod 700" in others.text
    (stdout,) = check_logs(load_settings(None, log_dir="-"))
    assert stdout.state == "ok"


def test_streams_need_open_files() -> None:
    """Two sockets each."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    (enough,) = check_open_files(load_settings(None, max_streams=1))
    (few,) = check_open_files(load_settings(None, max_streams=min(limit, 100_000)))
    assert (enough.state, few.state) == ("ok", "warning" if limit < 200_000 else "ok")


def test_clock_that_is_behind_is_found() -> None:
    """It cannot be earlier than the program's own files."""
    (finding,) = check_clock(BEFORE)
    assert finding.state == "FAILED"


async def test_vendors_are_asked_by_their_free_call() -> None:
    """Each model of each configured provider; no chat is made."""
    async with Simulator() as simulator:
        simulator.check_behaviours["nova"] = Error(401)
        settings = load_settings(
            None,
            groq_api_key="key-of-a-test",
            groq_base_url=simulator.base_urls["groq"],
            groq_model_default="luna",
            groq_model_fallback="nova",
        )
        known, refused = await ask_vendors(settings)
        assert (simulator.count(), simulator.count_checks()) == (0, 2)
    assert known == Finding("ok", "groq: luna answers")
    assert refused == Finding("FAILED", "groq: nova: upstream_auth")


async def test_demo_mode_asks_no_vendor() -> None:
    """It says so."""
    (finding,) = await ask_vendors(load_settings(None, demo="on"))
    assert finding.state == "warning"
