"""How long a plan may take, on the machine's steady clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

TRANSPORT = 0.01  # [s] of a plan's time that a question and its answer are under way
GRACE = 0.25  # [s] beyond its time in which a plan still takes answers: devices notice the end between two steps
LEAST = 0.001  # [s] asked for when there is none left: a limit of 0 would mean none


@dataclass(frozen=True)
class PlanTime:
    """Wall time of one plan: `limit` [s] from its observation on; 0: unlimited."""

    limit: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Time since the plan began [s]."""
        return time.monotonic() - self.began

    @property
    def for_question(self) -> float:
        """Time limit of a question that is asked now [s]; 0: none."""
        return max(self.limit - self.spent - TRANSPORT, LEAST) if self.limit else 0.0

    @property
    def is_over(self) -> bool:
        """Whether no answer is waited for any more."""
        return bool(self.limit) and self.spent > self.limit + GRACE
