"""The results of a run as data: each figure of each contender in each scenario, a value a round."""

from __future__ import annotations

import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from benchmarks.processes import count_processors

RESULTS = Path(__file__).parent / "results"
_LIBRARIES = (
    "uvicorn",
    "uvloop",
    "httptools",
    "aiohttp",
    "openai",
    "anthropic",
    "google-genai",
    "groq",
)
_DIGITS = 4  # of a value


class Record(msgspec.Struct):
    """A run.

    `figures` are by scenario, contender, and the figure's name, which ends in its unit.
    """

    taken_at: str
    commit: str
    machine: str
    load_before: float
    versions: dict[str, str]
    rounds: int
    figures: dict[str, dict[str, dict[str, list[float]]]] = {}
    notes: list[str] = []

    def add(self, scenario: str, contender: str, figures: Mapping[str, float]) -> None:
        """Add one round's figures."""
        kept = self.figures.setdefault(scenario, {}).setdefault(contender, {})
        for name, value in figures.items():
            kept.setdefault(name, []).append(float(f"{value:.{_DIGITS}g}"))

    def values(self, scenario: str, contender: str, figure: str) -> list[float]:
        """A figure, round by round; empty if it was not measured."""
        return self.figures.get(scenario, {}).get(contender, {}).get(figure, [])

    def median(self, scenario: str, contender: str, figure: str) -> float | None:
        """A figure's median; None if it was not measured."""
        values = self.values(scenario, contender, figure)
        return statistics.median(values) if values else None

    def save(self) -> Path:
        """Write it beside the earlier ones."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.taken_at[:10]}-{self.commit}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))
        return path


def begin(rounds: int, versions: Mapping[str, str]) -> Record:
    """A record of a run that begins now, on this machine."""
    ours = {name: version(name) for name in _LIBRARIES}
    commit = subprocess.run(
        ("git", "rev-parse", "--short=7", "HEAD"), capture_output=True, text=True, check=False
    )
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    processor = next(models, platform.machine())
    return Record(
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit.stdout.strip() or "unknown",
        machine=f"{count_processors()} processors ({processor}), "
        f"{platform.system()} {platform.release()}",
        load_before=float(Path("/proc/loadavg").read_text().split()[0]),
        versions={"Python": platform.python_version(), **ours, **versions},
        rounds=rounds,
    )


def newest(paths: Iterable[Path] | None = None) -> Record | None:
    """The newest record; None if there is none."""
    records = [
        msgspec.json.decode(path.read_bytes(), type=Record)
        for path in paths or RESULTS.glob("*.json")
    ]
    return max(records, key=lambda record: record.taken_at, default=None)
