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
        """Limit a plan by a time of the machine's monotonic clock (`time.monotonic`), seconds.

        It is over when another step as long as the one before would end too late.
        """
        return cls(_Pace(deadline), cancelled)

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


class _Pace:
    """Time left before a deadline, less what one more step will take by the last one's measure."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._last: float | None = None

    def __call__(self) -> float:
        now = time.monotonic()
        step = 0.0 if self._last is None else now - self._last
        self._last = now
        return self._deadline - now - step
