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
    for place, entry in _places(path).items():
        state = place.lstat()
        if state.st_uid not in (0, os.geteuid()):
            owner = f"the user {_user_name(state)}"
            yield f"{variable}: {owner} can replace {path}, as the owner of {place}: chown"
        if entry and (who := _who_replaces(entry, place.stat())):
            yield f"{variable}: {who} can replace {path}, by write access to {place}: chmod go-w"


def _places(path: Path) -> dict[Path, Path | None]:
    """The file and the folders on the way to it, each with what is next on that way.

    If the file is a link, also those of what it leads to. What is not there is left out.
    """
    found: dict[Path, Path | None] = {}
    for file in (path.absolute(), path.resolve()):
        entry = None
        for place in (file, *file.parents):
            if os.path.lexists(place):
                found[place] = entry
            entry = place
    return found


def _who_replaces(entry: Path, folder: os.stat_result) -> str | None:
    """The other users who can. If the folder has the sticky bit, only the owner of the entry can,
    once it is there.
    """
    if folder.st_mode & stat.S_ISVTX and os.path.lexists(entry):
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


def _user_name(state: os.stat_result) -> str:
    try:
        return pwd.getpwuid(state.st_uid).pw_name
    except KeyError:
        return str(state.st_uid)
