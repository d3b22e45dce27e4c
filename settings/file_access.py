"""Whether other users can read or change a file that the configuration names."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

_ALL = "every user of this machine"


def access_warnings(variable: str, path: Path, *, is_private: bool = False) -> Iterator[str]:
    """Warnings about other users who can change the file, or read it although it is private.

    Nothing about a file that is not there, but about its folder. Raises OSError.
    """
    if path.exists():
        state = path.stat()
        if state.st_mode & stat.S_IWOTH:
            yield f"{variable}: {_ALL} can write {path}: chmod 640"
        elif is_private and state.st_mode & stat.S_IROTH:
            yield f"{variable}: {_ALL} can read {path}: chmod 640"
        if state.st_mode & stat.S_IWGRP and not _is_own_group(state):
            yield f"{variable}: the group {_group_name(state)} can write {path}: chmod 640"
    for folder in _folders(path):
        if who := _who_replaces_files(folder.stat()):
            yield f"{variable}: {who} can replace {path}, by write access to {folder}: chmod go-w"


def _folders(path: Path) -> list[Path]:
    """The folders on the way to a file, and to what it leads to if it is a link."""
    found = [*path.absolute().parents, *path.resolve().parents]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def _who_replaces_files(folder: os.stat_result) -> str | None:
    """The other users who can. In a folder with the sticky bit, only the owners of files can."""
    if folder.st_mode & stat.S_ISVTX:
        return None
    if folder.st_mode & stat.S_IWOTH:
        return _ALL
    if folder.st_mode & stat.S_IWGRP and not _is_own_group(folder):
        return f"the group {_group_name(folder)}"
    return None


def _is_own_group(state: os.stat_result) -> bool:
    """Whether the group has the owner's name and no other member, as many systems make them."""
    try:
        group, owner = grp.getgrgid(state.st_gid), pwd.getpwuid(state.st_uid).pw_name
    except KeyError:  # of another machine, or of a container
        return False
    return group.gr_name == owner and not set(group.gr_mem) - {owner}


def _group_name(state: os.stat_result) -> str:
    try:
        return grp.getgrgid(state.st_gid).gr_name
    except KeyError:
        return str(state.st_gid)
