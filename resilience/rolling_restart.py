"""Every process of the gateway is replaced under load: no chat is refused or cut.

Two ways: SIGHUP to a parent of two workers, and two instances behind nginx, one after the other.
nginx asks no /health, and it cannot distinguish a 503 `draining` from others, which must not reach
a vendor twice. So an instance is taken out of nginx first: marked `down`, nginx reloaded, and only
then SIGTERM sent, whose grace is for that.
"""

from __future__ import annotations

import asyncio
import getpass
import re
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.processes import Process, find_nginx, free_port, gateway, started
from resilience.client import Chat, ask
from resilience.doors import Door
from resilience.gateway_process import DEFAULT, PROVIDERS
from resilience.load import tick
from resilience.promises import Promise, judge
from simulator import Paced, Simulator

_RATE = 40.0  # chats a second
_ANSWER = Paced(60, 20)  # three seconds
_TIMEOUT_SECONDS = 120.0
_MODELS = dict.fromkeys(PROVIDERS.values(), DEFAULT)
_DOCUMENTED = Path(__file__).parents[1] / "docs" / "nginx.conf"

_AROUND = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/gateway.conf;
}}
"""


async def _ask_during(port: int, work: Awaitable[None], seconds: float, door: Door) -> list[Chat]:
    """Chats during the work, and for `seconds` before and after it."""
    now = asyncio.get_running_loop().time

    async def surround() -> None:
        await asyncio.sleep(seconds)
        began = now()
        await work
        print(f"  replaced in {now() - began:.0f} s")
        await asyncio.sleep(seconds)

    working = asyncio.create_task(surround())
    names, chats = tuple(PROVIDERS), list[asyncio.Task[Chat]]()
    async for number in tick(_RATE):
        if working.done():
            break
        chats.append(asyncio.create_task(ask(port, names[number % len(names)], door)))
    await working
    return await asyncio.gather(*chats)


def _judge(name: str, chats: Sequence[Chat]) -> int:
    endings = Counter(f"{chat.ending} {chat.cause}".strip() for chat in chats)
    counted = ", ".join(f"{number} {ending}" for ending, number in endings.most_common())
    print(f"{name}: {len(chats)} chats: {counted}")
    refused = sum(chat.ending == "refused" for chat in chats)
    dishonest = sum(chat.ending == "cut" for chat in chats)
    return judge(
        name,
        [
            Promise("no chat is refused", refused == 0, f"{refused}"),
            Promise("every chat has an honest ending", dishonest == 0, f"{dishonest} have none"),
        ],
    )


async def _replace_workers(parent: Process, folder: Path) -> None:
    before = set(parent.pids())
    parent.send_signal(signal.SIGHUP)
    await _wait_for(lambda: _count_in_log(folder, '"message": "draining"') == 2)
    await _wait_for(lambda: len(before & set(parent.pids())) <= len(before) - 2)


def _count_in_log(folder: Path, text: str) -> int:
    return (folder / "logs" / "app.log").read_text(encoding="utf-8").count(text)


async def _wait_for(is_done: Callable[[], bool]) -> None:
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        while not is_done():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.1)


class _Instance:
    """A gateway that is stopped and started at the same port."""

    def __init__(self, vendor_port: int, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir()
        self._folder = folder
        self._vendor_port = vendor_port
        self._life = ExitStack()

    async def start(self) -> None:
        life = gateway(self._vendor_port, _MODELS, self._folder, {"PORT": str(self.port)})
        await asyncio.to_thread(self._life.enter_context, life)

    async def stop(self) -> None:
        """Send SIGTERM, and wait until it has drained."""
        await asyncio.to_thread(self._life.close)


class _Balancer:
    """nginx in front of the instances, with the documented configuration.

    Only its addresses and the limits of one client are different.
    """

    def __init__(self, instances: Sequence[_Instance], folder: Path) -> None:
        self.port = free_port()
        self._instances = instances
        self._folder = folder
        self.configure()
        (folder / "nginx.conf").write_text(_AROUND.format(user=getpass.getuser(), folder=folder))

    @property
    def command(self) -> list[str]:
        """The command that starts it."""
        error_log = str(self._folder / "error.log")
        return [
            str(find_nginx()),
            "-p",
            str(self._folder),
            "-c",
            str(self._folder / "nginx.conf"),
            "-e",
            error_log,
        ]

    def configure(self, without: _Instance | None = None) -> None:
        """Write the configuration, with one instance marked as down."""
        servers = [
            f"server 127.0.0.1:{each.port}{' down' if each is without else ''};"
            for each in self._instances
        ]
        changes: Mapping[str, str] = {
            r"server 127\.0\.0\.1:3050;": " ".join(servers),
            r"listen 80;": f"listen 127.0.0.1:{self.port};",
            r"/var/log/nginx": str(self._folder),
            r"limit_conn gateway_connections 100;": "",  # all chats come from one address
            r"limit_req zone=[^;]*;": "",
        }
        text = _DOCUMENTED.read_text(encoding="utf-8")
        for place, change in changes.items():
            text, number = re.subn(place, change, text)
            if number != 1:
                raise ValueError(f"docs/nginx.conf has {place} {number} times")
        (self._folder / "gateway.conf").write_text(text)


async def _replace_instances(
    instances: Sequence[_Instance], balancer: _Balancer, nginx: Process
) -> None:
    for instance in instances:
        balancer.configure(without=instance)
        nginx.send_signal(signal.SIGHUP)
        await instance.stop()
        await instance.start()
        balancer.configure()
        nginx.send_signal(signal.SIGHUP)


async def run(folder: Path, seconds: float, door: Door) -> int:
    """Run. Returns the exit status."""
    async with Simulator(default=_ANSWER, remembered=0) as vendor:
        with gateway(vendor.port, _MODELS, folder, {"WORKERS": "2"}) as parent:
            await _wait_for(lambda: _count_in_log(folder, "serves") == 2)
            chats = await _ask_during(parent.port, _replace_workers(parent, folder), seconds, door)
    status = _judge("workers replaced at SIGHUP", chats)
    if find_nginx() is None:
        print(
            "instances behind nginx: not run, as nginx is not installed "
            "(apt-get install nginx-light)"
        )
        return status
    folder /= "nginx"
    folder.mkdir()
    async with Simulator(default=_ANSWER, remembered=0) as vendor:
        instances = [_Instance(vendor.port, folder / name) for name in ("first", "second")]
        balancer = _Balancer(instances, folder)
        for instance in instances:
            await instance.start()
        try:
            with started(balancer.command, balancer.port, {}) as nginx:
                replacing = _replace_instances(instances, balancer, nginx)
                chats = await _ask_during(balancer.port, replacing, seconds, door)
        finally:
            for instance in instances:
                await instance.stop()
    return max(status, _judge("instances replaced behind nginx", chats))
