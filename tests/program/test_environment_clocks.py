"""The wall clock may be set, forwards or back, while the gateway runs: no wait and no duration is counted on it.

A step cannot be made here, so the source is read: each file that reads the wall clock has a reason below.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.project.source_files import PYTHON, SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator

WALL_CLOCK = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}
NOT_SERVING = {
    "tests",
    "benchmarks",
    "simulator",
    "resilience",
    "scripts",
    "commands",
}  # what stands beside the gateway

MAY_READ_IT = {
    "providers/retry_after.py": "a vendor's Retry-After may be a date: the wait until then, in the bounds of any wait",
    "providers/health.py": "the time of day of an observation, for people; its age is counted on the monotonic clock",
    "web/doors/error_fields.py": "an error's timestamp",
    "web/doors/openai_chat.py": "when an answer was created",
    "web/doors/openai_responses.py": "the same",
    "telemetry/log_record.py": "the time of a log record",
    "web/security_contact.py": "the date on which the contact expires",
    "cluster/limit_counters.py": "budgets are of a day and a month of the calendar",
    "cluster/count_file.py": "the same",
    "telemetry/costs.py": "a vendor's prices may depend on the date and the hour",
    "telemetry/traces.py": "a span's time of day; its length is counted on the monotonic clock",
    "web/doors/rate_limits.py": "Anthropic's headers have the time of day at which a limit is reset",
    "web/guards.py": "the date on which a key expires",
    "web/key_ring.py": "the same, and the time of day of a key's last use, for people",
    "web/admin_status.py": "the time of day of what the admin page shows, and whether a key has expired",
}


def find_readings(file: SourceFile) -> Iterator[str]:
    """Calls, and imports of the bare functions, that read the wall clock."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if f"{owner}.{node.attr}" in WALL_CLOCK:
                yield f"{owner}.{node.attr} in line {node.lineno}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (
                f"imports time.{alias.name}"
                for alias in node.names
                if f"time.{alias.name}" in WALL_CLOCK
            )


def test_only_named_files_read_the_wall_clock() -> None:
    """Timeouts, breakers, health's age, limits and deadlines go by the monotonic clock or the loop's."""
    serving = [
        file for file in PYTHON if file.package not in NOT_SERVING and file.path not in MAY_READ_IT
    ]
    assert [f"{file.path}: {reading}" for file in serving for reading in find_readings(file)] == []


@pytest.mark.parametrize("path", MAY_READ_IT)
def test_named_file_reads_it_in_one_way(path: str) -> None:
    """No exception outlives its reason, and none hides a second clock."""
    (file,) = (file for file in PYTHON if file.path == path)
    assert len({reading.partition(" in ")[0] for reading in find_readings(file)}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.time()",
        "import time as t, time\nbegan = time.time_ns()",
        "from time import time",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
    ],
)
def test_reading_is_found(text: str) -> None:
    """A rule that finds nothing holds nothing."""
    assert list(find_readings(SourceFile("web/late.py", text))) != []
    assert list(find_readings(SourceFile("web/late.py", "import time\ntime.monotonic()"))) == []
