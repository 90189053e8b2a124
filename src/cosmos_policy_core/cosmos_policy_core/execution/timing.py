"""How regular the command ticks are."""

from __future__ import annotations

import math

import numpy as np


class PeriodStatistics:
    """Errors of a periodic tick, kept in a ring so that a tick allocates nothing."""

    def __init__(self, period: float, capacity: int = 4096) -> None:
        self._period = period
        self._errors = np.zeros(capacity)
        self._count = 0
        self._last = math.nan

    def tick(self, now: float) -> None:
        """Note a tick at `now` [s]."""
        if not math.isnan(self._last):
            self._errors[self._count % len(self._errors)] = abs(now - self._last - self._period)
            self._count += 1
        self._last = now

    def restart(self) -> None:
        """Forget everything; the next tick starts the first period."""
        self._count = 0
        self._last = math.nan

    def pause(self) -> None:
        """Do not count the silence until the next tick as a period."""
        self._last = math.nan

    @property
    def count(self) -> int:
        """Periods measured since the restart, including those the ring has forgotten."""
        return self._count

    def quantile(self, q: float) -> float:
        """Quantile of |period - nominal| [s]; 0 before the first period."""
        kept = min(self._count, len(self._errors))
        return float(np.quantile(self._errors[:kept], q)) if kept else 0.0

    def summary(self) -> dict[str, float]:
        """Median, 99 % quantile and maximum [ms], keyed as the control benchmark prints them."""
        return {
            "p50_ms": 1e3 * self.quantile(0.5),
            "p99_ms": 1e3 * self.quantile(0.99),
            "max_ms": 1e3 * self.quantile(1.0),
        }
