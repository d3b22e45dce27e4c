"""`python -m benchmarks`: the gateway under load against the simulator, beside others, their rounds taking turns."""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import uvloop

from benchmarks import house, limits, record, streams
from benchmarks.contenders import DIRECT, NGINX, Contender, plain
from benchmarks.load import run
from benchmarks.measuring import Field
from benchmarks.page import tables, write_page
from benchmarks.peers import PEERS
from benchmarks.processes import find_nginx, nginx, simulator

SCENARIOS: dict[str, Callable[[Field], None]] = {
    streams.PACED: streams.run_paced,
    streams.BURST: streams.run_burst,
    streams.SHORT: streams.run_short,
    streams.FIRST: streams.run_first_content,
    limits.IDLE: limits.run_idle,
    limits.MIXED: limits.run_mixed,
    house.HISTORY: house.run_history,
    house.START: house.run_start,
    house.WORKERS: house.run_workers,
    house.DEPENDENCIES: house.note_dependencies,
    streams.MANY: streams.run_many,
    limits.STALLS: limits.run_stalls,
}


def main() -> None:
    """Measure, print, and keep the results."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="measure the gateways in .peers/ too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=[*SCENARIOS])
    parser.add_argument("--page", action="store_true", help="put the tables into docs/benchmarks.md")
    chosen = parser.parse_args()
    _raise_file_limit()
    earlier = record.newest()
    found = record.begin(chosen.rounds, _versions(with_peers=chosen.peers))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        field = _open_field(stack, folder, found, with_peers=chosen.peers)
        for name in chosen.only:
            print(f"{name} …", flush=True)
            SCENARIOS[name](field)
            if chosen.only == [*SCENARIOS]:
                found.save()  # what is there so far, should a later scenario fail
    print("\n".join(tables(found, earlier)))
    if chosen.page:
        write_page(found)


def _open_field(stack: ExitStack, folder: Path, found: record.Record, *, with_peers: bool) -> Field:
    vendor = stack.enter_context(simulator())
    others = [plain(DIRECT, vendor)]
    if proxy := stack.enter_context(nginx(vendor.port, folder)):
        others.append(plain(NGINX, proxy))
    else:
        found.notes.append("nginx was not installed: on Debian or Ubuntu, `apt-get install nginx-light`.")
    for peer in PEERS if with_peers else ():
        if peer.is_installed:
            contender = stack.enter_context(peer.start(vendor.port, folder))
            uvloop.run(_greet(contender))
            others.append(contender)
        else:
            found.notes.append(f"{peer.name} could not be installed: {peer.why_not}")
    return Field(vendor, others, folder, found, found.rounds)


async def _greet(contender: Contender) -> None:
    """One chat, for what a contender only loads then. Raises RuntimeError where it doesn't come whole."""
    greeted = await run(contender.target("burst-100"), 1, at_once=1)
    if not greeted.count_whole(100):
        answered = b"".join(greeted.answers[0].reads)
        raise RuntimeError(f"{contender.name} does not answer: {answered[:500]!r}")


def _versions(*, with_peers: bool) -> dict[str, str]:
    versions = {peer.name: peer.version for peer in PEERS if with_peers and peer.is_installed}
    if program := find_nginx():
        told = subprocess.run((program, "-v"), capture_output=True, text=True, check=False).stderr
        versions[NGINX] = told.strip().rpartition("/")[2]
    return versions


def _raise_file_limit() -> None:
    """To what the system allows: 5,000 streams take a file each here and in the vendor, and two in a proxy."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
