"""`python main.py keys`: what it prints, and what it refuses."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from logging_config import audit, flush_logs
from main import main
from settings.keys_file import read_keys_file
from settings.new_keys import is_well_formed
from telemetry.log_line import Client, client_context
from tests.gateways.log_files import logs_in

if TYPE_CHECKING:
    from pathlib import Path

SHA = "a" * 64


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of its own."""
    (tmp_path / "env").write_text(
        f"KEYS_FILE={tmp_path / 'keys.toml'}\nLOG_DIR={tmp_path / 'logs'}\nGROQ_API_KEY=k-1"
    )
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "env"))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The status, and what is printed."""
    status = main(["keys", *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_new_key_comes_with_its_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The lines are a file as they are, the key is in no line but its own."""
    status, out, _ = run(capsys, "new", "web.app")
    shown, entry, _, lines = out.partition("\n")[0], out.splitlines()[1], None, out.split("\n\n")[1]
    key = shown.split()[-1]
    assert (status, is_well_formed(key), out.count(key)) == (0, True, 1)
    file = tmp_path / "keys.toml"
    file.write_text(lines)
    (read,) = read_keys_file(file, ())
    assert entry.endswith(f"GATEWAY_API_KEYS=web.app:{read.sha256}")
    assert list(tomllib.loads(lines)["keys"]) == ["web.app"]


def test_list_has_what_each_key_may_and_its_last_use(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """By the lines of the audit log; a hash is not shown."""
    (folder / "keys.toml").write_text(
        f'[keys.phone]\nsha256 = "{SHA}"\nproviders = ["gpt"]\nexpires = 2020-01-01\n'
        f'[keys.web]\nsha256 = "{"b" * 64}"\n'
    )
    with logs_in(folder / "logs"):
        token = client_context.set(Client("203.0.113.7", "web"))
        audit("access", status=200)
        client_context.reset(token)
        flush_logs()
    status, out, _ = run(capsys, "list")
    phone, web = out.splitlines()
    assert status == 0
    assert phone == "phone  expired 2020-01-02T00:00:00+00:00; providers gpt; last used never"
    assert web.startswith("web  does not expire; last used 20")
    assert SHA not in out


def test_list_does_not_say_never_without_log_files(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LOG_DIR=- the uses are in no file of the gateway."""
    (folder / "keys.toml").write_text(f'[keys.phone]\nsha256 = "{SHA}"\n')
    monkeypatch.setenv("LOG_DIR", "-")
    assert run(capsys, "list")[1].endswith("; last used unknown, without log files\n")


@pytest.mark.usefixtures("closed_folder")
def test_check_finds_what_is_wrong(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Of KEYS_FILE, or of another file before it is put there."""
    file, other = folder / "keys.toml", folder / "next.toml"
    file.write_text(f'[keys.phone]\nsha256 = "{SHA}"\n')
    file.chmod(0o600)
    other.write_text("[keys.phone]\nsha = 1\n")
    status, out, _ = run(capsys, "check")
    assert (status, out) == (0, f"{file} is right; keys: 1\n")
    status, out, err = run(capsys, "check", str(other))
    assert (status, out) == (2, "")
    assert f"{other}: line 1: keys.phone: " in err


@pytest.mark.usefixtures("closed_folder")
def test_new_admin_key_is_for_no_chats(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Its lines are a file as they are, which `list` and `check` show; it has no entry for .env."""
    status, out, _ = run(capsys, "new", "root", "--admin")
    lines = out.split("\n\n")[1]
    file = folder / "keys.toml"
    file.write_text(lines)
    file.chmod(0o600)
    (key,) = read_keys_file(file, ())
    assert (status, key.admin, key.doors, "GATEWAY_API_KEYS" in out) == (
        0,
        True,
        frozenset(),
        False,
    )
    assert "; no chats; admin; " in run(capsys, "list")[1]
    assert run(capsys, "check")[1] == f"{file} is right; keys: 1\nfor the admin page: root\n"
