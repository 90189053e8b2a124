"""How regular the command ticks are, and other numbers of a tick, kept without allocating."""

from __future__ import annotations

import math

import numpy as np

NEWEST = 1000  # samples that count: a hiccup at the start is forgotten after some seconds


class Samples:
    """The newest numbers of something measured in every tick [s]."""

    def __init__(self, capacity: int = NEWEST) -> None:
        self._values = np.zeros(capacity)
        self.count = 0

    def add(self, value: float) -> None:
        """Keep a number."""
        self._values[self.count % len(self._values)] = value
        self.count += 1

    def clear(self) -> None:
        """Forget everything."""
        self.count = 0

    def quantile(self, q: float) -> float:
        """Quantile of what is kept [s]; 0 where there is nothing."""
        kept = min(self.count, len(self._values))
        return float(np.quantile(self._values[:kept], q)) if kept else 0.0

    def summary(self) -> dict[str, float]:
        """Median, 99 % quantile and maximum [ms], keyed as the control benchmark prints them."""
        kept = self._values[: min(self.count, len(self._values))]
        found = np.quantile(kept, (0.5, 0.99, 1.0)) if len(kept) else np.zeros(3)
        return dict(zip(("p50_ms", "p99_ms", "max_ms"), (1e3 * found).tolist(), strict=True))


class PeriodStatistics:
    """Errors of a periodic tick: |period - nominal| of the newest ticks."""

    def __init__(self, period: float, capacity: int = NEWEST) -> None:
        self._period = period
        self._errors = Samples(capacity)
        self._last = math.nan

    def tick(self, now: float) -> None:
        """Note a tick at `now` [s]."""
        if not math.isnan(self._last):
            self._errors.add(abs(now - self._last - self._period))
        self._last = now

    def restart(self) -> None:
        """Forget everything; the next tick starts the first period."""
        self._errors.clear()
        self._last = math.nan

    def pause(self) -> None:
        """Do not count the silence until the next tick as a period."""
        self._last = math.nan

    @property
    def count(self) -> int:
        """Periods measured since the restart, including those that are forgotten."""
        return self._errors.count

    def quantile(self, q: float) -> float:
        """Quantile of |period - nominal| [s]; 0 before the first period."""
        return self._errors.quantile(q)

    def summary(self) -> dict[str, float]:
        """Median, 99 % quantile and maximum [ms], keyed as the control benchmark prints them."""
        return self._errors.summary()
