"""The folder in which the workers count together.

prometheus_client takes its name from one variable of the environment alone, when it is imported and
whenever a metric is made. The supervisor sets it, and its workers inherit it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def counting_together() -> Iterator[None]:
    """A new folder, which is removed at the end."""
    before = os.environ.get(_VARIABLE)
    with TemporaryDirectory(prefix="chat-gateway-metrics-") as folder:
        os.environ[_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[_VARIABLE]
            if before is not None:
                os.environ[_VARIABLE] = before


def remove_gauges_of_dead() -> None:
    """Remove the gauges of processes that are gone: their counters stay, their streams do not."""
    for file in Path(os.environ[_VARIABLE]).glob("gauge_live*_*.db"):
        process = int(file.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)
