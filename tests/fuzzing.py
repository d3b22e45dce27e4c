"""How hard the fuzzing tests try: a little in each run of the tests, long by `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))

# Over sockets an example takes as long as the machine is busy: no deadline, and no haste in making data.
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
