"""The project's rules, held over the source itself: imports, sizes, and what no file has.

A rule is a function from a file to what it finds wrong there. Each is shown to find what it is for.
"""

from __future__ import annotations

import ast
import graphlib
import re
import statistics
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.project.source_files import (
    BESIDE,
    PACKAGES,
    PROJECT,
    PYTHON,
    SourceFile,
    count_tokens,
    length,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Imports go down, or stay within a layer.
LAYERS = {
    "settings": 0,
    "models": 0,
    "configuration": 1,
    "telemetry": 2,
    "streams": 2,
    "logging_config": 2,
    "cluster": 3,
    "prompt_engineering": 3,
    "providers": 4,
    "aiproviders": 5,
    "web": 6,
    "server": 7,
    "commands": 8,
    "main": 9,
}
TOP_LEVEL = {
    "aiproviders.py",
    "configuration.py",
    "logging_config.py",
    "main.py",
    "models.py",
    "prompt_engineering.py",
}

HOME_OF = {
    "openai": ("providers/openai_provider.py",),
    "anthropic": ("providers/anthropic_provider.py",),
    "google": ("providers/gemini_provider.py",),
    "groq": ("providers/groq_provider.py",),
    "fastapi": ("main.py", "web/"),
    "starlette": ("main.py", "web/", "server/"),
    "genai_prices": ("telemetry/costs.py",),
    "prometheus_client": ("telemetry/metrics.py",),
    "opentelemetry": ("telemetry/traces.py",),
    "sentry_sdk": ("telemetry/error_reporting.py",),
    "pydantic_settings": ("configuration.py",),
}
MAY_READ_THE_ENVIRONMENT = {
    "configuration.py": "the one reader of the environment",
    "telemetry/metrics_folder.py": "prometheus_client takes its folder from the environment alone",
    "benchmarks/processes.py": "passes PATH on to the processes that it measures",
}

LONGEST_FUNCTION = 40  # lines, as are all lengths here
LONGEST_NINE_IN_TEN = 35
MEDIAN_FUNCTION = 10
LONGEST_LINE = 100
LONGEST_FILE = 300
LARGEST_FILE = 2_000  # tokens
LONGEST_TEST_FILE = 700  # a table of cases is read by the row
LARGEST_TEST_FILE = 5_000
LONGER_FILES = {"models.py": "one place for the types that cross layers"}

JUNK_DRAWER = re.compile(r"(^|_)(utils?|helpers?|commons?|misc)(_|$)")
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|Users|work|tmp)/\w")
# --- rules of one file -------------------------------------------------------------------------------


def finds_upward_imports(file: SourceFile) -> Iterator[str]:
    """Imports go down only: main → server → web → aiproviders → providers → telemetry, streams → models, settings."""
    if file.package in BESIDE:
        return
    for package in {name.partition(".")[0] for name in file.imports} & PACKAGES:
        if package in BESIDE:
            if (file.package, package) != ("main", "simulator"):  # demo mode
                yield f"imports {package}, which is in no layer"
        elif LAYERS[package] > LAYERS[file.package]:
            yield f"imports {package}, which is above it"


def finds_libraries_out_of_place(file: SourceFile) -> Iterator[str]:
    """A vendor's SDK lives in its adapter alone, the web's libraries in the web's packages."""
    if file.package == "tests":
        return
    for library in {name.partition(".")[0] for name in file.imports} & HOME_OF.keys():
        if not file.path.startswith(HOME_OF[library]):
            yield f"imports {library}"


def finds_readers_of_the_environment(file: SourceFile) -> Iterator[str]:
    """What the operator decided is read in one place; tests prepare it."""
    if file.package == "tests" or file.path in MAY_READ_THE_ENVIRONMENT:
        return
    for node in ast.walk(file.tree):
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "name", None)
        if name in ("environ", "environb", "getenv", "getenvb"):
            yield f"reads os.{name}"


def finds_the_gateway_in_the_simulator(file: SourceFile) -> Iterator[str]:
    """The vendors' wires are spoken without our own code, which they are there to test."""
    if file.package == "simulator":
        yield from (
            f"imports {name}"
            for name in file.imports
            if name.partition(".")[0] in PACKAGES - {"simulator"}
        )


def finds_long_functions(file: SourceFile) -> Iterator[str]:
    """A function is seen at one look."""
    for function in file.functions:
        if length(function) > LONGEST_FUNCTION:
            yield f"{function.name} has {length(function)} lines"


def finds_long_files(file: SourceFile) -> Iterator[str]:
    """A file is one noun. Every exception has its reason above."""
    if file.path in LONGER_FILES:
        return
    is_test = file.package == "tests"
    lines, tokens = len(file.text.splitlines()), count_tokens(file)
    if lines > (LONGEST_TEST_FILE if is_test else LONGEST_FILE):
        yield f"has {lines} lines"
    if tokens > (LARGEST_TEST_FILE if is_test else LARGEST_FILE):
        yield f"has {tokens} tokens"


def finds_long_lines(file: SourceFile) -> Iterator[str]:
    """Two files fit beside each other; the tests' docstrings are one line each."""
    if file.package != "tests":
        for number, line in enumerate(file.text.splitlines(), 1):
            if len(line) > LONGEST_LINE:
                yield f"has {len(line)} characters in line {number}"


def finds_swallowed_exceptions(file: SourceFile) -> Iterator[str]:
    """Code that ignores an exception says why, on the spot."""
    lines = file.text.splitlines()
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.ExceptHandler) or not all(
            isinstance(step, ast.Pass) for step in node.body
        ):
            continue
        if not any("#" in line for line in lines[node.lineno - 1 : node.end_lineno]):
            yield f"swallows an exception in line {node.lineno}"


def finds_mocks(file: SourceFile) -> Iterator[str]:
    """Fakes stand at two seams: our port and the wire."""
    yield from (
        f"imports {name}" for name in file.imports if re.search(r"\bmock\b|^pytest_mock", name)
    )
    fixtures = {argument.arg for function in file.functions for argument in function.args.args}
    yield from (f"asks for {name}" for name in fixtures & {"mocker"})


PYTHON_RULES: list[Callable[[SourceFile], Iterator[str]]] = [
    finds_upward_imports,
    finds_libraries_out_of_place,
    finds_readers_of_the_environment,
    finds_the_gateway_in_the_simulator,
    finds_long_functions,
    finds_long_files,
    finds_long_lines,
    finds_swallowed_exceptions,
    finds_mocks,
]


def finds_junk_drawers(file: SourceFile) -> Iterator[str]:
    """Files are nouns."""
    yield from (
        f"is in {part}"
        for part in Path(file.path).with_suffix("").parts
        if JUNK_DRAWER.search(part)
    )


def finds_paths_of_a_machine(file: SourceFile) -> Iterator[str]:
    """What is true on one machine alone is not written down."""
    for number, line in enumerate(file.text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            yield f"names a path of a machine in line {number}"


TEXT_RULES = [finds_junk_drawers, finds_paths_of_a_machine]


@pytest.mark.parametrize("rule", PYTHON_RULES)
def test_python_keeps_the_rule(rule: Callable[[SourceFile], Iterator[str]]) -> None:
    """Every Python file of the project."""
    assert [f"{file.path} {finding}" for file in PYTHON for finding in rule(file)] == []


@pytest.mark.parametrize("rule", TEXT_RULES)
def test_text_keeps_the_rule(rule: Callable[[SourceFile], Iterator[str]]) -> None:
    """Every text file of the project."""
    assert [f"{file.path} {finding}" for file in PROJECT for finding in rule(file)] == []


LONG = "\n".join(["def long():", *["    step()"] * LONGEST_FUNCTION])
BROKEN = [
    (finds_upward_imports, "models.py", "import providers.base"),
    (finds_upward_imports, "telemetry/redaction.py", "from aiproviders import Gateway"),
    (finds_upward_imports, "providers/base.py", "def late():\n    from web import errors"),
    (finds_upward_imports, "aiproviders.py", "from main import create_app"),
    (finds_upward_imports, "web/routes.py", "import simulator"),
    (finds_upward_imports, "main.py", "from tests import scripted"),
    (finds_libraries_out_of_place, "providers/groq_provider.py", "import openai"),
    (finds_libraries_out_of_place, "providers/base.py", "from google.genai import types"),
    (finds_libraries_out_of_place, "aiproviders.py", "from starlette.requests import Request"),
    (finds_libraries_out_of_place, "simulator/server.py", "import fastapi"),
    (finds_readers_of_the_environment, "web/routes.py", "import os\nos.environ.get('A')"),
    (finds_readers_of_the_environment, "models.py", "from os import getenv as read"),
    (finds_the_gateway_in_the_simulator, "simulator/plan.py", "from models import Delta"),
    (finds_long_functions, "models.py", LONG),
    (
        finds_long_functions,
        "web/response.py",
        "class Wide:\n    async " + LONG.replace("\n", "\n    "),
    ),
    (finds_long_files, "web/routes.py", "\n" * (LONGEST_FILE + 1)),
    (finds_long_files, "tests/web/test_routes.py", "\n" * (LONGEST_TEST_FILE + 1)),
    (finds_long_files, "web/routes.py", "1 " * (LARGEST_FILE + 1)),
    (finds_long_files, "tests/web/test_routes.py", "1 " * (LARGEST_TEST_FILE + 1)),
    (finds_long_lines, "models.py", "#" * (LONGEST_LINE + 1)),
    (finds_swallowed_exceptions, "models.py", "try:\n    step()\nexcept OSError:\n    pass"),
    (finds_mocks, "tests/test_x.py", "from unittest import mock"),
    (finds_mocks, "tests/test_x.py", "from unittest.mock import Mock"),
    (finds_mocks, "tests/test_x.py", "def test_x(mocker): ..."),
    (finds_junk_drawers, "web/helpers/page.py", ""),
    (finds_junk_drawers, "web/string_utils.py", ""),
    (finds_junk_drawers, "common.py", ""),
    (finds_paths_of_a_machine, "docs/a.md", "see `" + "/".join(["", "home", "ann", "notes"]) + "`"),
    (finds_paths_of_a_machine, "scripts/a.sh", "cd " + "/".join(["", "work", "main"])),
]


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_rule_finds_what_breaks_it(
    rule: Callable[[SourceFile], Iterator[str]], path: str, text: str
) -> None:
    """A rule that cannot fail holds nothing."""
    assert list(rule(SourceFile(path, text))) != []


def test_top_level_has_exactly_the_named_modules() -> None:
    """A further module belongs into a package."""
    assert {file.path for file in PYTHON if "/" not in file.path} == TOP_LEVEL


def test_every_module_is_in_a_layer() -> None:
    """A package without one could import anything."""
    assert {file.package for file in PYTHON} <= LAYERS.keys() | set(BESIDE)


def test_every_rule_is_shown_to_fail() -> None:
    """No rule is without a case above."""
    assert {rule.__name__ for rule, *_ in BROKEN} == {
        rule.__name__ for rule in chain(PYTHON_RULES, TEXT_RULES)
    }


def test_no_exception_outlives_its_reason() -> None:
    """A file that has become short, or is gone, is an exception no more."""
    files = {file.path: file for file in PYTHON}
    short = [path for path in LONGER_FILES if len(files[path].text.splitlines()) <= LONGEST_FILE]
    assert [path for path in short if count_tokens(files[path]) <= LARGEST_FILE] == []
    assert MAY_READ_THE_ENVIRONMENT.keys() <= files.keys()


# --- rules of the whole ------------------------------------------------------------------------------


def measure(lengths: list[int]) -> tuple[float, int]:
    """The median, and what nine in ten are not longer than."""
    return statistics.median(lengths), sorted(lengths)[len(lengths) * 9 // 10]


def test_functions_are_short() -> None:
    """Half of them are less than ten lines, nine in ten less than 35."""
    median, nine_in_ten = measure(
        [length(function) for file in PYTHON for function in file.functions]
    )
    assert median < MEDIAN_FUNCTION
    assert nine_in_ten < LONGEST_NINE_IN_TEN


def test_lengths_are_measured() -> None:
    """The measure distinguishes long functions from short ones."""
    assert measure([3] * 85 + [36] * 15) == (3, 36)
    assert measure([3] * 40 + [12] * 60) == (12, 12)


def find_circle(files: Iterable[SourceFile]) -> list[str]:
    """The modules of a circle of imports; none if there is no circle."""
    modules = {
        file.path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file
        for file in files
    }
    graph = {name: set(file.imports) & modules.keys() - {name} for name, file in modules.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_packages_import_each_other() -> None:
    """Packages of one layer have an order, too, so that each can be read without those above it.

    `logging_config` counts as a part of `telemetry`: it opens the logs that are written there.
    """
    graph: dict[str, set[str]] = {}
    merged = {"logging_config": "telemetry"}
    for file in PYTHON:
        if file.package not in BESIDE:
            names = {name.partition(".")[0] for name in file.imports} & LAYERS.keys()
            package = merged.get(file.package, file.package)
            packages = {merged.get(name, name) for name in names}
            graph.setdefault(package, set()).update(packages - {package})
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_no_imports_go_in_a_circle() -> None:
    """The modules of one layer have an order too."""
    assert find_circle(PYTHON) == []
    assert find_circle([SourceFile("a.py", "import b"), SourceFile("b.py", "from a import c")]) == [
        "a",
        "b",
        "a",
    ]
