"""The state of a provider, from the results of its requests; behind `/health/{provider}`.

Makes no request.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "DEGRADED", "ERROR", "UNKNOWN"]
Source = Literal["traffic", "probe"]

_KEPT = 20  # observations that the state depends on
_ERROR_IN_A_ROW = 5
_REFUSED_IN_A_ROW = 3  # refused chats with no answer between them


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of one request: its error code, its seconds, its monotonic and wall time."""

    error: str | None
    seconds: float | None
    source: Source
    at: float
    wall: float


class ProviderHealth:
    """The newest observations of one provider, and the state that follows from them."""

    def __init__(self) -> None:
        self._observations: deque[Observation] = deque(maxlen=_KEPT)
        self._checked_at = -math.inf  # monotonic; a check may end with no observation
        self._refusals: list[str] = []  # their codes, in a row, since the newest answer

    def succeeded(
        self, seconds: float, source: Source = "traffic", *, generated: bool = True
    ) -> None:
        """Record an answer, or with `generated=False` a free call, which proves no answers.

        `seconds` is the time to the first content of an answer, or the duration of a free call.
        """
        if generated:
            self._refusals.clear()
        self._observations.append(Observation(None, seconds, source, time.monotonic(), time.time()))

    def failed(self, code: str, source: Source = "traffic") -> None:
        """Record a failure of the vendor, by its code."""
        self._observations.append(Observation(code, None, source, time.monotonic(), time.time()))

    def refused(self, code: str) -> None:
        """Record a chat that the vendor refused, by the code of the refusal.

        One refusal may be due to the client's request; many in a row are due to the gateway's
        parameters or account.
        """
        self._refusals = [*self._refusals, code][-_ERROR_IN_A_ROW:]

    def checked(self) -> None:
        """Record that a check has ended, with whatever result."""
        self._checked_at = time.monotonic()

    @property
    def is_refusing(self) -> bool:
        """Whether the newest chats were all refused."""
        return len(self._refusals) >= _REFUSED_IN_A_ROW

    @property
    def error(self) -> str | None:
        """The code of the newest refusal if the newest were all refused, else of the newest."""
        if self.is_refusing:
            return self._refusals[-1]
        return self.newest.error if self.newest else None

    @property
    def newest(self) -> Observation | None:
        """The newest observation, if there is one."""
        return self._observations[-1] if self._observations else None

    def is_stale(self, seconds: float) -> bool:
        """Whether the newest observation or check is older than this."""
        newest = self.newest.at if self.newest else -math.inf
        return time.monotonic() - max(newest, self._checked_at) > seconds

    @property
    def state(self) -> State:
        """ERROR if the newest all failed, DEGRADED if some did, UNKNOWN without any.

        If the newest chats were all refused, it is DEGRADED, then ERROR, whatever a free call
        returned.
        """
        if self.is_refusing:
            return "ERROR" if len(self._refusals) >= _ERROR_IN_A_ROW else "DEGRADED"
        failed = [observation.error is not None for observation in self._observations]
        if not failed:
            return "UNKNOWN"
        if all(failed[-_ERROR_IN_A_ROW:]):
            return "ERROR"
        return "DEGRADED" if any(failed) else "OK"

    @property
    def success_rate(self) -> float | None:
        """The share of successful observations, 0 to 1."""
        kept = self._observations
        return sum(observation.error is None for observation in kept) / len(kept) if kept else None

    @property
    def mean_seconds(self) -> float | None:
        """The mean time of the successful observations, in seconds, rounded to milliseconds."""
        took = [
            observation.seconds
            for observation in self._observations
            if observation.seconds is not None
        ]
        return round(sum(took) / len(took), 3) if took else None
