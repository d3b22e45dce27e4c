"""How many examples a fuzzing test tries: a few by `make test`, more by `make test-all`, many by `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))

# Tests that say nothing else try two and a half times as many: 100 by `make test-all`.
settings.register_profile("tests", max_examples=5 * EXAMPLES // 2)
settings.load_profile("tests")

# Over sockets an example takes as long as the machine is busy: no deadline, and no haste in making data.
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
