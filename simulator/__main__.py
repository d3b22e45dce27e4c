"""`python -m simulator`: the vendors on a port, by hand, with what a gateway must be told to reach them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

import uvloop

from simulator.server import Simulator
from simulator.wires import WIRES


async def serve(host: str, port: int) -> None:
    """Serve until the process is ended."""
    async with Simulator(port, host=host, remembered=0) as simulator:
        for provider, url in simulator.base_urls.items():
            print(f"{WIRES[provider].key_variable}_BASE_URL={url}")
            print(f"{WIRES[provider].key_variable}_API_KEY=simulated")
        print("# models: any; or silence, stall, heartbeats, truncated, reset, error-<status>, paced-<count>x<rate>")
        print(f"# counts: http://{simulator.host}:{simulator.port}/__calls", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0: any that is free")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it is ended
        uvloop.run(serve(arguments.host, arguments.port))


if __name__ == "__main__":
    main()
