"""What limits the making of a plan: time, and its caller's patience."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cosmos_policy_core.errors import PlanCancelled


@dataclass(frozen=True)
class Budget:
    """Time left and the wish to cancel; both are asked between denoising steps, from the planning thread.

    remaining: seconds left for this plan, on any clock; unlimited when None.
    cancelled: true when nobody wants the plan any more.
    """

    remaining: Callable[[], float] | None = None
    cancelled: Callable[[], bool] | None = None

    @classmethod
    def until(cls, deadline: float, cancelled: Callable[[], bool] | None = None) -> Budget:
        """Limit a plan by a time of the machine's monotonic clock (`time.monotonic`), seconds."""
        return cls(lambda: deadline - time.monotonic(), cancelled)

    @property
    def limited(self) -> bool:
        """Whether time can run out at all."""
        return self.remaining is not None

    def cancel_wanted(self) -> bool:
        return self.cancelled is not None and self.cancelled()

    def is_over(self) -> bool:
        """Tell whether planning should stop now, for either reason."""
        return self.cancel_wanted() or (self.remaining is not None and self.remaining() <= 0)

    def check(self) -> None:
        """Raise PlanCancelled when nobody wants the plan any more."""
        if self.cancel_wanted():
            raise PlanCancelled("the plan was cancelled; the device is free, and no chunk was chosen.")
