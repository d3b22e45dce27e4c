"""How many of the gateway's files one chat passes, counted while a simulated vendor answers it."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator import Demo
from tests.clients.raw_client import ask_chat, connect
from tests.project.source_files import BESIDE, ROOT
from tests.vendors.simulated_vendor import DEFAULT, simulated_vendor

if TYPE_CHECKING:
    from types import FrameType

    from tests.clients.raw_client import RawClient

MOST_FILES_DOWN = 24
MOST_FILES_OF_A_DELTA = 10
ENDS_OF_A_DELTA = {"providers/http/connection.py", "server/outlet.py"}
CHATS = 3
DELTAS = 5
# where a request becomes a chat: the file is entered on the way up, too
CHAT_ROUTE = "web/chats.py", "chat_route.<locals>.chat"
LOGGING = re.compile(r"logging_config\.py|telemetry/log_\w+\.py")


class Trace:
    """The gateway's files in which a function was entered, but for the writing of log lines.

    With `down` they are those between the chat's route and the vendor.
    """

    def __init__(self, *, down: bool = False) -> None:
        self.files: set[str] = set()
        self._down = down
        self._is_on = not down

    def __enter__(self) -> Trace:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(f"{ROOT}/"):
            return
        file = Path(frame.f_code.co_filename).relative_to(ROOT).as_posix()
        package = file.partition("/")[0]
        if self._down and (file, frame.f_code.co_qualname) == CHAT_ROUTE:
            self._is_on = True
        if self._down and package == "simulator":
            self._is_on = False
        elif (
            self._is_on
            and package not in (*BESIDE, ".venv")
            and not LOGGING.fullmatch(file)
            and not is_logged(frame)
        ):
            self.files.add(file)


def is_logged(frame: FrameType | None) -> bool:
    """Whether a log handler called this."""
    while frame := frame and frame.f_back:
        if frame.f_code.co_filename == logging.__file__:
            return True
    return False


def find_common(traces: list[set[str]]) -> set[str]:
    """The files that are in all: what a timer ran meanwhile is no part of a chat."""
    return set.intersection(*traces)


async def trace_request(client: RawClient) -> set[str]:
    """The files on the way of a request to the vendor."""
    with Trace(down=True) as trace:
        await client.send(ask_chat())
        await client.reader.readuntil(b"\n\n")
    await client.reader.readuntil(b"[DONE]\n\n\r\n0\r\n\r\n")
    return trace.files


async def trace_deltas(client: RawClient) -> list[set[str]]:
    """The files on the way of a delta to the client, for a few of them.

    On a slow machine a delta may have come, in part or whole, before it is waited for: only those
    are counted of which the first and the last file were seen.
    """
    traces: list[set[str]] = []
    while len(traces) < DELTAS:
        await client.send(ask_chat())
        for _ in range(DELTAS):
            await client.reader.readuntil(b"\n\n")
            with Trace() as trace:
                await client.reader.readuntil(b"\n\n")
            if trace.files >= ENDS_OF_A_DELTA:
                traces.append(trace.files)
        await client.reader.readuntil(b"[DONE]\n\n\r\n0\r\n\r\n")
    return traces


async def test_chat_passes_few_files(tmp_path: Path) -> None:
    """On the way down to the vendor, and again for a delta on its way up."""
    async with simulated_vendor(tmp_path, "gpt") as vendor, connect(vendor.gateway) as client:
        vendor.simulator.behaviours[DEFAULT] = Demo(pace=0.01, first=0.01)
        await trace_request(client)  # loads the SDK and connects to the vendor
        down = find_common([await trace_request(client) for _ in range(CHATS)])
        delta = find_common(await trace_deltas(client))
    assert "aiproviders.py" in down
    assert "providers/chain.py" in down & delta
    assert len(down) <= MOST_FILES_DOWN, " ".join(sorted(down))
    assert len(delta) <= MOST_FILES_OF_A_DELTA, " ".join(sorted(delta))
