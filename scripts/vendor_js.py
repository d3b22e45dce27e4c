"""Renews the page's libraries in static/vendor/ from npm, and its manifest.

The manifest says which files of which packages are wanted. Each package's newest release that is at
least 7 days old is taken; npm checks the archive against the registry's hash. Needs npm.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

_VENDOR = Path(__file__).parents[1] / "static" / "vendor"
_MANIFEST = _VENDOR / "manifest.json"
_YOUNGEST = timedelta(days=7)
_BUDGET = 60_000  # bytes, compressed, without what is loaded only if an answer needs it
_LOADED_LATE = "temml"


def renew() -> int:
    """Replace every file of the manifest by its package's newest release.

    Returns the exit status.
    """
    packages = json.loads(_MANIFEST.read_text(encoding="utf-8"))["packages"]
    before = (datetime.now(UTC) - _YOUNGEST).date().isoformat()
    renewed = []
    for package in packages:
        with tempfile.TemporaryDirectory() as folder:
            command = ["npm", "pack", package["name"], "--json", "--ignore-scripts"]
            command += [f"--before={before}", f"--pack-destination={folder}"]
            ran = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603
            archives = json.loads(ran.stdout)
            (packed,) = archives.values() if isinstance(archives, dict) else archives
            with tarfile.open(Path(folder, packed["filename"])) as archive:
                files = [_renew_file(archive, file) for file in package["files"]]
        print(f"{package['name']} {packed['version']}")
        found = {name: packed[name] for name in ("version", "integrity")}
        renewed.append(package | found | {"files": files})
    _MANIFEST.write_text(json.dumps({"packages": renewed}, indent=2) + "\n", encoding="utf-8")
    scripts = [path for path in _VENDOR.rglob("*.js") if path.parent.name != _LOADED_LATE]
    size = sum(len(gzip.compress(path.read_bytes(), 9)) for path in scripts)
    print(f"{size:,} bytes compressed, of at most {_BUDGET:,}")
    return 0 if size < _BUDGET else 1


def _renew_file(archive: tarfile.TarFile, file: dict[str, str]) -> dict[str, str]:
    member = archive.extractfile(f"package/{file['from']}")
    if member is None:
        raise FileNotFoundError(file["from"])
    content = member.read()
    target = _VENDOR / file["file"]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return file | {"sha256": hashlib.sha256(content).hexdigest()}


if __name__ == "__main__":
    sys.exit(renew())
