"""Files that the configuration names: who beside the gateway can read or change them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from settings.file_access import access_warnings

if TYPE_CHECKING:
    from pathlib import Path

OTHER_USER = 54_322  # whose name is not known
OTHER_GROUP = 54_321  # the same


def make_file(folder: Path, mode: int = 0o600) -> Path:
    file = folder / "a.toml"
    file.write_text("")
    file.chmod(mode)
    return file


def warnings_of(file: Path, *, is_private: bool = True) -> list[str]:
    return list(access_warnings("KEYS_FILE", file, is_private=is_private))


@pytest.mark.parametrize(
    ("mode", "word"),
    [(0o600, None), (0o640, None), (0o400, None), (0o644, "read"), (0o646, "write")],
)
def test_private_file_is_for_its_owner_and_group(
    closed_folder: Path, mode: int, word: str | None
) -> None:
    """One warning at most, with what to do."""
    file = make_file(closed_folder, mode)
    expected = (
        [f"KEYS_FILE: every user of this machine can {word} {file}: chmod 640"] if word else []
    )
    assert warnings_of(file) == expected


def test_other_files_may_be_read_but_not_written(closed_folder: Path) -> None:
    """Prices are no secret."""
    assert warnings_of(make_file(closed_folder, 0o644), is_private=False) == []
    assert "write" in warnings_of(make_file(closed_folder, 0o646), is_private=False)[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
def test_group_that_is_not_the_owners_alone_is_named(closed_folder: Path) -> None:
    """A group of the owner's name without other members, which many systems make, is no other user."""
    file = make_file(closed_folder, 0o660)
    assert warnings_of(file) == []
    os.chown(file, -1, OTHER_GROUP)
    assert warnings_of(file) == [f"KEYS_FILE: the group {OTHER_GROUP} can write {file}: chmod 640"]


@pytest.mark.parametrize("depth", [0, 1])
def test_folder_in_which_others_can_replace_the_file_is_named(
    closed_folder: Path, depth: int
) -> None:
    """Its own, or one above. Not if the sticky bit keeps them from it, as in /tmp."""
    folder = closed_folder / "outer" / "inner"
    folder.mkdir(parents=True)
    file = make_file(folder)
    opened = (folder, folder.parent)[depth]
    opened.chmod(0o777)
    (warning,) = warnings_of(file)
    assert f"every user of this machine can replace {file}, by write access to {opened}:" in warning
    opened.chmod(0o1777)
    assert warnings_of(file) == []


def test_file_that_is_not_there_yet_has_a_folder(closed_folder: Path) -> None:
    """As LIMITS_FILE at the first start."""
    folder = closed_folder / "limits"
    folder.mkdir()
    assert warnings_of(folder / "limits.json") == []
    folder.chmod(0o777)
    assert len(warnings_of(folder / "limits.json")) == 1


def test_link_is_followed(closed_folder: Path) -> None:
    """Who can write what it leads to can change it, too."""
    folder = closed_folder / "elsewhere"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    link = closed_folder / "link.toml"
    link.symlink_to(make_file(folder))
    (warning,) = warnings_of(link)
    assert str(folder) in warning


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_other_user_who_owns_the_file_or_its_folder_is_named(tmp_path: Path, depth: int) -> None:
    """Whatever the modes: an owner can change them."""
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    file = make_file(folder)
    owned = (file, folder, folder.parent)[depth]
    os.chown(owned, OTHER_USER, -1)
    assert warnings_of(file) == [
        f"KEYS_FILE: the user {OTHER_USER} can replace {file}, as the owner of {owned}: chown"
    ]
    os.chown(owned, os.geteuid(), -1)
    assert warnings_of(file) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_other_user_who_owns_the_link_is_named(tmp_path: Path) -> None:
    """It can lead to another file tomorrow."""
    link = tmp_path / "link.toml"
    link.symlink_to(make_file(tmp_path))
    os.chown(link, OTHER_USER, -1, follow_symlinks=False)
    (warning,) = warnings_of(link)
    assert f"as the owner of {link}" in warning


@pytest.mark.parametrize("missing", ["limits.json", "new/limits.json"])
def test_sticky_bit_protects_no_file_that_is_not_there_yet(tmp_path: Path, missing: str) -> None:
    """In such a folder every user can make it first, and owns it then."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    (warning,) = warnings_of(folder / missing)
    assert f"by write access to {folder}:" in warning
    (folder / missing).parent.mkdir(exist_ok=True)
    (folder / missing).touch(mode=0o600)
    assert warnings_of(folder / missing) == []
