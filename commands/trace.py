"""`python main.py trace ID`: prints one request's life, from the logs of all workers."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from configuration import load_settings
from telemetry.redaction import text_line

_REQUEST = re.compile(r'"request_id": ?"([^"]+)"')
_TEXTS = ("query", "answer")  # what was said; in conversation.log alone


def add_trace_command(commands: Any) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser("trace", help="print one request's life from the logs")
    parser.add_argument("id", help="of the request, of the answer, or of the conversation")
    parser.add_argument("--texts", action="store_true", help="print what was said, too")
    parser.set_defaults(run=run_trace)


def run_trace(chosen: argparse.Namespace) -> int:
    """Run the command. Raises ConfigurationError."""
    folder = load_settings().log_folder
    if folder is None:
        print("LOG_DIR=-: the lines are where standard output went", file=sys.stderr)
        return 1
    lines = find_lines(folder, chosen.id)
    if not lines:
        print(f"no line of {folder} has this id", file=sys.stderr)
        return 1
    print("\n".join(describe(lines, has_texts=chosen.texts)))
    return 0


def find_lines(folder: Path, wanted: str) -> list[dict[str, Any]]:
    """The lines of the requests with this id, oldest first, each once. Reads the logs twice.

    The first time finds the requests, which the id may be the answer or the conversation of.
    """
    requests = {
        line["request_id"]
        for line in read_lines(folder, lambda text: wanted in text)
        if wanted in ids_of(line)
    } - {"-"}
    found = {
        json.dumps(line, sort_keys=True): line
        for line in read_lines(folder, lambda text: not requests.isdisjoint(_REQUEST.findall(text)))
        if line["request_id"] in requests
    }
    return sorted(found.values(), key=lambda line: str(line["timestamp"]))


def read_lines(folder: Path, is_wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """The wanted ones among the lines of all logs and their backups, but no torn ones.

    Only those are decoded.
    """
    for file in sorted(folder.glob("*.log*")):
        with file.open(encoding="utf-8", errors="replace") as text:
            for line in filter(is_wanted, text):
                try:
                    fields = json.loads(line)
                except ValueError:
                    continue  # torn, or being written
                if isinstance(fields, dict) and {"timestamp", "request_id"} <= fields.keys():
                    yield fields


def ids_of(line: Mapping[str, Any]) -> tuple[object, ...]:
    """The ids that a line has."""
    context = line.get("context")
    answer = context.get("id") if isinstance(context, dict) else None
    return line["request_id"], line.get("conversation_id"), answer


def describe(lines: list[dict[str, Any]], *, has_texts: bool) -> Iterator[str]:
    """A paragraph for each request: its ids and its client, then its lines."""
    for request in dict.fromkeys(line["request_id"] for line in lines):
        own = [line for line in lines if line["request_id"] == request]
        began = datetime.fromisoformat(own[0]["timestamp"])
        yield text_line(f"request {request}, from {own[0]['timestamp']}")
        for name in ("conversation_id", "client", "address"):
            if values := {line[name] for line in own if line.get(name)}:
                yield text_line(f"  {name} {', '.join(sorted(values))}")
        for line in own:
            yield from describe_line(line, began, has_texts=has_texts)


def describe_line(line: Mapping[str, Any], began: datetime, *, has_texts: bool) -> Iterator[str]:
    """When, how important, what, and the context, a value a word."""
    passed = datetime.fromisoformat(line["timestamp"]) - began
    context = line.get("context")
    values = dict(context) if isinstance(context, dict) else {"context": context}
    for name in _TEXTS:
        if not has_texts and isinstance(said := values.get(name), str):
            values[name] = f"({len(said)} characters)"
    words = [f"{name}={value}" for name, value in values.items() if value not in (None, [], {})]
    head = f"{1000 * passed.total_seconds():>9,.0f} ms  {line.get('level', ''):<8}"
    yield text_line(f"{head}{line.get('message', '')}  {' '.join(words)}".rstrip())
    for frame in str(line.get("exception", "")).splitlines():
        yield text_line(f"{'':14}{frame}")
