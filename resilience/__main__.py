"""`python -m resilience RUN`: one run and its promises; the exit status is 1 if one was broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from resilience import agreement, dead_default, disconnects, overload, rolling_restart, soak, storm
from resilience.doors import DOORS
from resilience.promises import print_machine


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m resilience", description=__doc__)
    runs = parser.add_subparsers(required=True, metavar="RUN")
    for name, work, option, default in (
        ("dead-default", dead_default.run, "--count", 2_000),
        ("disconnects", disconnects.run, "--count", 10_000),
        ("soak", soak.run, "--seconds", 600),
        ("rolling-restart", rolling_restart.run, "--seconds", 5),
    ):
        command = runs.add_parser(name)
        command.add_argument(
            option, type=int, default=default, dest="size", help=f"default: {default}"
        )
        command.add_argument("--door", choices=DOORS, default="native", help="default: native")
        command.set_defaults(work=work)
    for name, native_work, default in (
        ("storm", storm.run, 100_000),
        ("agreement", agreement.run, 10_000),
        ("overload", overload.run, 20),
    ):
        command = runs.add_parser(name)
        option = "--seconds" if name == "overload" else "--count"
        command.add_argument(option, type=int, default=default, dest="size")
        command.set_defaults(work=native_work, door=None)
    chosen = parser.parse_args()
    door = () if chosen.door is None else (DOORS[chosen.door],)
    print_machine()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="resilience-") as folder:
        status: int = uvloop.run(chosen.work(Path(folder), chosen.size, *door))
    print(f"took {time.monotonic() - began:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
