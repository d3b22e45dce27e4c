"""`python -m tests.fault_matrix`: runs the matrix, writes its page and data, and exits with 1 if any cell is wrong."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from contextlib import redirect_stderr
from pathlib import Path

import uvloop

from tests.fault_matrix.cells import load_cells, missing_and_unknown
from tests.fault_matrix.report import DATA, PAGE, make_row, summarise, write_data, write_page
from tests.fault_matrix.run import run


def main() -> int:
    """Run the cells that are asked for; the page and its data are written if these are all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault_matrix", description=__doc__)
    parser.add_argument(
        "pattern",
        nargs="?",
        default="",
        help="only cells whose name has it: 9-reset-after-both-gpt",
    )
    pattern: str = parser.parse_args().pattern
    cells = [cell for cell in load_cells() if re.search(pattern, repr(cell))]
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        redirect_stderr(nowhere),  # the gateway's console; what is to be judged is in its files
    ):
        verdicts, wrong = uvloop.run(run(cells, Path(folder)))
    missing, unknown = missing_and_unknown()
    wrong += [f"no case for {name}" for name in sorted(missing)] + [
        f"no fault is called {name}" for name in sorted(unknown)
    ]
    if not pattern:
        rows = [make_row(verdict) for verdict in verdicts]
        DATA.write_text(write_data(rows), encoding="utf-8")
        PAGE.write_text(write_page(rows, wrong), encoding="utf-8")
    right = sum(not verdict.wrong for verdict in verdicts)
    print(summarise(verdicts), *wrong, sep="\n")
    print(f"{right} of {len(verdicts)} cells are right, in {time.monotonic() - began:.0f} s")
    return 0 if right == len(verdicts) and cells and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
