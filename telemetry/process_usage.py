"""The CPU time and the memory of this process."""

from __future__ import annotations

import os
import resource
import sys
from time import process_time

_STATM = "/proc/self/statm"  # on Linux: sizes in pages, the second one of resident memory
_STATM_BYTES = 256  # more than its seven numbers need
_PAGE_BYTES = resource.getpagesize()
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # the unit of the peak


def cpu_seconds() -> float:
    """User and system time since the start."""
    return round(process_time(), 3)


def memory_mb() -> float:
    """Resident memory; on systems without /proc its peak."""
    try:
        # Three system calls; `open` makes six, each of which may switch to the writer of the logs.
        file = os.open(_STATM, os.O_RDONLY)
        try:
            size = int(os.read(file, _STATM_BYTES).split()[1]) * _PAGE_BYTES
        finally:
            os.close(file)
    except OSError:
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
    return round(size / 2**20, 1)
