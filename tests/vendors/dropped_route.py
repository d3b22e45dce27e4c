"""A vendor behind a link that drops everything from some moment on: run in a network namespace of its own.

    unshare --user --map-root-user --net python -m tests.vendors.dropped_route

Prints one JSON object: for each case what failed, and after how many seconds.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

from models import GatewayError
from providers.http.pool import Origin, Pool
from tests.providers.http.test_connection import CHUNKED, REQUEST, read_all, silence, then, vendor

GATEWAY, VENDOR = "10.77.0.1", "10.77.0.2"
SECONDS = 1.0  # CONNECT_TIMEOUT_SECONDS
HEAD = CHUNKED[: CHUNKED.index(b"\r\n\r\n") + 4]


def ip(*words: str, within: int | None = None) -> None:
    """Run `ip`, in this namespace or in that of a process."""
    entered = ["nsenter", "--target", str(within), "--net"] if within else []
    subprocess.run([*entered, "ip", *words], check=True)


async def serve() -> None:
    """The vendor: a whole answer, then silence; on another connection a head, then silence."""
    print("made", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    async with vendor(CHUNKED, CHUNKED, then(HEAD, silence), host=VENDOR) as standing:
        print(standing.origin.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def drop_everything(vendor_process: int) -> None:
    """From now on frames go to an address that no host has, both ways."""
    wrong = ("lladdr", "02:00:00:00:00:99", "nud", "permanent")
    ip("neigh", "replace", VENDOR, *wrong, "dev", "gate")
    ip("neigh", "replace", GATEWAY, *wrong, "dev", "far", within=vendor_process)


async def measure(port: int, vendor_process: int) -> dict[str, object]:
    """What the connections say."""
    origin = Origin(VENDOR, port, is_secure=False)
    pool = Pool(connect_seconds=SECONDS, keep_alive_seconds=60, context=None)
    found: dict[str, object] = {}
    connection, _ = await pool.ask(origin, REQUEST)
    await read_all(connection)
    other, _ = await pool.ask(origin, REQUEST)
    await read_all(other)
    pool.give_back(origin, other)
    streaming, _ = await pool.ask(origin, REQUEST)
    assert streaming is other
    pool.give_back(origin, connection)

    drop_everything(vendor_process)
    began = time.monotonic()

    async def fail(name: str, waiting: object) -> None:
        try:
            async with asyncio.timeout(30):
                await waiting  # type: ignore[misc]
        except GatewayError as error:
            found[name] = [error.code, error.reason, time.monotonic() - began]
        except TimeoutError:
            found[name] = ["nothing", None, 30]

    await asyncio.gather(
        fail("a request on a kept connection", pool.ask(origin, REQUEST)),
        fail("a stream that has begun", streaming.read()),
    )
    pool.close()
    return found


def main() -> None:
    """Make the vendor's namespace, and the link to it."""
    command = ["unshare", "--net", sys.executable, "-m", "tests.vendors.dropped_route", "vendor"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        ip("link", "add", "gate", "type", "veth", "peer", "name", "far")
        ip("link", "set", "far", "netns", str(process.pid))
        ip("addr", "add", f"{GATEWAY}/24", "dev", "gate")
        ip("link", "set", "gate", "up")
        ip("addr", "add", f"{VENDOR}/24", "dev", "far", within=process.pid)
        ip("link", "set", "far", "up", within=process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        found = asyncio.run(measure(int(process.stdout.readline()), process.pid))
        process.kill()
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(serve())
    else:
        main()
