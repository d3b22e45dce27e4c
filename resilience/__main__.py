"""`python -m resilience RUN`: one run, its promises and its verdict; the exit status is 1 where one was broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from resilience import dead_default, disconnects, rolling_restart, soak, storm
from resilience.promises import tell_machine


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m resilience", description=__doc__)
    runs = parser.add_subparsers(required=True, metavar="RUN")
    for name, run, option, default in (
        ("dead-default", dead_default.main, "--count", 2_000),
        ("disconnects", disconnects.main, "--count", 10_000),
        ("soak", soak.main, "--seconds", 600),
        ("rolling-restart", rolling_restart.main, "--seconds", 5),
        ("storm", storm.main, "--count", 100_000),
    ):
        command = runs.add_parser(name)
        command.add_argument(option, type=int, default=default, dest="size", help=f"default: {default}")
        command.set_defaults(run=run)
    chosen = parser.parse_args()
    tell_machine()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="resilience-") as folder:
        status: int = chosen.run(Path(folder), chosen.size)
    print(f"took {time.monotonic() - began:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
