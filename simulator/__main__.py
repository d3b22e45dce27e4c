"""`python -m simulator`: serves the simulated vendors on a port.

Prints the variables for a gateway to use them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import textwrap
from contextlib import AsyncExitStack

import uvloop

from simulator.endpoints import ENDPOINTS
from simulator.faults import FAULTS, fault_behaviour
from simulator.server import SIMULATED_KEY, Simulator
from simulator.wires import WIRES, LocalWire

_WRAPPER = textwrap.TextWrapper(
    100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
)
MODELS = f"""\
models: any name answers. These do something else:
  silence, stall, stall-<count>, heartbeats, truncated, reset, error-<status>,
  paced-<count>x<rate>, stamped-<count>x<rate>, burst-<count>,
  fault-<name>, and fault-<name>@after, which fails after the first words

faults, as names here and for --fault:
{_WRAPPER.fill(", ".join(FAULTS))}

faults of an address, for --fault alone:
  {", ".join(ENDPOINTS)}
"""


async def serve(host: str, port: int, fault: str | None) -> None:
    """Serve until the process is stopped.

    A `fault` applies to every model, or to the address itself.
    """
    async with AsyncExitStack() as stack:
        if fault in ENDPOINTS:
            _print_variables(await stack.enter_async_context(ENDPOINTS[fault](host, port)))
        else:
            default = fault_behaviour(f"fault-{fault}") if fault else None
            simulator = await stack.enter_async_context(
                Simulator(port, host=host, default=default, remembered=0)
            )
            origin = f"http://{simulator.host}:{simulator.port}"
            _print_variables(origin)
            print(
                f"# models that fail: python -m simulator --help; "
                f"counts of calls: {origin}/__calls",
                flush=True,
            )
        await asyncio.Event().wait()


def _print_variables(origin: str) -> None:
    print("# All that a gateway needs in its .env to ask the simulator:")
    for wire in WIRES.values():
        print(f"{wire.key_variable}_BASE_URL={origin}{wire.base_path}")
        print(f"{wire.key_variable}_API_KEY={SIMULATED_KEY}")
    print(f"{LocalWire.key_variable}_MODEL_DEFAULT=simulated", flush=True)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="Serves the vendors' APIs on a port, "
        "and prints the variables that lead a gateway there.",
        epilog=MODELS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0: any that is free")
    parser.add_argument(
        "--fault", metavar="NAME", help="what every model does wrong; of most, NAME@after too"
    )
    arguments = parser.parse_args()
    fault = arguments.fault
    if fault is not None and fault not in ENDPOINTS and not fault_behaviour(f"fault-{fault}"):
        parser.error("argument --fault: should be one that --help lists, some with @after")
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is the normal way to stop it
        uvloop.run(serve(arguments.host, arguments.port, fault))


if __name__ == "__main__":
    main()
