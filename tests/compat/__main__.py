"""`python -m tests.compat`: runs the matrix, writes its page and data, and exits with 1 if any cell is wrong."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import redirect_stderr
from pathlib import Path

import uvloop

from tests.compat.cells import load_cells
from tests.compat.report import DATA, PAGE, merge, summarise, write_data, write_page
from tests.compat.run import run


def main() -> int:
    """Run the cells that are asked for, and write what was seen of them to the data and the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat", description=__doc__)
    parser.add_argument(
        "pattern",
        nargs="?",
        default="",
        help="only cells whose name has it, ai-7-.*-truncated: what the data has of others stays",
    )
    parser.add_argument("--show", action="store_true", help="show what each client saw")
    chosen = parser.parse_args()
    cells = load_cells(chosen.pattern)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        redirect_stderr(nowhere),  # the gateway's console
    ):
        verdicts, wrong = uvloop.run(run(cells, Path(folder), print))
    rows = merge(verdicts)
    DATA.write_text(write_data(rows), encoding="utf-8")
    PAGE.write_text(write_page(rows, wrong), encoding="utf-8")
    if chosen.show:
        print(*(f"{verdict.cell}: {verdict.detail}" for verdict in verdicts), sep="\n")
    right = sum(not verdict.wrong for verdict in verdicts)
    print(summarise(verdicts), *wrong, sep="\n")
    print(f"{right} of {len(verdicts)} cells are right, in {time.monotonic() - began:.0f} s")
    return 0 if right == len(verdicts) and cells and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
