"""`python -m tests.fault_matrix`: the whole matrix, its page, and status 1 where anything is not as it should be."""

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
from tests.fault_matrix.report import summarise, write_page
from tests.fault_matrix.run import run

PAGE = Path(__file__).parents[2] / "docs" / "fault_matrix.md"


def main() -> int:
    """Run the cells that are asked for; the page is written where all of them are."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault_matrix", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only cells whose name has it: 9-reset-after-both-gpt")
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
    wrong += [f"no case for {name}" for name in sorted(missing)] + [f"nobody has {name}" for name in sorted(unknown)]
    if not pattern:
        PAGE.write_text(write_page(verdicts, wrong), encoding="utf-8")
    right = sum(not verdict.wrong for verdict in verdicts)
    print(summarise(verdicts), *wrong, sep="\n")
    print(f"{right} of {len(verdicts)} cells are right, in {time.monotonic() - began:.0f} s")
    return 0 if right == len(verdicts) and cells and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
