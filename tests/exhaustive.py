"""What `make test` leaves out: cases that repeat what another case shows. `make test-all` runs them too."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import pytest
from _pytest.mark import ParameterSet

Case = TypeVar("Case")


def exhaustive(*cases: Any) -> list[ParameterSet]:
    """Cases for `make test-all` alone; a case of several arguments is a tuple."""
    return [pytest.param(*_arguments_of(case), marks=pytest.mark.exhaustive) for case in cases]


def repetitions_marked(
    is_repetition: Callable[..., bool], cases: dict[str, tuple[Any, ...]]
) -> list[ParameterSet]:
    """The cases with their names as ids; those that are repetitions are for `make test-all` alone."""
    return [
        pytest.param(*case, id=name, marks=[pytest.mark.exhaustive] if is_repetition(*case) else [])
        for name, case in cases.items()
    ]


def _arguments_of(case: Any) -> tuple[Any, ...]:
    return case if type(case) is tuple else (case,)


def split_by_kind(
    kind: Callable[[Case], Hashable], cases: Iterable[Case]
) -> tuple[list[Case], list[Case]]:
    """The first case of each kind, and the others."""
    firsts = dict[Hashable, Case]()
    others = list[Case]()
    for case in cases:
        if firsts.setdefault(kind(case), case) is not case:
            others.append(case)
    return list(firsts.values()), others
