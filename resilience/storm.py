"""A hundred thousand generated requests, half of them malformed: the answers, and any stalls.

/health is asked each 20 ms from another process; its delays include the machine's other work. So
the loop's pauses are measured within, less the time for which its thread had no processor.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from pathlib import Path

from resilience.gateway_process import DEFAULT, FALLBACK, RunningGateway, start_gateway
from resilience.prober import probing
from resilience.promises import Promise, judge, judge_open
from resilience.requests import Requests
from simulator import Scripted

_SEED = 64
_CLIENTS = 16
_ANSWER_SECONDS = 0.25  # then the client disconnects: its request was incomplete
_SETTLE_SECONDS = 1.0
_LONGEST_MS = 100.0
_HEALTHY = Scripted(("An answer ", "in three ", "pieces."))
_DESIGNED = (
    b'"code":"overloaded"',
    b'"code":"draining"',
    b'"code":"upstream_',
    b'"code":"provider_not_configured"',
)


async def _ask(port: int, data: bytes) -> str:
    """The answer's status, with the code of a 5xx; `silence` or `closed` without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(data)
        async with asyncio.timeout(_ANSWER_SECONDS):
            while not _is_whole(answer) and (more := await reader.read(65_536)):
                answer += more
    except TimeoutError:
        return answer[9:12].decode() if answer else "silence"
    except OSError:
        return "closed"
    finally:
        writer.transport.abort()
    status = answer[9:12].decode("latin-1")
    if not status.startswith("5"):
        return status or "closed"
    is_designed = status == "503" and any(code in answer for code in _DESIGNED)
    return "503 by design" if is_designed else f"{status} {answer[-300:].decode('latin-1')}"


def _is_whole(answer: bytes) -> bool:
    head, blank, body = answer.partition(b"\r\n\r\n")
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        return body.endswith(b"\r\n0\r\n\r\n") or body == b"0\r\n\r\n"
    length = lowered.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(blank) and length.isdigit() and len(body) >= int(length)


async def _ask_all(port: int, count: int) -> Counter[str]:
    requests, statuses = Requests(_SEED), Counter[str]()
    numbers = iter(range(count))

    async def keep_asking() -> None:
        for _ in numbers:
            statuses[await _ask(port, requests.make())] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(_CLIENTS):
            group.create_task(keep_asking())
    return statuses


async def _measure(running: RunningGateway, count: int) -> list[Promise]:
    before = await running.rest()
    with probing(running.port) as probes:
        statuses = await _ask_all(running.port, count)
        await asyncio.sleep(_SETTLE_SECONDS)
    after = await running.rest()
    counted = ", ".join(f"{number} {status}" for status, number in statuses.most_common())
    print(f"{count} requests: {counted}")
    cuts = statistics.quantiles(probes.answered_ms, n=1000)
    slowest, late = max(probes.answered_ms), max(probes.own_delay_ms)
    print(
        f"{len(probes.answered_ms)} probes: {cuts[499]:.1f} ms at the median, "
        f"{cuts[989]:.1f} at the 99th percentile, {cuts[998]:.1f} at the 99.9th, "
        f"{slowest:.1f} at most; the prober itself was up to {late:.1f} ms late"
    )
    failures = [
        status for status in statuses if status.startswith("5") and status != "503 by design"
    ]
    pause, own = after.alive.longest_pause_ms, after.alive.longest_own_pause_ms
    print(f"the loop's longest pause was {pause:.1f} ms, the time without a processor included")
    traces = running.console.count("Traceback")
    return [
        Promise(
            "no 5xx but the designed 503", not failures, f"{failures or statuses['503 by design']}"
        ),
        Promise("the loop never stalls for 100 ms", own <= _LONGEST_MS, f"{own:.1f} ms at most"),
        Promise(
            "/health answers throughout",
            not probes.bad,
            f"{len(probes.bad)} of {len(probes.answered_ms)} failed",
        ),
        *judge_open(before, after),
        Promise("no exception is shown", traces == 0, f"{traces}"),
    ]


async def run(folder: Path, count: int) -> int:
    """Run. Returns the exit status."""
    async with start_gateway(folder, {DEFAULT: _HEALTHY, FALLBACK: _HEALTHY}) as running:
        return judge("storm", await _measure(running, count))
