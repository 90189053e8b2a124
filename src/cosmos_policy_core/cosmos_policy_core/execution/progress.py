"""How long the arms have been moving, as a clock that stands still while they rest."""

from __future__ import annotations

import numpy as np


class MotionClock:
    """Time spent moving, looked up for moments in the past.

    The actions of a chunk follow from its observation one period after the other, but only while the arms move: a
    rest delays them and drops none. Keeps the latest `capacity` ticks of motion and allocates nothing in a tick.
    """

    def __init__(self, capacity: int = 2048) -> None:
        self._times = np.zeros(capacity)
        self._moved = np.zeros(capacity)
        self._count = 0
        self.moved = 0.0  # [s]
        self.last = -np.inf  # when motion was noted last [s]

    def start(self, now: float) -> None:
        """Note that the arms begin to move at `now` [s]."""
        self.advance(now, 0.0)

    def advance(self, now: float, elapsed: float) -> None:
        """Note that the motion went on by `elapsed` [s] until `now` [s]."""
        if now < self.last:  # the clock jumped back: what was noted has no place on it any more
            self._count = 0
        self.moved += elapsed
        place = self._count % len(self._times)
        self._times[place], self._moved[place] = now, self.moved
        self._count += 1
        self.last = now

    def since(self, stamp: float) -> float:
        """Time spent moving since a moment [s], as far as it is remembered."""
        kept = min(self._count, len(self._times))
        if kept == 0:
            return 0.0
        first = self._count % len(self._times) if self._count > kept else 0
        order = (first + np.arange(kept)) % len(self._times)
        return self.moved - float(np.interp(stamp, self._times[order], self._moved[order]))
