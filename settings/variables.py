"""Reads the raw variables: from the environment, from `.env`, from files named by `<NAME>_FILE`."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping, Set
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from settings.environment_file import parse_environment_file, read_value_file
from settings.values import Options

BESIDE_MAIN = Path(__file__).parents[1] / ".env"

_PLACEHOLDER = re.compile(r"your[_-].*|<[^<>]*>|change[_-]?me.*", re.IGNORECASE | re.DOTALL)
_SECRET = re.compile(r"\w+_API_KEY|UPSTREAM_PROXY|SENTRY_DSN")
_FROM_FILE = "_FILE"  # NAME_FILE is the path of a file that holds NAME's value
# Of a misspelled name to a variable. The environment has unrelated names, `.env` should have none.
_ENVIRONMENT_SIMILARITY = 0.85
_FILE_SIMILARITY = 0.7


class SourceNotes(Options):
    """What is wrong with the sources, but does not prevent a start."""

    placeholders: tuple[str, ...] = ()  # variables whose value counts as unset
    misspelled: tuple[tuple[str, str], ...] = ()  # no variables, each with the similar variable
    unknown: tuple[str, ...] = ()  # names in `.env` that are similar to no variable
    exposed_file: str | None = None  # a `.env` with secrets that is readable for all users
    unread_file: str | None = None  # a `.env` in the working directory that was not read


class Written(NamedTuple):
    """The values by variable, and problems that prevent a start. No problem quotes a value."""

    values: dict[str, str]
    problems: list[str]
    notes: SourceNotes


class _Source(NamedTuple):
    """A source of variables; relative paths in it start at `folder`."""

    texts: Mapping[str, str]
    folder: Path


def is_unset(text: str) -> bool:
    """Whether a value is empty or a placeholder."""
    return not text.strip() or bool(_PLACEHOLDER.fullmatch(text))


def read_variables(environment: Mapping[str, str], path: Path | None, known: Set[str]) -> Written:
    """Read `.env` at `path` and the environment, which overrides it.

    ENV_FILE replaces the path if that is the one beside `main.py`. The file that it names must
    exist.
    """
    unread_file = None
    is_required = False
    if path == BESIDE_MAIN:
        environment = dict(environment)
        named = environment.pop("env_file", "").strip()
        is_required = bool(named)
        path = Path(named) if named else path
        here = Path(".env").absolute()
        if not named and here.is_file() and not here.parent.samefile(BESIDE_MAIN.parent):
            unread_file = str(here)
    names = known | {f"{name}{_FROM_FILE}" for name in known}
    in_file, problems, exposed = _read_environment_file(path, names, is_required)
    texts = {name.upper(): _unquote(text) for name, text in environment.items()}
    values: dict[str, str] = {}
    placeholders: set[str] = set()
    for source in (_Source(in_file, path.parent if path else Path()), _Source(texts, Path())):
        found, unset = _resolve(source, known, problems)
        values |= found
        placeholders |= unset
    misspelled = _find_misspelled(in_file.keys() - names, names, _FILE_SIMILARITY)
    unknown = tuple(sorted(in_file.keys() - names - misspelled.keys()))
    misspelled |= _find_misspelled(texts.keys() - names, names, _ENVIRONMENT_SIMILARITY)
    notes = SourceNotes(
        placeholders=tuple(sorted(placeholders - values.keys())),
        misspelled=tuple(misspelled.items()),
        unknown=unknown,
        exposed_file=exposed,
        unread_file=unread_file,
    )
    return Written(values, problems, notes)


def _read_environment_file(
    path: Path | None, names: Set[str], is_required: bool
) -> tuple[dict[str, str], list[str], str | None]:
    if path is None:
        return {}, [], None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            mode = path.stat().st_mode
            read = parse_environment_file(file.read(), names)
    except FileNotFoundError:
        return {}, [f"ENV_FILE: there is no file {path}"] if is_required else [], None
    except (OSError, UnicodeError):
        return {}, [f"{path}: cannot be read; it should be a text file in UTF-8"], None
    texts = {name.upper(): text for name, text in read.values.items()}
    has_secret = any(_SECRET.fullmatch(name) and not is_unset(text) for name, text in texts.items())
    is_exposed = has_secret and bool(mode & stat.S_IROTH)
    return (
        texts,
        [f"{path}, {problem}" for problem in read.problems],
        str(path) if is_exposed else None,
    )


def _resolve(
    source: _Source, known: Set[str], problems: list[str]
) -> tuple[dict[str, str], set[str]]:
    """The values by variable, those from files too, and the names whose value counts as unset."""
    values = {name: text for name, text in source.texts.items() if name in known}
    placeholders = {name for name, text in values.items() if text and is_unset(text)}
    values = {name: text for name, text in values.items() if not is_unset(text)}
    for name, text in source.texts.items():
        target = name.removesuffix(_FROM_FILE)
        if name in known or target == name or target not in known or is_unset(text):
            continue
        if target in values:
            problems.append(f"{name}: {target} is set too; set one of the two")
            continue
        try:
            held = read_value_file(source.folder / text)
        except (OSError, ValueError):  # ValueError: not UTF-8, or too large
            problems.append(
                f"{name}: cannot be read; "
                "it should be the path of a file with the value, a text in UTF-8"
            )
            continue
        if is_unset(held):
            placeholders.add(name)
        else:
            values[target] = held
    return values, placeholders


def _unquote(text: str) -> str:
    """Remove quotes, because Docker passes those of its env files on."""
    text = text.strip()
    is_quoted = len(text) >= 2 and text[0] in "\"'" and text[0] == text[-1]
    return text[1:-1].strip() if is_quoted else text


def _find_misspelled(names: Set[str], known: Set[str], similarity: float) -> dict[str, str]:
    close = {name: get_close_matches(name, known, 1, similarity) for name in sorted(names)}
    return {name: meant[0] for name, meant in close.items() if meant}
