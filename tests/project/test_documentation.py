"""The documentation is true: what it names exists, its tables are the code's, its examples run."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from contextlib import asynccontextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from configuration import (
    PROVIDER_SETTINGS,
    VALID_PROVIDERS,
    GatewayOptions,
    ProviderOptions,
    Settings,
    load_settings,
)
from models import ERROR_KINDS, GatewayError, Text
from scripts.configuration_page import EXAMPLE, PAGE, make_page
from tests.clients.plain_http import make_client
from tests.clients.simple_client import join_text, read_events
from tests.gateways.loopback import running_gateway
from tests.gateways.scripted import scripted_gateway
from tests.project.source_files import PYTHON
from tests.vendors.loopback_vendor import open_vendor, response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = [
    README,
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
PACKAGES = ("web", "server", "providers", "telemetry", "streams", "settings", "simulator")
CODE = [ROOT / file.path for file in PYTHON if file.package in PACKAGES or "/" not in file.path]
TESTS = [ROOT / file.path for file in PYTHON if file.package == "tests"]
VARIABLES = {name.upper(): field.default for name, field in GatewayOptions.model_fields.items()}
VENDORS_VARIABLES = {
    variable for variables in PROVIDER_SETTINGS.values() for variable in variables.values()
}
MADE_BY_RUNNING = re.compile(r"logs/|\w+\.log$|htmlcov/|\.env$|\.venv")
ADDRESS = "127.0.0.1:3050"
EXAMPLE_SECONDS = 30
QUESTION = {"messages": [{"role": "user", "content": "Say hello."}]}

anywhere = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


class Block(NamedTuple):
    """A fenced block: its language, and what is in it."""

    language: str
    text: str


def blocks(document: Path, *languages: str) -> list[Block]:
    """The document's fenced blocks, of these languages if any are named."""
    found = re.findall(
        r"^```(\S*)\n(.*?)\n```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [Block(*block) for block in found if not languages or block[0] in languages]


def prose(document: Path) -> str:
    """The document without its fenced blocks."""
    return re.sub(
        r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def spans(document: Path) -> list[str]:
    """What stands between backticks in the text."""
    return re.findall(r"`([^`\n]+)`", prose(document))


def rows(document: Path) -> list[list[str]]:
    """The cells of all table rows, without their backticks."""
    lines = [line for line in prose(document).splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def anchors(document: Path) -> set[str]:
    """The anchors of the document's headings, as they are made by GitHub."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@anywhere
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link is to a file that is there, and to a heading that it has."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@anywhere
def test_named_files_exist(document: Path) -> None:
    """Every file that the text names is there, but for those that running makes; a test that it names, too."""
    files = (
        r"[\w./-]*\w\.(?:py|md|js|html|css|conf|toml|lock|txt|sh|log|example)(?:::\w+)?|[\w./-]+/"
    )
    for span in spans(document):
        if (
            re.fullmatch(files, span)
            and not span.startswith(("/", "../"))
            and not MADE_BY_RUNNING.match(span)
        ):
            name, _, test = span.partition("::")
            places = [place / name for place in (ROOT, document.parent) if (place / name).exists()]
            assert places, span
            assert re.search(rf"def {test}\b", places[0].read_text()) if test else True, span


def test_pictures_name_files_that_exist() -> None:
    """The pictures of the layers and of one chat name modules and folders."""
    layers, chat = (
        block.text for block in blocks(ROOT / "docs" / "file_structure_docs.md", "text")
    )
    for name in re.findall(r"[a-z][\w./]*(?:/|\.py)(?=\s|\)|,)", layers):
        assert (ROOT / name).exists() or any(
            (ROOT / package / name).exists() for package in PACKAGES
        ), name
    for name in re.findall(r"\w+(?:/\w+)+", chat):
        assert (ROOT / f"{name}.py").exists(), name


@anywhere
def test_named_variables_exist(document: Path) -> None:
    """A name in capitals is a variable of the configuration, or else stands in the code."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (*CODE, *TESTS))
    for span in spans(document):
        if found := re.fullmatch(r"<VENDOR>_([A-Z_]+)", span):
            assert found[1].lower() in ProviderOptions.model_fields, span
        elif found := re.fullmatch(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(=.*)?", span):
            is_variable = bool(
                {found[1], found[1].removesuffix("_FILE")} & (VARIABLES.keys() | VENDORS_VARIABLES)
            )
            assert is_variable or (not found[2] and re.search(rf"\b{found[1]}\b", code)), span


@anywhere
def test_documented_defaults_are_the_codes(document: Path) -> None:
    """If a table row has a variable and after it a value, that is the variable's default."""
    for row in rows(document):
        for name, shown in pairwise(row):
            if name in VARIABLES and re.fullmatch(r"[\d,]+(\.\d+)?", shown):
                assert float(shown.replace(",", "")) == VARIABLES[name], name


@anywhere
def test_named_make_targets_exist(document: Path) -> None:
    """Every `make` target that is named is one of the Makefile's."""
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    lines = [line for block in blocks(document, "sh") for line in block.text.splitlines()]
    named = [
        line.split()[1] for line in (*spans(document), *lines) if re.match(r"make [a-z]", line)
    ]
    assert set(named) <= targets


def test_makefile_runs_modules_that_exist() -> None:
    """Those of `python -m`."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for module in re.findall(
        r"\$\(VENV_PYTHON\) -m ((?:scripts|tests|benchmarks|resilience)[\w.]*)", makefile
    ):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module


@anywhere
def test_blocks_are_what_they_say(document: Path) -> None:
    """Every fenced block names its language; JSON parses, and so does each event of a stream."""
    for block in blocks(document):
        assert block.language, block.text
        if block.language == "json":
            json.loads(block.text)
        elif "data: {" in block.text:
            read_events(block.text)


def test_every_error_code_is_documented() -> None:
    """Each code has its row with status, next model and retryable, and there is no row of another code."""
    next_model = {"yes": "yes", "no": "no", "other_vendor": "another vendor's only"}
    shown = {
        row[0]: row[1:4]
        for row in rows(ROOT / "docs" / "api_docs.md")
        if len(row) == 5 and row[1].isdigit()
    }
    assert shown == {
        code: [str(kind.status), next_model[kind.next_model], "yes" if kind.retryable else "no"]
        for code, kind in ERROR_KINDS.items()
    }


def test_every_provider_is_in_the_readme() -> None:
    """Each has its row with path, opening variables and models."""
    settings = load_settings(None, demo="on")
    shown = {row[1]: row for row in rows(README) if row[1].startswith("/chat/")}
    assert set(shown) == {f"/chat/{name}" for name in VALID_PROVIDERS}
    for provider in settings.providers:
        row = shown[f"/chat/{provider.name}"]
        assert PROVIDER_SETTINGS[provider.name][provider.opened_by] in row[2]
        assert row[3:] == [provider.model_default or "none", provider.model_fallback or "none"]


def test_configuration_page_is_made_from_the_settings() -> None:
    """`make docs` has nothing to write."""
    assert PAGE.read_text(encoding="utf-8") == make_page(EXAMPLE.read_text(encoding="utf-8"))


def test_configuration_page_has_every_variable() -> None:
    """Each has its row; those of the vendors are there once for all."""
    described = {row[0] for row in rows(PAGE)}
    assert VARIABLES.keys() <= described
    assert {f"<VENDOR>_{option.upper()}" for option in ProviderOptions.model_fields} <= described


def test_every_source_file_has_its_place() -> None:
    """docs/file_structure_docs.md says of each file what it does."""
    shown = {row[0] for row in rows(ROOT / "docs" / "file_structure_docs.md")}
    sources = {str(path.relative_to(ROOT)) for path in CODE if path.stat().st_size}
    assert sources - shown == set()


BODIES: dict[str, tuple[str, Any, int, dict[str, Any]]] = {
    "answer": ("/chat/gpt", QUESTION | {"stream": False}, 200, {}),
    "error": ("/chat/gpt", {"messages": []}, 422, {}),
    "completion": ("/v1/chat/completions", QUESTION | {"model": "gpt"}, 200, {}),
    "OpenAI's error": ("/v1/chat/completions", QUESTION, 400, {}),
    "response": ("/v1/responses", {"model": "gpt", "input": "Hi"}, 200, {}),
    "health": ("/health", None, 200, {}),
    "full": ("/health", None, 503, {"max_streams": 1}),
    "provider": ("/health/gpt", None, 200, {}),
    "no provider": ("/health/local", None, 503, {}),
}


@pytest.mark.usefixtures("quick_demo")
@pytest.mark.parametrize(("path", "body", "status", "options"), BODIES.values(), ids=BODIES)
async def test_shown_bodies_have_the_fields_of_real_ones(
    path: str, body: Any, status: int, options: dict[str, Any], tmp_path: Path
) -> None:
    """The bodies in docs/api_docs.md are such as the gateway gives."""
    async with (
        running_gateway(load_settings(None, demo="on", log_dir=tmp_path, **options)) as gateway,
        make_client(gateway.url, timeout=10) as client,
    ):
        with gateway.app.state.services.streams if options else nullcontext():
            response = await (client.post(path, json=body) if body else client.get(path))
    documented = [json.loads(block.text) for block in blocks(ROOT / "docs" / "api_docs.md", "json")]
    real = response.json()
    if body:
        real.get("gateway", real).pop("demo", None)  # an answer has it in demo mode alone
    assert response.status_code == status
    (shown,) = [example for example in documented if example.keys() == real.keys()]
    check_fields(shown, real)


def check_fields(shown: Any, real: Any) -> None:
    """Both have the same fields, and so do the objects in them, but for those whose fields are names."""
    if isinstance(shown, dict) and isinstance(real, dict):
        assert shown.keys() == real.keys()
        for name in shown.keys() - {"providers"}:
            check_fields(shown[name], real[name])


def demo_settings(log_dir: Path) -> Settings:
    return load_settings(None, demo="on", log_dir=log_dir)


async def run(program: list[str], text: str, address: str) -> tuple[int | None, str]:
    """An example's exit status and output, run against a gateway at the address."""
    assert ADDRESS in text
    process = await asyncio.create_subprocess_exec(
        *program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(EXAMPLE_SECONDS):
        output, _ = await process.communicate(text.replace(ADDRESS, address).encode())
    return process.returncode, output.decode()


def program_for(block: Block) -> list[str]:
    """What runs a block that comes on its stdin; the test is skipped if that is not installed."""
    if block.language == "python":
        return [sys.executable, "-"]
    name, options = {"sh": ("curl", ["sh"]), "js": ("node", ["node", "--input-type=module"])}[
        block.language
    ]
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    return options


EXAMPLES = blocks(ROOT / "docs" / "api_integration_examples.md")
CHATS = [block for block in EXAMPLES if "/chat/" in block.text]
STREAMS = [block for block in CHATS if '"stream": false' not in block.text]


def names(examples: list[Block]) -> list[str]:
    return [f"{number}-{block.language}" for number, block in enumerate(examples)]


@pytest.mark.usefixtures("quick_demo")
@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
async def test_example_runs(example: Block, tmp_path: Path) -> None:
    """Each ends well against a gateway in demo mode, and a chat's has the answer from its first to its last words."""
    program = program_for(example)
    async with running_gateway(demo_settings(tmp_path)) as gateway:
        status, output = await run(program, example.text, f"{gateway.host}:{gateway.port}")
    assert status == 0, output
    if example in CHATS:
        text = join_text(read_events(output)) if output.startswith("data: ") else output
        assert "You asked **" in text
        assert "reaches the real model." in text


@pytest.mark.parametrize("example", STREAMS, ids=names(STREAMS))
async def test_example_fails_if_the_answer_breaks(example: Block, tmp_path: Path) -> None:
    """An error event after the first words is no success for any of them."""
    program = program_for(example)
    text = re.sub("/chat/[a-z]+", "/chat/gpt", example.text)
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
        status, _ = await run(program, text, f"127.0.0.1:{gateway.running.port}")
    assert status not in (0, None)


@pytest.mark.parametrize("example", STREAMS, ids=names(STREAMS))
async def test_example_fails_if_the_stream_is_cut(example: Block) -> None:
    """A connection that ends before `[DONE]` is no success for any of them."""
    program = program_for(example)
    event = b'data: {"type":"delta","seq":1,"id":"gpt-1","delta":{"content":"Hel"}}\n\n'
    async with open_vendor(response(event)) as server:
        status, _ = await run(program, example.text, f"127.0.0.1:{server.port}")
    assert status not in (0, None)


@pytest.mark.parametrize("example", STREAMS, ids=names(STREAMS))
async def test_example_reads_a_stream_in_small_pieces(example: Block) -> None:
    """A frame or a character cut in two, and a line separator within a text, lose nothing."""
    program = program_for(example)
    words = "Grüße\u2028\U0001f600"
    event = {"type": "delta", "seq": 1, "id": "gpt-1", "delta": {"content": words}}
    async with trickling(
        f"data: {json.dumps(event, ensure_ascii=False)}\n\ndata: [DONE]\n\n".encode()
    ) as address:
        status, output = await run(program, example.text, address)
    assert status == 0
    assert words in output


def test_javascript_example_is_the_pages_reader() -> None:
    """What the page itself reads with stands in the example, word for word."""
    (example,) = [block.text for block in EXAMPLES if block.language == "js"]
    _, _, reader = (ROOT / "static" / "stream.js").read_text(encoding="utf-8").partition("\n\n")
    assert reader.replace("export ", "").strip() in example


@asynccontextmanager
async def trickling(body: bytes) -> AsyncIterator[str]:
    """The address of a server that answers with the body, a byte a write."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in response(body):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.001)
        await reader.read(65_536)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


@pytest.mark.usefixtures("quick_demo")
async def test_readmes_chat_gives_the_readmes_answer(tmp_path: Path) -> None:
    """Its curl command, run as it stands, gives the events that it shows, but for ids and times."""
    (command,) = [block for block in blocks(README, "sh") if "curl" in block.text]
    (sample,) = blocks(README, "text")
    async with running_gateway(demo_settings(tmp_path)) as gateway:
        _, output = await run(program_for(command), command.text, f"{gateway.host}:{gateway.port}")
    answered = {event["seq"]: event for event in read_events(output) if event != "[DONE]"}
    assert output.endswith("data: [DONE]\n\n")
    for event in read_events(sample.text)[:-1]:
        assert constant(event) == constant(answered[event["seq"]])


def constant(event: dict[str, Any]) -> dict[str, Any]:
    """What is the same in each run."""
    return {
        name: value for name, value in event.items() if not name.endswith("id") and name != "timing"
    }
