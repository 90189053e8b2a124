"""Keeping simulated time in step with the wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_DEBT = 0.2
"""[s] What the loop may catch up after a hiccup; more is given up, or the cell would race for seconds."""


class Pacer:
    """Sleeps between ticks so that simulated time runs at a multiple of real time.

    Args:
        factor: simulated seconds per real second; 0 runs as fast as possible.
        clock, sleep: exchangeable for tests.
    """

    def __init__(
        self,
        factor: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._factor, self._clock, self._sleep = factor, clock, sleep
        self._due = clock()
        self.given_up = 0.0
        """[s] Wall time by which the cell fell behind for good."""

    def wait(self, seconds: float) -> None:
        """Sleep until a tick of `seconds` simulated time is over on the wall."""
        if self._factor <= 0:
            return
        self._due += seconds / self._factor
        spare = self._due - self._clock()
        if spare > 0:
            self._sleep(spare)
        elif -spare > MAX_DEBT:
            self.given_up += -spare
            self._due -= spare


class Meter:
    """Counts events and reads simulated against real time over windows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wall = clock()
        self._simulated = 0.0
        self._counts: dict[str, int] = {}

    def count(self, what: str) -> None:
        """Count one event."""
        self._counts[what] = self._counts.get(what, 0) + 1

    @property
    def age(self) -> float:
        """Real time since the window began [s]."""
        return self._clock() - self._wall

    def read(self, simulated: float) -> tuple[float, dict[str, float]]:
        """Close the window at a simulated time [s]: (real-time factor, events per simulated second); open the next."""
        wall, passed = self.age, max(simulated - self._simulated, 1e-9)
        rates = {what: number / passed for what, number in self._counts.items()}
        self._wall, self._simulated, self._counts = self._clock(), simulated, {}
        return passed / max(wall, 1e-9), rates
