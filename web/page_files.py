"""The files of `static/` as they are sent: under a version of them all, the pages in each language.

The version is a hash of every file, and a folder of the path: modules import each other by relative
paths, so none of them names a version. `static/words/` has the pages' words, one file a language;
what it exports is JSON, so that the server can read it too.
"""

from __future__ import annotations

import hashlib
import html
import json
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

_STATIC = Path(__file__).parents[1] / "static"
_IMPORT = re.compile(r"""^(?:import|export)\b[^"'`=(]*?["'](\.[^"']+)["']""", re.MULTILINE)
_EXPORT = "export default "
_PLACEHOLDER = re.compile(r"\{\{([\w.]+)\}\}")
_FIRST_SCRIPT = "page.js"
# not needed by every reader
_OTHERS = ("vendor/", "words/", "reference.js", "admin.js", "service_worker.js")


def read_files() -> Mapping[str, bytes]:
    """All files of `static/` by relative path."""
    files = sorted(path for path in _STATIC.rglob("*") if path.is_file())
    return {path.relative_to(_STATIC).as_posix(): path.read_bytes() for path in files}


def make_version(files: Mapping[str, bytes]) -> str:
    """16 hexadecimal digits that change with any file."""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def read_words(files: Mapping[str, bytes]) -> Mapping[str, Mapping[str, object]]:
    """The words of each language, by its name; the default language is the first."""
    names = [name for name in files if name.startswith("words/")]
    words = {
        name.removeprefix("words/").removesuffix(".js"): json.loads(
            files[name].decode().removeprefix(_EXPORT).rstrip().removesuffix(";")
        )
        for name in names
    }
    return {"en": words.pop("en"), **words}


def find_modules(files: Mapping[str, bytes]) -> list[str]:
    """The modules that the page needs at once, in the order in which they are found."""
    modules = [_FIRST_SCRIPT]
    for name in modules:  # grows meanwhile
        folder = posixpath.dirname(name)
        imported = _IMPORT.findall(files[name].decode())
        paths = [posixpath.normpath(posixpath.join(folder, each)) for each in imported]
        modules += [path for path in dict.fromkeys(paths) if path not in modules]
    return modules


def make_page(
    name: str,
    files: Mapping[str, bytes],
    language: str,
    all_words: Mapping[str, Mapping[str, object]],
) -> bytes:
    """A page in one language, or the service worker, with links to this version of the files.

    Without the list of modules a browser would find some only at the end of a chain of imports.
    """
    words = all_words[language]
    modules = [*find_modules(files), f"words/{language}.js"]
    own = [each for each in files if each.endswith(".js") and not each.startswith(_OTHERS)]
    named = re.findall(r'="static/([^"]+)"', files["index.html"].decode())
    markup = {
        "lang": language,
        "languages": "\n          ".join(
            f'<option value="{each}" lang="{each}">{other["language.own"]}</option>'
            for each, other in sorted(all_words.items())
        ),
        "version": make_version(files),
        "modules": "\n    ".join(
            f'<link rel="modulepreload" href="static/{each}">' for each in modules
        ),
        "files": " ".join(dict.fromkeys([*modules, *own, *named])),
    }

    def fill(found: re.Match[str]) -> str:
        key = found[1]
        return markup[key] if key in markup else html.escape(str(words[key]))

    filled = _PLACEHOLDER.sub(fill, files[name].decode())
    return filled.replace('="static/', f'="static/{markup["version"]}/').encode()
