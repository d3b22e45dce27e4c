"""A new provider is one file, and a row in each of a few tables: they agree, and lead to what is there."""

from __future__ import annotations

import ast
import re
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from configuration import PROVIDER_SETTINGS, VALID_PROVIDERS
from providers.factory import _provider_classes
from simulator import WIRES
from tests.project.source_files import PROJECT, PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def find_missing(tables: Mapping[str, Iterable[str]]) -> list[str]:
    """Which table has not got which provider that another has."""
    every = set(chain.from_iterable(tables.values()))
    return sorted(
        f"{table} has no {name}" for table, names in tables.items() for name in every - set(names)
    )


def test_provider_is_a_row_in_each_table() -> None:
    """A new provider is one file and one row each for factory and configuration, and a wire for its tests."""
    tables = {
        "VALID_PROVIDERS": VALID_PROVIDERS,
        "PROVIDER_SETTINGS": PROVIDER_SETTINGS,
        "_provider_classes": _provider_classes,
        "WIRES": WIRES,
    }
    assert find_missing(tables) == []
    assert find_missing(tables | {"WIRES": ["gpt", "new"]})[:2] == [
        "PROVIDER_SETTINGS has no new",
        "VALID_PROVIDERS has no new",
    ]


@pytest.mark.parametrize(
    ("module", "class_name"), _provider_classes.values(), ids=_provider_classes
)
def test_row_names_what_its_own_file_has(module: str, class_name: str) -> None:
    """A class, or the function that chooses it; the SDK is not imported to prove it."""
    (file,) = [file for file in PYTHON if file.path == f"{module.replace('.', '/')}.py"]
    builders = ast.ClassDef | ast.FunctionDef
    assert class_name in [node.name for node in file.tree.body if isinstance(node, builders)]


def find_unexplained(example: str) -> list[str]:
    """The providers whose key's variable the example does not set."""
    return [
        name
        for name, names in PROVIDER_SETTINGS.items()
        if not re.search(rf"\b{names['api_key']}=", example)
    ]


def test_every_provider_is_explained() -> None:
    """`.env.example` has the variables of all; an empty one would have none."""
    (example,) = [file for file in PROJECT if file.path == ".env.example"]
    assert find_unexplained(example.text) == []
    assert find_unexplained("# a text") == list(VALID_PROVIDERS)
