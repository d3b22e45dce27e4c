"""`python -m simulator`: the vendors on a port, by hand, with what a gateway must be told to reach them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from contextlib import AsyncExitStack

import uvloop

from simulator.endpoints import ENDPOINTS
from simulator.faults import FAULTS, fault_behaviour
from simulator.server import Simulator
from simulator.wires import WIRES


async def serve(host: str, port: int, fault: str | None) -> None:
    """Serve until the process is ended; with a fault, every model has it, or the address itself."""
    async with AsyncExitStack() as stack:
        if fault in ENDPOINTS:
            _say_variables(await stack.enter_async_context(ENDPOINTS[fault](host, port)))
        else:
            default = fault_behaviour(f"fault-{fault}") if fault else None
            simulator = await stack.enter_async_context(Simulator(port, host=host, default=default, remembered=0))
            _say_variables(f"http://{simulator.host}:{simulator.port}")
            print("# models: any; or silence, stall, stall-<count>, heartbeats, truncated, reset, error-<status>,")
            loads = "paced-<count>x<rate>, stamped-<count>x<rate>, burst-<count>"
            print(f"# {loads}, fault-<name>, fault-<name>@after with a name of {', '.join(FAULTS)}")
            print(f"# counts: http://{simulator.host}:{simulator.port}/__calls", flush=True)
        await asyncio.Event().wait()


def _say_variables(origin: str) -> None:
    for wire in WIRES.values():
        print(f"{wire.key_variable}_BASE_URL={origin}{wire.base_path}")
        print(f"{wire.key_variable}_API_KEY=simulated", flush=True)


def _fault(name: str) -> str:
    if name not in ENDPOINTS and not fault_behaviour(f"fault-{name}"):
        raise argparse.ArgumentTypeError("should be one that --help lists, some with @after")
    return name


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0: any that is free")
    parser.add_argument(
        "--fault", type=_fault, help="what every model does wrong: stall, stall@after, 503, tls-expired …"
    )
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it is ended
        uvloop.run(serve(arguments.host, arguments.port, arguments.fault))


if __name__ == "__main__":
    main()
