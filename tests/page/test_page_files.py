"""The page's files as they are served: their headers, and the libraries among them."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.gateways.scripted import scripted_gateway
from web.page_files import make_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STATIC = Path(__file__).parents[2] / "static"
VENDOR = STATIC / "vendor"
PACKAGES: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))[
    "packages"
]
COMPRESSED_BYTES = 60_000


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running gateway."""
    async with scripted_gateway(tmp_path) as gateway:
        yield gateway.client


def policy(response: httpx.Response) -> dict[str, str]:
    """What the content policy allows, by directive."""
    directives = response.headers["content-security-policy"].split("; ")
    return {
        name: allowed for name, _, allowed in (directive.partition(" ") for directive in directives)
    }


@pytest.mark.parametrize(
    "path", ["/", "/static/index.html", "/docs", "/static/page.js", "/static/favicon.svg"]
)
async def test_page_runs_its_own_files_alone(client: httpx.AsyncClient, path: str) -> None:
    """The content policy allows no inline code, no other host, no framing, and HTML from the sanitiser alone."""
    response = await client.get(path)
    allowed = policy(response)
    assert (allowed["default-src"], allowed["script-src"], allowed["connect-src"]) == (
        "'none'",
        "'self'",
        "'self'",
    )
    assert {allowed[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert (allowed["require-trusted-types-for"], allowed["trusted-types"]) == (
        "'script'",
        "dompurify own-files",
    )
    assert "unsafe" not in response.headers["content-security-policy"]
    assert ":" not in response.headers["content-security-policy"].replace("data:", "")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


async def test_file_that_is_known_is_not_sent_again(client: httpx.AsyncClient) -> None:
    """The browser asks each time, and the ETag says that nothing has changed: no old file meets a new one."""
    first = await client.get("/static/page.js")
    second = await client.get("/static/page.js", headers={"If-None-Match": first.headers["etag"]})
    assert (first.headers["cache-control"], second.status_code, second.content) == (
        "no-cache",
        304,
        b"",
    )


async def test_version_is_cached_for_good(client: httpx.AsyncClient) -> None:
    """The page names its files by a version that changes with any of them: they need not be asked for again."""
    page = (await client.get("/")).text
    (version,) = set(re.findall(r'="static/([^/"]+)/', page))
    first = await client.get(f"/static/{version}/view/thread.js")
    assert first.headers["cache-control"] == "max-age=31536000, immutable"
    assert first.content == (STATIC / "view" / "thread.js").read_bytes()
    tag = {"If-None-Match": first.headers["etag"]}
    assert (await client.get(f"/static/{version}/view/thread.js", headers=tag)).status_code == 304
    for name in ("index.html", "reference.html", "nowhere.js", ""):
        assert (await client.get(f"/static/{version}/{name}")).status_code == 404


async def test_file_of_another_version_is_kept_nowhere(client: httpx.AsyncClient) -> None:
    """While workers are replaced a page may ask the other one for its files."""
    response = await client.get(f"/static/{'0' * 16}/page.js")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert (await client.get(f"/static/{'0' * 15}/page.js")).status_code == 404


def test_version_changes_with_any_file() -> None:
    """With its content, its name and its place among the others."""
    files = {"a.js": b"1", "b.js": b"23"}
    changed = [
        {"a.js": b"1", "b.js": b"24"},
        {"a.js": b"12", "b.js": b"3"},
        {"a.js": b"1", "c.js": b"23"},
    ]
    versions = [make_version(each) for each in (files, *changed, {"a.js": b"1"})]
    assert len(set(versions)) == len(versions)


async def test_page_loads_its_modules_at_once(client: httpx.AsyncClient) -> None:
    """All that are needed for the first view, and each exists; a grammar is none of them."""
    page = (await client.get("/")).text
    preloaded = re.findall(r'modulepreload" href="([^"]+)', page)
    names = {name.split("/", 2)[2] for name in preloaded}
    assert {"page.js", "words.js", "words/en.js", "text/markdown.js", "stream.js"} <= names
    assert not [name for name in names if "highlight/" in name and "core" not in name]
    assert len(names) == len(preloaded)
    for name in preloaded:
        assert (await client.get(f"/{name}")).status_code == 200


async def test_files_are_sent_compressed(client: httpx.AsyncClient) -> None:
    """For clients that accept it."""
    small = await client.get("/static/style.css", headers={"Accept-Encoding": "gzip"})
    whole = await client.get("/static/style.css", headers={"Accept-Encoding": "identity"})
    assert int(small.headers["content-length"]) < int(whole.headers["content-length"])
    assert small.text == whole.text == (STATIC / "style.css").read_text(encoding="utf-8")


async def test_known_file_is_recognised_by_any_form_of_its_tag(client: httpx.AsyncClient) -> None:
    """One of several, strong or weak, or any; compressed or not. Another tag gets the file."""
    for path in ("/", "/docs", "/static/page.js", "/openapi.json"):
        tag = (await client.get(path)).headers["etag"]
        for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
            for accepted in ("gzip", "identity"):
                response = await client.get(
                    path, headers={"If-None-Match": known, "Accept-Encoding": accepted}
                )
                assert (path, known, response.status_code, response.content) == (
                    path,
                    known,
                    304,
                    b"",
                )
                assert response.headers["etag"] == tag
                assert response.headers["vary"].split(", ")[0] == "Accept-Encoding"
        assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("br;q=1.0, GZIP ; q=0.5", "gzip"),
        ("*", "gzip"),
        ("", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip; q=0.000, *", None),
        ("xgzip", None),
    ],
)
async def test_compressed_form_is_for_clients_that_take_it(
    client: httpx.AsyncClient, accepted: str, encoding: str | None
) -> None:
    """It was made beforehand; its length is sent, to HEAD too."""
    for path in ("/", "/static/style.css", "/openapi.json"):
        for method in ("GET", "HEAD"):
            response = await client.request(method, path, headers={"Accept-Encoding": accepted})
            assert (path, response.headers.get("content-encoding")) == (path, encoding)
            length = int(response.headers["content-length"])
            assert length > 0
            assert method == "HEAD" or response.num_bytes_downloaded == length


async def test_every_file_is_served_as_it_is(client: httpx.AsyncClient) -> None:
    """With a type that a browser takes under `nosniff`; nothing but the files is served."""
    types = {
        ".js": "text/javascript",
        ".css": "text/css",
        ".html": "text/html",
        ".svg": "image/svg+xml",
    }
    for path in STATIC.rglob("*"):
        name = path.relative_to(STATIC).as_posix()
        response = await client.get(f"/static/{name}")
        is_page = name in ("index.html", "reference.html", "admin.html", "service_worker.js")
        assert (name, response.status_code) == (
            name,
            307 if is_page else 200 if path.is_file() else 404,
        )
        if path.is_file() and not is_page:
            assert response.content == path.read_bytes()
            assert response.headers["content-type"].startswith(types.get(path.suffix, ""))


@pytest.mark.parametrize(
    ("name", "page"),
    [("index.html", "/"), ("reference.html", "/docs"), ("service_worker.js", "/service_worker.js")],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_file_of_a_page_leads_to_the_page(
    client: httpx.AsyncClient, method: str, name: str, page: str
) -> None:
    """Whose links are relative to its own address; another method is refused."""
    response = await client.request(method, f"/static/{name}")
    assert (response.status_code, response.content) == (307, b"")
    assert response.url.join(response.headers["location"]).path == page
    assert (
        await client.request(method, f"/static/{name}", follow_redirects=True)
    ).status_code == 200
    assert (await client.post(f"/static/{name}")).status_code == 405


async def test_request_reads_no_file(client: httpx.AsyncClient) -> None:
    """What is served was read at the start: a request without a key makes no work for the disk."""
    opened: list[object] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and is_listening and str(STATIC) in str(arguments[0]):
            opened.append(arguments[0])

    is_listening = True
    sys.addaudithook(note)
    try:
        for path in ("/", "/docs", "/static/page.js", "/static/nowhere.js"):
            await client.get(path)
    finally:
        is_listening = False
    assert opened == []


async def test_openapi_document_is_made_once(tmp_path: Path) -> None:
    """Its bytes are the same for each request, and no request makes them anew."""
    async with scripted_gateway(tmp_path) as gateway:
        document = gateway.running.app.state.openapi
        scope = {"type": "http", "headers": [], "root_path": ""}
        assert document.respond(scope).body is document.respond(scope).body
        other = document.respond({**scope, "root_path": "/ai"})
        assert json.loads(other.body)["servers"] == [{"url": "/ai"}]


def test_libraries_are_the_released_ones() -> None:
    """Every file in static/vendor/ is in the manifest, with its checksum; every package has its version and licence."""
    listed = {file["file"]: file["sha256"] for package in PACKAGES for file in package["files"]}
    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert found == listed
    for package in PACKAGES:
        assert package["version"]
        assert package["licence"]
        assert package["integrity"].startswith("sha512-")
        assert any(file["file"].endswith("LICENSE") for file in package["files"])


def test_libraries_are_small() -> None:
    """Compressed, all of them together are under 60 KB, without the one for math, which few answers need."""
    sizes = {path: len(gzip.compress(path.read_bytes(), 9)) for path in VENDOR.rglob("*.js")}
    math = sum(size for path, size in sizes.items() if path.parent.name == "temml")
    assert math < COMPRESSED_BYTES
    assert sum(sizes.values()) - math < COMPRESSED_BYTES


def test_page_names_no_other_host() -> None:
    """Nothing of the page is loaded from elsewhere."""
    for path in (*STATIC.rglob("*.html"), *STATIC.rglob("*.css"), *STATIC.rglob("*.js")):
        if VENDOR not in path.parents:
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in text, path
            assert "https://" not in text, path
