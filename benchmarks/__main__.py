"""`python -m benchmarks`: the gateway under load, in turns with other programs.

The simulator is the vendor of them all.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import uvloop

from benchmarks import limits, operations, own_scenarios, record, streams
from benchmarks.contenders import DIRECT, NGINX, plain
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
    own_scenarios.HISTORY: own_scenarios.run_history,
    own_scenarios.START: own_scenarios.run_start,
    own_scenarios.WORKERS: own_scenarios.run_workers,
    operations.OPERATIONS: operations.run_operations,
    own_scenarios.DEPENDENCIES: own_scenarios.note_dependencies,
    streams.MANY: streams.run_many,
    limits.STALLS: limits.run_stalls,
}


def main() -> None:
    """Measure, print, and keep the results."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="measure the gateways in .peers/ too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=[*SCENARIOS])
    parser.add_argument(
        "--page", action="store_true", help="put the tables into docs/benchmarks.md"
    )
    chosen = parser.parse_args()
    # 5,000 streams take a file each here and in the vendor, and two in a proxy.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    earlier = record.newest()
    versions = {peer.name: peer.version for peer in PEERS if chosen.peers and peer.is_installed}
    if program := find_nginx():
        output = subprocess.run((program, "-v"), capture_output=True, text=True, check=False).stderr
        versions[NGINX] = output.strip().rpartition("/")[2]
    found = record.begin(chosen.rounds, versions)
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
        found.notes.append(
            "nginx was not installed: on Debian or Ubuntu, `apt-get install nginx-light`."
        )
    for peer in PEERS if with_peers else ():
        if peer.is_installed:
            contender = stack.enter_context(peer.start(vendor.port, folder))
            # for what is loaded only with the first chat
            greeted = uvloop.run(run(contender.target("burst-100"), 1, at_once=1))
            if not greeted.count_whole(100):
                answered = b"".join(greeted.answers[0].reads)
                raise RuntimeError(f"{contender.name} does not answer: {answered[:500]!r}")
            others.append(contender)
        else:
            found.notes.append(f"{peer.name} could not be installed: {peer.why_not}")
    return Field(vendor, others, folder, found, found.rounds)


if __name__ == "__main__":
    main()
