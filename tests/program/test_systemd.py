"""The documented unit for systemd, as systemd itself reads and rates it, and beside the gateway's own settings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from configuration import VALID_PROVIDERS, ProviderOptions, load_settings
from tests.gateways.loopback import make_settings

UNIT = (Path(__file__).parents[2] / "docs" / "chat-gateway.service").read_text(encoding="utf-8")
ANALYZE = shutil.which("systemd-analyze")
EXPOSURE = 20  # tenths, of 100; a service without any of it has 96

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def values(name: str) -> list[str]:
    """What the unit sets a directive to."""
    return [line.partition("=")[2] for line in UNIT.splitlines() if line.startswith(f"{name}=")]


def environment() -> dict[str, str]:
    pairs = [pair.partition("=") for line in values("Environment") for pair in line.split()]
    return {name: value for name, _, value in pairs}


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with an interpreter that exists."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/sh")
    path = tmp_path / "chat-gateway.service"
    path.write_text(UNIT.replace("/opt/chat-gateway", str(tmp_path)))
    return path


def analyze(*arguments: str) -> str:
    """What systemd-analyze has to say; it may not fail."""
    done = subprocess.run(
        [str(ANALYZE), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@needs_systemd
def test_unit_is_right(unit: Path) -> None:
    """systemd knows each directive and has nothing to say against it."""
    assert unit.name not in analyze("verify", "--man=no", str(unit))


@needs_systemd
def test_unit_has_few_rights(unit: Path) -> None:
    """As systemd rates it."""
    analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(unit))


def test_stop_waits_for_chats(tmp_path: Path) -> None:
    """The process is killed only after its own time to stop, and 10 seconds more."""
    settings = make_settings(
        tmp_path, vendors={name: ProviderOptions() for name in VALID_PROVIDERS}
    )
    drain = settings.drain_grace_seconds + settings.drain_timeout_seconds
    assert [int(seconds) for seconds in values("TimeoutStopSec")] == [drain + 10]


def test_wrong_configuration_is_not_started_again() -> None:
    """`python main.py` ends with status 2 for it."""
    assert (values("Restart"), values("RestartPreventExitStatus")) == (["on-failure"], ["2"])


def test_environment_configures_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its variables are the gateway's, and the credential is the vendor's key."""
    (tmp_path / "openai.key").write_text("key-of-a-test\n")
    for name, value in environment().items():
        monkeypatch.setenv(name, value.replace("%d", str(tmp_path)))
    settings = load_settings(None)
    assert (settings.workers, str(settings.log_dir)) == (
        2,
        "/var/log/" + values("LogsDirectory")[0],
    )
    assert settings.secrets == ("key-of-a-test",)


def test_secrets_are_credentials() -> None:
    """Each has a variable that names its file, and none is in the environment itself."""
    credentials = {line.partition(":")[0] for line in values("LoadCredential")}
    files = {
        value.removeprefix("%d/") for name, value in environment().items() if name.endswith("_FILE")
    }
    assert credentials == files
    assert not [name for name in environment() if name.endswith(("_KEY", "_DSN", "_PROXY"))]
