"""Two planners on the same seeds: what the seeds have in common cancels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Paired:
    """Trials of a first and a second planner on shared seeds, by who succeeded."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @classmethod
    def of(cls, first: Mapping[int, bool], second: Mapping[int, bool]) -> Paired:
        """Compare successes by seed; seeds of one planner alone are left out.

        Raises:
            ValueError: no seed is shared.
        """
        shared = sorted(first.keys() & second.keys())
        if not shared:
            raise ValueError("the two evaluations share no seed; a paired comparison needs the same seeds.")
        pairs = [(first[seed], second[seed]) for seed in shared]
        return cls(*(pairs.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))))

    @property
    def trials(self) -> int:
        """Shared seeds."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Success rate of the second less that of the first."""
        return (self.only_second - self.only_first) / self.trials

    def interval(self, z: float = 1.959964) -> tuple[float, float]:
        """Interval of the difference, 95 % by default (Bonett and Price 2012, adjusted Wald)."""
        count = self.trials + 2
        gained, lost = (self.only_second + 1) / count, (self.only_first + 1) / count
        half = z * math.sqrt((gained + lost - (gained - lost) ** 2) / count)
        return max(-1.0, gained - lost - half), min(1.0, gained - lost + half)

    @property
    def p_value(self) -> float:
        """Exact two-sided McNemar test: how likely at least this imbalance is between equal planners."""
        changed, fewer = self.only_first + self.only_second, min(self.only_first, self.only_second)
        tail = sum(math.comb(changed, k) for k in range(fewer + 1)) / 2**changed
        return min(1.0, 2 * tail)

    def summary(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        low, high = self.interval()
        return asdict(self) | {
            "difference": round(self.difference, 4),
            "interval_95": [round(low, 4), round(high, 4)],
            "p_value": float(f"{self.p_value:.3g}"),
        }
