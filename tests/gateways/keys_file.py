"""KEYS_FILE of a test's gateway, and the header in which a client sends a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_keys(folder: Path, text: str) -> Path:
    """A file with this text that no other user can read, about which no gateway warns."""
    file = folder / "keys.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


def bearer(key: str) -> dict[str, str]:
    """The header with this key."""
    return {"Authorization": f"Bearer {key}"}
