"""What a provider's own traffic says of it: the passive state behind `/health/{provider}`. No call is made here."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "DEGRADED", "ERROR", "UNKNOWN"]
Source = Literal["traffic", "probe"]

_KEPT = 20  # observations that the state is judged by
_ERROR_IN_A_ROW = 5


@dataclass(frozen=True, slots=True)
class Observation:
    """One request to the vendor: how it went, after how many seconds, and when (monotonic and wall clock)."""

    error: str | None
    seconds: float | None
    source: Source
    at: float
    wall: float


class ProviderHealth:
    """The newest observations of one provider, with what they amount to."""

    def __init__(self) -> None:
        self._observations: deque[Observation] = deque(maxlen=_KEPT)

    def succeeded(self, seconds: float, source: Source = "traffic") -> None:
        """Note an answer that ended well."""
        self._observations.append(Observation(None, seconds, source, time.monotonic(), time.time()))

    def failed(self, code: str, source: Source = "traffic") -> None:
        """Note a failure that was the vendor's, by its code."""
        self._observations.append(Observation(code, None, source, time.monotonic(), time.time()))

    @property
    def newest(self) -> Observation | None:
        """The newest observation, if there is one."""
        return self._observations[-1] if self._observations else None

    def is_stale(self, seconds: float) -> bool:
        """Whether nothing has been observed for so long."""
        return self.newest is None or time.monotonic() - self.newest.at > seconds

    @property
    def state(self) -> State:
        """ERROR when the newest all failed, DEGRADED when some did, UNKNOWN before anything was observed."""
        failed = [observation.error is not None for observation in self._observations]
        if not failed:
            return "UNKNOWN"
        if all(failed[-_ERROR_IN_A_ROW:]):
            return "ERROR"
        return "DEGRADED" if any(failed) else "OK"

    @property
    def success_rate(self) -> float | None:
        """The share of observations that went well, 0 to 1."""
        kept = self._observations
        return sum(observation.error is None for observation in kept) / len(kept) if kept else None

    @property
    def mean_seconds(self) -> float | None:
        """The mean duration of what went well, in seconds."""
        took = [observation.seconds for observation in self._observations if observation.seconds is not None]
        return sum(took) / len(took) if took else None
