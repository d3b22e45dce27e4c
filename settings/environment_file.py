"""Parses `.env` files: lines of NAME=value, without any expansion."""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

MAX_VALUE_BYTES = 2**20  # of a file that holds one value

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(.*)", re.DOTALL)
_NEXT_ASSIGNMENT = re.compile(r"\n[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=")
_QUOTED = {
    quote: re.compile(rf"{quote}(.*?){quote}[ \t]*(?:#[^\n]*)?(?=\n|\Z)", re.DOTALL)
    for quote in "\"'"
}
_COMMENT = re.compile(r"[ \t]+#.*")


class EnvironmentFile(NamedTuple):
    """The parsed file: values by name, the last of each, and problems with their line numbers."""

    values: dict[str, str]
    problems: list[str]


def parse_environment_file(text: str, names: Set[str]) -> EnvironmentFile:
    """Parse NAME=value lines, with or without `export`, blank lines and comments.

    A value ends at the line end or at a # after a blank. A value in single or double quotes may
    contain both, and span several lines; the quotes are removed, and backslashes have no special
    meaning. `names` are the known variables in upper case: if a line of a quoted value assigns one
    of them, in any case, the closing quote is missing.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        line, number = lines[at], at + 1
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        if not assignment or "\0" in line:
            problems.append(f"line {number}: should be NAME=value, or begin with #")
            continue
        name, written = assignment[1], assignment[2].lstrip()
        if not written.startswith(("'", '"')):
            values[name] = _COMMENT.sub("", assignment[2]).strip()
            continue
        quoted = _QUOTED[written[0]].match("\n".join([written, *lines[at:]]))
        inside = _NEXT_ASSIGNMENT.findall(quoted[0]) if quoted else []
        if quoted and not any(name.upper() in names for name in inside):
            values[name] = quoted[1]
            at += quoted[0].count("\n")
        else:
            problems.append(f"line {number}: {name}: the quote at its beginning has no end")
    return EnvironmentFile(values, problems)


def read_value_file(path: Path) -> str:
    """Read a file with one value, such as a mounted secret. One line end is removed.

    Raises OSError, or ValueError if the file is not UTF-8 text or too large.
    """
    with path.open("rb") as file:
        content = file.read(MAX_VALUE_BYTES + 1)
    if len(content) > MAX_VALUE_BYTES:
        raise ValueError("too large")
    text = content.decode()
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
